import {
  forOne,
  type Awaitable,
  type BuriedJob,
  type Enqueued,
  type EnqueueOne,
  type JobTerms,
  type NewJob,
} from '../brokers/broker.ts'
import { InputError, InvalidOptionError, SystemStoppedError, UnknownJobError } from '../errors.ts'
import { Failure, type FailureData } from '../failure.ts'
import { copyJson, type Json } from '../payload.ts'
import { Run, type AnyRun, type RunHost, type RunOutcome } from '../run.ts'
import type { RunOptions } from '../run-options.ts'
import type { AnyTask } from '../task.ts'
import { whenever } from './answer.ts'
import { checkRunOptions, keepInput, NO_OPTIONS, termsOf, usualTerms } from './asked-job.ts'
import { bury } from './bury.ts'
import { climb, type Level } from './climb.ts'
import { askToEnqueue, type Asked } from './enqueue-hooks.ts'
import type { Origin } from './floating.ts'
import { hookTable, isUnwatched, type HookTable } from './hook-table.ts'
import { eventOf, JobHooks } from './job-hooks.ts'
import type { JobSource, SourcedJob } from './job-source.ts'
import { announce, outcomeOf } from './outcome.ts'
import { issuesOf, readStored, validate, type Checked, type StoredInput } from './schema.ts'
import { Ticker, type Ticking } from './ticker.ts'
import { observedJobs, type Observed } from './tap.ts'
import type { Asker, TaskNode, Tree } from './tree.ts'
import type { AnyActorRef } from 'xstate'

/** The job that asks for another, and whether that one ends with it. */
type Inner = Asker & { readonly waits: boolean }

/** A job that a worker holds. */
export interface LiveJob {
  readonly actor: AnyActorRef | undefined
  cancel(reason: unknown): void
}

/** A job whose outcome is known. */
export interface Watched {
  readonly path: string
  /** Undefined if there is nothing to wait for. */
  tellHooks(outcome: RunOutcome): Promise<void> | undefined
}

/** The jobs that a worker holds, waiting for a retry or not. */
export interface Holding {
  readonly running: number
  readonly retrying: number
  find(id: string): LiveJob | undefined
  values(): readonly LiveJob[]
}

/** The way of jobs into one task and, as outcomes, back to who asked. It outlives the task's workers. */
export class TaskQueue implements RunHost, TaskNode, JobSource, Ticking {
  readonly tree: Tree
  readonly noun = 'job'
  readonly definition: AnyTask
  readonly path: string
  #level: Level
  #hooks: HookTable | undefined
  /** Jobs that are to be cancelled as soon as this process is given them: boxed reasons. */
  readonly unwanted: Map<string, { readonly reason: unknown }> = new Map()
  /** Whether the worker takes no jobs, the one there is or the next. */
  isPaused = false
  /** Tells the worker there is. */
  onPause: (() => void) | undefined
  /** The worker there is. */
  holding: Holding | undefined
  /** Jobs whose hooks are under way although they hold no slot any more. */
  watching = 0
  /** Tells the worker there is that this changed. */
  onWatched: (() => void) | undefined
  #isQuiet: (() => void) | undefined
  /** Jobs that are over and whose runs wait for hooks. */
  readonly #telling = new Map<string, RunOutcome>()
  readonly ticker: Ticker | undefined
  readonly #jobPrefix: string
  /** Boxed: there may be none. */
  #usual: { readonly terms: JobTerms | undefined } | undefined

  constructor(tree: Tree, definition: AnyTask, path: string, level: Level) {
    this.tree = tree
    this.definition = definition
    this.path = path
    this.#jobPrefix = `${path}/job:`
    this.#level = level
    this.ticker = definition.schedule && new Ticker(this, definition.schedule)
  }

  /** The nearest supervisor, of the latest worker. */
  get level(): Level {
    return this.#level
  }

  set level(level: Level) {
    this.#level = level
    this.#hooks = undefined
  }

  get hooks(): HookTable {
    this.#hooks ??= hookTable(this.definition, this.#level)
    return this.#hooks
  }

  get subject(): string {
    return `task "${this.definition.name}"`
  }

  jobPath(id: string): string {
    return this.#jobPrefix + id
  }

  readInput({ lease }: SourcedJob): StoredInput | Promise<StoredInput> {
    return readStored(this.definition, copyJson(lease.input))
  }

  failure(data: FailureData): Failure {
    return new Failure(data)
  }

  watch(change: 1 | -1): void {
    this.watching += change
    this.onWatched?.()
    if (this.watching === 0) this.#isQuiet?.()
  }

  quiet(): Promise<void> | undefined {
    if (this.watching === 0) return undefined
    return new Promise((resolve) => (this.#isQuiet = resolve))
  }

  get jobs(): Pick<Holding, 'running' | 'retrying'> {
    return { running: this.holding?.running ?? 0, retrying: this.holding?.retrying ?? 0 }
  }

  liveJobs(): Iterable<Observed> {
    return observedJobs(this.holding?.values() ?? [])
  }

  get nextTick(): number | undefined {
    return this.ticker?.next
  }

  run(input: unknown, options: RunOptions = NO_OPTIONS, by?: Inner): AnyRun {
    checkRunOptions(this.definition, options)
    const id = this.tree.broker.newId()
    const run: AnyRun = new Run(this, id)
    this.tree.runs.add(id, run)
    if (options !== NO_OPTIONS) this.#linkSignal(run, options.signal)
    if (this.hooks.enqueue.length > 0) this.#askPlugins(run, { input, options }, by)
    else if (this.definition.schema !== undefined) this.#accept(run, { input, options }, by)
    else this.#enqueue(run, input, options, input, by)
    return run
  }

  /** Queues a dead letter again; rejects if it is not there, or its new input does not fit. */
  async replay(id: string, given: { readonly input: unknown } | undefined): Promise<{ readonly run: AnyRun }> {
    const input = given && (await this.#newInput(given.input))
    return new Promise((resolve, reject) =>
      whenever(
        () => this.tree.broker.replay(id, input),
        // Boxed: a run that a promise resolves with is awaited.
        (answer) => (answer === undefined ? reject(new UnknownJobError(id)) : resolve({ run: this.#replayed(id) })),
        reject,
      ),
    )
  }

  cancel(run: AnyRun, reason: unknown): void {
    const { id } = run
    const job = this.holding?.find(id)
    if (job !== undefined) return job.cancel(reason)
    this.#withdraw(id, reason, (isKnown) =>
      isKnown
        ? whenever(
            () => this.tree.broker.job(id),
            (record) => this.settle(id, { status: 'cancelled', reason, attempts: record?.attempts ?? 0 }),
            () => this.settle(id, { status: 'cancelled', reason, attempts: 0 }),
          )
        : this.settle(id, { status: 'cancelled', reason, attempts: 0 }),
    )
  }

  tickJob(at: number, then: (job: NewJob | undefined) => void): void {
    const id = `${this.path}@${new Date(at).toISOString()}`
    const path = this.jobPath(id)
    const refuse = (error: unknown): void => {
      this.tree.events.emit('job.refused', { path, error })
      then(undefined)
    }
    const accept = (parsed: unknown): void => {
      let terms: JobTerms
      try {
        terms = termsOf(this.definition, parsed, NO_OPTIONS)
      } catch (error) {
        return refuse(error)
      }
      then(this.#newJob(id, path, keepInput(this, undefined), terms))
    }
    this.#check(undefined, accept, refuse)
  }

  pause(isPaused: boolean): void {
    if (this.isPaused === isPaused) return
    this.isPaused = isPaused
    this.tree.events.emit(isPaused ? 'worker.paused' : 'worker.unpaused', { path: this.path })
    this.onPause?.()
  }

  /** Tells everybody that a job is over: first the event, then the hooks, then who waits. */
  settle(id: string, outcome: RunOutcome, job?: Watched): void {
    const { tree } = this
    if (this.unwanted.size > 0) this.unwanted.delete(id)
    announce(tree, job?.path ?? this.jobPath(id), id, outcome)
    const told = isUnwatched(this.hooks) ? undefined : this.#tellHooks(id, outcome, job)
    if (told === undefined) return tree.runs.settle(id, outcome)
    this.#telling.set(id, outcome)
    void told.then(() => {
      this.#telling.delete(id)
      tree.runs.settle(id, outcome)
    })
  }

  /** What a job came to that ended without this process. */
  settleFromRecord(id: string): void {
    // What was not queued yet is not gone: the broker may have it any moment, and has it perhaps when this is answered.
    const wasQueued = this.tree.runs.isQueued(id)
    whenever(
      () => this.tree.broker.job(id),
      (record) => {
        const outcome = record === undefined && wasQueued ? this.#gone(id) : record && outcomeOf(record)
        if (outcome !== undefined) this.tree.runs.settle(id, outcome)
      },
      (error) => this.tree.lookAgain.later(this.path, id, error),
    )
  }

  lookAgain(id: string): void {
    if (this.holding?.find(id) === undefined) this.settleFromRecord(id)
  }

  /** Somebody in another process gave up a job that may be held here. */
  cancelLive(id: string, reason: unknown): void {
    this.holding?.find(id)?.cancel(reason)
  }

  buried(job: BuriedJob): void {
    bury(this, job)
  }

  /** The system stops. What a durable broker keeps is not over by that: nobody is told but who waits. */
  abandon(id: string): void {
    const { broker, name, runs } = this.tree
    const known = this.#telling.get(id)
    if (known !== undefined) return runs.settle(id, known)
    const path = this.jobPath(id)
    const reason = new SystemStoppedError(name, { job: path })
    if (broker.durable) return runs.settle(id, { status: 'cancelled', reason, attempts: 0 })
    const record = broker.job(id)
    const attempts = record !== undefined && 'attempts' in record ? record.attempts : 0
    this.settle(id, { status: 'cancelled', reason, attempts })
  }

  leave(): void {
    this.ticker?.leave()
  }

  close(): void {
    this.ticker?.end()
    this.tree.runs.abandonAll()
  }

  /** A rejection that nobody handled, of a promise that one of the jobs began. */
  readonly floated = (error: unknown, { id, path, attempt }: Origin): void => {
    const { tree, definition } = this
    const job = { id, task: this.path, attempts: definition.retry.attempts }
    const failure = new Failure({ error, path, kind: 'floating', at: tree.clock.now(), attempt, job })
    const decided = climb(failure, { restarts: {} }, this.level, 'the job itself was not touched')
    const name = decided.decision === 'stay' ? decided.name : decided.decision === 'value' ? 'resume' : 'restart'
    tree.report(failure, name)
    if (decided.decision === 'stay' && decided.stopsSystem) tree.stopBecause(failure)
  }

  #askPlugins(run: AnyRun, given: Asked, by: Inner | undefined): void {
    whenever(
      () => this.#hearPlugins(run, given),
      (asked) => {
        if (asked.options.signal !== given.options.signal) this.#linkSignal(run, asked.options.signal)
        this.#accept(run, asked, by)
      },
      (error) => this.#refuse(run, error),
    )
  }

  #accept(run: AnyRun, asked: Asked, by: Inner | undefined): void {
    this.#check(
      asked.input,
      (parsed) => this.#enqueue(run, asked.input, asked.options, parsed, by),
      (error) => this.#refuse(run, error),
    )
  }

  #hearPlugins(run: AnyRun, asked: Asked): Asked | Promise<Asked> {
    const { enqueue } = this.hooks
    const { tree, definition } = this
    const { id, path } = run
    // What cannot be kept is refused afterwards: a plugin may be there to mend it.
    const job = { id, path, attempt: 0, stored: null, idempotencyKey: path, origin: undefined, late: () => {} }
    const { run: told, ...rest } = eventOf(this, job)
    const call = { tree, timeout: definition.hookTimeout, origin: undefined }
    return askToEnqueue(call, enqueue, { ...rest, run: { ...told, input: asked.input } }, asked)
  }

  /** Undefined if there is nothing to wait for. A job that no worker of this process held is asked for first. */
  #tellHooks(id: string, outcome: RunOutcome, job: Watched | undefined): Promise<void> | undefined {
    if (job !== undefined) return job.tellHooks(outcome)
    if (this.hooks[outcome.status].length === 0) return undefined
    const tell = async (): Promise<void> => {
      const record = await Promise.resolve(this.tree.broker.job(id)).catch(() => undefined)
      const path = this.jobPath(id)
      const { input, idempotencyKey = path, attempts: attempt = outcome.attempts } = record ?? {}
      const stored = input === undefined ? null : copyJson(input)
      const hooked = { id, path, attempt, stored, idempotencyKey, origin: undefined, late: () => {} }
      await new JobHooks(this).settled(hooked, outcome)
    }
    this.watch(1)
    return tell().finally(() => this.watch(-1))
  }

  #check(input: unknown, accept: (parsed: unknown) => void, refuse: (error: unknown) => void): void {
    const { schema, name } = this.definition
    if (schema === undefined) return accept(input)
    const judge = (checked: Checked): void =>
      checked.issues === undefined ? accept(checked.value) : refuse(new InputError(name, issuesOf(checked)))
    whenever(() => validate(schema, input), judge, refuse)
  }

  async #newInput(input: unknown): Promise<Json> {
    await new Promise<unknown>((accept, refuse) => this.#check(input, accept, refuse))
    return keepInput(this, input)
  }

  #enqueue(run: AnyRun, input: unknown, options: RunOptions, parsed: unknown, by: Inner | undefined): void {
    if (Run.tell.isOver(run)) return // cancelled while a schema took its time
    const { definition } = this
    let answer: Awaitable<readonly Enqueued[]> | Enqueued | undefined
    try {
      checkRunOptions(definition, options) // plugins may have replaced them
      const usual = options === NO_OPTIONS ? this.#usualTerms() : undefined
      const terms = usual ?? termsOf(definition, parsed, options)
      const kept = keepInput(this, input)
      if (by?.waits === true && by.queue === this.path && terms.lane !== undefined && terms.lane === by.lane) {
        throw waitsForItself(by, 'lane', terms.lane)
      }
      answer = this.#give(run, kept, terms)
    } catch (error) {
      return this.#refuse(run, error)
    }
    if (answer === undefined || 'id' in answer) return this.#added(run, answer, by)
    if (!('then' in answer)) return this.#added(run, answer[0], by)
    answer.then(
      ([enqueued]) => this.#added(run, enqueued, by),
      (error: unknown) => this.#refuse(run, error),
    )
  }

  #give({ id, path }: AnyRun, input: Json, terms: JobTerms): Awaitable<readonly Enqueued[]> | Enqueued | undefined {
    const { broker } = this.tree
    const enqueueOne = (broker.enqueue as EnqueueOne)[forOne]
    if (enqueueOne !== undefined) return enqueueOne.call(broker, id, this.path, input, path, terms)
    return broker.enqueue([this.#newJob(id, path, input, terms)])
  }

  #newJob(id: string, path: string, input: Json, terms: JobTerms): NewJob {
    return { id, queue: this.path, input, idempotencyKey: path, keyIsPath: true, ...terms }
  }

  #usualTerms(): JobTerms | undefined {
    if (this.#usual === undefined) this.#usual = { terms: usualTerms(this.definition) }
    return this.#usual.terms
  }

  /** `enqueued` undefined: as it was given to the broker. */
  #added(run: AnyRun, enqueued: Enqueued | undefined, by: Inner | undefined): void {
    const { tree } = this
    const own = run.id
    const id = enqueued?.id ?? own
    const duplicate = enqueued?.duplicate === true
    if (duplicate && id === by?.id) return this.#refuse(run, waitsForItself(by, 'dedupe', id))
    const outcome = Run.tell.outcome(run)
    if (outcome !== undefined) {
      // Given up while the broker took it: whoever waited has been told.
      if (!duplicate) this.#withdraw(id, outcome.status === 'cancelled' ? outcome.reason : undefined, () => {})
      return
    }
    if (!duplicate) tree.counters.jobs.added += 1
    if (id === own && !duplicate) Run.tell.queued(run)
    else Run.tell.queuedAs(run, { id, duplicate })
    if (tree.events.hears('job.added'))
      tree.events.emit('job.added', { path: run.path, id, attempt: 0, duplicate, ...(by && { by: by.path }) })
    if (!duplicate) return
    tree.runs.remove(own, run)
    if (!Run.tell.isOver(run)) this.#follow(run, id)
  }

  #replayed(id: string): AnyRun {
    const { tree } = this
    const path = this.jobPath(id)
    const run: AnyRun = new Run(this, id)
    Run.tell.queued(run)
    tree.counters.jobs.added += 1
    tree.events.emit('job.added', { path, id, attempt: 0, duplicate: false })
    this.#follow(run, id)
    return run
  }

  /** Lets a run wait for a job that is in the broker already, or tells it what became of that one. */
  #follow(run: AnyRun, id: string): void {
    const { broker, runs } = this.tree
    runs.add(id, run)
    if (this.holding?.find(id) !== undefined) return
    whenever(
      () => broker.job(id),
      (record) => {
        const outcome = record === undefined ? this.#gone(id) : outcomeOf(record)
        if (outcome === undefined) return
        runs.remove(id, run)
        Run.tell.over(run, outcome)
      },
      (error) => this.#refuse(run, error),
    )
  }

  #gone(id: string): RunOutcome {
    const path = this.jobPath(id)
    const error = UnknownJobError.ofResult(path)
    const failure = new Failure({ error, path, kind: 'lost', at: this.tree.clock.now(), attempt: 0 })
    return { status: 'failed', failure, attempts: 0 }
  }

  /** Takes a job out of the broker; what is out of its reach is cancelled when it comes to a worker of this process. */
  #withdraw(id: string, reason: unknown, isOut: (isKnown: boolean) => void): void {
    whenever(
      () => this.tree.broker.cancel(id, reason),
      (answer) => {
        if (answer === 'cancelled' || answer === 'unknown') return isOut(answer === 'cancelled')
        if (answer === 'finished') return this.settleFromRecord(id)
        const job = this.holding?.find(id)
        if (job === undefined) this.unwanted.set(id, { reason })
        else job.cancel(reason)
      },
      (error) => this.tree.callbackFailed(this.jobPath(id), 'broker.cancel', error),
    )
  }

  #refuse(run: AnyRun, error: unknown): void {
    const { id, path } = run
    if (Run.tell.isOver(run)) return
    this.tree.runs.remove(id, run)
    this.tree.events.emit('job.refused', { path, error })
    Run.tell.refused(run, error, new Failure({ error, path, kind: 'input', at: this.tree.clock.now(), attempt: 0 }))
  }

  #linkSignal(run: AnyRun, signal: AbortSignal | undefined): void {
    if (signal === undefined) return
    const cancel = (): void => run.cancel(signal.reason)
    if (signal.aborted) return queueMicrotask(cancel)
    signal.addEventListener('abort', cancel, { once: true })
    void run.settled().then(() => signal.removeEventListener('abort', cancel))
  }
}

/** Two jobs that wait for each other would do so for ever. */
function waitsForItself(by: Asker, option: 'lane' | 'dedupe', value: string): InvalidOptionError {
  const advice =
    option === 'lane'
      ? 'The job that asks holds this lane; give another one, or detached: true and do not wait.'
      : 'That is the job that asks; give another key.'
  return new InvalidOptionError(`ctx.run() of ${by.path}`, option, value, advice)
}
