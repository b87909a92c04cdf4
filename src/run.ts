import { CancelledError } from './errors.ts'
import type { Failure } from './failure.ts'

/** How a run ended. */
export type RunOutcome<Value = unknown> =
  | { readonly status: 'done'; readonly value: Value; readonly attempts: number; readonly answeredBy?: string }
  | { readonly status: 'fallback'; readonly value: Value; readonly failure: Failure; readonly attempts: number }
  | { readonly status: 'failed'; readonly failure: Failure; readonly attempts: number; readonly value?: undefined }
  | {
      readonly status: 'cancelled'
      readonly reason: unknown
      readonly attempts: number
      readonly value?: undefined
      readonly failure?: undefined
    }

export interface Queued {
  /** Of the job; of the one it follows, if it is a duplicate. */
  readonly id: string
  readonly duplicate: boolean
}

/** What a run needs from the system that made it. */
export interface RunHost {
  cancel(run: AnyRun, reason: unknown): void
}

export type AnyRun = Run<unknown, unknown>

/**
 * The handle of a job that was asked for. Await it for the value, or the `Failure`; iterate it for the progress. A run
 * that nobody awaits never becomes an unhandled rejection: the tree has the failure.
 */
export class Run<Value = unknown, Progress = unknown> implements PromiseLike<Value>, AsyncIterable<Progress> {
  #id: string
  #path: string
  readonly #host: RunHost
  #queued: Queued | undefined
  #outcome: RunOutcome<Value> | undefined
  /** Boxed: what `await run` rejects with, where that is not the failure. */
  #refusal: { readonly error: unknown } | undefined
  #wake: Set<() => void> | undefined
  #watchers: Set<(value: Progress) => void> | undefined

  constructor(host: RunHost, id: string, path: string) {
    this.#host = host
    this.#id = id
    this.#path = path
  }

  get id(): string {
    return this.#id
  }

  get path(): string {
    return this.#path
  }

  /** Resolves once the broker has the job; rejects if nothing was queued. */
  async queued(): Promise<Queued> {
    await this.#until(() => this.#queued !== undefined || this.#outcome !== undefined)
    if (this.#queued === undefined) throw this.#refusal?.error ?? this.#rejection()
    return this.#queued
  }

  /** Never rejects. */
  async settled(): Promise<RunOutcome<Value>> {
    await this.#until(() => this.#outcome !== undefined)
    return this.#outcome as RunOutcome<Value>
  }

  /** Gives the job up; nothing happens if it is over. */
  cancel(reason?: unknown): void {
    if (this.#outcome === undefined) this.#host.cancel(this as AnyRun, reason)
  }

  // oxlint-disable-next-line unicorn/no-thenable -- a run is awaited like a promise, but makes none before that
  then<Result = Value, Otherwise = never>(
    onValue?: ((value: Value) => Result | PromiseLike<Result>) | null,
    onError?: ((error: unknown) => Otherwise | PromiseLike<Otherwise>) | null,
  ): Promise<Result | Otherwise> {
    return this.#value().then(onValue, onError)
  }

  catch<Otherwise = never>(
    onError?: ((error: unknown) => Otherwise | PromiseLike<Otherwise>) | null,
  ): Promise<Value | Otherwise> {
    return this.#value().catch(onError)
  }

  finally(onEnd?: (() => void) | null): Promise<Value> {
    return this.#value().finally(onEnd)
  }

  /** The progress from now on. Ends with the run; how that ended says `await run`. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Progress, void, undefined> {
    const waiting: Progress[] = []
    let wake: (() => void) | undefined
    const take = (value: Progress): void => {
      waiting.push(value)
      wake?.()
    }
    this.#watchers ??= new Set()
    this.#watchers.add(take)
    const onEnd = (): void => wake?.()
    this.#wake ??= new Set()
    this.#wake.add(onEnd)
    try {
      for (;;) {
        while (waiting.length > 0) yield waiting.shift() as Progress
        if (this.#outcome !== undefined) return
        await new Promise<void>((resolve) => (wake = resolve))
      }
    } finally {
      this.#watchers?.delete(take)
      this.#wake?.delete(onEnd)
    }
  }

  /** @internal What the system tells its run. */
  static readonly tell = {
    queued: (run: AnyRun, queued: Queued, path: string): void => {
      run.#queued = queued
      run.#id = queued.id
      run.#path = path
      run.#ring()
    },
    refused: (run: AnyRun, error: unknown, failure: Failure): void => {
      run.#refusal = { error }
      run.#end({ status: 'failed', failure, attempts: 0 })
    },
    progress: (run: AnyRun, value: unknown): void => {
      for (const watcher of run.#watchers ?? []) watcher(value)
    },
    over: (run: AnyRun, outcome: RunOutcome): void => run.#end(outcome),
    isOver: (run: AnyRun): boolean => run.#outcome !== undefined,
    isWatched: (run: AnyRun): boolean => run.#watchers !== undefined && run.#watchers.size > 0,
  }

  #end(outcome: RunOutcome<Value>): void {
    if (this.#outcome !== undefined) return
    this.#outcome = outcome
    this.#ring()
    this.#wake = undefined
  }

  #ring(): void {
    for (const wake of this.#wake ?? []) wake()
  }

  #until(isSo: () => boolean): Promise<void> {
    if (isSo()) return Promise.resolve()
    return new Promise((resolve) => {
      const check = (): void => {
        if (!isSo()) return
        this.#wake?.delete(check)
        resolve()
      }
      this.#wake ??= new Set()
      this.#wake.add(check)
    })
  }

  async #value(): Promise<Value> {
    const outcome = await this.settled()
    if (outcome.status === 'done' || outcome.status === 'fallback') return outcome.value
    throw this.#refusal === undefined ? this.#rejection() : this.#refusal.error
  }

  #rejection(): unknown {
    const outcome = this.#outcome
    if (outcome?.status === 'cancelled') return new CancelledError(this.#path, outcome.reason)
    return outcome?.status === 'failed' ? outcome.failure : undefined
  }
}
