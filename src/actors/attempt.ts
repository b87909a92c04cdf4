import { parseDuration, type Duration } from '../duration.ts'
import { CancelledError, InvalidOptionError, PluginTriggerError } from '../errors.ts'
import type { TaskContext } from '../task-context.ts'
import { runAs, type Origin } from './floating.ts'
import type { Tree } from './tree.ts'

/** How a call of a user's function ended. */
export type CallEnd = { readonly value: unknown } | { readonly error: unknown }

/** What a call needs to know of its job. */
export interface Caller {
  readonly tree: Tree
  readonly id: string
  readonly path: string
  readonly attempt: number
  readonly idempotencyKey: string
  readonly origin: Origin
  /** What the signal aborts with, and what ends the attempt, when the time is up. */
  timedOut(ms: number): unknown
  cancel(reason: unknown): void
  progress(value: unknown): void
  /** It settled after it was judged. */
  late(end: CallEnd): void
}

/**
 * One call of a body or a fallback, under its timeout. It is judged once: by its end, by the time, or from outside. What
 * it says afterwards is late.
 */
export class Attempt {
  readonly #caller: Caller
  readonly #onEnd: (end: CallEnd) => void
  #isJudged = false
  #timer: unknown
  #controller: AbortController | undefined
  /** Why it was given up; null unless it was. */
  #abortion: { readonly reason: unknown } | null = null
  #onAbort: Set<(reason: unknown) => void> | undefined
  #generator: AnyGenerator | undefined

  constructor(caller: Caller, onEnd: (end: CallEnd) => void) {
    this.#caller = caller
    this.#onEnd = onEnd
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#abortion !== null) this.#controller.abort(this.#abortion.reason)
    }
    return this.#controller.signal
  }

  run(body: (ctx: TaskContext) => unknown, timeout: number | undefined): void {
    if (timeout !== undefined) this.#timer = this.#caller.tree.clock.setTimeout(() => this.#timeOut(timeout), timeout)
    let result: unknown
    try {
      result = runAs(this.#caller.origin, () => body(new AttemptContext(this, this.#caller)))
    } catch (error) {
      return this.#settle({ error })
    }
    this.#follow(result)
  }

  /** Gives it up: the signal aborts, and what it still says is late. */
  abort(reason: unknown): void {
    if (this.#isJudged) return
    this.#judge()
    this.#abortion = { reason }
    this.#controller?.abort(reason)
    for (const onAbort of this.#onAbort ?? []) onAbort(reason)
    this.#onAbort = undefined
    if (this.#generator !== undefined) this.#unwind(this.#generator)
  }

  progress(value: unknown): void {
    if (!this.#isJudged) this.#caller.progress(value)
  }

  sleep(duration: Duration): Promise<void> {
    const ms = parseDuration(duration)
    if (ms === undefined) {
      throw new InvalidOptionError(
        'ctx.sleep()',
        'duration',
        duration,
        `Write milliseconds, or a text like '250ms', '30s', '5m'.`,
      )
    }
    const slept = new Promise<void>((resolve, reject) => {
      if (this.#abortion !== null) return reject(this.#abortion.reason)
      const { tree } = this.#caller
      const wake = tree.sleep(ms, () => {
        this.#onAbort?.delete(onAbort)
        resolve()
      })
      const onAbort = (reason: unknown): void => {
        wake()
        reject(reason)
      }
      this.#onAbort ??= new Set()
      this.#onAbort.add(onAbort)
    })
    slept.catch(() => {}) // a sleep that nobody awaits is no floating failure when the attempt is given up
    return slept
  }

  cancel(reason: unknown): never {
    if (!this.#isJudged) this.#caller.cancel(reason)
    throw new CancelledError(this.#caller.path, reason)
  }

  #follow(result: unknown): void {
    if (isGenerator(result)) {
      this.#generator = result
      if (this.#isJudged) return this.#unwind(result)
      void this.#drive(result)
    } else if ((typeof result === 'object' && result !== null) || typeof result === 'function') {
      this.#followPromise(result)
    } else {
      this.#settle({ value: result })
    }
  }

  #followPromise(result: unknown): void {
    const onValue = (value: unknown): void => (isGenerator(value) ? this.#follow(value) : this.#settle({ value }))
    try {
      Promise.resolve(result).then(onValue, (error: unknown) => this.#settle({ error }))
    } catch (error) {
      this.#settle({ error }) // a promise whose own `then` or `constructor` throws
    }
  }

  async #drive(generator: AnyGenerator): Promise<void> {
    try {
      for (;;) {
        const step = await runAs(this.#caller.origin, () => generator.next())
        if (this.#isJudged && step.done !== true) return // `#unwind` has asked it to return
        if (step.done === true) return this.#settle({ value: await step.value })
        this.progress(step.value)
      }
    } catch (error) {
      this.#settle({ error })
    }
  }

  /** Lets the `finally` of a generator run that was given up; an error there is late. */
  #unwind(generator: AnyGenerator): void {
    const returned = runAs(this.#caller.origin, async () => generator.return(undefined))
    returned.catch((error: unknown) => this.#caller.late({ error }))
  }

  #timeOut(ms: number): void {
    if (this.#isJudged) return
    const error = this.#caller.timedOut(ms)
    this.abort(error)
    this.#onEnd({ error })
  }

  #settle(end: CallEnd): void {
    if (this.#isJudged) return this.#caller.late(end)
    this.#judge()
    this.#onEnd(end)
  }

  #judge(): void {
    this.#isJudged = true
    if (this.#timer !== undefined) this.#caller.tree.clock.clearTimeout(this.#timer)
    this.#timer = undefined
  }
}

/** Getters give functions that need no `this`, so that a body may take the context apart. */
class AttemptContext implements TaskContext {
  readonly #attempt: Attempt
  readonly #caller: Caller

  constructor(attempt: Attempt, caller: Caller) {
    this.#attempt = attempt
    this.#caller = caller
  }

  get id(): string {
    return this.#caller.id
  }

  get path(): string {
    return this.#caller.path
  }

  get attempt(): number {
    return this.#caller.attempt
  }

  get idempotencyKey(): string {
    return this.#caller.idempotencyKey
  }

  get signal(): AbortSignal {
    return this.#attempt.signal
  }

  get log(): TaskContext['log'] {
    const { tree, id, path, attempt } = this.#caller
    const write = (level: keyof TaskContext['log']) => (message: string, data?: object) => {
      tree.events.emit('job.log', { path, id, attempt, level, message, ...(data && { data }) })
      tree.write(level, { path, id, attempt, ...data }, message)
    }
    return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
  }

  get progress(): TaskContext['progress'] {
    return (value) => this.#attempt.progress(value)
  }

  get sleep(): TaskContext['sleep'] {
    return (duration) => this.#attempt.sleep(duration)
  }

  get cancel(): TaskContext['cancel'] {
    return (reason) => this.#attempt.cancel(reason)
  }

  get pluginError(): TaskContext['pluginError'] {
    return (details, options) => {
      throw new PluginTriggerError(details, options)
    }
  }
}

interface AnyGenerator {
  next(): IteratorResult<unknown> | Promise<IteratorResult<unknown>>
  return(value: undefined): IteratorResult<unknown> | Promise<IteratorResult<unknown>>
}

function isGenerator(value: unknown): value is AnyGenerator {
  if (typeof value !== 'object' || value === null) return false
  try {
    const tag = (value as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag]
    return tag === 'AsyncGenerator' || tag === 'Generator'
  } catch {
    return false // a proxy that throws on everything is a value; what is wrong with it shows when it is kept
  }
}
