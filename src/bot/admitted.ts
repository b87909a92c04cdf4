import { PassingMap } from '../passing-map.ts'

/** How many finished ids are remembered at most, so that what Telegram sends again meanwhile is not run again. */
const REMEMBERED = 1_000

interface Known {
  readonly id: number
  isOpen: boolean
}

interface Finished {
  readonly outcome: 'done' | 'failed'
  readonly place: number
}

/** Which updates were admitted, in order of arrival, and up to where all of them are finished. */
export class Admitted {
  /** From the oldest that is unfinished and holds the offset back. */
  readonly #window: Known[] = []
  #head = 0
  readonly #open = new PassingMap<Known, number>()
  readonly #finished = new PassingMap<Finished, number>()
  /** The latest that finished, in a ring: where each stands says when it may be forgotten. */
  readonly #ring: number[] = []
  #place = 0
  #next: number | undefined

  /** `next`: up to where all were finished that came before. */
  constructor(next?: number) {
    this.#next = next
  }

  isKnown(id: number): boolean {
    return this.#open.has(id) || this.#finished.has(id)
  }

  /** How it ended, as far as that is remembered. */
  outcome(id: number): 'done' | 'failed' | undefined {
    return this.#finished.get(id)?.outcome
  }

  begin(id: number): void {
    const known = { id, isOpen: true }
    this.#open.set(id, known)
    this.#finished.delete(id)
    this.#window.push(known)
    this.#next = id + 1
  }

  /** Of a batch with something new in it. */
  sawUpTo(highest: number): void {
    this.#next = highest + 1
  }

  finish(id: number, outcome: 'done' | 'failed'): void {
    const known = this.#open.get(id)
    if (known === undefined) return
    known.isOpen = false
    this.#open.delete(id)
    this.#remember(id, outcome)
    while (this.#window[this.#head]?.isOpen === false) this.#head += 1
    if (this.#head === this.#window.length || this.#head > REMEMBERED) {
      this.#window.splice(0, this.#head)
      this.#head = 0
    }
  }

  /** Numbers begin anew after a quiet week, so that the order of arrival counts, not their size. */
  get confirmable(): number | undefined {
    return this.#window[this.#head]?.id ?? this.#next
  }

  get unconfirmed(): number {
    let open = 0
    for (let at = this.#head; at < this.#window.length; at += 1) if (this.#window[at]?.isOpen === true) open += 1
    return open
  }

  /** What is unfinished holds nothing back any more; how many these were. */
  release(): number {
    const released = this.unconfirmed
    this.#window.length = this.#head = 0
    return released
  }

  #remember(id: number, outcome: Finished['outcome']): void {
    const place = this.#place
    const oldest = this.#ring[place]
    if (oldest !== undefined && this.#finished.get(oldest)?.place === place) this.#finished.delete(oldest)
    this.#ring[place] = id
    this.#finished.set(id, { outcome, place })
    this.#place = (place + 1) % REMEMBERED
  }
}
