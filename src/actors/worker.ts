import type { AnyActorLogic, AnyActorRef } from 'xstate'
import { jobMachine, type JobContext, type JobEvent, type JobOutput } from '../../machines/job.ts'
import { workerMachine } from '../../machines/worker.ts'
import type { LeasedJob } from '../brokers/broker.ts'
import { LeaseLostError, SystemStoppedError } from '../errors.ts'
import type { DropReason } from '../events.ts'
import { Failure } from '../failure.ts'
import type { IsolatePolicy } from '../isolate.ts'
import type { Threads } from '../isolate/threads.ts'
import type { AnyTask } from '../task.ts'
import { whenever } from './answer.ts'
import { Host, toChartLogic } from './chart.ts'
import type { Level } from './climb.ts'
import { runNowhere } from './floating.ts'
import type { Incarnation } from './incarnation.ts'
import { Intake } from './intake.ts'
import { jobEffects, JobActor, type Holder } from './job.ts'
import { Leases } from './leases.ts'
import type { Place, Reports } from './reports.ts'
import { Settlement } from './settlement.ts'
import { Slots } from './slots.ts'
import { TaskQueue } from './task-queue.ts'
import type { Tree } from './tree.ts'
import { JOBS_PER_COMMIT, JOBS_PER_STEP } from './turn.ts'
import { WorkerChart } from './worker-chart.ts'

const BROKER_AWAY = 1_000

/** One life of a task's worker: takes jobs from the broker, as many at once as it has slots. */
export class WorkerIncarnation implements Incarnation, Holder {
  readonly #definition: AnyTask
  readonly #tree: Tree
  readonly #path: string
  readonly #generation: number
  readonly #reports: Reports
  readonly #host: Host
  readonly #chart: WorkerChart
  readonly #queue: TaskQueue
  readonly #slots = new Slots()
  readonly #settlement: Settlement
  readonly #leases: Leases<JobActor>
  readonly #intake: Intake
  readonly #logic: AnyActorLogic
  #phase: 'taking' | 'draining' | 'over' = 'taking'
  #how: 'stopped' | 'killed' = 'stopped'
  #threads: Threads | undefined
  #hasEndedItself = false
  #isPumpDue = false
  /** The broker may have more: it gave as many as were asked for, or woke this worker since. */
  #isMoreDue = true
  /** The broker was asked and has not answered; `again` if a job became due meanwhile. */
  #leasing: 'no' | 'asked' | 'again' = 'no'
  #shutdownTimer: unknown
  #cancelRetry: (() => void) | undefined
  #unwatch: (() => void) | undefined

  constructor(definition: AnyTask, place: Place, reports: Reports) {
    this.#definition = definition
    this.#tree = place.tree
    this.#path = place.path
    this.#generation = place.generation
    this.#reports = reports
    const level = place.parent as Level // only a supervisor starts workers
    const known = this.#tree.tasks.get(definition) as TaskQueue | undefined
    this.#queue = known ?? new TaskQueue(this.#tree, definition, this.#path, level)
    this.#queue.level = level
    this.#tree.tasks.set(definition, this.#queue)
    this.#settlement = new Settlement(
      this.#queue,
      () => this.#afterJob(),
      (job) => this.#lost(job),
    )
    this.#leases = new Leases(
      this.#tree,
      () => this.#slots.all({ parked: false }),
      (job) => this.#lost(job),
    )
    this.#intake = new Intake(this.#queue, () => this.#wake())
    const input = { path: this.#path, concurrency: definition.concurrency }
    this.#host = new Host(workerMachine, { parent: place.host, id: definition.name, input }, () => this.#endItself())
    this.#chart = new WorkerChart(this.#host, () => this.#slots.running > 0)
    this.#logic = toChartLogic<JobContext, JobEvent>(
      jobMachine,
      jobEffects((slot) => this.#slots.at(slot)),
      this.#tree.isInspected,
    )
  }

  get actor(): AnyActorRef {
    return this.#host.ref
  }

  get threads(): Threads | undefined {
    return this.#threads
  }

  start(): void {
    this.#host.start()
    const { isolate } = this.#definition
    if (isolate === undefined) return this.#beginTaking()
    this.#openThreads(isolate).then(
      () => this.#phase === 'taking' && this.#beginTaking(),
      (error: unknown) => this.#phase === 'taking' && this.#failStart(error),
    )
  }

  #beginTaking(): void {
    this.#queue.holding = this.#slots
    this.#queue.onPause = () => this.#pauseOrGoOn()
    this.#queue.onWatched = () => this.#afterJob()
    this.#unwatch = this.#tree.broker.watch(this.#path, () => this.#wake())
    this.#reports.ready()
    this.#queue.ticker?.begin()
    this.#pauseOrGoOn()
  }

  /** Drains: takes nothing more, and lets what runs run on for a while. */
  stop(): void {
    const { shutdown } = this.#definition.child
    if (shutdown === 'kill') return this.kill()
    if (this.#phase !== 'taking') return
    this.#drain()
    if (this.#isDrained) return this.#finish()
    if (shutdown !== Infinity) this.#shutdownTimer = this.#tree.clock.setTimeout(() => this.kill(), shutdown)
  }

  kill(): void {
    if (this.#phase === 'over') return
    if (this.#phase === 'taking') this.#drain()
    this.#how = 'killed' // the last job given back finishes it, where the broker answers at once
    for (const job of this.#slots.all({ parked: false })) this.#giveBack(job)
    this.#finish()
  }

  send(event: unknown): true | DropReason {
    this.#host.deliver(event as never)
    return true
  }

  decide(): void {} // a worker never throws on an event

  // What its jobs say

  park(job: JobActor, delay: number): void {
    this.#slots.park(job)
    this.#settlement.retry(job, delay)
  }

  lend(job: JobActor, isLent: boolean): void {
    this.#slots.lend(job, isLent)
    if (isLent) this.#wake()
  }

  over(job: JobActor, output: JobOutput): void {
    const wasParked = job.standing === 'parked'
    this.#slots.remove(job)
    this.#settlement.over(job, output, wasParked)
  }

  // Taking jobs

  #wake(): void {
    this.#isMoreDue = true
    this.#pumpSoon()
  }

  #pumpSoon(): void {
    if (this.#isPumpDue || this.#phase !== 'taking') return
    this.#isPumpDue = true
    this.#tree.turn.soon(this.#pumpNow)
  }

  /** Made once: for a function that is written where each job passes, each job pays, whether or not it is needed. */
  readonly #pumpNow = (): void => {
    this.#isPumpDue = false
    runNowhere(() => this.#pump())
  }

  #pump(): void {
    if (this.#phase !== 'taking' || this.#queue.isPaused) return
    if (this.#leasing !== 'no') return void (this.#leasing = 'again')
    const free = this.#definition.concurrency - this.#slots.taken - this.#queue.watching
    const perStep = this.#tree.broker.durable ? JOBS_PER_COMMIT : JOBS_PER_STEP
    const limit = this.#intake.room(Math.min(free, perStep))
    if (limit <= 0) return
    this.#leasing = 'asked'
    whenever(
      () => this.#tree.broker.lease(this.#path, limit),
      (leases) => {
        this.#isMoreDue = leases.length === limit || this.#leasing === 'again'
        this.#leasing = 'no'
        const now = this.#tree.clock.now()
        leases.forEach((lease) => this.#receive(lease, now))
        if (this.#isMoreDue) this.#pumpSoon()
        else if (this.#phase === 'draining') this.#afterJob()
      },
      (error) => {
        this.#leasing = 'no'
        this.#tree.callbackFailed(this.#path, 'broker.lease', error)
        if (this.#phase === 'taking') this.#cancelRetry = this.#tree.sleep(BROKER_AWAY, () => this.#wake())
        else this.#afterJob()
      },
    )
  }

  #receive(lease: LeasedJob, now: number): void {
    if (this.#phase !== 'taking' || this.#queue.isPaused) return this.#settlement.release(lease)
    const unwanted = this.#queue.unwanted.size === 0 ? undefined : this.#queue.unwanted.get(lease.id)
    const isNew = this.#slots.retrying === 0 && this.#tree.broker.leaseTime === Infinity // no other is held still
    const known = isNew ? undefined : this.#slots.find(lease.id)
    if (known !== undefined && known.standing !== 'parked') this.#lost(known) // its lease ran out, and nobody has said so yet
    else if (known !== undefined) {
      if (unwanted === undefined && this.#isNextTry(known, lease)) return this.#goOn(known, lease)
      this.#forget(known) // another process went on with it meanwhile
    }
    if (unwanted !== undefined) this.#settlement.refuse(lease, unwanted.reason)
    else this.#begin(lease, now)
  }

  #isNextTry(job: JobActor, { attempts, generation }: LeasedJob): boolean {
    return job.attempt === attempts && job.lease.generation === generation
  }

  #begin(lease: LeasedJob, now: number): void {
    const slot = this.#slots.take()
    const job = new JobActor(this.#queue, this, lease, slot, now)
    this.#slots.put(job)
    this.#intake.begins()
    this.#isAtWork()
    job.start(this.#host, this.#logic)
  }

  #goOn(job: JobActor, lease: LeasedJob): void {
    this.#slots.unpark(job)
    this.#intake.begins()
    this.#isAtWork()
    job.goOn(lease)
  }

  #isAtWork(): void {
    this.#chart.showWorking()
    this.#leases.begin()
  }

  #afterJob(): void {
    if (this.#phase === 'draining' && this.#isDrained) return this.#finish()
    if (this.#phase !== 'taking') return
    if (this.#isMoreDue) this.#pumpSoon()
    this.#chart.showDrySoon()
  }

  #pauseOrGoOn(): void {
    if (this.#phase !== 'taking') return
    const { isPaused } = this.#queue
    this.#tree.broker.holdOff?.(this.#path, isPaused)
    this.#chart.showPause(isPaused)
    this.#wake()
  }

  // Letting go of jobs

  #forget(job: JobActor): void {
    this.#slots.remove(job)
    job.cutOff(undefined)
  }

  #giveBack(job: JobActor): void {
    this.#slots.remove(job)
    job.cutOff(new SystemStoppedError(this.#tree.name, { job: job.path }))
    this.#settlement.release(job.lease)
  }

  #lost(job: JobActor): void {
    const { path, id, attempt } = job
    if (this.#slots.holds(job)) {
      this.#slots.remove(job)
      job.cutOff(new LeaseLostError(path, this.#tree.broker.leaseTime))
    }
    this.#tree.events.emit('job.lost', { path, id, attempt })
    this.#afterJob()
  }

  // Its end

  get #isDrained(): boolean {
    const isIdle = this.#settlement.isIdle && this.#queue.watching === 0
    return this.#slots.running === 0 && isIdle && this.#leasing === 'no'
  }

  #drain(): void {
    this.#phase = 'draining'
    this.#unwatch?.()
    this.#cancelRetry?.()
    this.#chart.showDraining()
  }

  /** Somebody sent its actor the event `shutdown`: it drains as if stopped, and has then ended by itself. */
  #endItself(): void {
    if (this.#phase !== 'taking') return
    this.#hasEndedItself = true
    this.stop()
  }

  /** Nothing of a task without isolation loads what threads are made of. */
  async #openThreads(isolate: IsolatePolicy): Promise<void> {
    const { Threads } = await import('../isolate/threads.ts')
    if (this.#phase !== 'taking') return
    this.#threads = new Threads({
      task: this.#definition.name,
      isolate,
      size: this.#definition.concurrency,
      floated: (error, job) => this.#queue.floated(error, { ...job, floated: this.#queue.floated }),
      threadFailed: (error) => this.#tree.callbackFailed(this.#path, 'isolate', error),
    })
    await this.#threads.open()
  }

  #failStart(error: unknown): void {
    this.#phase = 'over'
    const [path, generation] = [this.#path, this.#generation]
    const failure = new Failure({ error, path, kind: 'start', at: this.#tree.clock.now(), generation })
    this.#closeThreads(() => this.#reports.didNotStart(failure))
  }

  #closeThreads(then: () => void): void {
    if (this.#threads === undefined) then()
    else void this.#threads.close().then(then)
  }

  #finish(): void {
    if (this.#phase === 'over') return
    this.#phase = 'over'
    for (const job of this.#slots.all({ parked: true })) this.#forget(job) // the broker has them
    this.#leases.end()
    this.#intake.end()
    if (this.#shutdownTimer !== undefined) this.#tree.clock.clearTimeout(this.#shutdownTimer)
    this.#queue.onPause = this.#queue.onWatched = undefined
    this.#queue.holding = undefined
    this.#chart.showStopped()
    this.#closeThreads(() => this.#reportEnd())
  }

  #reportEnd(): void {
    if (this.#hasEndedItself) return this.#reports.ended(undefined)
    this.#tree.counters.actors[this.#how] += 1
    this.#tree.events.emit('actor.stopped', { path: this.#path, generation: this.#generation, how: this.#how })
    this.#reports.down()
  }
}
