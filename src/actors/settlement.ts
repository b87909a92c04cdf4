import type { JobContext, JobOutput } from '../../machines/job.ts'
import type { LeasedJob, Outcome, Settled } from '../brokers/broker.ts'
import type { Failure } from '../failure.ts'
import { copyPayload, type Json } from '../payload.ts'
import type { RunOutcome } from '../run.ts'
import { whenever } from './answer.ts'
import { climb, type JobDecision } from './climb.ts'
import type { JobActor } from './job.ts'
import type { TaskQueue } from './task-queue.ts'
import { tellBroker, tellLater, tellNow, tellValue } from './tell-broker.ts'

type FellBack = Extract<RunOutcome, { status: 'fallback' }>

/** What jobs come to: the broker is told, and once it took that, everybody else. */
export class Settlement {
  readonly #queue: TaskQueue
  readonly #settled: () => void
  readonly #lost: (job: JobActor) => void
  #pending = 0

  /** `settled` is called when one thing less is pending; `lost` when what a job came to was not written. */
  constructor(queue: TaskQueue, settled: () => void, lost: (job: JobActor) => void) {
    this.#queue = queue
    this.#settled = settled
    this.#lost = lost
  }

  /** Whether nothing is on its way to the broker, and nothing is being decided. */
  get isIdle(): boolean {
    return this.#pending === 0
  }

  over(job: JobActor, output: JobOutput, wasParked: boolean): void {
    switch (output.status) {
      case 'done': {
        const { lease } = job
        const [value, attempts] = [output.value as Json, output.attempts]
        const answer = tellValue(this.#queue.tree, lease, value, attempts, undefined)
        if (answer === undefined)
          return this.#settle(job, { kind: 'done', id: lease.id, token: lease.token, value, attempts }, output)
        this.#pending += 1
        return this.#took(job, answer, output)
      }
      case 'fallback':
        return this.#fellBack(job, output as FellBack)
      case 'cancelled':
        if (wasParked) return this.#takeOut(job, output)
        return this.#settle(
          job,
          { kind: 'cancelled', id: job.id, token: job.lease.token, reason: output.reason, attempts: output.attempts },
          output,
        )
      case 'failed':
        return this.#failed(job, output.failure as Failure, output.attempts)
    }
  }

  retry(job: JobActor, delay: number): void {
    const { attempt: attempts, charged, putOffs, failure } = job.context as JobContext
    const { id, token } = job.lease
    this.#settle(job, { kind: 'retry', id, token, delay, failure: failure as Failure, attempts, charged, putOffs })
  }

  /** Gives a job back as if it had not been taken. */
  release(lease: LeasedJob): void {
    this.#tell({ kind: 'release', id: lease.id, token: lease.token }, () => {})
  }

  /** Ends a job that was given up before this process was given it. */
  refuse(lease: LeasedJob, reason: unknown): void {
    const { id, attempts } = lease
    this.#tell({ kind: 'cancelled', id: lease.id, token: lease.token, reason, attempts }, (answer) => {
      if (answer === 'settled') this.#queue.settle(id, { status: 'cancelled', reason, attempts })
    })
  }

  #fellBack(job: JobActor, outcome: FellBack): void {
    const { lease } = job
    const { failure, attempts } = outcome
    const value = outcome.value as Json
    const answer = tellValue(this.#queue.tree, lease, value, attempts, failure)
    if (answer === undefined)
      return this.#settle(
        job,
        { kind: 'fallback', id: lease.id, token: lease.token, value, failure, attempts },
        outcome,
      )
    this.#pending += 1
    this.#took(job, answer, outcome)
  }

  /** A job that waits for its next attempt is the broker's: it is cancelled there. */
  #takeOut(job: JobActor, { reason, attempts }: Extract<JobOutput, { status: 'cancelled' }>): void {
    const { tree } = this.#queue
    const { id } = job
    this.#pending += 1
    whenever(
      () => tree.broker.cancel(id, reason),
      (answer) => {
        if (answer === 'leased') this.#queue.unwanted.set(id, { reason })
        else if (answer === 'finished') this.#queue.settleFromRecord(id)
        else this.#queue.settle(id, { status: 'cancelled', reason, attempts }, job)
        this.#done()
      },
      (error) => {
        tree.callbackFailed(this.#queue.path, 'broker.cancel', error)
        this.#queue.unwanted.set(id, { reason })
        this.#done()
      },
    )
  }

  /** The failure climbs; what is decided above makes the outcome. */
  #failed(job: JobActor, failure: Failure, attempts: number): void {
    const { tree, level } = this.#queue
    this.#pending += 1 // a `catch` may stop the worker
    const note = `the job stays failed; dead letter ${job.id}`
    const decision = this.#checkValue(job, climb(failure, job.lease, level, note))
    tree.report(failure, decision.decision === 'stay' ? decision.name : nameOf[decision.decision])
    switch (decision.decision) {
      case 'stay':
        this.#settle(
          job,
          { kind: 'failed', id: job.id, token: job.lease.token, failure, attempts },
          { status: 'failed', failure, attempts },
        )
        if (decision.stopsSystem) tree.stopBecause(failure)
        break
      case 'value':
        this.#fellBack(job, { status: 'fallback', value: decision.value, failure, attempts })
        break
      case 'restart':
        this.#restart(job, failure, decision)
    }
    this.#done()
  }

  #restart(job: JobActor, failure: Failure, decision: Extract<JobDecision, { decision: 'restart' }>): void {
    const { tree } = this.#queue
    const { path, id, lease } = job
    const { delay, by, count } = decision
    const generation = lease.generation + 1
    // Without a prototype: a path may be called `constructor`.
    const restarts = Object.assign(Object.create(null) as Record<string, number>, lease.restarts, { [by]: count })
    this.#tell(
      { kind: 'restart', id: lease.id, token: lease.token, delay, failure, generation, restarts },
      (answer) => {
        if (answer === 'lost') return this.#lost(job)
        tree.counters.jobs.restarted += 1
        tree.events.emit('job.restarted', { path, id, attempt: 0, generation })
      },
    )
  }

  /** A value that a `catch` gave must be one a broker can keep. */
  #checkValue(job: JobActor, decision: JobDecision): JobDecision {
    if (decision.decision !== 'value') return decision
    try {
      const what = `value of resume() for ${job.path}`
      return { decision: 'value', value: copyPayload(what, decision.value, job.task.maxPayload) }
    } catch (error) {
      this.#queue.tree.callbackFailed(job.path, 'catch', error)
      return { decision: 'stay', stopsSystem: false, name: 'resume' }
    }
  }

  #settle(job: JobActor, outcome: Outcome, then?: RunOutcome): void {
    this.#pending += 1
    const { tree } = this.#queue
    const answer = tellNow(tree, outcome)
    if (typeof answer === 'string') return this.#took(job, answer, then)
    tellLater(tree, job.path, outcome, answer, (later) => this.#took(job, later, then))
  }

  #took(job: JobActor, answer: Settled, then: RunOutcome | undefined): void {
    if (answer === 'lost') this.#lost(job)
    else if (then !== undefined) this.#queue.settle(job.id, then, job)
    this.#done()
  }

  #tell(outcome: Outcome, then: (answer: Settled) => void): void {
    this.#pending += 1
    tellBroker(this.#queue.tree, this.#queue.jobPath(outcome.id), outcome, (answer) => {
      then(answer)
      this.#done()
    })
  }

  #done(): void {
    this.#pending -= 1
    this.#settled()
  }
}

const nameOf = { value: 'resume', restart: 'restart' } as const
