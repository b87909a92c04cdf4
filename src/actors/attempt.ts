import { parseDuration, type Duration } from '../duration.ts'
import { CancelledError, InvalidOptionError, LeaseLostError, SystemStoppedError } from '../errors.ts'
import { isGenerator, type AnyGenerator } from '../generator.ts'
import type { AnyRun } from '../run.ts'
import type { InnerRunOptions } from '../run-options.ts'
import type { AnyTask } from '../task.ts'
import type { TaskContext } from '../task-context.ts'
import { AttemptContext, type Underway } from './attempt-context.ts'
import { comesBack, goOnNowhere, runAs, runsNowhere, type Origin } from './floating.ts'
import type { Ending } from './effect.ts'
import { InnerRuns } from './inner-runs.ts'
import type { ThreadUse } from '../isolate/thread-use.ts'
import type { Asker, Tree } from './tree.ts'

const { types } = process.getBuiltinModule('node:util') // by import it brings streams and threads along

/** How a call of a user's function ended. */
export type CallEnd = { readonly value: unknown } | { readonly error: unknown }

/** The job of a call: what it needs to know of it, and whom it tells. */
export interface Caller {
  readonly tree: Tree
  readonly id: string
  readonly path: string
  readonly idempotencyKey: string
  /** The job, as those that it asks for know it. */
  readonly asker: Asker
  /** Calls the user's function. */
  call(attempt: Attempt): unknown
  /** It gave a value in time. */
  gave(attempt: Attempt, value: unknown): void
  /** It was judged by an error, or by the time. */
  threw(attempt: Attempt, error: unknown): void
  /** It waits for jobs it asked for, or goes on. */
  waits(isWaiting: boolean): void
  /** What the signal aborts with, and what ends the attempt, when the time is up. */
  timedOut(ms: number, attempt: number): unknown
  cancelFromInside(reason: unknown): void
  progress(value: unknown, attempt: number): void
  /** It settled after it was judged. */
  late(end: CallEnd, attempt: number): void
}

type Settle = (end: CallEnd) => void

/** What few attempts need. */
interface More {
  timer?: unknown
  controller?: AbortController
  /** Why it was given up. */
  abortion?: { readonly reason: unknown }
  onAbort?: Set<(reason: unknown) => void>
  generator?: AnyGenerator
  inner?: InnerRuns
  thread?: ThreadUse
  isLate?: true
}

const STEPS_PER_TURN = 256

/** Calls the user's function; one for all attempts. */
let callOf: (attempt: Attempt) => unknown
/** What follows its promise. */
let gaveOwn: (attempt: Attempt, value: unknown) => void
let threwOwn: (attempt: Attempt, error: unknown) => void

/**
 * One call of a body or a fallback, under its timeout. It is judged once: by its end, by the time, or from outside. What
 * it says afterwards is late.
 */
export class Attempt implements Underway, Ending {
  readonly #caller: Caller
  readonly origin: Origin
  readonly calls: 'body' | 'fallback'
  #isJudged = false
  #more: More | undefined

  constructor(caller: Caller, origin: Origin, calls: 'body' | 'fallback') {
    this.#caller = caller
    this.origin = origin
    this.calls = calls
  }

  get attempt(): number {
    return this.origin.attempt
  }

  /** What a body is told of it. */
  get context(): TaskContext {
    return new AttemptContext(this, this.#caller)
  }

  get signal(): AbortSignal {
    const more = this.#extra()
    if (more.controller === undefined) {
      more.controller = new AbortController()
      if (more.abortion !== undefined) more.controller.abort(more.abortion.reason)
    }
    return more.controller.signal
  }

  /** Where the body is called, if not here. */
  get thread(): ThreadUse | undefined {
    return this.#more?.thread
  }

  set thread(thread: ThreadUse) {
    this.#extra().thread = thread
  }

  /** Whether what it still says is late. */
  get isJudged(): boolean {
    return this.#isJudged
  }

  begin(timeout: number | undefined): void {
    if (this.#isJudged) return // given up by somebody who heard that it begins
    if (timeout !== undefined) {
      this.#extra().timer = this.#caller.tree.clock.setTimeout(() => this.#timeOut(timeout), timeout)
    }
    let result: unknown
    try {
      result = runAs(this.origin, callOf, this)
    } catch (error) {
      return this.#threw(error)
    }
    this.#follow(result, undefined)
  }

  static {
    callOf = (attempt) => attempt.#caller.call(attempt)
    gaveOwn = (attempt, value) =>
      isGenerator(value) ? attempt.#follow(value, undefined) : attempt.#gave(value, undefined)
    threwOwn = (attempt, error) => attempt.#threw(error)
  }

  get isOver(): boolean {
    return this.#isJudged
  }

  /** The state it began in was left. */
  end(): void {
    if (!this.#isJudged) this.abort(undefined)
  }

  /** Gives it up: the signal aborts, and what it still says is late. */
  abort(reason: unknown): void {
    if (this.#isJudged) return
    this.#judge()
    const more = this.#extra()
    more.abortion = { reason }
    more.controller?.abort(reason)
    for (const onAbort of more.onAbort ?? []) onAbort(reason)
    delete more.onAbort
    if (!leavesInnerRuns(reason)) more.inner?.cancel(reason instanceof CancelledError ? reason.reason : reason)
    if (more.generator !== undefined) this.#unwind(more.generator, undefined)
  }

  progress(value: unknown): void {
    if (!this.#isJudged) this.#caller.progress(value, this.attempt)
  }

  /** Gives the value of what a body gave, for those that stand around it; a generator is driven as if it stood alone. */
  valueOf(result: unknown): Promise<unknown> {
    return new Promise((resolve, reject) =>
      this.#follow(result, (end) => ('error' in end ? reject(end.error) : resolve(end.value))),
    )
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
      const more = this.#extra()
      if (more.abortion !== undefined) return reject(more.abortion.reason)
      const { tree } = this.#caller
      const wake = tree.sleep(ms, () => {
        more.onAbort?.delete(onAbort)
        resolve()
      })
      const onAbort = (reason: unknown): void => {
        wake()
        reject(reason)
      }
      more.onAbort ??= new Set()
      more.onAbort.add(onAbort)
    })
    slept.catch(() => {}) // a sleep that nobody awaits is no floating failure when the attempt is given up
    return slept
  }

  run(task: AnyTask, input: unknown, options: InnerRunOptions | undefined): AnyRun {
    const more = this.#extra()
    if (more.abortion !== undefined) throw more.abortion.reason // whoever is given up begins nothing
    const { tree, asker } = this.#caller
    more.inner ??= new InnerRuns(tree, asker, (isWaiting) => {
      if (!this.#isJudged) this.#caller.waits(isWaiting)
    })
    return more.inner.run(task, input, options)
  }

  cancel(reason: unknown): never {
    if (!this.#isJudged) this.#caller.cancelFromInside(reason)
    throw new CancelledError(this.#caller.path, reason)
  }

  /** Of what stands inside of something else, `settle` is told; without it the attempt is over. */
  #follow(result: unknown, settle: Settle | undefined): void {
    if ((typeof result !== 'object' || result === null) && typeof result !== 'function') {
      return this.#gave(result, settle)
    }
    if (!types.isPromise(result) && isGenerator(result)) {
      this.#extra().generator = result
      if (this.#isJudged) return this.#unwind(result, settle)
      void this.#drive(result, settle)
    } else {
      this.#followPromise(result, settle)
    }
  }

  #followPromise(result: unknown, settle: Settle | undefined): void {
    try {
      const promise = Promise.resolve(result)
      if (settle === undefined) return this.#awaitOwn(promise)
      promise.then(
        (value) => (isGenerator(value) ? this.#follow(value, settle) : settle({ value })),
        (error: unknown) => settle({ error }),
      )
    } catch (error) {
      this.#told({ error }, settle) // a promise whose own `then` or `constructor` throws
    }
  }

  /** Here, because what waits should hold nothing but this. */
  #awaitOwn(promise: Promise<unknown>): void {
    if (runsNowhere() && comesBack(promise)) {
      promise.then(
        (value) => goOnNowhere(gaveOwn, this, value),
        (error: unknown) => goOnNowhere(threwOwn, this, error),
      )
      return
    }
    promise.then(
      (value) => gaveOwn(this, value),
      (error: unknown) => threwOwn(this, error),
    )
  }

  #gave(value: unknown, settle: Settle | undefined): void {
    if (settle !== undefined) return settle({ value })
    if (this.#isJudged) return this.#tellLate({ value })
    this.#judge()
    this.#caller.gave(this, value)
  }

  #told(end: CallEnd, settle: Settle | undefined): void {
    if (settle !== undefined) settle(end)
    else if ('value' in end) this.#gave(end.value, undefined)
    else this.#threw(end.error)
  }

  async #drive(generator: AnyGenerator, settle: Settle | undefined): Promise<void> {
    try {
      for (let steps = 1; ; steps += 1) {
        // A generator that awaits nothing would hold the event loop, and its own timeout with it.
        if (steps % STEPS_PER_TURN === 0) await new Promise<void>((resolve) => void setImmediate(resolve))
        const step = await runAs(this.origin, next, generator)
        const value = await step.value // a generator that is not async may yield promises
        if (step.done === true) return this.#told({ value }, settle)
        this.progress(value)
        if (this.#isJudged) return this.#unwind(generator, settle)
      }
    } catch (error) {
      this.#told({ error }, settle)
    }
  }

  /** Lets the `finally` of a generator run that was given up; what comes of that is late. */
  #unwind(generator: AnyGenerator, settle: Settle | undefined): void {
    const returned = runAs(this.origin, giveUp, generator)
    returned.then(
      ({ value }) => this.#told({ value }, settle),
      (error: unknown) => this.#told({ error }, settle),
    )
  }

  #timeOut(ms: number): void {
    if (this.#isJudged) return
    const error = this.#caller.timedOut(ms, this.attempt)
    this.abort(error)
    this.#caller.threw(this, error)
  }

  #threw(error: unknown): void {
    if (this.#isJudged) return this.#tellLate({ error })
    this.#judge()
    this.#more?.inner?.cancel(`attempt ${this.attempt} of ${this.#caller.path} failed`)
    this.#caller.threw(this, error)
  }

  #extra(): More {
    this.#more ??= {}
    return this.#more
  }

  /** Once: a generator that was given up ends twice, by its own way and by `return()`. */
  #tellLate(end: CallEnd): void {
    const more = this.#extra()
    if (more.isLate === true) return
    more.isLate = true
    this.#caller.late(end, this.attempt)
  }

  #judge(): void {
    this.#isJudged = true
    const timer = this.#more?.timer
    if (timer !== undefined) this.#caller.tree.clock.clearTimeout(timer)
  }
}

const next = (generator: AnyGenerator): ReturnType<AnyGenerator['next']> => generator.next()
const giveUp = async (generator: AnyGenerator): Promise<IteratorResult<unknown>> => generator.return(undefined)

/** Whether the job goes on somewhere, or later, and with it what it asked for. */
function leavesInnerRuns(reason: unknown): boolean {
  return reason === undefined || reason instanceof SystemStoppedError || reason instanceof LeaseLostError
}
