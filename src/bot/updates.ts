import type { Update } from 'grammy/types'
import type { AnyActorLogic } from 'xstate'
import { jobMachine, type JobContext, type JobEvent, type JobOutput } from '../../machines/job.ts'
import { bury } from '../actors/bury.ts'
import { toChartLogic, type Host } from '../actors/chart.ts'
import type { Level } from '../actors/climb.ts'
import { originNow, runAsNobody, runHandedIn, type Origin } from '../actors/floating.ts'
import { hookTable, type HookTable } from '../actors/hook-table.ts'
import { JobActor, jobEffects, type Holder } from '../actors/job.ts'
import type { JobPolicy } from '../actors/job-policy.ts'
import type { JobSource, SourcedJob } from '../actors/job-source.ts'
import type { OwnError } from '../actors/judgement.ts'
import { announce } from '../actors/outcome.ts'
import { observedJobs, type Observed } from '../actors/tap.ts'
import type { Tree } from '../actors/tree.ts'
import type { BuriedJob, LeasedJob } from '../brokers/broker.ts'
import { SystemStoppedError } from '../errors.ts'
import type { Failure, FailureData } from '../failure.ts'
import { PassingMap } from '../passing-map.ts'
import type { Json } from '../payload.ts'
import type { RunOutcome } from '../run.ts'
import type { TaskContext } from '../task-context.ts'
import { isPluginTrigger } from '../thrown.ts'
import { Lanes } from './lanes.ts'
import type { LastBoundary } from './last-boundary.ts'
import { LiveRuns } from './live-runs.ts'
import { Pass, type Journey } from './pass.ts'
import { toldWait } from './told-wait.ts'
import { updateFailure } from './update-failure.ts'
import { floated } from './update-floating.ts'
import { UpdateRun, type Arrival, type RunOwner } from './update-run.ts'
import { UpdateSettlement, type SettlementHost } from './update-settlement.ts'

/** What updates need of their bot. */
export interface UpdateHost {
  readonly boundary: LastBoundary
  readonly policy: Omit<JobPolicy, 'body'>
  readonly concurrency: number
  /** Stands before the colon of the token. */
  readonly botId: string
  lanesOf(update: Update): readonly string[]
  /** Runs all middleware for an update, under this pass. */
  handle(update: Update, envelope: Arrival['envelope'], pass: Pass): Promise<void>
}

const NO_RESTARTS: Readonly<Record<string, number>> = Object.freeze(Object.create(null) as Record<string, number>)
const NO_LANES: readonly string[] = Object.freeze([])

/** The updates of one life of a bot, as jobs: what runs them, in which order, and until when. */
export class Updates implements JobSource, Holder, RunOwner, SettlementHost {
  readonly tree: Tree
  readonly path: string
  readonly level: Level
  readonly subject: string
  readonly noun = 'update'
  readonly definition: JobPolicy
  readonly threads = undefined
  readonly lanes: Lanes<UpdateRun>
  /** Those that the broker gave, by their ids. */
  readonly kept: PassingMap<UpdateRun> = new PassingMap()
  /** Called when one of those is over, or waits. */
  onRoom: () => void = () => {}
  readonly #bot: UpdateHost
  readonly #host: Host
  readonly #logic: AnyActorLogic
  readonly #live = new LiveRuns()
  readonly #settlement = new UpdateSettlement(this)
  #hooks: HookTable | undefined
  /** Its path is asked for at once, and need not be cut out of its id. */
  #newest = { id: '', path: '' }
  #watching = 0
  #isQuiet: (() => void) | undefined
  #isClosed = false

  constructor(bot: UpdateHost, host: Host) {
    const { tree, path, level } = bot.boundary
    this.#bot = bot
    this.#host = host
    this.tree = tree
    this.path = path
    this.level = level
    this.subject = `bot "${bot.policy.name}"`
    this.definition = { ...bot.policy, body: (_run, ctx) => this.#callMiddleware(_run as unknown as UpdateRun, ctx) }
    this.lanes = new Lanes(bot.concurrency, (run) => this.#start(run))
    this.#logic = toChartLogic<JobContext, JobEvent>(
      jobMachine,
      jobEffects((slot) => this.#live.at(slot).job as JobActor),
      this.tree.isInspected,
    )
  }

  get boundary(): LastBoundary {
    return this.#bot.boundary
  }

  get isRetried(): boolean {
    return this.definition.retry.attempts > 1
  }

  get maxPayload(): number {
    return this.definition.maxPayload
  }

  get jobs(): { readonly running: number; readonly retrying: number } {
    return { running: this.#live.running, retrying: this.#live.parked }
  }

  liveJobs(): Iterable<Observed> {
    return observedJobs(this.#live.all().map(({ job }) => job))
  }

  get hooks(): HookTable {
    this.#hooks ??= hookTable(this.definition, this.level)
    return this.#hooks
  }

  watch(change: 1 | -1): void {
    this.#watching += change
    if (this.#watching === 0) this.#isQuiet?.()
  }

  quiet(): Promise<void> | undefined {
    if (this.#watching === 0) return undefined
    return new Promise((resolve) => (this.#isQuiet = resolve))
  }

  jobPath(id: string): string {
    if (id === this.#newest.id) return this.#newest.path
    return `${this.path}/update:${id.slice(id.indexOf(':') + 1)}`
  }

  // Admission

  /** Of an update that no broker knows. */
  newLease(update: Update): LeasedJob {
    const number = (update as Partial<Update> | undefined)?.update_id
    const id = `${this.#bot.botId}:${number}`
    this.#newest = { id, path: `${this.path}/update:${number}` }
    return {
      id,
      queue: this.path,
      input: update as unknown as Json,
      idempotencyKey: id,
      lane: undefined,
      token: 0,
      attempts: 0,
      charged: 0,
      putOffs: 0,
      generation: 1,
      restarts: NO_RESTARTS,
    }
  }

  /** Runs an update at once, for a caller who is its last boundary. */
  handle(update: Update, envelope: Arrival['envelope']): Promise<void> {
    return new Promise((resolve, reject) => {
      runHandedIn(() => this.admit(update, { isDirect: true, envelope, caller: { resolve, reject } }))
    })
  }

  /** Runs an update, now or when its lanes let it. */
  admit(update: Update, arrival: Arrival, lease: LeasedJob = this.newLease(update)): UpdateRun {
    if (arrival.isDirect === true) {
      const run = new UpdateRun(this, update, lease, NO_LANES, arrival)
      this.#added(run)
      this.#start(run)
      return run
    }
    let lanes = NO_LANES
    let laneError: Arrival['laneError']
    try {
      lanes = this.#bot.lanesOf(update)
    } catch (error) {
      laneError = { error }
    }
    const run = new UpdateRun(this, update, lease, lanes, laneError === undefined ? arrival : { ...arrival, laneError })
    if (run.arrival.isKept === true) this.kept.set(lease.id, run)
    this.#added(run)
    this.lanes.add(run)
    return run
  }

  #added({ lease: { id } }: UpdateRun): void {
    const { counters, events } = this.tree
    counters.jobs.added += 1
    if (events.hears('job.added')) {
      events.emit('job.added', { path: this.jobPath(id), id, attempt: 0, duplicate: false })
    }
  }

  /** The broker gave an update again that waits: its next attempt, or its next incarnation. */
  goOn(run: UpdateRun, lease: LeasedJob): void {
    run.lease = lease
    this.lanes.unpark(run)
  }

  #start(run: UpdateRun): void {
    const goesOn = run.isParked && run.job !== undefined
    this.#live.runs(run)
    run.cancelWait = undefined
    if (goesOn) return (run.job as JobActor).goOn(run.lease)
    const job = new JobActor(this, this, run.lease, this.#live.newPlace(), this.tree.clock.now())
    this.#live.place(run, job)
    job.start(this.#host, this.#logic)
  }

  // As what its jobs are made of

  readInput({ slot }: SourcedJob): { readonly parsed: unknown } {
    return { parsed: this.#live.at(slot) }
  }

  failure(data: FailureData, { slot }: SourcedJob): Failure {
    const run = this.#live.at(slot)
    return updateFailure(run, run.pass?.journey(data.error), data)
  }

  /** A decision of a boundary stands; Telegram says when to come again in a way of its own. */
  judge(thrown: unknown, { slot }: SourcedJob): OwnError | undefined {
    const { pass, arrival } = this.#live.at(slot)
    if (pass?.decided !== undefined || arrival.laneError !== undefined) {
      return { error: thrown, kind: 'thrown', isFinal: true }
    }
    const retryAfter = toldWait(thrown)
    return retryAfter === undefined ? undefined : { error: thrown, kind: 'thrown', isFinal: false, retryAfter }
  }

  #callMiddleware(run: UpdateRun, ctx: TaskContext): unknown {
    const { laneError, envelope } = run.arrival
    if (laneError !== undefined) throw laneError.error
    const pass = new Pass(run, ctx)
    run.pass = pass
    const origin = originNow() as { pass?: Pass }
    origin.pass = pass
    return this.#bot.handle(run.update, envelope, pass)
  }

  failureOf(run: UpdateRun, journey: Journey): Failure {
    const { job, lease } = run
    const { path, attempt = 0 } = job ?? { path: this.jobPath(lease.id) }
    const kind = isPluginTrigger(journey.error) ? 'plugin' : 'thrown'
    const data = { error: journey.error, path, kind, at: this.tree.clock.now(), attempt } as const
    const ofJob = { id: lease.id, task: this.path, attempts: this.definition.retry.attempts }
    return updateFailure(run, journey, { ...data, generation: lease.generation, job: ofJob })
  }

  handled(failure: Failure): void {
    this.tree.report(failure, 'resume')
  }

  readonly floated = (error: unknown, origin: Origin): void =>
    void floated(this.boundary, error, origin, this.definition.retry.attempts)

  // What its jobs say

  lend(): void {} // a slot is no thread: who waits for a task keeps it

  park(job: JobActor, delay: number): void {
    const run = this.#live.at(job.slot)
    const { attempt: attempts, charged, putOffs, failure } = job.context as JobContext
    this.#parks(run)
    if (run.arrival.isKept === true) {
      const outcome = { kind: 'retry', delay, failure: failure as Failure, attempts, charged, putOffs } as const
      return this.#settlement.tell(run, outcome, () => {})
    }
    run.lease = { ...run.lease, attempts, charged, putOffs }
    this.#waitFor(run, delay)
  }

  over(job: JobActor, output: JobOutput): void {
    const run = this.#live.at(job.slot)
    const { attempts } = output
    switch (output.status) {
      case 'failed':
        return void this.#settlement.failed(run, output.failure as Failure, attempts)
      case 'cancelled':
        return this.#settlement.settle(run, { status: 'cancelled', reason: output.reason, attempts })
      default: {
        const { value, answeredBy } = output as Extract<JobOutput, { readonly status: 'done' }>
        const answered = answeredBy !== undefined && { answeredBy }
        return this.#settlement.settle(run, { status: 'done', value, attempts, ...answered })
      }
    }
  }

  #parks(run: UpdateRun): void {
    this.#live.parks(run)
    if (run.arrival.isDirect !== true) this.lanes.park()
  }

  #waitFor(run: UpdateRun, delay: number): void {
    const go = (): void =>
      runAsNobody(() => (run.arrival.isDirect === true ? this.#start(run) : this.lanes.unpark(run)))
    if (this.#isClosed) return // cut off by the drain that is under way
    if (delay > 0) {
      run.cancelWait = this.tree.sleep(delay, go)
      return
    }
    const wait = this.tree.wait(0, go)
    run.cancelWait = () => wait.cancel()
  }

  // As what settles them needs it

  restarts(run: UpdateRun, delay: number): void {
    this.#live.displace(run)
    run.job = undefined
    this.#parks(run)
    if (run.arrival.isKept !== true) this.#waitFor(run, delay)
  }

  leaves(run: UpdateRun): void {
    const wasParked = run.isParked
    run.cancelWait?.()
    run.cancelWait = undefined
    this.#forget(run)
    this.#live.leaves(run)
    if (run.arrival.isDirect !== true) this.lanes.leave(run, !wasParked)
  }

  written(): void {
    this.onRoom()
  }

  lost(run: UpdateRun): void {
    const { lease } = run
    this.#forget(run)
    if (run.isParked) this.#cutOff(run) // whoever has it now gives its lane the next one
    this.tree.events.emit('job.lost', { path: this.jobPath(lease.id), id: lease.id, attempt: lease.attempts })
  }

  /** The broker may have given it again meanwhile. */
  #forget(run: UpdateRun): void {
    if (run.arrival.isKept === true && this.kept.get(run.lease.id) === run) this.kept.delete(run.lease.id)
  }

  // Letting go

  /** Starts nothing more; resolves when nothing runs, or `within` ms are over and what ran was cut off. */
  async drain(within: number): Promise<void> {
    this.#isClosed = true
    this.lanes.close()
    for (const run of this.lanes.takeWaiting()) this.#giveBack(run)
    for (const run of this.#live.all()) if (run.isParked) this.#cutOff(run)
    if (this.#live.running > 0 && within > 0) await this.#live.idleWithin(this.tree.clock, within)
    for (const run of this.#live.all()) this.#cutOff(run)
  }

  #cutOff(run: UpdateRun): void {
    run.job?.cutOff(this.#stopped(run))
    const { isParked } = run
    this.leaves(run)
    if (!isParked) this.#giveBack(run)
    else this.#reject(run)
  }

  #giveBack(run: UpdateRun): void {
    if (run.arrival.isKept === true) {
      this.#forget(run)
      this.#settlement.tell(run, { kind: 'release' }, () => {})
    }
    this.#reject(run)
  }

  #reject(run: UpdateRun): void {
    run.arrival.caller?.reject(this.#stopped(run))
  }

  #stopped({ lease }: UpdateRun): SystemStoppedError {
    return new SystemStoppedError(this.tree.name, { job: this.jobPath(lease.id) })
  }

  buried(job: BuriedJob): void {
    const settle = (id: string, outcome: RunOutcome): void => {
      announce(this.tree, this.jobPath(id), id, outcome)
      this.tree.runs.settle(id, outcome)
    }
    bury({ tree: this.tree, definition: this.definition, path: this.path, level: this.level, settle }, job)
  }
}
