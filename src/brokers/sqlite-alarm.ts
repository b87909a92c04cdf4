import type { BrokerClock } from './broker.ts'

/** One timer that rings at the earliest of the times it was told. */
export class Alarm {
  readonly #ring: () => void
  readonly #clock: BrokerClock
  #keepsAlive: boolean
  #timer: unknown
  #due = Infinity

  constructor(clock: BrokerClock, ring: () => void, keepsAlive: boolean) {
    this.#clock = clock
    this.#ring = ring
    this.#keepsAlive = keepsAlive
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
    if (!this.#keepsAlive) this.#setHold()
  }

  /** Whether waiting for it keeps the process alive, from now on. */
  hold(keepsAlive: boolean): void {
    if (this.#keepsAlive === keepsAlive) return
    this.#keepsAlive = keepsAlive
    if (this.#due !== Infinity) this.#setHold()
  }

  clear(): void {
    if (this.#due !== Infinity) this.#clock.clearTimeout(this.#timer)
    this.#due = Infinity
  }

  #setHold(): void {
    const timer = this.#timer as Partial<NodeJS.Timeout> | undefined // whatever the clock gives
    if (this.#keepsAlive) timer?.ref?.()
    else timer?.unref?.()
  }
}
