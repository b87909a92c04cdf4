import type { JobContext, JobEvent, JobInput, JobOutput } from '../../machines/job.ts'
import type { LeasedJob } from '../brokers/broker.ts'
import { CancelledError, TimeoutError, type PluginTriggerError } from '../errors.ts'
import type { FailedJob, Failure, FailureData, FailureKind } from '../failure.ts'
import type { RunOutcome } from '../run.ts'
import type { ThreadUse } from '../isolate/thread-use.ts'
import type { Threads } from '../isolate/threads.ts'
import { copyJson, type Json } from '../payload.ts'
import { delayOf } from '../retry.ts'
import type { AnyTask } from '../task.ts'
import { askPlugins } from './ask-plugins.ts'
import { Attempt, type CallEnd, type Caller } from './attempt.ts'
import type { ChartActor, Host } from './chart.ts'
import type { Effect, Ending, Stay } from './effect.ts'
import type { ChartOwner } from './light-actor.ts'
import { JobOrigin, runAsNobody, type Origin } from './floating.ts'
import { isUnwatched, type JobHook } from './hook-table.ts'
import { inputOf, StartContext, StartInput, writeInput } from './job-start.ts'
import type { OwnedInput } from './owner-relay.ts'
import { eventOf, JobHooks, type Hooked } from './job-hooks.ts'
import type { JobPolicy } from './job-policy.ts'
import type { JobSource } from './job-source.ts'
import { fit, judgeAnswers, judgeError, judgeValue, Misfit, type Judged, type OwnError } from './judgement.ts'
import { plain } from './plain.ts'
import type { StoredInput } from './schema.ts'
import type { Asker, Tree } from './tree.ts'
import type { AnyActorLogic, AnyActorRef } from 'xstate'

/** What a job needs of the worker that holds it. */
export interface Holder {
  /** Where bodies are called that are isolated. */
  readonly threads: Threads | undefined
  /** The wait for its next attempt begins: its slot is free. */
  park(job: JobActor, delay: number): void
  over(job: JobActor, output: JobOutput): void
  /** It waits for other jobs: somebody else may have its slot meanwhile. Or it goes on. */
  lend(job: JobActor, isLent: boolean): void
}

/** What few jobs need. */
interface Few {
  hooks?: JobHooks
  /** What ended the attempt, where that was not the body. */
  own?: OwnError | undefined
}

const WAIT_OVER: JobEvent = { type: 'wait.over' }

const FallbackValue: new (value: unknown) => Extract<JobEvent, { readonly type: 'fallback.value' }> = plain(
  function (value) {
    this.type = 'fallback.value'
    this.value = value
  },
)

/** What its failures say of it, as long as anybody holds one. */
const JobAsFailed: new (id: string, task: string, attempts: number) => FailedJob = plain(function (id, task, attempts) {
  this.id = id
  this.task = task
  this.attempts = attempts
})

/** One incarnation of one job in this process: what its chart rests on. */
export class JobActor implements Judged, Caller, ChartOwner<JobOutput> {
  readonly slot: number
  lease: LeasedJob
  /** What the chart was last entered with. */
  context: JobContext | undefined
  /** Set by the table it stands in; cut off, it stands in none. `lent`: somebody else has its slot meanwhile. */
  standing: 'running' | 'lent' | 'parked' | 'cut off' = 'running'
  #chart: ChartActor<JobEvent> | undefined
  readonly #queue: JobSource
  readonly #holder: Holder
  readonly #startedAt: number
  #few: Few | undefined
  #attempt: Attempt | undefined
  /** In the state it rests in. */
  #stay: Stay<JobEvent> | undefined

  constructor(queue: JobSource, holder: Holder, lease: LeasedJob, slot: number, now: number) {
    this.#queue = queue
    this.#holder = holder
    this.lease = lease
    this.slot = slot
    this.#startedAt = now - queue.tree.startedAt
  }

  get id(): string {
    return this.lease.id
  }

  get path(): string {
    const { keyIsPath, idempotencyKey, id } = this.lease
    return keyIsPath === true ? idempotencyKey : this.#queue.jobPath(id)
  }

  get tree(): Tree {
    return this.#queue.tree
  }

  get actor(): AnyActorRef | undefined {
    return this.#chart?.ref
  }

  /** Few names, used again and again. */
  get name(): string {
    return `${this.#queue.noun}:${this.slot}`
  }

  get task(): JobPolicy {
    return this.#queue.definition
  }

  get subject(): string {
    return this.#queue.subject
  }

  /** What this hook is called by; undefined if no plugin has it, and none that was called is under way. */
  #hooksOf(hook: JobHook): JobHooks | undefined {
    const known = this.#few?.hooks
    if (known !== undefined || this.#queue.hooks[hook].length === 0) return known
    const hooks = new JobHooks(this.#queue)
    this.#extra().hooks = hooks
    return hooks
  }

  /** Calls the hooks of its outcome; undefined if all of them were over at once, and nothing else was under way. */
  tellHooks(outcome: RunOutcome): Promise<void> | undefined {
    return this.#hooksOf(outcome.status)?.settled(this.hooked, outcome)
  }

  /** The job as it is now, for its hooks. */
  get hooked(): Hooked {
    const { id, path, attempt, stored, idempotencyKey, origin } = this
    const late = (end: CallEnd): void => this.late(end, attempt)
    return { id, path, attempt, stored, idempotencyKey, origin, late }
  }

  get attempt(): number {
    return this.context?.attempt ?? 0
  }

  get stored(): Json {
    return this.lease.input
  }

  get input(): JobInput {
    return inputOf(this)
  }

  get ownedInput(): JobInput & OwnedInput {
    return new StartInput(this)
  }

  writeInput(input: JobInput & OwnedInput): void {
    writeInput.call(input, this)
  }

  get firstContext(): JobContext {
    return new StartContext(this)
  }

  /** It may be over, or cut off, before its chart was given back. */
  start(host: Host, logic: AnyActorLogic): void {
    this.#chart = host.startChart<JobEvent, JobOutput>(logic, this)
    if (this.standing === 'cut off') this.#chart.stop()
  }

  over(output: JobOutput): void {
    if (this.standing !== 'cut off') this.#holder.over(this, output)
  }

  /** Gives it up, at once. */
  cancel(reason: unknown): void {
    this.#attempt?.abort(new CancelledError(this.path, reason))
    this.#stay?.send({ type: 'cancel', reason })
  }

  /** Ends it where it stands; its record goes on. */
  cutOff(reason: unknown): void {
    this.standing = 'cut off'
    this.#attempt?.abort(reason)
    this.#chart?.stop()
  }

  /** The broker gave it out again: the wait is over. */
  goOn(lease: LeasedJob): void {
    this.lease = lease
    this.#stay?.send(WAIT_OVER)
  }

  failed(error: unknown, kind: FailureKind, more: Pick<FailureData, 'cause' | 'plugins' | 'isPassing'> = {}): Failure {
    const { tree, id, path, task, attempt } = this
    const now = tree.clock.now()
    const data = {
      error,
      path,
      kind,
      at: now,
      attempt,
      elapsed: now - tree.startedAt - this.#startedAt,
      job: new JobAsFailed(id, this.#queue.path, task.retry.attempts),
      cause: more.cause,
      generation: this.lease.generation,
      plugins: more.plugins,
      isPassing: more.isPassing,
    }
    return this.#queue.failure(data, this)
  }

  // What its states rest on

  beginAttempt(context: JobContext, stay: Stay<JobEvent>): Ending {
    this.context = context
    this.#stay = stay
    this.#attempt = undefined
    if (this.#few !== undefined) this.#few.own = undefined
    const { tree, id, path } = this
    const attempt = new Attempt(this, this.origin, 'body')
    this.#attempt = attempt
    tree.counters.jobs.started += 1
    if (tree.events.hears('job.started')) tree.events.emit('job.started', { path, id, attempt: context.attempt })
    const thread = this.#holder.threads?.take()
    if (thread === undefined) {
      attempt.begin(this.task.timeout)
      return attempt
    }
    attempt.thread = thread
    thread.whenReady(() => attempt.begin(this.task.timeout)) // the time that a thread takes to begin is none of the body's
    return {
      end: () => {
        attempt.end()
        thread.giveBack()
      },
    }
  }

  askPlugins(context: JobContext, stay: Stay<JobEvent>): Ending {
    this.#stay = stay
    const { tree, task, attempt, origin } = this
    const question = {
      tree,
      plugins: this.#queue.hooks.pluginError,
      event: eventOf(this.#queue, this),
      error: (context.failure as Failure).error as PluginTriggerError,
      timeout: task.hookTimeout,
      origin,
      late: (end: CallEnd) => this.late(end, attempt),
    }
    return askPlugins(question, (answers) => {
      const event = judgeAnswers(this, context, answers)
      if (event.type === 'plugins.answer') this.#hooksOf('after')?.after(this.hooked, event.value as Json, event.plugin)
      stay.send(event)
    })
  }

  beginWait(context: JobContext, stay: Stay<JobEvent>): undefined {
    this.context = context
    this.#stay = stay
    this.#attempt = undefined // a million that wait hold nothing of what is over
    const { retry } = this.task
    const backoff = retry.backoff && delayOf(retry.backoff, Math.max(1, context.charged), this.tree.random)
    const delay = Math.max(context.retryAfter ?? 0, backoff ?? 0)
    const { tree, id, path } = this
    tree.counters.jobs.retried += 1
    if (tree.events.hears('job.retrying')) {
      const { attempt, putOffs, failure } = context
      const { error } = failure as Failure
      tree.events.emit('job.retrying', { path, id, attempt, delay, charged: putOffs === 0, error })
    }
    this.#hooksOf('retrying')?.retrying(this.hooked, context.failure as Failure, delay)
    if (this.standing !== 'cut off') this.#holder.park(this, delay) // somebody who heard of it may have stopped the worker
    return undefined
  }

  beginFallback(context: JobContext, stay: Stay<JobEvent>): Ending {
    this.context = context
    this.#stay = stay
    if (this.#few !== undefined) this.#few.own = undefined
    const attempt = new Attempt(this, this.origin, 'fallback')
    this.#attempt = attempt
    attempt.begin(this.task.timeout)
    return attempt
  }

  #judgeFallback(value: unknown): JobEvent {
    const fitting = fit(this, value)
    if (fitting instanceof Misfit) return this.#fallbackFailed(fitting.failure.error)
    return new FallbackValue(fitting)
  }

  #fallbackFailed(error: unknown): JobEvent {
    const cause = this.context?.failure
    return { type: 'fallback.error', failure: this.failed(error, 'fallback', { cause }) }
  }

  /** What is known of an error beside what every job knows of it. */
  #ownOf(thrown: unknown): OwnError | undefined {
    const own = this.#few?.own
    if (own !== undefined && Object.is(thrown, own.error)) return own
    return this.#queue.judge?.(thrown, this)
  }

  #callBody(stored: StoredInput, attempt: Attempt): unknown {
    if ('parsed' in stored) {
      const ctx = attempt.context
      const { thread } = attempt
      const body = thread === undefined ? this.task.body : this.#bodyIn(thread) // no method: a stack shows the user's own name
      const input = stored.parsed as never
      if (isUnwatched(this.#queue.hooks)) return body(input, ctx)
      const hooks = this.#hooksOf('before') ?? this.#hooksOf('around')
      return hooks === undefined ? body(input, ctx) : this.#callInside(hooks, attempt, input, () => body(input, ctx))
    }
    const { error, isMisfit } = stored
    this.#extra().own = { error, kind: 'input', isFinal: isMisfit }
    throw error
  }

  /** Inside of what plugins do before and around it. */
  #callInside(hooks: JobHooks, attempt: Attempt, input: unknown, body: () => unknown): unknown {
    const { hooked } = this
    const { around, before } = this.#queue.hooks
    if (before.length === 0 && around.length === 0) return body()
    let thrown: { readonly error: unknown } | undefined
    const watched = async (): Promise<unknown> => {
      try {
        return await attempt.valueOf(body())
      } catch (error) {
        thrown = { error }
        throw error
      }
    }
    const disown = (error: unknown): never => {
      // Not the body's: no plugin is asked for an answer to it.
      if (thrown === undefined || !Object.is(thrown.error, error))
        this.#extra().own = { error, kind: 'thrown', isFinal: false }
      throw error
    }
    const inside = (): unknown => {
      if (attempt.isJudged) throw attempt.signal.reason // given up meanwhile: the body does not begin
      if (around.length === 0) return body()
      try {
        return Promise.resolve(hooks.around(hooked, input, attempt.signal, watched)).catch(disown)
      } catch (error) {
        return disown(error)
      }
    }
    const ready = hooks.before(hooked, input, attempt.signal)
    return ready === undefined ? inside() : ready.then(inside)
  }

  #extra(): Few {
    this.#few ??= {}
    return this.#few
  }

  #bodyIn(thread: ThreadUse): AnyTask['body'] {
    const { maxPayload } = this.task
    const onMisfit = (error: unknown): void => void (this.#extra().own = { error, kind: 'result', isFinal: true })
    return (input, ctx) => thread.call(input, ctx, { maxPayload, onMisfit })
  }

  /** An input that fits is given as the body had it; one that does not, as it is stored. */
  #callFallback(stored: StoredInput): unknown {
    const { task, lease } = this
    const input = 'parsed' in stored ? stored.parsed : copyJson(lease.input)
    return task.fallback?.(input as never, this.context?.failure as Failure)
  }

  // As what its attempts call

  call(attempt: Attempt): unknown {
    const stored = this.#queue.readInput(this)
    if (attempt.calls === 'body') {
      if (stored instanceof Promise) return stored.then((read) => this.#callBody(read, attempt))
      return this.#callBody(stored, attempt)
    }
    return stored instanceof Promise ? stored.then((read) => this.#callFallback(read)) : this.#callFallback(stored)
  }

  gave(attempt: Attempt, value: unknown): void {
    const stay = this.#stay
    if (attempt.calls === 'fallback') return stay?.send(this.#judgeFallback(value))
    const event = judgeValue(this, value)
    if (event.type === 'attempt.value') this.#hooksOf('after')?.after(this.hooked, event.value as Json, undefined)
    stay?.send(event)
  }

  threw(attempt: Attempt, error: unknown): void {
    const stay = this.#stay
    if (attempt.calls === 'fallback') stay?.send(this.#fallbackFailed(error))
    else stay?.send(judgeError(this, this.context as JobContext, error, this.#ownOf(error)))
  }

  get idempotencyKey(): string {
    return this.lease.idempotencyKey
  }

  get asker(): Asker {
    const { id, path } = this
    return { id, path, queue: this.#queue.path, lane: this.lease.lane }
  }

  waits(isWaiting: boolean): void {
    this.#holder.lend(this, isWaiting)
  }

  timedOut(ms: number, attempt: number): unknown {
    const error = new TimeoutError(this.subject, ms, attempt, this.task.retry.attempts)
    this.#extra().own = { error, kind: 'timeout', isFinal: false }
    return error
  }

  // Whoever hears of these is not the body, although the body calls.

  cancelFromInside(reason: unknown): void {
    runAsNobody(() => this.cancel(reason))
  }

  progress(value: unknown, attempt: number): void {
    const { tree, id, path } = this
    runAsNobody(() => {
      tree.events.emit('job.progress', { path, id, attempt, value })
      tree.runs.progress(id, value)
    })
  }

  get origin(): Origin {
    return this.#attempt?.origin ?? new JobOrigin(this, this.#queue.floated)
  }

  late(end: CallEnd, attempt: number): void {
    const { tree, id, path } = this
    tree.counters.jobs.late += 1
    const outcome = 'error' in end ? { outcome: 'error' as const, error: end.error } : { outcome: 'value' as const }
    tree.events.emit('job.late', { path, id, attempt, ...outcome })
  }
}

/** What the states of the job chart rest on, for the jobs of one worker. */
export function jobEffects(jobAt: (slot: number) => JobActor): Readonly<Record<string, Effect<JobContext, JobEvent>>> {
  return {
    attempt: (context, stay) => jobAt(context.slot).beginAttempt(context, stay),
    plugins: (context, stay) => jobAt(context.slot).askPlugins(context, stay),
    wait: (context, stay) => jobAt(context.slot).beginWait(context, stay),
    fallback: (context, stay) => jobAt(context.slot).beginFallback(context, stay),
  }
}
