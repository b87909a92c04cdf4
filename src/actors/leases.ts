import type { LeasedJob, Settled } from '../brokers/broker.ts'
import { whenever } from './answer.ts'
import type { Tree } from './tree.ts'

/** A job that is held. */
interface Held {
  readonly id: string
  readonly lease: LeasedJob
}

/** Keeps the leases of one worker alive, where leases end. */
export class Leases<Job extends Held> {
  readonly #tree: Tree
  readonly #held: () => readonly Job[]
  readonly #lost: (job: Job) => void
  #timer: unknown

  constructor(tree: Tree, held: () => readonly Job[], lost: (job: Job) => void) {
    this.#tree = tree
    this.#held = held
    this.#lost = lost
  }

  /** A job was taken. */
  begin(): void {
    const { leaseTime } = this.#tree.broker
    if (leaseTime === Infinity || this.#timer !== undefined) return
    this.#timer = this.#tree.clock.setTimeout(() => {
      this.#timer = undefined
      this.#extend()
    }, leaseTime / 3)
  }

  end(): void {
    if (this.#timer !== undefined) this.#tree.clock.clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #extend(): void {
    const { broker } = this.#tree
    const held = this.#held().map((job) => ({ job, id: job.id, token: job.lease.token }))
    if (held.length === 0) return
    const judge = (answers: readonly Settled[]): void =>
      answers.forEach((answer, index) => {
        const { job, token } = held[index] as (typeof held)[number]
        if (answer === 'lost' && job.lease.token === token) this.#lost(job)
      })
    whenever(
      () => broker.extend(held.map(({ id, token }) => ({ id, token }))),
      judge,
      (error) => this.#tree.callbackFailed('', 'broker.extend', error),
    )
    this.begin()
  }
}
