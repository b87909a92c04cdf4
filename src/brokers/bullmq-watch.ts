import type { BrokerClock } from './broker.ts'
import { Alarm } from './alarm.ts'
import { engineQueue, pathOfQueue } from './bullmq-names.ts'
import type { Watchers } from './watchers.ts'

/** A queue as the look at it found it. */
export interface Looked {
  readonly queue: string
  readonly isDue: boolean
  /** When the next delayed job is due. */
  readonly due: number
  /** When the next lease runs out. */
  readonly until: number
}

/**
 * Notices what becomes due and who was lost, while somebody waits for it. What others add is told by them; that this is
 * looked at besides is for what nobody told: a process that ended before it could, jobs that a dashboard moved.
 */
export class Watch {
  readonly #watchers: Watchers
  readonly #clock: BrokerClock
  readonly #every: number
  readonly #look: (queues: readonly string[]) => Promise<readonly Looked[]>
  readonly #dueAlarm: Alarm
  readonly #leaseAlarm: Alarm
  readonly #pollAlarm: Alarm
  #isLooking = false
  #isOver = false

  constructor(
    watchers: Watchers,
    clock: BrokerClock,
    every: number,
    look: (queues: readonly string[]) => Promise<readonly Looked[]>,
  ) {
    this.#watchers = watchers
    this.#clock = clock
    this.#every = every
    this.#look = look
    const ring = (): void => void this.look()
    this.#dueAlarm = new Alarm(clock, ring)
    this.#leaseAlarm = new Alarm(clock, ring)
    this.#pollAlarm = new Alarm(clock, ring)
  }

  /** Somebody waits, from now on. */
  start(): void {
    if (this.#isOver || this.#watchers.byQueue.size === 0) return
    this.#pollAlarm.atLatest(this.#clock.now() + this.#every * (0.5 + Math.random() / 2))
  }

  stop(): void {
    this.#isOver = true
    for (const alarm of [this.#dueAlarm, this.#leaseAlarm, this.#pollAlarm]) alarm.clear()
  }

  /** What a call has learned about a queue. What is due already is not waited for. */
  learn(queue: string, due: number, until: number): void {
    if (this.#isOver || !this.#watchers.byQueue.has(queue)) return
    const now = this.#clock.now()
    if (due > now) this.#dueAlarm.atLatest(due)
    if (until > now) this.#leaseAlarm.atLatest(until)
  }

  async look(): Promise<void> {
    if (this.#isLooking || this.#isOver) return
    const queues = [...this.#watchers.byQueue.keys()]
    if (queues.length === 0) return this.stopAlarms()
    this.#isLooking = true
    try {
      for (const { queue, isDue, due, until } of await this.#look(queues.map(engineQueue))) {
        const path = pathOfQueue(queue)
        if (isDue) this.#watchers.wake(path)
        this.learn(path, due, until)
      }
    } catch {
      // Redis is away; those who ask it for something are told, and the next look may find more.
    } finally {
      this.#isLooking = false
      this.start()
    }
  }

  stopAlarms(): void {
    for (const alarm of [this.#dueAlarm, this.#leaseAlarm, this.#pollAlarm]) alarm.clear()
  }
}

/** A time as the scripts give it; none is never. */
export const timeOf = (text: string | number | undefined): number =>
  text === undefined || text === '' ? Infinity : Number(text)
