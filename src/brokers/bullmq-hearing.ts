import type { BrokerClock, LeasedJob, Outcome } from './broker.ts'
import { hearEscalations, type Fleet, type FleetCatch } from './bullmq-escalation.ts'
import { pathOfQueue } from './bullmq-names.ts'

/** What it asks a store for. */
interface Store {
  readonly fleet: Fleet
  call(operation: string, words: readonly string[]): Promise<unknown>
  lease(queue: string, limit: number): Promise<readonly LeasedJob[]>
  extend(leases: readonly LeasedJob[]): Promise<unknown>
  settle(outcomes: readonly Outcome[]): Promise<unknown>
}

/** How often it looks for escalations of which it was not told: a broadcast is only a hint. */
const EVERY = 1_000

/** The root catch of the fleet, in the processes that have one. */
export class Hearing {
  readonly #store: Store
  readonly #ask: FleetCatch
  readonly #leaseTime: number
  readonly #clock: BrokerClock
  readonly #queues = new Map<string, Promise<void>>()
  #timer: unknown
  #isOver = false

  constructor(store: Store, ask: FleetCatch, leaseTime: number, clock: BrokerClock) {
    this.#store = store
    this.#ask = ask
    this.#leaseTime = leaseTime
    this.#clock = clock
  }

  /** From now on what nobody decides is kept, also while no process hears it. */
  async begin(): Promise<void> {
    try {
      for (const queue of (await this.#store.call('expect', [])) as readonly string[]) this.hear(pathOfQueue(queue))
    } catch {
      // Redis is away; the next look hears it.
    }
    if (!this.#isOver) this.#timer = this.#clock.setTimeout(() => void this.begin(), EVERY)
  }

  end(): void {
    this.#isOver = true
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer)
  }

  /** There is something in a queue of escalations. */
  hear(queue: string): void {
    if (this.#isOver || this.#queues.has(queue)) return
    const lease = (from: string, limit: number): Promise<readonly LeasedJob[]> =>
      this.#isOver ? Promise.resolve([]) : this.#store.lease(from, limit)
    const store = {
      lease,
      extend: (leases: readonly LeasedJob[]) => this.#store.extend(leases),
      settle: (outcomes: readonly Outcome[]) => this.#store.settle(outcomes),
    }
    const heard = hearEscalations(store, queue, this.#leaseTime, (failure) => this.#ask(failure, this.#store.fleet))
    this.#queues.set(
      queue,
      heard.catch(() => {}).finally(() => this.#queues.delete(queue)),
    )
  }
}
