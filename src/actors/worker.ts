import type { AnyActorLogic, AnyActorRef } from 'xstate'
import { jobMachine, type JobContext, type JobEvent, type JobOutput } from '../../machines/job.ts'
import { workerMachine } from '../../machines/worker.ts'
import type { LeasedJob, Outcome, Settled } from '../brokers/broker.ts'
import { LeaseLostError, SystemStoppedError } from '../errors.ts'
import type { DropReason } from '../events.ts'
import type { Failure } from '../failure.ts'
import { copyPayload } from '../payload.ts'
import type { RunOutcome } from '../run.ts'
import type { AnyTask } from '../task.ts'
import { Host, toChartLogic } from './chart.ts'
import { climb, type JobDecision, type Level } from './climb.ts'
import { runAsNobody } from './floating.ts'
import type { Incarnation } from './incarnation.ts'
import type { Place, Reports } from './reports.ts'
import { jobEffects, JobActor, type Holder } from './job.ts'
import { TaskQueue, whenever } from './task-queue.ts'
import type { Tree } from './tree.ts'

type OutcomeKind = Outcome extends infer Each ? (Each extends Outcome ? Omit<Each, 'id' | 'token'> : never) : never

/** One life of a task's worker: takes jobs from the broker, as many at once as it has slots. */
export class WorkerIncarnation implements Incarnation, Holder {
  readonly #definition: AnyTask
  readonly #tree: Tree
  readonly #path: string
  readonly #generation: number
  readonly #reports: Reports
  readonly #host: Host
  readonly #queue: TaskQueue
  readonly #logic: AnyActorLogic
  /** Jobs by slot, those that wait for a retry included; ids of actors come from here, so that they are few. */
  readonly #slots: (JobActor | undefined)[] = []
  readonly #freeSlots: number[] = []
  readonly #parked = new Map<string, JobActor>()
  #running = 0
  #phase: 'taking' | 'draining' | 'over' = 'taking'
  #shows: 'idle' | 'working' | 'paused' = 'idle'
  #isPumpDue = false
  #dryCheck: NodeJS.Immediate | undefined
  #timer: unknown
  #extendTimer: unknown
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

  start(): void {
    this.#host.start()
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
    if (this.#running === 0) return this.#finish('stopped')
    if (shutdown !== Infinity) this.#timer = this.#tree.clock.setTimeout(() => this.kill(), shutdown)
  }

  kill(): void {
    if (this.#phase === 'over') return
    if (this.#phase === 'taking') this.#drain()
    for (const job of this.#slots) if (job !== undefined && !job.isParked) this.#cutOff(job)
    this.#finish('killed')
  }

  send(event: unknown): true | DropReason {
    this.#host.send(event as never)
    return true
  }

  decide(): void {} // a worker never throws on an event

  // What its jobs say

  park(job: JobActor, delay: number): void {
    const { attempt, charged, putOffs, failure } = job.context as JobContext
    this.#parked.set(job.id, job)
    this.#running -= 1
    this.#settle(
      job,
      { kind: 'retry', delay, failure: failure as Failure, attempts: attempt, charged, putOffs },
      () => {},
    )
    this.#afterJob()
  }

  over(job: JobActor, output: JobOutput): void {
    const wasParked = this.#parked.delete(job.id)
    this.#free(job)
    if (!wasParked) this.#running -= 1
    const { attempts } = output
    switch (output.status) {
      case 'done': {
        const { value, answeredBy } = output
        const outcome = { status: 'done', value, attempts, ...(answeredBy !== undefined && { answeredBy }) } as const
        this.#settle(job, { kind: 'done', value: value as never, attempts }, () => this.#queue.settle(job.id, outcome))
        break
      }
      case 'fallback': {
        const { value } = output
        const failure = output.failure as Failure
        this.#settle(job, { kind: 'fallback', value: value as never, failure, attempts }, () =>
          this.#queue.settle(job.id, { status: 'fallback', value, failure, attempts }),
        )
        break
      }
      case 'cancelled':
        this.#cancelled(job, { status: 'cancelled', reason: output.reason, attempts }, wasParked)
        break
      case 'failed':
        this.#failed(job, output.failure as Failure, attempts)
    }
    this.#afterJob()
  }

  #cancelled(job: JobActor, outcome: RunOutcome & { readonly reason: unknown }, wasParked: boolean): void {
    const { reason, attempts } = outcome
    const tell = (): void => this.#queue.settle(job.id, outcome)
    if (wasParked) whenever(this.#tree.broker.cancel(job.id, reason), tell)
    else this.#settle(job, { kind: 'cancelled', reason, attempts }, tell)
  }

  /** The failure climbs; what is decided above makes the outcome. */
  #failed(job: JobActor, failure: Failure, attempts: number): void {
    const note = `the job stays failed; dead letter ${job.id}`
    const decision = this.#checkValue(job, climb(failure, job.lease, this.#queue.level, note))
    switch (decision.decision) {
      case 'stay':
        this.#tree.report(failure, decision.name)
        this.#settle(job, { kind: 'failed', failure, attempts }, () => {
          this.#queue.settle(job.id, { status: 'failed', failure, attempts })
          if (decision.stopsSystem) this.#tree.stopBecause(failure)
        })
        return
      case 'value': {
        const { value } = decision
        this.#tree.report(failure, 'resume')
        this.#settle(job, { kind: 'fallback', value: value as never, failure, attempts }, () =>
          this.#queue.settle(job.id, { status: 'fallback', value, failure, attempts }),
        )
        return
      }
      case 'restart': {
        this.#tree.report(failure, 'restart')
        const { delay, by, count } = decision
        const generation = job.lease.generation + 1
        const restarts = { ...job.lease.restarts, [by]: count }
        this.#settle(job, { kind: 'restart', delay, failure, generation, restarts }, () => {
          this.#tree.counters.jobs.restarted += 1
          this.#tree.events.emit('job.restarted', { path: job.path, id: job.id, attempt: 0, generation })
        })
      }
    }
  }

  /** A value that a `catch` gave must be one a broker can keep. */
  #checkValue(job: JobActor, decision: JobDecision): JobDecision {
    if (decision.decision !== 'value') return decision
    try {
      const what = `value of resume() for ${job.path}`
      return { decision: 'value', value: copyPayload(what, decision.value, this.#definition.maxPayload) }
    } catch (error) {
      this.#tree.callbackFailed(job.path, 'catch', error)
      return { decision: 'stay', stopsSystem: false, name: 'resume' }
    }
  }

  #settle(job: JobActor, outcome: OutcomeKind, then: () => void): void {
    const { id, token } = job.lease
    whenever(this.#tree.broker.settle([{ ...outcome, id, token } as Outcome]), ([settled]) => {
      if (settled === 'settled') then()
    })
  }

  // Taking jobs

  #wake(): void {
    if (this.#isPumpDue || this.#phase !== 'taking') return
    this.#isPumpDue = true
    this.#tree.soon(() => {
      this.#isPumpDue = false
      runAsNobody(() => this.#pump())
    })
  }

  #pump(): void {
    const free = this.#definition.concurrency - this.#running
    if (this.#phase !== 'taking' || this.#queue.isPaused || free <= 0) return
    whenever(this.#tree.broker.lease(this.#path, free), (leases) => {
      for (const lease of leases) this.#take(lease)
      if (leases.length === free) this.#wake()
    })
  }

  #take(lease: LeasedJob): void {
    this.#tree.countJob()
    this.#running += 1
    this.#showWorking()
    this.#extendSoon()
    const parked = this.#parked.get(lease.id)
    if (parked !== undefined) {
      this.#parked.delete(lease.id)
      if (parked.attempt === lease.attempts) return parked.goOn(lease)
      this.#dropParked(parked) // another process went on with it meanwhile
    }
    const slot = this.#freeSlots.pop() ?? this.#slots.length
    const job = new JobActor(this.#queue, this, lease, slot)
    this.#slots[slot] = job
    this.#queue.live.set(job.id, job)
    // The chart may reach its end before `startChart` gives it back; then there is nothing left to send to.
    job.chart = this.#host.startChart<JobEvent, JobOutput>(this.#logic, `job:${slot}`, job.input, (output) =>
      job.onOutput(output),
    )
  }

  #afterJob(): void {
    if (this.#phase === 'draining' && this.#running === 0) return this.#finish('stopped')
    this.#wake()
    if (this.#running === 0 && this.#dryCheck === undefined) {
      this.#dryCheck = setImmediate(() => {
        this.#dryCheck = undefined
        this.#showDry()
      })
    }
  }

  #free(job: JobActor): void {
    this.#slots[job.slot] = undefined
    this.#freeSlots.push(job.slot)
    this.#queue.live.delete(job.id)
  }

  #dropParked(job: JobActor): void {
    this.#free(job)
    job.chart?.stop()
  }

  #cutOff(job: JobActor): void {
    this.#running -= 1
    this.#free(job)
    job.cutOff(new SystemStoppedError(this.#tree.name, { job: job.path }))
    this.#settle(job, { kind: 'release' }, () => {})
  }

  // Leases

  #extendSoon(): void {
    const { leaseTime } = this.#tree.broker
    if (leaseTime === Infinity || this.#extendTimer !== undefined) return
    this.#extendTimer = this.#tree.clock.setTimeout(() => {
      this.#extendTimer = undefined
      this.#extend()
    }, leaseTime / 3)
  }

  #extend(): void {
    const held = this.#slots.filter((job) => job !== undefined && !job.isParked) as JobActor[]
    if (held.length === 0) return
    whenever(this.#tree.broker.extend(held.map(({ lease: { id, token } }) => ({ id, token }))), (answers) =>
      answers.forEach((answer, index) => this.#extended(held[index] as JobActor, answer)),
    )
    this.#extendSoon()
  }

  #extended(job: JobActor, answer: Settled): void {
    if (answer === 'settled' || this.#slots[job.slot] !== job || job.isParked) return
    this.#running -= 1
    this.#free(job)
    job.cutOff(new LeaseLostError(job.path, this.#tree.broker.leaseTime))
    const { path, id, attempt } = job
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

  #drain(): void {
    this.#phase = 'draining'
    this.#unwatch?.()
    this.#host.send({ type: 'shutdown' })
  }

  /** Somebody sent its actor the event `shutdown`: it drains as if stopped, and has then ended by itself. */
  #endItself(): void {
    if (this.#phase !== 'taking') return
    this.#hasEndedItself = true
    this.stop()
  }

  #hasEndedItself = false

  #finish(how: 'stopped' | 'killed'): void {
    if (this.#phase === 'over') return
    this.#phase = 'over'
    for (const job of this.#parked.values()) this.#dropParked(job)
    this.#parked.clear()
    for (const timer of [this.#timer, this.#extendTimer]) if (timer !== undefined) this.#tree.clock.clearTimeout(timer)
    if (this.#dryCheck !== undefined) clearImmediate(this.#dryCheck)
    this.#queue.onPause = undefined
    this.#host.send({ type: 'drained' })
    if (this.#hasEndedItself) return this.#reports.ended(undefined)
    this.#tree.counters.actors[how] += 1
    this.#tree.events.emit('actor.stopped', { path: this.#path, generation: this.#generation, how })
    this.#reports.down()
  }
}
