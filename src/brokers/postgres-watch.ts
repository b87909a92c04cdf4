import type { BrokerClock } from './broker.ts'
import { Alarm } from './alarm.ts'
import type { Watchers } from './watchers.ts'

/** What a look at the store found. */
export interface Looked {
  readonly queues: readonly {
    readonly queue: string
    readonly isDue: boolean
    readonly next: number
    readonly isOrphaned: boolean
  }[]
  /** When the next lease runs out. */
  readonly until: number
}

export interface WatchHands {
  look(queues: readonly string[]): Promise<Looked>
  /** Somebody may not have extended a lease. */
  leaseIsOver(): void
  /** A queue that is watched here has jobs that were lost too often. */
  isOrphaned(queue: string): void
}

/**
 * Notices what becomes due and who was lost, while somebody waits for it. What others do is told by them; that this is
 * looked at besides is for what nobody told: a process that ended, a way that lets no notifications through.
 */
export class Watch {
  readonly #watchers: Watchers
  readonly #clock: BrokerClock
  readonly #every: number
  readonly #hands: WatchHands
  readonly #dueAlarm: Alarm
  readonly #leaseAlarm: Alarm
  readonly #pollAlarm: Alarm
  #isLooking = false
  #isOver = false

  constructor(watchers: Watchers, clock: BrokerClock, every: number, hands: WatchHands) {
    this.#watchers = watchers
    this.#clock = clock
    this.#every = every
    this.#hands = hands
    const ring = (): void => void this.look()
    this.#dueAlarm = new Alarm(clock, ring)
    this.#leaseAlarm = new Alarm(clock, () => hands.leaseIsOver())
    this.#pollAlarm = new Alarm(clock, ring)
  }

  /** Somebody waits, from now on. */
  start(): void {
    if (this.#isOver || this.#watchers.isEmpty) return
    this.#pollAlarm.atLatest(this.#clock.now() + this.#every * (0.5 + Math.random() / 2))
  }

  stop(): void {
    this.#isOver = true
    this.#clear()
  }

  /** What a turn has learned. */
  learn(due: number, until: number): void {
    if (this.#isOver || this.#watchers.isEmpty) return
    this.#dueAlarm.atLatest(due)
    this.#leaseAlarm.atLatest(until)
  }

  async look(): Promise<void> {
    if (this.#isLooking || this.#isOver) return
    if (this.#watchers.isEmpty) return this.#clear()
    this.#isLooking = true
    try {
      const { queues, until } = await this.#hands.look([...this.#watchers.byQueue.keys()])
      for (const { queue, isDue, next, isOrphaned } of queues) {
        if (isDue) this.#watchers.wake(queue)
        if (isOrphaned) this.#hands.isOrphaned(queue)
        this.learn(next, Infinity)
      }
      this.learn(Infinity, until)
    } catch {
      // Postgres is away; those who ask it for something are told, and the next look may find more.
    } finally {
      this.#isLooking = false
      this.start()
    }
  }

  #clear(): void {
    for (const alarm of [this.#dueAlarm, this.#leaseAlarm, this.#pollAlarm]) alarm.clear()
  }
}
