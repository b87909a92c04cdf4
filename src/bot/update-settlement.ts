import { BotError, type Context } from 'grammy'
import { whenever } from '../actors/answer.ts'
import type { JobDecision } from '../actors/climb.ts'
import { answerFor } from '../actors/floating.ts'
import type { JobActor } from '../actors/job.ts'
import { announce } from '../actors/outcome.ts'
import type { Outcome } from '../brokers/broker.ts'
import { tellBroker, type Kept } from '../actors/tell-broker.ts'
import { addToTrail, type Failure } from '../failure.ts'
import { copyPayload, type Json } from '../payload.ts'
import type { RunOutcome } from '../run.ts'
import { askLast, STAYS, type Judgement, type LastBoundary } from './last-boundary.ts'
import { whatLeft } from './update-failure.ts'
import type { UpdateRun } from './update-run.ts'

/** What settling needs of the updates. */
export interface SettlementHost {
  readonly boundary: LastBoundary
  /** Whether a dead update stays dead when it comes by a webhook once more. */
  readonly isRetried: boolean
  readonly maxPayload: number
  jobPath(id: string): string
  /** It is over: its place, its slot and its lanes are free. */
  leaves(run: UpdateRun): void
  /** It begins anew, after so many ms if the broker does not say when. */
  restarts(run: UpdateRun, delay: number): void
  /** The broker wrote what became of one that it has a record of. */
  written(): void
  /** The broker does not have it any more. */
  lost(run: UpdateRun): void
}

/** What updates come to, and who is told. */
export class UpdateSettlement {
  readonly #host: SettlementHost

  constructor(host: SettlementHost) {
    this.#host = host
  }

  /** What is decided about it makes the outcome. */
  async failed(run: UpdateRun, failure: Failure, attempts: number): Promise<void> {
    const { boundary } = this.#host
    const { tree, path } = boundary
    const decided = run.pass?.decided
    const { caller } = run.arrival
    if (decided?.decision === 'restart') {
      tree.report(failure, 'restart')
      return this.#restart(run, failure, { delay: 0, by: decided.by, count: decided.count })
    }
    const left = whatLeft(run, failure)
    if (decided?.decision === 'stop' || caller !== undefined) {
      if (decided === undefined) addToTrail(failure, { path, decision: 'stop', by: 'caller' })
      tree.report(failure, 'stop')
      return this.settle(run, { status: 'failed', failure, attempts }, left)
    }
    const judged = left instanceof BotError ? await this.#ask(run, failure, left) : this.#withoutContext(failure)
    this.#apply(run, judged.failure, attempts, this.#checkValue(run, judged.decision))
  }

  settle(run: UpdateRun, outcome: RunOutcome, left?: unknown): void {
    this.#host.leaves(run)
    const { isKept, caller } = run.arrival
    if (isKept === true) {
      return this.tell(run, brokerOutcome(outcome), () => this.#tellAll(run, outcome, left, true))
    }
    const dies = outcome.status === 'failed' && (caller === undefined || this.#host.isRetried)
    if (!dies) return this.#tellAll(run, outcome, left, false)
    this.#bury(run, outcome.failure, (isDead) => this.#tellAll(run, outcome, left, isDead))
  }

  /** Of one that the broker has a record of. */
  tell(run: UpdateRun, outcome: Kept, then: () => void): void {
    const { id, token } = run.lease
    const told = { ...outcome, id, token } as Outcome
    tellBroker(this.#host.boundary.tree, this.#host.jobPath(id), told, (answer) => {
      if (answer === 'lost') return this.#host.lost(run)
      then()
      this.#host.written()
    })
  }

  #ask(run: UpdateRun, failure: Failure, left: BotError<Context>): Promise<Judgement> {
    const note = `the update stays failed; dead letter ${run.lease.id}`
    return askLast(this.#host.boundary, failure, left, run.lease.restarts, run.job?.hooked.origin, note)
  }

  /** No middleware ever ran: that is nothing to ask `bot.catch` about. */
  #withoutContext(failure: Failure): Judgement {
    addToTrail(failure, { path: this.#host.boundary.path, decision: 'resume', by: 'default' })
    return { decision: STAYS, failure }
  }

  /** A value that a `catch` gave must be one that a broker can keep. */
  #checkValue({ lease }: UpdateRun, decision: JobDecision): JobDecision {
    if (decision.decision !== 'value') return decision
    const path = this.#host.jobPath(lease.id)
    try {
      const value = copyPayload(`value of resume() for ${path}`, decision.value, this.#host.maxPayload)
      return { decision: 'value', value }
    } catch (error) {
      this.#host.boundary.tree.callbackFailed(path, 'catch', error)
      return STAYS
    }
  }

  #apply(run: UpdateRun, failure: Failure, attempts: number, decision: JobDecision): void {
    const { tree } = this.#host.boundary
    switch (decision.decision) {
      case 'restart':
        tree.report(failure, 'restart')
        return this.#restart(run, failure, decision)
      case 'value':
        tree.report(failure, 'resume')
        return this.settle(run, { status: 'fallback', value: decision.value, failure, attempts })
      case 'stay':
        tree.report(failure, decision.name)
        this.settle(run, { status: 'failed', failure, attempts })
        if (decision.stopsSystem) tree.stopBecause(failure)
    }
  }

  #restart(
    run: UpdateRun,
    failure: Failure,
    { delay, by, count }: { readonly delay: number; readonly by: string; readonly count: number },
  ): void {
    const { tree } = this.#host.boundary
    const { lease, job } = run
    const { path } = job as JobActor
    const generation = lease.generation + 1
    // Without a prototype: a path may be called `constructor`.
    const restarts = Object.assign(Object.create(null) as Record<string, number>, lease.restarts, { [by]: count })
    const restarted = (): void => {
      tree.counters.jobs.restarted += 1
      tree.events.emit('job.restarted', { path, id: lease.id, attempt: 0, generation })
    }
    if (run.arrival.isKept === true) {
      this.#host.restarts(run, delay)
      return this.tell(run, { kind: 'restart', delay, failure, generation, restarts }, restarted)
    }
    run.lease = { ...lease, attempts: 0, charged: 0, putOffs: 0, generation, restarts }
    this.#host.restarts(run, delay)
    restarted()
  }

  #bury({ lease }: UpdateRun, failure: Failure, then: (isDead: boolean) => void): void {
    const { tree } = this.#host.boundary
    const { id, queue, idempotencyKey } = lease
    whenever(
      () => {
        const input = copyPayload('update', lease.input, Infinity)
        const job = { id, queue, input, idempotencyKey, priority: 0, delay: 0, lane: undefined, dedupe: undefined }
        return tree.broker.bury(job, failure)
      },
      () => then(true),
      (error) => {
        tree.callbackFailed(this.#host.jobPath(id), 'broker.bury', error)
        then(false)
      },
    )
  }

  /** First the event, then the inbox, then hooks, then who waits. */
  #tellAll(run: UpdateRun, outcome: RunOutcome, left: unknown, isDead: boolean): void {
    const { job, lease, arrival } = run
    const { id } = lease
    announce(this.#host.boundary.tree, job?.path ?? this.#host.jobPath(id), id, outcome, isDead)
    arrival.over?.(outcome)
    const told = job?.tellHooks(outcome)
    if (told === undefined) this.#tellWaiting(run, outcome, left)
    else void told.then(() => this.#tellWaiting(run, outcome, left))
  }

  #tellWaiting(run: UpdateRun, outcome: RunOutcome, left: unknown): void {
    const { lease, arrival } = run
    const { runs } = this.#host.boundary.tree
    if (runs.size > 0) runs.settle(lease.id, outcome)
    const { caller } = arrival
    if (caller === undefined) return
    if (outcome.status !== 'failed') return caller.resolve()
    if (left instanceof BotError) {
      answerFor(left, () => this.#unclaimed(run, outcome.failure, left))
    }
    caller.reject(left)
  }

  /** Its caller did not take the error: it goes where that of a polled update would. */
  async #unclaimed({ lease }: UpdateRun, failure: Failure, left: BotError<Context>): Promise<void> {
    const { boundary } = this.#host
    const judged = await askLast(boundary, failure, left, lease.restarts, undefined, 'it was late')
    const { decision } = judged
    if (decision.decision === 'stay' && decision.stopsSystem) boundary.tree.stopBecause(judged.failure)
  }
}

function brokerOutcome(outcome: RunOutcome): Kept {
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
