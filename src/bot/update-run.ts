import type { Update } from 'grammy/types'
import type { WebhookReplyEnvelope } from 'grammy'
import type { JobActor } from '../actors/job.ts'
import type { LeasedJob } from '../brokers/broker.ts'
import type { Failure } from '../failure.ts'
import type { RunOutcome } from '../run.ts'
import type { Entry } from './lanes.ts'
import type { Journey, Pass, PassHost } from './pass.ts'

/** What a run asks of what runs it. */
export interface RunOwner {
  readonly path: string
  failureOf(run: UpdateRun, journey: Journey): Failure
  handled(failure: Failure): void
}

/** How an update came, and who is told what became of it. */
export interface Arrival {
  readonly envelope?: WebhookReplyEnvelope | undefined
  /** The broker has a record of it. */
  readonly isKept?: boolean
  /** Its caller is its last boundary: told the `BotError`, and `bot.catch` is not asked. */
  readonly caller?: { resolve(): void; reject(error: unknown): void }
  /** It waits for no lane and no slot. */
  readonly isDirect?: boolean
  /** Why its lanes are not known. */
  readonly laneError?: { readonly error: unknown } | undefined
  readonly over?: (outcome: RunOutcome) => void
}

/** One update from its admission to its end, over all its incarnations in this process. */
export class UpdateRun implements Entry, PassHost {
  readonly update: Update
  readonly lanes: readonly string[]
  readonly arrival: Arrival
  before = 0
  turn = 0
  lease: LeasedJob
  job: JobActor | undefined
  /** Of the latest attempt. */
  pass: Pass | undefined
  /** It waits for an attempt, or for its next incarnation. */
  isParked = false
  /** Ends that wait, where it is ours. */
  cancelWait: (() => void) | undefined
  readonly #owner: RunOwner

  constructor(owner: RunOwner, update: Update, lease: LeasedJob, lanes: readonly string[], arrival: Arrival) {
    this.#owner = owner
    this.update = update
    this.lease = lease
    this.lanes = lanes
    this.arrival = arrival
  }

  get path(): string {
    return this.#owner.path
  }

  get restarts(): Readonly<Record<string, number>> {
    return this.lease.restarts
  }

  failureOf(journey: Journey): Failure {
    return this.#owner.failureOf(this, journey)
  }

  handled(failure: Failure): void {
    this.#owner.handled(failure)
  }
}
