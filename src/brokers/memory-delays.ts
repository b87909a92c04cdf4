import type { BrokerClock } from './broker.ts'
import { DueHeap } from './due-heap.ts'
import type { Entry } from './memory-entry.ts'

/** Jobs that are not due yet, under one timer for all of them. */
export class Delays {
  readonly #heap = new DueHeap<Entry>()
  readonly #onDue: (entry: Entry) => void
  #clock: BrokerClock
  #timer: { readonly due: number; readonly handle: unknown } | undefined

  constructor(clock: BrokerClock, onDue: (entry: Entry) => void) {
    this.#clock = clock
    this.#onDue = onDue
  }

  set clock(clock: BrokerClock) {
    this.#clock = clock
  }

  get isEmpty(): boolean {
    return this.#heap.first === undefined
  }

  add(entry: Entry): void {
    this.#heap.add(entry)
    this.#setTimer()
  }

  remove(entry: Entry): void {
    this.#heap.remove(entry)
    this.#setTimer()
  }

  /** Hands out what is due by `now`, the earliest first. */
  promote(now: number): void {
    const first = this.#heap.first
    if (first === undefined || first.due > now) return
    for (let next: Entry | undefined = first; next !== undefined && next.due <= now; next = this.#heap.first) {
      this.#heap.remove(next)
      this.#onDue(next)
    }
    this.#setTimer()
  }

  clear(): void {
    while (this.#heap.first !== undefined) this.#heap.remove(this.#heap.first)
    this.#setTimer()
  }

  /** One that fires too early finds nothing due and is set anew; a later one would come too late. */
  #setTimer(): void {
    const first = this.#heap.first
    if (first !== undefined && this.#timer !== undefined && this.#timer.due <= first.due) return
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer.handle)
    this.#timer = undefined
    if (first === undefined) return
    const handle = this.#clock.setTimeout(
      () => {
        this.#timer = undefined
        this.promote(this.#clock.now())
        this.#setTimer()
      },
      Math.max(0, first.due - this.#clock.now()),
    )
    this.#timer = { due: first.due, handle }
  }
}
