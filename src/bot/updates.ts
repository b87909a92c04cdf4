import { BotError, GrammyError, type Context } from 'grammy'
import type { Update } from 'grammy/types'
import type { AnyActorLogic } from 'xstate'
import { jobMachine, type JobContext, type JobEvent, type JobOutput } from '../../machines/job.ts'
import { bury } from '../actors/bury.ts'
import { whenever } from '../actors/answer.ts'
import { toChartLogic, type Host } from '../actors/chart.ts'
import type { JobDecision, Level } from '../actors/climb.ts'
import { answerFor, originNow, runAsNobody, type Origin } from '../actors/floating.ts'
import { hookTable, type HookTable } from '../actors/hook-table.ts'
import { JobActor, jobEffects, type Holder } from '../actors/job.ts'
import type { JobPolicy } from '../actors/job-policy.ts'
import type { JobSource, SourcedJob } from '../actors/job-source.ts'
import type { OwnError } from '../actors/judgement.ts'
import { announce } from '../actors/outcome.ts'
import { tellBroker } from '../actors/tell-broker.ts'
import type { Tree } from '../actors/tree.ts'
import type { BuriedJob, LeasedJob } from '../brokers/broker.ts'
import { SystemStoppedError } from '../errors.ts'
import { addToTrail, Failure, type FailureData } from '../failure.ts'
import { copyPayload, type Json } from '../payload.ts'
import type { RunOutcome } from '../run.ts'
import type { TaskContext } from '../task-context.ts'
import { isPluginTrigger } from '../thrown.ts'
import { rootCause, wrapError } from './bot-error.ts'
import { askLast, type LastBoundary } from './last-boundary.ts'
import { Lanes } from './lanes.ts'
import { isFrame, Pass, type Journey } from './pass.ts'
import { UpdateRun, type Arrival, type RunOwner } from './update-run.ts'

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

/** The updates of one life of a bot, as jobs: what runs them, and what becomes of them. */
export class Updates implements JobSource, Holder, RunOwner {
  readonly tree: Tree
  readonly path: string
  readonly level: Level
  readonly subject: string
  readonly definition: JobPolicy
  readonly threads = undefined
  readonly lanes: Lanes<UpdateRun>
  /** Those that the broker gave, by their ids. */
  readonly kept: Map<string, UpdateRun> = new Map()
  /** Called when one of those is over, or waits. */
  onRoom: () => void = () => {}
  readonly #bot: UpdateHost
  readonly #host: Host
  readonly #logic: AnyActorLogic
  readonly #runs: (UpdateRun | undefined)[] = []
  readonly #free: number[] = []
  #hooks: HookTable | undefined
  #watching = 0
  #isQuiet: (() => void) | undefined
  #live = 0
  #retrying = 0
  #isIdle: (() => void) | undefined
  #isClosed = false
  /** How to decide about errors that callers were told, if they say that they did not take them. */
  readonly #untaken = new WeakMap<object, () => Promise<void>>()

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
      jobEffects((slot) => (this.#runs[slot] as UpdateRun).job as JobActor),
      this.tree.isInspected,
    )
  }

  get jobs(): { readonly running: number; readonly retrying: number } {
    return { running: this.#live - this.#retrying, retrying: this.#retrying }
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
    return `${this.path}/update:${id.slice(id.indexOf(':') + 1)}`
  }

  // Admission

  /** Of an update that no broker knows. */
  newLease(update: Update): LeasedJob {
    const id = `${this.#bot.botId}:${(update as Partial<Update> | undefined)?.update_id}`
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
    if (run.isParked) this.#retrying -= 1
    else this.#live += 1
    const { job } = run
    run.cancelWait = undefined
    const goesOn = run.isParked && job !== undefined
    run.isParked = false
    if (goesOn) return job.goOn(run.lease)
    const slot = this.#free.pop() ?? this.#runs.length
    const next = new JobActor(this, this, run.lease, slot)
    run.job = next
    this.#runs[slot] = run
    next.start((onOutput) => this.#host.startChart(this.#logic, `update:${slot}`, next.input, onOutput))
  }

  // As what its jobs are made of

  readInput({ slot }: SourcedJob): { readonly parsed: unknown } {
    return { parsed: this.#runs[slot] }
  }

  failure(data: FailureData, { slot }: SourcedJob): Failure {
    const run = this.#runs[slot] as UpdateRun
    const journey = run.pass?.journey(data.error)
    return this.#failure(run, journey, data)
  }

  /** A decision of a boundary stands; Telegram says when to come again in a way of its own. */
  judge(thrown: unknown, { slot }: SourcedJob): OwnError | undefined {
    const { pass, arrival } = this.#runs[slot] as UpdateRun
    if (pass?.decided !== undefined || arrival.laneError !== undefined) {
      return { error: thrown, kind: 'thrown', isFinal: true }
    }
    if (!(thrown instanceof GrammyError) || thrown.error_code !== 429) return undefined
    const { retry_after: seconds } = thrown.parameters
    if (seconds === undefined) return undefined
    return { error: thrown, kind: 'thrown', isFinal: false, retryAfter: 1_000 * seconds }
  }

  #callMiddleware(run: UpdateRun, ctx: TaskContext): unknown {
    const { laneError, envelope } = run.arrival
    if (laneError !== undefined) throw laneError.error
    const pass = new Pass(run, ctx)
    run.pass = pass
    Object.assign(originNow() as object, { pass })
    return passed(this.#bot.handle(run.update, envelope, pass), pass)
  }

  failureOf(run: UpdateRun, journey: Journey): Failure {
    const { job, lease } = run
    const { path, attempt = 0 } = job ?? { path: this.jobPath(lease.id) }
    const kind = isPluginTrigger(journey.error) ? 'plugin' : 'thrown'
    const data = { error: journey.error, path, kind, at: this.tree.clock.now(), attempt } as const
    return this.#failure(run, journey, { ...data, generation: lease.generation, job: this.#ofJob(lease.id) })
  }

  handled(failure: Failure): void {
    this.tree.report(failure, 'resume')
  }

  #ofJob(id: string): { readonly id: string; readonly task: string; readonly attempts: number } {
    return { id, task: this.path, attempts: this.definition.retry.attempts }
  }

  #failure({ lanes, pass }: UpdateRun, journey: Journey | undefined, data: FailureData): Failure {
    const { job, path } = data
    const failure = new Failure({
      ...data,
      path: journey === undefined ? path : journey.at + path.slice(this.path.length),
      ...(job && { job: lanes.length === 0 ? job : { ...job, lane: lanes } }),
      ...(journey?.cause && { cause: journey.cause }),
      ctx: pass?.ctx,
    })
    for (const entry of journey?.trail ?? []) addToTrail(failure, entry)
    return failure
  }

  // What its jobs say

  lend(): void {} // a slot is no thread: who waits for a task keeps it

  park(job: JobActor, delay: number): void {
    const run = this.#runs[job.slot] as UpdateRun
    const { attempt: attempts, charged, putOffs, failure } = job.context as JobContext
    this.#parks(run)
    if (run.arrival.isKept === true) {
      const outcome = { kind: 'retry', delay, failure: failure as Failure, attempts, charged, putOffs } as const
      return this.#tell(run, outcome, () => this.onRoom())
    }
    run.lease = { ...run.lease, attempts, charged, putOffs }
    this.#waitFor(run, delay)
  }

  over(job: JobActor, output: JobOutput): void {
    const run = this.#runs[job.slot] as UpdateRun
    if (output.status === 'failed') return void this.#failed(run, output.failure as Failure, output.attempts)
    if (output.status === 'cancelled') {
      const { attempts, reason } = output
      return this.#settle(run, { status: 'cancelled', reason, attempts })
    }
    const { value, attempts, answeredBy } = output as Extract<JobOutput, { readonly status: 'done' }>
    this.#settle(run, { status: 'done', value, attempts, ...(answeredBy !== undefined && { answeredBy }) })
  }

  #parks(run: UpdateRun): void {
    run.isParked = true
    this.#retrying += 1
    if (run.arrival.isDirect !== true) this.lanes.park()
  }

  #waitFor(run: UpdateRun, delay: number): void {
    const go = (): void =>
      runAsNobody(() => (run.arrival.isDirect === true ? this.#start(run) : this.lanes.unpark(run)))
    if (this.#isClosed) return // cut off by the drain that is under way
    run.cancelWait = delay === 0 ? this.tree.wait(0, go) : this.tree.sleep(delay, go)
  }

  /** What is decided about it makes the outcome. */
  async #failed(run: UpdateRun, failure: Failure, attempts: number): Promise<void> {
    const { tree } = this
    const decided = run.pass?.decided
    const { caller } = run.arrival
    if (decided?.decision === 'restart') {
      tree.report(failure, 'restart')
      return this.#restart(run, failure, { delay: 0, by: decided.by, count: decided.count })
    }
    const thrown = this.#wrapped(run, failure)
    if (decided?.decision === 'stop' || caller !== undefined) {
      if (decided === undefined) addToTrail(failure, { path: this.path, decision: 'stop', by: 'caller' })
      tree.report(failure, 'stop')
      return this.#settle(run, { status: 'failed', failure, attempts }, thrown)
    }
    const note = `the update stays failed; dead letter ${run.lease.id}`
    const judged =
      thrown instanceof BotError
        ? await askLast(this.#bot.boundary, failure, thrown, run.lease.restarts, originOf(run), note)
        : { decision: this.#withoutContext(failure), failure }
    this.#apply(run, judged.failure, attempts, judged.decision)
  }

  /** No middleware ever ran: that is nothing to ask `bot.catch` about. */
  #withoutContext(failure: Failure): JobDecision {
    addToTrail(failure, { path: this.path, decision: 'resume', by: 'default' })
    return { decision: 'stay', stopsSystem: false, name: 'resume' }
  }

  #apply(run: UpdateRun, failure: Failure, attempts: number, decision: JobDecision): void {
    const { tree } = this
    switch (decision.decision) {
      case 'restart':
        tree.report(failure, 'restart')
        return this.#restart(run, failure, decision)
      case 'value':
        tree.report(failure, 'resume')
        return this.#settle(run, { status: 'fallback', value: decision.value, failure, attempts })
      case 'stay':
        tree.report(failure, decision.name)
        this.#settle(run, { status: 'failed', failure, attempts })
        if (decision.stopsSystem) tree.stopBecause(failure)
    }
  }

  #restart(
    run: UpdateRun,
    failure: Failure,
    { delay, by, count }: { readonly delay: number; readonly by: string; readonly count: number },
  ): void {
    const { lease, job } = run
    const generation = lease.generation + 1
    const restarts = Object.assign(Object.create(null) as Record<string, number>, lease.restarts, { [by]: count })
    this.#freeSlot(run)
    this.#parks(run)
    run.job = undefined
    const tell = (): void => {
      this.tree.counters.jobs.restarted += 1
      const { id } = lease
      this.tree.events.emit('job.restarted', { path: (job as JobActor).path, id, attempt: 0, generation })
    }
    if (run.arrival.isKept === true) {
      return this.#tell(run, { kind: 'restart', delay, failure, generation, restarts }, () => {
        tell()
        this.onRoom()
      })
    }
    run.lease = { ...lease, attempts: 0, charged: 0, putOffs: 0, generation, restarts }
    tell()
    this.#waitFor(run, delay)
  }

  /** What left it, as whoever is last gets it; the bare error where there is no context. */
  #wrapped({ pass }: UpdateRun, failure: Failure): unknown {
    if (pass?.ctx === undefined) return failure.error
    const isSame = pass.thrown !== undefined && Object.is(pass.cause, failure.error)
    const left = isSame && pass.decided === undefined ? pass.thrown?.error : failure.error
    return wrapError(left, pass.ctx)
  }

  // Its end

  #settle(run: UpdateRun, outcome: RunOutcome, thrown?: unknown): void {
    this.#leave(run)
    const { isKept, caller } = run.arrival
    if (isKept === true) {
      this.kept.delete(run.lease.id)
      return this.#tell(run, brokerOutcome(outcome), () => {
        this.#tellAll(run, outcome, thrown, true)
        this.onRoom()
      })
    }
    const dies = outcome.status === 'failed' && (caller === undefined || this.definition.retry.attempts > 1)
    if (!dies) return this.#tellAll(run, outcome, thrown, false)
    this.#bury(run, outcome.failure, (isDead) => this.#tellAll(run, outcome, thrown, isDead))
  }

  #bury({ lease }: UpdateRun, failure: Failure, then: (isDead: boolean) => void): void {
    const { id, queue, idempotencyKey } = lease
    whenever(
      () => {
        const input = copyPayload('update', lease.input, Infinity)
        const job = { id, queue, input, idempotencyKey, priority: 0, delay: 0, lane: undefined, dedupe: undefined }
        return this.tree.broker.bury(job, failure)
      },
      () => then(true),
      (error) => {
        this.tree.callbackFailed(this.jobPath(id), 'broker.bury', error)
        then(false)
      },
    )
  }

  #leave(run: UpdateRun): void {
    const wasParked = run.isParked
    run.isParked = false
    run.cancelWait?.()
    run.cancelWait = undefined
    this.#freeSlot(run)
    this.#live -= 1
    if (wasParked) this.#retrying -= 1
    if (run.arrival.isDirect !== true) this.lanes.leave(run, !wasParked)
    if (this.#live - this.#retrying === 0) this.#isIdle?.()
  }

  #freeSlot({ job }: UpdateRun): void {
    if (job === undefined) return
    this.#runs[job.slot] = undefined
    this.#free.push(job.slot)
  }

  /** First the event, then the inbox, then hooks, then who waits. */
  #tellAll(run: UpdateRun, outcome: RunOutcome, thrown: unknown, isDead: boolean): void {
    const { job, lease, arrival } = run
    const { id } = lease
    announce(this.tree, this.jobPath(id), id, outcome, isDead)
    arrival.over?.(outcome)
    const told = job?.hooks?.settled(job.hooked, outcome)
    if (told === undefined) this.#tellWaiting(run, outcome, thrown)
    else void told.then(() => this.#tellWaiting(run, outcome, thrown))
  }

  #tellWaiting(run: UpdateRun, outcome: RunOutcome, thrown: unknown): void {
    const { lease, arrival } = run
    if (this.tree.runs.size > 0) this.tree.runs.settle(lease.id, outcome)
    const { caller } = arrival
    if (caller === undefined) return
    if (outcome.status !== 'failed') return caller.resolve()
    if (thrown instanceof BotError) {
      const decide = (): Promise<void> => this.#unclaimed(run, outcome.failure, thrown)
      this.#untaken.set(thrown, decide)
      answerFor(thrown, () => void decide())
    }
    caller.reject(thrown)
  }

  /** Decides as if the update had been polled; throws the error again if it is none of ours. */
  async decide(error: unknown): Promise<void> {
    const decide = typeof error === 'object' && error !== null ? this.#untaken.get(error) : undefined
    if (decide === undefined) throw error
    await decide()
  }

  /** Its caller did not take the error: it goes where that of a polled update would. */
  async #unclaimed(run: UpdateRun, failure: Failure, thrown: BotError<Context>): Promise<void> {
    const { decision } = await askLast(
      this.#bot.boundary,
      failure,
      thrown,
      run.lease.restarts,
      undefined,
      'it was late',
    )
    if (decision.decision === 'stay' && decision.stopsSystem) this.tree.stopBecause(failure)
  }

  #tell(run: UpdateRun, outcome: Parameters<typeof tellBroker>[3], then: () => void): void {
    const { lease } = run
    tellBroker(this.tree, this.jobPath(lease.id), lease, outcome, (answer) => {
      if (answer === 'lost') {
        this.kept.delete(lease.id)
        this.tree.events.emit('job.lost', { path: this.jobPath(lease.id), id: lease.id, attempt: lease.attempts })
      } else then()
    })
  }

  // Floating promises

  readonly floated = (error: unknown, origin: Origin): void => void this.#float(error, origin)

  async #float(thrown: unknown, origin: Origin): Promise<void> {
    const { pass } = origin as { readonly pass?: Pass }
    const { id, attempt, path } = origin
    const ctx = pass?.ctx as Context
    let failure = new Failure({
      error: rootCause(thrown),
      path,
      kind: 'floating',
      at: this.tree.clock.now(),
      attempt,
      job: this.#ofJob(id),
      ctx,
    })
    if (pass === undefined || ctx === undefined) return this.#floatedOut(failure, this.#withoutContext(failure))
    const told = await askFrames(failure, thrown, origin, pass)
    if (told.decision !== undefined) return this.#floatedOut(told.failure, told.decision)
    failure = told.failure
    const { boundary } = this.#bot
    const last = await askLast(
      boundary,
      failure,
      wrapError(told.thrown, ctx),
      NO_RESTARTS,
      undefined,
      'it was floating',
    )
    this.#floatedOut(last.failure, last.decision)
  }

  #floatedOut(failure: Failure, decision: JobDecision): void {
    const isStay = decision.decision === 'stay'
    this.tree.report(failure, isStay ? decision.name : decision.decision === 'value' ? 'resume' : 'restart')
    if (isStay && decision.stopsSystem) this.tree.stopBecause(failure)
  }

  // Letting go

  /** Starts nothing more; resolves when nothing runs, or `within` ms are over and what ran was cut off. */
  async drain(within: number): Promise<void> {
    this.#isClosed = true
    this.lanes.close()
    for (const run of this.lanes.takeWaiting()) this.#giveBack(run)
    for (const run of this.#runs) if (run?.isParked === true) this.#cutOff(run)
    if (this.#live - this.#retrying > 0 && within > 0) await this.#idleWithin(within)
    for (const run of this.#runs) if (run !== undefined) this.#cutOff(run)
  }

  #idleWithin(within: number): Promise<void> {
    const { clock } = this.tree
    return new Promise((resolve) => {
      const timer = within === Infinity ? undefined : clock.setTimeout(resolve, within)
      this.#isIdle = () => {
        if (timer !== undefined) clock.clearTimeout(timer)
        resolve()
      }
    })
  }

  #cutOff(run: UpdateRun): void {
    run.job?.cutOff(this.#stopped(run))
    const wasParked = run.isParked
    this.#leave(run)
    if (!wasParked) this.#giveBack(run)
    else this.#reject(run)
  }

  #giveBack(run: UpdateRun): void {
    if (run.arrival.isKept === true) {
      this.kept.delete(run.lease.id)
      this.#tell(run, { kind: 'release' }, () => {})
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

async function passed(handled: Promise<void>, pass: Pass): Promise<void> {
  await handled
  if (pass.thrown !== undefined) throw pass.cause
}

function originOf({ job }: UpdateRun): Origin | undefined {
  return job?.hooked.origin
}

function brokerOutcome(outcome: RunOutcome): Parameters<typeof tellBroker>[3] {
  switch (outcome.status) {
    case 'done':
      return { kind: 'done', value: outcome.value as Json, attempts: outcome.attempts }
    case 'fallback':
      return { kind: 'fallback', value: outcome.value as Json, failure: outcome.failure, attempts: outcome.attempts }
    case 'failed':
      return { kind: 'failed', failure: outcome.failure, attempts: outcome.attempts }
    case 'cancelled':
      return { kind: 'cancelled', reason: outcome.reason, attempts: outcome.attempts }
  }
}

interface Floated {
  readonly failure: Failure
  readonly thrown: unknown
  readonly decision: JobDecision | undefined
}

/** Asks the boundaries the promise was made in, the innermost first; its update went on without it. */
async function askFrames(failure: Failure, thrown: unknown, from: Origin, pass: Pass): Promise<Floated> {
  let at = from
  let given = thrown
  const journeyed: Journey = { error: failure.error, at: '', trail: [], cause: undefined }
  for (; isFrame(at); at = at.outer) {
    const wrapped = wrapError(given, pass.ctx as Context)
    try {
      await at.handler(wrapped as never, () => Promise.resolve())
    } catch (next) {
      pass.wentOn(journeyed, at, next)
      given = next
      continue
    }
    addAll(failure, journeyed)
    addToTrail(failure, { path: at.path, decision: 'resume', by: 'catch' })
    return { failure, thrown: given, decision: { decision: 'stay', stopsSystem: false, name: 'resume' } }
  }
  addAll(failure, journeyed)
  return { failure, thrown: given, decision: undefined }
}

function addAll(failure: Failure, { trail }: Journey): void {
  for (const entry of trail) addToTrail(failure, entry)
}
