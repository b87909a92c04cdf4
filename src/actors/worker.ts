import type { AnyActorLogic, AnyActorRef } from 'xstate'
import { jobMachine, type JobContext, type JobEvent, type JobOutput } from '../../machines/job.ts'
import { workerMachine } from '../../machines/worker.ts'
import type { LeasedJob } from '../brokers/broker.ts'
import { LeaseLostError, SystemStoppedError } from '../errors.ts'
import type { DropReason } from '../events.ts'
import type { AnyTask } from '../task.ts'
import { whenever } from './answer.ts'
import { Host, toChartLogic } from './chart.ts'
import type { Level } from './climb.ts'
import { runAsNobody } from './floating.ts'
import type { Incarnation } from './incarnation.ts'
import { jobEffects, JobActor, type Holder } from './job.ts'
import { Leases } from './leases.ts'
import type { Place, Reports } from './reports.ts'
import { Settlement } from './settlement.ts'
import { TaskQueue, type Holding } from './task-queue.ts'
import type { Tree } from './tree.ts'
import { JOBS_PER_STEP } from './turn.ts'

const BROKER_AWAY = 1_000

/** One life of a task's worker: takes jobs from the broker, as many at once as it has slots. */
export class WorkerIncarnation implements Incarnation, Holder, Holding {
  readonly #definition: AnyTask
  readonly #tree: Tree
  readonly #path: string
  readonly #generation: number
  readonly #reports: Reports
  readonly #host: Host
  readonly #queue: TaskQueue
  readonly #settlement: Settlement
  readonly #leases: Leases
  readonly #logic: AnyActorLogic
  /** Jobs by slot, those that wait for a retry included; ids of actors come from here, so that they are few. */
  readonly #slots: (JobActor | undefined)[] = []
  readonly #freeSlots: number[] = []
  #running = 0
  #retrying = 0
  #phase: 'taking' | 'draining' | 'over' = 'taking'
  #hasEndedItself = false
  #shows: 'idle' | 'working' | 'paused' = 'idle'
  #isPumpDue = false
  /** The broker was asked and has not answered; `again` if a job became due meanwhile. */
  #leasing: 'no' | 'asked' | 'again' = 'no'
  #dryCheck: NodeJS.Immediate | undefined
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
      () => this.#slots.filter((job) => job !== undefined && !job.isParked) as JobActor[],
      (job) => this.#lost(job),
    )
    const input = { path: this.#path, concurrency: definition.concurrency }
    this.#host = new Host(workerMachine, { parent: place.host, id: definition.name, input }, () => this.#endItself())
    this.#logic = toChartLogic<JobContext, JobEvent>(
      jobMachine,
      jobEffects((slot) => this.#slots[slot] as JobActor),
    )
  }

  get actor(): AnyActorRef {
    return this.#host.ref
  }

  get running(): number {
    return this.#running
  }

  get retrying(): number {
    return this.#retrying
  }

  start(): void {
    this.#host.start()
    this.#queue.holding = this
    this.#queue.onPause = () => this.#showPause()
    this.#unwatch = this.#tree.broker.watch(this.#path, () => this.#wake())
    this.#reports.ready()
    if (this.#queue.isPaused) this.#showPause()
    this.#wake()
  }

  /** Drains: takes nothing more, and lets what runs run on for a while. */
  stop(): void {
    const { shutdown } = this.#definition.child
    if (shutdown === 'kill') return this.kill()
    if (this.#phase !== 'taking') return
    this.#drain()
    if (this.#isDrained) return this.#finish('stopped')
    if (shutdown !== Infinity) this.#shutdownTimer = this.#tree.clock.setTimeout(() => this.kill(), shutdown)
  }

  kill(): void {
    if (this.#phase === 'over') return
    if (this.#phase === 'taking') this.#drain()
    for (const job of this.#slots) if (job !== undefined && !job.isParked) this.#giveBack(job)
    this.#finish('killed')
  }

  send(event: unknown): true | DropReason {
    this.#host.send(event as never)
    return true
  }

  decide(): void {} // a worker never throws on an event

  // What its jobs say

  park(job: JobActor, delay: number): void {
    job.isParked = true
    this.#running -= 1
    this.#retrying += 1
    this.#settlement.retry(job, delay)
  }

  over(job: JobActor, output: JobOutput): void {
    const wasParked = job.isParked
    this.#free(job)
    this.#settlement.over(job, output, wasParked)
  }

  // Taking jobs

  #wake(): void {
    if (this.#isPumpDue || this.#phase !== 'taking') return
    this.#isPumpDue = true
    this.#tree.turn.soon(() => {
      this.#isPumpDue = false
      runAsNobody(() => this.#pump())
    })
  }

  #pump(): void {
    const limit = Math.min(this.#definition.concurrency - this.#running, JOBS_PER_STEP)
    if (this.#phase !== 'taking' || this.#queue.isPaused || limit <= 0) return
    if (this.#leasing !== 'no') return void (this.#leasing = 'again')
    this.#leasing = 'asked'
    whenever(
      () => this.#tree.broker.lease(this.#path, limit),
      (leases) => {
        const isMoreDue = leases.length === limit || this.#leasing === 'again'
        this.#leasing = 'no'
        for (const lease of leases) this.#receive(lease)
        if (isMoreDue) this.#wake()
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

  #receive(lease: LeasedJob): void {
    if (this.#phase !== 'taking' || this.#queue.isPaused) return this.#settlement.release(lease)
    const unwanted = this.#queue.unwanted.size === 0 ? undefined : this.#queue.unwanted.get(lease.id)
    const known = this.#queue.live.get(lease.id) as JobActor | undefined
    if (known?.isParked === false) this.#lost(known) // its lease ran out, and nobody has said so yet
    else if (known !== undefined) {
      if (unwanted === undefined && this.#isNextTry(known, lease)) return this.#goOn(known, lease)
      this.#forget(known) // another process went on with it meanwhile
    }
    if (unwanted !== undefined) this.#settlement.refuse(lease, unwanted.reason)
    else this.#begin(lease)
  }

  #isNextTry(job: JobActor, { attempts, generation }: LeasedJob): boolean {
    return job.attempt === attempts && job.lease.generation === generation
  }

  #begin(lease: LeasedJob): void {
    this.#isAtWork()
    const slot = this.#freeSlots.pop() ?? this.#slots.length
    const job = new JobActor(this.#queue, this, lease, slot)
    this.#slots[slot] = job
    this.#queue.live.set(job.id, job)
    job.start((onOutput) => this.#host.startChart(this.#logic, `job:${slot}`, job.input, onOutput))
  }

  #goOn(job: JobActor, lease: LeasedJob): void {
    this.#isAtWork()
    this.#retrying -= 1
    job.goOn(lease)
  }

  #isAtWork(): void {
    this.#running += 1
    this.#showWorking()
    this.#leases.begin()
  }

  #afterJob(): void {
    if (this.#phase === 'draining' && this.#isDrained) return this.#finish('stopped')
    if (this.#phase !== 'taking') return
    this.#wake()
    if (this.#running > 0 || this.#dryCheck !== undefined) return
    this.#dryCheck = setImmediate(() => {
      this.#dryCheck = undefined
      this.#showDry()
    })
  }

  // Letting go of jobs

  #free(job: JobActor): void {
    if (job.isParked) this.#retrying -= 1
    else this.#running -= 1
    this.#slots[job.slot] = undefined
    this.#freeSlots.push(job.slot)
    if (this.#queue.live.get(job.id) === job) this.#queue.live.delete(job.id)
  }

  #forget(job: JobActor): void {
    this.#free(job)
    job.cutOff(undefined)
  }

  #giveBack(job: JobActor): void {
    this.#free(job)
    job.cutOff(new SystemStoppedError(this.#tree.name, { job: job.path }))
    this.#settlement.release(job.lease)
  }

  #lost(job: JobActor): void {
    const { path, id, attempt } = job
    if (this.#slots[job.slot] === job) {
      this.#free(job)
      job.cutOff(new LeaseLostError(path, this.#tree.broker.leaseTime))
    }
    this.#tree.events.emit('job.lost', { path, id, attempt })
    this.#afterJob()
  }

  // Its own chart

  #showWorking(): void {
    if (this.#shows !== 'idle') return
    this.#shows = 'working'
    this.#host.send({ type: 'took' })
  }

  #showDry(): void {
    if (this.#shows !== 'working' || this.#running > 0 || this.#phase !== 'taking') return
    this.#shows = 'idle'
    this.#host.send({ type: 'ran dry' })
  }

  #showPause(): void {
    if (this.#phase !== 'taking') return
    const { isPaused } = this.#queue
    if (isPaused === (this.#shows === 'paused')) return
    this.#shows = isPaused ? 'paused' : 'idle'
    this.#host.send({ type: isPaused ? 'pause' : 'unpause' })
    if (isPaused) return
    if (this.#running > 0) this.#showWorking()
    this.#wake()
  }

  // Its end

  get #isDrained(): boolean {
    return this.#running === 0 && this.#settlement.isIdle && this.#leasing === 'no'
  }

  #drain(): void {
    this.#phase = 'draining'
    this.#unwatch?.()
    this.#cancelRetry?.()
    this.#host.send({ type: 'shutdown' })
  }

  /** Somebody sent its actor the event `shutdown`: it drains as if stopped, and has then ended by itself. */
  #endItself(): void {
    if (this.#phase !== 'taking') return
    this.#hasEndedItself = true
    this.stop()
  }

  #finish(how: 'stopped' | 'killed'): void {
    if (this.#phase === 'over') return
    this.#phase = 'over'
    for (const job of this.#slots) if (job !== undefined) this.#forget(job) // they wait for a retry: the broker has them
    this.#leases.end()
    if (this.#shutdownTimer !== undefined) this.#tree.clock.clearTimeout(this.#shutdownTimer)
    clearImmediate(this.#dryCheck)
    this.#queue.onPause = undefined
    this.#queue.holding = undefined
    this.#host.send({ type: 'drained' })
    if (this.#hasEndedItself) return this.#reports.ended(undefined)
    this.#tree.counters.actors[how] += 1
    this.#tree.events.emit('actor.stopped', { path: this.#path, generation: this.#generation, how })
    this.#reports.down()
  }
}
