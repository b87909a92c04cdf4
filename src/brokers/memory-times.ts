import { systemClock } from '../clock.ts'
import type { BrokerClock } from './broker.ts'

/** For so many in a row the clock is read once. */
const PER_READING = 32

/**
 * The time as it is written down of jobs that come or end: the clock is read for the first of a turn, and then for every
 * 32nd, because a reading costs as much as all that is written down. Only of the clock of the machine; one that is
 * injected is read each time.
 */
export class JobTimes {
  readonly #clock: BrokerClock
  readonly #isMachine: boolean
  #time = 0
  #left = 0
  #isTurnOver = true

  constructor(given: BrokerClock, clock: BrokerClock) {
    this.#isMachine = given === systemClock
    this.#clock = clock
  }

  now(): number {
    if (this.#left === 0) return this.#read()
    this.#left -= 1
    return this.#time
  }

  /** As it is at this moment; what is written down afterwards is no earlier. */
  exact(): number {
    this.#time = this.#clock.now()
    return this.#time
  }

  #read(): number {
    if (!this.#isMachine) return this.exact()
    this.exact()
    this.#left = PER_READING - 1
    if (this.#isTurnOver) queueMicrotask(this.#endTurn)
    this.#isTurnOver = false
    return this.#time
  }

  readonly #endTurn = (): void => {
    this.#left = 0
    this.#isTurnOver = true
  }
}
