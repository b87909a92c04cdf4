import type { Awaitable, Enqueued, JobRecord, NewJob } from '../brokers/broker.ts'
import { parseDuration } from '../duration.ts'
import { InputError, InvalidOptionError, PayloadError, SystemStoppedError } from '../errors.ts'
import { Failure } from '../failure.ts'
import { checkKeys, readDuration } from '../options.ts'
import { copyPayload, type Json } from '../payload.ts'
import { Run, type AnyRun, type RunHost, type RunOutcome } from '../run.ts'
import { readDedupe, readKey, readPriority, type AnyTask, type FromInput, type RunOptions } from '../task.ts'
import { describeThrown } from '../thrown.ts'
import { climb, type Level } from './climb.ts'
import type { Origin } from './floating.ts'
import { issuesOf, validate, type Checked } from './schema.ts'
import type { TaskNode, Tree } from './tree.ts'

/** A job that a worker holds. */
export interface LiveJob {
  readonly isParked: boolean
  cancel(reason: unknown): void
}

const RUN_OPTIONS = ['priority', 'delay', 'lane', 'dedupe', 'signal']

/** The way of jobs into one task and, as outcomes, back to who asked. It outlives the task's workers. */
export class TaskQueue implements RunHost, TaskNode {
  readonly tree: Tree
  readonly definition: AnyTask
  readonly path: string
  /** The nearest supervisor, of the latest worker. */
  level: Level
  /** Jobs that a worker of this process holds, waiting for a retry or not. */
  readonly live: Map<string, LiveJob> = new Map()
  /** Whether the worker takes no jobs, the one there is or the next. */
  isPaused = false
  /** Tells the worker there is. */
  onPause: (() => void) | undefined
  /** Runs that wait for a job another run had asked for. */
  readonly #followers = new Map<string, AnyRun[]>()

  constructor(tree: Tree, definition: AnyTask, path: string, level: Level) {
    this.tree = tree
    this.definition = definition
    this.path = path
    this.level = level
  }

  run(input: unknown, options: RunOptions = {}): AnyRun {
    const { name } = this.definition
    checkKeys(`run of task "${name}"`, options, RUN_OPTIONS)
    const chosen = this.#readOptions(options)
    const id = this.tree.broker.newId()
    const run: AnyRun = new Run(this, id, this.#pathOf(id))
    this.tree.runs.set(id, run)
    this.#linkSignal(run, options.signal)
    const { schema } = this.definition
    if (schema === undefined) {
      this.#enqueue(run, input, input, chosen)
      return run
    }
    const accept = (checked: Checked): void => {
      if (checked.issues === undefined) return this.#enqueue(run, input, checked.value, chosen)
      this.#refuse(run, new InputError(name, issuesOf(checked)))
    }
    try {
      const checked = validate(schema, input)
      if (checked instanceof Promise) checked.then(accept).catch((error: unknown) => this.#refuse(run, error))
      else accept(checked)
    } catch (error) {
      this.#refuse(run, error)
    }
    return run
  }

  get jobs(): { readonly running: number; readonly retrying: number } {
    let retrying = 0
    for (const job of this.live.values()) if (job.isParked) retrying += 1
    return { running: this.live.size - retrying, retrying }
  }

  pause(isPaused: boolean): void {
    if (this.isPaused === isPaused) return
    this.isPaused = isPaused
    this.tree.events.emit(isPaused ? 'worker.paused' : 'worker.unpaused', { path: this.path })
    this.onPause?.()
  }

  /** A run for a job that is in the broker already, such as a dead letter that is replayed. */
  follow(id: string): AnyRun {
    const run: AnyRun = new Run(this, id, this.#pathOf(id))
    this.tree.runs.set(id, run)
    return run
  }

  cancel(run: AnyRun, reason: unknown): void {
    const { id } = run
    const job = this.live.get(id)
    if (job !== undefined) return job.cancel(reason)
    const answer = this.tree.broker.cancel(id, reason)
    const done = (is: Awaited<typeof answer>): void => {
      if (is === 'cancelled' || is === 'unknown') this.settle(id, { status: 'cancelled', reason, attempts: 0 })
    }
    whenever(answer, done)
  }

  /** Tells everybody that a job is over: first the event, then who waits. */
  settle(id: string, outcome: RunOutcome, { isOver }: { readonly isOver: boolean } = { isOver: true }): void {
    if (isOver) this.#count(id, outcome)
    const run = this.tree.runs.get(id)
    if (run !== undefined) {
      this.tree.runs.delete(id)
      Run.tell.over(run, outcome)
    }
    const followers = this.#followers.get(id)
    if (followers === undefined) return
    this.#followers.delete(id)
    for (const follower of followers) Run.tell.over(follower, outcome)
  }

  /** The system stops: whoever still waits is told. What a durable broker keeps is not over by that. */
  close(): void {
    const { tree } = this
    for (const [id, run] of tree.runs) {
      if (run.path !== this.#pathOf(id)) continue
      const reason = new SystemStoppedError(tree.name, { job: run.path })
      const record = tree.broker.job(id)
      const attempts = record !== undefined && 'attempts' in record ? record.attempts : 0
      this.settle(id, { status: 'cancelled', reason, attempts }, { isOver: !tree.broker.durable })
    }
  }

  /** A rejection that nobody handled, of a promise that one of the jobs began. */
  readonly floated = (error: unknown, { id, path, attempt }: Origin): void => {
    const { tree, definition } = this
    const job = { id, task: this.path, attempts: definition.retry.attempts }
    const failure = new Failure({ error, path, kind: 'floating', at: tree.clock.now(), attempt, job })
    const decision = climb(failure, { restarts: {} }, this.level, 'the job itself was not touched')
    tree.report(
      failure,
      decision.decision === 'stay' ? decision.name : decision.decision === 'value' ? 'resume' : 'restart',
    )
    if (decision.decision === 'stay' && decision.stopsSystem) tree.stopBecause(failure)
  }

  #pathOf(id: string): string {
    return `${this.path}/job:${id}`
  }

  #enqueue(run: AnyRun, input: unknown, parsed: unknown, chosen: ChosenOptions): void {
    if (Run.tell.isOver(run)) return // cancelled while a schema took its time
    let job: NewJob
    try {
      job = this.#newJob(run.id, input, parsed, chosen)
    } catch (error) {
      return this.#refuse(run, error)
    }
    whenever(
      this.tree.broker.enqueue([job]),
      ([enqueued]) => this.#added(run, enqueued as Enqueued),
      (error) => this.#refuse(run, error),
    )
  }

  #newJob(id: string, input: unknown, parsed: unknown, chosen: ChosenOptions): NewJob {
    const { definition } = this
    const what = `input of task "${definition.name}"`
    const priority = fromInput(chosen.priority ?? definition.priority, parsed)
    const delay = fromInput(chosen.delay ?? definition.delay, parsed)
    const dedupe = readDedupe(`task "${definition.name}"`, fromInput(chosen.dedupe ?? definition.dedupe, parsed))
    return {
      id,
      queue: this.path,
      input: keep(what, input, definition.maxPayload),
      idempotencyKey: this.#pathOf(id),
      priority: readPriority(`task "${definition.name}"`, priority) as number,
      delay: readDuration(`task "${definition.name}"`, 'delay', delay) ?? 0,
      lane: readKey(`task "${definition.name}"`, 'lane', fromInput(chosen.lane ?? definition.lane, parsed)),
      dedupe:
        typeof dedupe === 'object'
          ? { key: dedupe.key, for: parseDuration(dedupe.for) }
          : dedupe === undefined
            ? undefined
            : { key: dedupe as string, for: undefined },
    }
  }

  #added(run: AnyRun, { id, duplicate }: Enqueued): void {
    const { tree } = this
    const path = this.#pathOf(id)
    const own = run.id
    if (duplicate) {
      tree.runs.delete(own)
      this.#followJob(run, id)
    } else {
      tree.counters.jobs.added += 1
    }
    if (tree.events.hears('job.added')) tree.events.emit('job.added', { path, id, attempt: 0, duplicate })
    Run.tell.queued(run, { id, duplicate }, path)
  }

  #followJob(run: AnyRun, id: string): void {
    if (this.tree.runs.has(id) || this.live.has(id)) {
      const followers = this.#followers.get(id)
      if (followers === undefined) this.#followers.set(id, [run])
      else followers.push(run)
      return
    }
    whenever(this.tree.broker.job(id), (record) => {
      if (record === undefined || record.finishedAt === undefined) return void this.tree.runs.set(id, run)
      Run.tell.over(run, outcomeOf(record))
    })
  }

  #refuse(run: AnyRun, error: unknown): void {
    const { id, path } = run
    if (Run.tell.isOver(run)) return
    this.tree.runs.delete(id)
    this.tree.events.emit('job.refused', { path, error })
    Run.tell.refused(run, error, new Failure({ error, path, kind: 'input', at: this.tree.clock.now(), attempt: 0 }))
  }

  #count(id: string, outcome: RunOutcome): void {
    const { counters, events } = this.tree
    const { attempts } = outcome
    const path = this.#pathOf(id)
    switch (outcome.status) {
      case 'done':
        counters.jobs.done += 1
        if (outcome.answeredBy !== undefined) {
          events.emit('job.answered', { path, id, attempt: attempts, plugin: outcome.answeredBy })
        }
        if (events.hears('job.done')) events.emit('job.done', { path, id, attempt: attempts, value: outcome.value })
        return
      case 'fallback':
        counters.jobs.fellBack += 1
        return events.emit('job.fellBack', {
          path,
          id,
          attempt: attempts,
          value: outcome.value,
          failure: outcome.failure,
        })
      case 'failed':
        counters.jobs.failed += 1
        return events.emit('job.failed', { path, id, attempt: attempts, failure: outcome.failure })
      case 'cancelled':
        counters.jobs.cancelled += 1
        return events.emit('job.cancelled', { path, id, attempt: attempts, reason: outcome.reason })
    }
  }

  #readOptions(options: RunOptions): ChosenOptions {
    const subject = `run of task "${this.definition.name}"`
    if (options.priority !== undefined) readPriority(subject, options.priority)
    readDuration(subject, 'delay', options.delay)
    readKey(subject, 'lane', options.lane)
    readDedupe(subject, options.dedupe)
    const { signal } = options
    if (signal !== undefined && !(signal instanceof AbortSignal)) {
      throw new InvalidOptionError(subject, 'signal', signal, 'Pass the signal of an AbortController.')
    }
    return options
  }

  #linkSignal(run: AnyRun, signal: AbortSignal | undefined): void {
    if (signal === undefined) return
    const cancel = (): void => run.cancel(signal.reason)
    if (signal.aborted) return queueMicrotask(cancel)
    signal.addEventListener('abort', cancel, { once: true })
    void run.settled().then(() => signal.removeEventListener('abort', cancel))
  }
}

type ChosenOptions = Pick<RunOptions, 'priority' | 'delay' | 'lane' | 'dedupe'>

function fromInput<Value>(option: FromInput<never, Value>, input: unknown): Value {
  return typeof option === 'function' ? (option as (input: unknown) => Value)(input) : option
}

/** Reading a hostile value may throw anything; what is wrong with it is that it cannot be kept. */
function keep(what: string, value: unknown, maxBytes: number): Json {
  try {
    return copyPayload(what, value, maxBytes)
  } catch (error) {
    if (error instanceof PayloadError) throw error
    throw new PayloadError(`${what} cannot be read: ${describeThrown(error)}. Pass a plain object.`)
  }
}

/** Goes on at once if the broker answered at once. */
export function whenever<Value>(
  answer: Awaitable<Value>,
  then: (value: Value) => void,
  otherwise?: (error: unknown) => void,
): void {
  if (typeof answer === 'object' && answer !== null && 'then' in answer) void answer.then(then, otherwise)
  else then(answer as Value)
}

/** What a record of a finished job says to somebody who asks late. */
function outcomeOf(record: JobRecord): RunOutcome {
  const { attempts, value, reason } = record
  if (record.status === 'done') return { status: 'done', value, attempts }
  if (record.status === 'cancelled') return { status: 'cancelled', reason, attempts }
  const { failure: kept, path } = record
  const failure = new Failure({
    error: kept?.error,
    path,
    kind: kept?.kind ?? 'thrown',
    at: kept?.at ?? 0,
    attempt: attempts,
  })
  return record.status === 'fallback'
    ? { status: 'fallback', value, failure, attempts }
    : { status: 'failed', failure, attempts }
}
