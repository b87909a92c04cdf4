import type { JobContext, JobEvent, JobInput, JobOutput } from '../../machines/job.ts'
import type { LeasedJob } from '../brokers/broker.ts'
import { CancelledError, InputError, TimeoutError, type PluginTriggerError } from '../errors.ts'
import { Failure, type FailureKind } from '../failure.ts'
import { copyJson, copyPayload, type Json } from '../payload.ts'
import type { Plugin } from '../plugin.ts'
import { delayOf } from '../retry.ts'
import { Run } from '../run.ts'
import type { AnyTask } from '../task.ts'
import { isFatal, isPermanent, isPluginTrigger, retryAfterOf } from '../thrown.ts'
import { askPlugins } from './ask-plugins.ts'
import { Attempt, type CallEnd, type Caller } from './attempt.ts'
import type { ChartActor, Effect } from './chart.ts'
import { levelsAbove } from './climb.ts'
import type { Origin } from './floating.ts'
import { issuesOf, validate } from './schema.ts'
import type { TaskQueue } from './task-queue.ts'
import type { Tree } from './tree.ts'

/** What a job needs of the worker that holds it. */
export interface Holder {
  /** The wait for its next attempt begins: its slot is free. */
  park(job: JobActor, delay: number): void
  over(job: JobActor, output: JobOutput): void
}

type Send = (event: JobEvent) => void

/** One incarnation of one job in this process: what its chart rests on. */
export class JobActor {
  readonly id: string
  readonly path: string
  readonly slot: number
  readonly tree: Tree
  lease: LeasedJob
  chart: ChartActor<JobEvent> | undefined
  /** What the chart was last entered with. */
  context: JobContext | undefined
  isParked = false
  readonly #queue: TaskQueue
  readonly #holder: Holder
  readonly #startedAt: number
  #attempt: Attempt | undefined
  /** Of the state it rests in. */
  #send: Send = () => {}
  #origin: Origin | undefined
  /** An error of our own making that stands for the attempt's, and what kind of failure it is. */
  #ours: { readonly error: Error; readonly kind: FailureKind } | undefined

  constructor(queue: TaskQueue, holder: Holder, lease: LeasedJob, slot: number) {
    this.#queue = queue
    this.#holder = holder
    this.tree = queue.tree
    this.lease = lease
    this.id = lease.id
    this.path = `${queue.path}/job:${lease.id}`
    this.slot = slot
    this.#startedAt = this.tree.clock.now()
  }

  get task(): AnyTask {
    return this.#queue.definition
  }

  get idempotencyKey(): string {
    return this.lease.idempotencyKey
  }

  get attempt(): number {
    return this.context?.attempt ?? 0
  }

  get input(): JobInput {
    const { attempts, charged, putOffs } = this.lease
    const { task, id, path, slot } = this
    const attempt = attempts + 1
    return {
      slot,
      id,
      path,
      attempt,
      charged,
      putOffs,
      attempts: task.retry.attempts,
      hasFallback: task.fallback !== undefined,
    }
  }

  /** Gives it up, at once. */
  cancel(reason: unknown): void {
    this.#attempt?.abort(new CancelledError(this.path, reason))
    this.#send({ type: 'cancel', reason })
  }

  /** Ends it where it stands; its record goes on. */
  cutOff(reason: unknown): void {
    this.#attempt?.abort(reason)
    this.chart?.stop()
  }

  /** The broker gave it out again: the wait is over. */
  goOn(lease: LeasedJob): void {
    this.lease = lease
    this.isParked = false
    this.#send({ type: 'wait.over' })
  }

  failed(error: unknown, kind: FailureKind, more?: { cause?: unknown; plugins?: readonly unknown[] }): Failure {
    const now = this.tree.clock.now()
    const { id, path, task, attempt } = this
    return new Failure({
      error,
      path,
      kind,
      at: now,
      attempt,
      elapsed: now - this.#startedAt,
      job: { id, task: this.#queue.path, attempts: task.retry.attempts },
      generation: this.lease.generation,
      ...more,
    })
  }

  // What its states rest on

  beginAttempt(context: JobContext, send: Send): () => void {
    this.context = context
    this.#send = send
    this.#origin = undefined
    const { tree, id, path } = this
    tree.counters.jobs.started += 1
    if (tree.events.hears('job.started')) tree.events.emit('job.started', { path, id, attempt: context.attempt })
    const attempt = new Attempt(this.#caller(), (end) => send(this.#judge(context, end)))
    this.#attempt = attempt
    attempt.run((ctx) => this.#callBody(ctx), this.task.timeout)
    return () => attempt.abort(undefined)
  }

  askPlugins(context: JobContext, send: Send): () => void {
    const failure = context.failure as Failure
    this.#send = send
    const { tree, id, path, task, idempotencyKey } = this
    const { name, description, tags } = task
    return askPlugins(
      {
        tree,
        plugins: this.#plugins(),
        event: {
          task: { name, path: this.#queue.path, description, tags },
          run: { id, path, attempt: context.attempt, input: copyJson(this.lease.input), idempotencyKey },
          broker: tree.broker,
        },
        error: failure.error as PluginTriggerError,
        timeout: task.hookTimeout,
        origin: this.#originNow(),
        late: (end) => this.#late(end),
      },
      ({ answer, errors }) => {
        if (answer === undefined) return send(this.#unanswered(context, failure, errors))
        const fit = this.#fit(answer.value)
        if ('failure' in fit) return send({ type: 'plugins.silence', failure: fit.failure, again: false })
        send({ type: 'plugins.answer', value: fit.value, plugin: answer.plugin })
      },
    )
  }

  beginWait(context: JobContext, send: Send): undefined {
    this.context = context
    this.isParked = true
    const { retry } = this.task
    const backoff = retry.backoff && delayOf(retry.backoff, Math.max(1, context.charged), this.tree.random)
    const delay = Math.max(context.retryAfter ?? 0, backoff ?? 0)
    this.#send = send
    const { tree, id, path } = this
    tree.counters.jobs.retried += 1
    if (tree.events.hears('job.retrying')) {
      const { attempt, putOffs, failure } = context
      const { error } = failure as Failure
      tree.events.emit('job.retrying', { path, id, attempt, delay, charged: putOffs === 0, error })
    }
    this.#holder.park(this, delay)
    return undefined
  }

  beginFallback(context: JobContext, send: Send): () => void {
    const failure = context.failure as Failure
    this.#send = send
    const attempt = new Attempt(this.#caller(), (end) => {
      const fit = 'error' in end ? end : this.#fit(end.value)
      if ('value' in fit) return send({ type: 'fallback.value', value: fit.value })
      const error = 'error' in fit ? fit.error : fit.failure.error
      send({ type: 'fallback.error', failure: this.failed(error, 'fallback', { cause: failure }) })
    })
    this.#attempt = attempt
    const input = copyJson(this.lease.input) as never
    attempt.run(() => this.task.fallback?.(input, failure), this.task.timeout)
    return () => attempt.abort(undefined)
  }

  onOutput(output: JobOutput): void {
    this.#holder.over(this, output)
  }

  #callBody(ctx: Parameters<AnyTask['body']>[1]): unknown {
    const input = copyJson(this.lease.input)
    const { schema } = this.task
    if (schema === undefined) return this.task.body(input as never, ctx)
    const checked = validate(schema, input)
    const call = (result: Awaited<typeof checked>): unknown => {
      if (result.issues === undefined) return this.task.body(result.value as never, ctx)
      const error = new InputError(this.task.name, issuesOf(result), 'The body was not called')
      this.#ours = { error, kind: 'input' }
      throw error
    }
    return checked instanceof Promise ? checked.then(call) : call(checked)
  }

  #judge(context: JobContext, end: CallEnd): JobEvent {
    if ('value' in end) {
      const fit = this.#fit(end.value)
      return 'failure' in fit ? permanent(fit.failure) : { type: 'attempt.value', value: fit.value }
    }
    const { error } = end
    const ours = this.#ours
    const kind = ours !== undefined && error === ours.error ? ours.kind : 'thrown'
    if (kind === 'input') return permanent(this.failed(error, kind))
    if (isPluginTrigger(error)) {
      const failure = this.failed(error, 'plugin')
      return { type: 'attempt.error', failure, asks: true, permanent: false, retryAfter: null, again: false }
    }
    const failure = this.failed(error, kind)
    if (isPermanent(error) || isFatal(error)) return permanent(failure)
    const retryAfter = retryAfterOf(error) ?? null
    const again = retryAfter !== null || this.#wantsAgain(context, error)
    return { type: 'attempt.error', failure, asks: false, permanent: false, retryAfter, again }
  }

  #unanswered(context: JobContext, failure: Failure, errors: readonly unknown[]): JobEvent {
    const plugins = errors.length === 0 ? undefined : { plugins: errors }
    const again = this.#wantsAgain(context, failure.error)
    return { type: 'plugins.silence', failure: this.failed(failure.error, 'plugin', plugins), again }
  }

  /** `retry.when` is only asked where its answer matters; one that throws does not cost the job an attempt. */
  #wantsAgain(context: JobContext, error: unknown): boolean {
    const { when } = this.task.retry
    if (context.charged + 1 >= context.attempts) return false
    if (when === undefined) return true
    try {
      return when(error) !== false
    } catch (thrown) {
      this.tree.callbackFailed(this.path, 'retry.when', thrown)
      return true
    }
  }

  #fit(value: unknown): { readonly value: Json } | { readonly failure: Failure } {
    try {
      return { value: copyPayload(`result of task "${this.task.name}"`, value, this.task.maxPayload) }
    } catch (error) {
      return { failure: this.failed(error, 'result') }
    }
  }

  *#plugins(): Generator<Plugin, undefined> {
    yield* this.task.plugins
    for (const level of levelsAbove(this.#queue.level)) yield* level.plugins
    return undefined
  }

  #caller(): Caller {
    this.#ours = undefined
    const { tree, id, path, idempotencyKey, attempt } = this
    return {
      tree,
      id,
      path,
      attempt,
      idempotencyKey,
      origin: this.#originNow(),
      timedOut: (ms) => {
        const error = new TimeoutError(`task "${this.task.name}"`, ms, attempt, this.task.retry.attempts)
        this.#ours = { error, kind: 'timeout' }
        return error
      },
      cancel: (reason) => this.cancel(reason),
      progress: (value) => this.#progress(value, attempt),
      late: (end) => this.#late(end, attempt),
    }
  }

  #originNow(): Origin {
    const { id, path, attempt } = this
    this.#origin ??= { id, path, attempt, floated: this.#queue.floated }
    return this.#origin
  }

  #progress(value: unknown, attempt: number): void {
    const { tree, id, path } = this
    tree.events.emit('job.progress', { path, id, attempt, value })
    const run = tree.runs.get(id)
    if (run !== undefined) Run.tell.progress(run, value)
  }

  #late(end: CallEnd, attempt: number = this.attempt): void {
    const { tree, id, path } = this
    tree.counters.jobs.late += 1
    const outcome = 'error' in end ? { outcome: 'error' as const, error: end.error } : { outcome: 'value' as const }
    tree.events.emit('job.late', { path, id, attempt, ...outcome })
  }
}

/** What the states of the job chart rest on, for the jobs of one worker. */
export function jobEffects(jobAt: (slot: number) => JobActor): Readonly<Record<string, Effect<JobContext, JobEvent>>> {
  return {
    attempt: (context, send) => jobAt(context.slot).beginAttempt(context, send),
    plugins: (context, send) => jobAt(context.slot).askPlugins(context, send),
    wait: (context, send) => jobAt(context.slot).beginWait(context, send),
    fallback: (context, send) => jobAt(context.slot).beginFallback(context, send),
  }
}

function permanent(failure: Failure): JobEvent {
  return { type: 'attempt.error', failure, asks: false, permanent: true, retryAfter: null, again: false }
}
