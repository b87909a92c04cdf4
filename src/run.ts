import { CancelledError } from './errors.ts'
import type { Failure } from './failure.ts'

/** How a run ended. */
export type RunOutcome<Value = unknown> =
  | {
      readonly status: 'done'
      readonly value: Value
      readonly attempts: number
      /** The plugin whose answer it is. */
      readonly answeredBy?: string
      readonly failure?: undefined
    }
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
  /** Of a run that was not told its own. */
  jobPath(id: string): string
  cancel(run: AnyRun, reason: unknown): void
  /** The system stops while somebody still waits for that job. */
  abandon(id: string): void
  /** The job may have ended without this process. */
  lookAgain(id: string): void
}

export type AnyRun = Run<unknown, unknown>

let [resolveLatest, rejectLatest]: ((value: never) => void)[] = []

/** One for all promises: its closure would be made anew for each. */
const keep = (resolve: (value: never) => void, reject: (error: unknown) => void): void => {
  resolveLatest = resolve
  rejectLatest = reject
}

/** A promise that is only made once somebody waits for it. A class: many that live long would make V8 keep each literal. */
class Wait<Value> {
  readonly promise: Promise<Value>
  readonly resolve: (value?: never) => void // `never`: a run of one value is a run of unknown ones
  readonly reject: (error: unknown) => void

  constructor() {
    this.promise = new Promise<Value>(keep as never)
    this.resolve = resolveLatest as never
    this.reject = rejectLatest as never
  }
}

/** What few runs need. */
interface More<Value, Progress> {
  /** Boxed: what `await run` rejects with, where that is not the failure. */
  refusal?: { readonly error: unknown }
  queued?: Wait<void>
  settled?: Wait<RunOutcome<Value>>
  watchers?: Set<Watcher<Progress>>
  /** Told once, when somebody begins to wait. */
  onWait?: (() => void) | undefined
}

/**
 * The handle of a job that was asked for. Await it for the value, or the `Failure`; iterate it for the progress. A run
 * that nobody awaits never becomes an unhandled rejection: the tree has the failure.
 */
export class Run<Value = unknown, Progress = unknown> implements PromiseLike<Value>, AsyncIterable<Progress> {
  #id: string
  readonly #host: RunHost
  #queued: 'no' | 'yes' | 'duplicate' = 'no'
  #outcome: RunOutcome<Value> | undefined
  /** For its value: what most wait for. */
  #wait: Wait<Value> | undefined
  #more: More<Value, Progress> | undefined

  constructor(host: RunHost, id: string) {
    this.#host = host
    this.#id = id
  }

  get id(): string {
    return this.#id
  }

  get path(): string {
    return this.#host.jobPath(this.#id)
  }

  /** Resolves once the broker has the job; rejects if nothing was queued. */
  async queued(): Promise<Queued> {
    if (this.#queued === 'no' && this.#outcome === undefined) await (this.#extra().queued ??= new Wait()).promise
    if (this.#queued === 'no') throw this.#rejection()
    return { id: this.#id, duplicate: this.#queued === 'duplicate' }
  }

  /** Never rejects. */
  settled(): Promise<RunOutcome<Value>> {
    if (this.#outcome !== undefined) return Promise.resolve(this.#outcome)
    const more = this.#extra()
    more.settled ??= new Wait()
    this.#waits()
    return more.settled.promise
  }

  /** Gives the job up; nothing happens if it is over. A duplicate gives up the job it follows. */
  cancel(reason?: unknown): void {
    if (this.#outcome === undefined) this.#host.cancel(this as AnyRun, reason)
  }

  // oxlint-disable-next-line unicorn/no-thenable -- a run is awaited like a promise, but makes none before that
  then<Result = Value, Otherwise = never>(
    onValue?: ((value: Value) => Result | PromiseLike<Result>) | null,
    onError?: ((error: unknown) => Otherwise | PromiseLike<Otherwise>) | null,
  ): Promise<Result | Otherwise> {
    if (this.#wait === undefined) {
      this.#wait = new Wait()
      if (this.#outcome === undefined) this.#waits()
      else this.#tellValue(this.#wait, this.#outcome)
    }
    return this.#wait.promise.then(onValue, onError)
  }

  catch<Otherwise = never>(
    onError?: ((error: unknown) => Otherwise | PromiseLike<Otherwise>) | null,
  ): Promise<Value | Otherwise> {
    return this.then(undefined, onError)
  }

  finally(onEnd?: (() => void) | null): Promise<Value> {
    return this.then((value) => value).finally(onEnd)
  }

  /** The progress from now on. Ends with the run; how that ended says `await run`. */
  [Symbol.asyncIterator](): AsyncGenerator<Progress, void, undefined> {
    const watcher = new Watcher<Progress>()
    if (this.#outcome === undefined) (this.#extra().watchers ??= new Set()).add(watcher)
    else watcher.end()
    this.#waits()
    return watcher.values(() => this.#more?.watchers?.delete(watcher))
  }

  /** @internal What the system tells its run. */
  static readonly tell = {
    queued: (run: AnyRun): void => {
      run.#queued = 'yes'
      run.#more?.queued?.resolve()
    },
    /** It has another id than it was given, or follows another job. */
    queuedAs: (run: AnyRun, queued: Queued): void => {
      run.#id = queued.id
      run.#queued = queued.duplicate ? 'duplicate' : 'yes'
      run.#more?.queued?.resolve()
    },
    refused: (run: AnyRun, error: unknown, failure: Failure): void => {
      run.#extra().refusal = { error }
      run.#end({ status: 'failed', failure, attempts: 0 })
    },
    progress: (run: AnyRun, value: unknown): void => {
      for (const watcher of run.#more?.watchers ?? []) watcher.take(value)
    },
    watch: (run: AnyRun, onWait: () => void): void => void (run.#extra().onWait = onWait),
    over: (run: AnyRun, outcome: RunOutcome): void => run.#end(outcome),
    abandoned: (run: AnyRun, id: string): void => run.#host.abandon(id),
    lookAgain: (run: AnyRun, id: string): void => run.#host.lookAgain(id),
    isQueued: (run: AnyRun): boolean => run.#queued !== 'no',
    isOver: (run: AnyRun): boolean => run.#outcome !== undefined,
    outcome: (run: AnyRun): RunOutcome | undefined => run.#outcome,
  }

  #extra(): More<Value, Progress> {
    this.#more ??= {}
    return this.#more
  }

  #waits(): void {
    const onWait = this.#more?.onWait
    if (onWait === undefined) return
    this.#extra().onWait = undefined
    onWait()
  }

  #end(outcome: RunOutcome<Value>): void {
    if (this.#outcome !== undefined) return
    this.#outcome = outcome
    if (this.#wait !== undefined) this.#tellValue(this.#wait, outcome)
    const more = this.#more
    if (more === undefined) return
    more.queued?.resolve()
    more.settled?.resolve(outcome as never)
    for (const watcher of more.watchers ?? []) watcher.end()
    delete more.watchers
  }

  /** Whoever waits for its value has a promise of theirs, so that this one never rejects unheard. */
  #tellValue({ resolve, reject }: Wait<Value>, outcome: RunOutcome<Value>): void {
    if (outcome.status === 'done' || outcome.status === 'fallback') resolve(outcome.value as never)
    else reject(this.#rejection())
  }

  #rejection(): unknown {
    if (this.#more?.refusal !== undefined) return this.#more.refusal.error
    const outcome = this.#outcome
    if (outcome?.status === 'cancelled') return new CancelledError(this.path, outcome.reason)
    return outcome?.status === 'failed' ? outcome.failure : undefined
  }
}

/** One `for await` over the progress of a run: what it has not taken yet. */
class Watcher<Progress> {
  #waiting: Progress[] = []
  #isOver = false
  #wake: (() => void) | undefined

  take(value: Progress): void {
    this.#waiting.push(value)
    this.#wake?.()
  }

  end(): void {
    this.#isOver = true
    this.#wake?.()
  }

  async *values(onEnd: () => void): AsyncGenerator<Progress, void, undefined> {
    try {
      for (;;) {
        const taken = this.#waiting
        this.#waiting = []
        yield* taken
        if (this.#waiting.length > 0) continue
        if (this.#isOver) return
        await new Promise<void>((resolve) => (this.#wake = resolve))
      }
    } finally {
      onEnd()
    }
  }
}
