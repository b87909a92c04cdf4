import type { BrokerClock } from './broker.ts'

/** One timer that rings at the earliest of the times it was told. */
export class Alarm {
  readonly #ring: () => void
  readonly #clock: BrokerClock
  #timer: unknown
  #due = Infinity

  constructor(clock: BrokerClock, ring: () => void) {
    this.#clock = clock
    this.#ring = ring
  }

  atLatest(due: number): void {
    if (due >= this.#due) return
    this.clear()
    this.#due = due
    this.#timer = this.#clock.setTimeout(
      () => {
        this.#due = Infinity
        this.#ring()
      },
      Math.max(0, due - this.#clock.now()),
    )
  }

  clear(): void {
    if (this.#due !== Infinity) this.#clock.clearTimeout(this.#timer)
    this.#due = Infinity
  }
}
