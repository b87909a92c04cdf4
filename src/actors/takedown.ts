import type { Child } from './child.ts'
import type { Roster } from './roster.ts'

/** What the takedown lets others do. */
export interface TakedownHands {
  stop(child: Child): void
  kill(child: Child): void
  /** All are down. */
  over(): void
}

/** The stop of all children: dynamic ones first, all at once, then the static ones, each completely before the next. */
export class Takedown {
  readonly #roster: Roster
  readonly #hands: TakedownHands
  #isKilling = false
  /** The static child whose turn it is. */
  #cursor: Child | undefined
  /** Dynamic children on their way down. */
  #pending = 0

  constructor(roster: Roster, hands: TakedownHands) {
    this.#roster = roster
    this.#hands = hands
  }

  /** Whether nobody is asked any more. */
  get isKilling(): boolean {
    return this.#isKilling
  }

  begin(): void {
    const { statics, dynamics } = this.#roster
    this.#cursor = statics.last
    for (const child of dynamics) {
      if (!child.isAlive) continue // just added, and its start comes too late
      this.#pending += 1
      this.#take(child)
    }
    if (this.#pending === 0) this.#takeNext()
  }

  /** From now on; those whose turn it is are killed at once, the others' comes. */
  kill(): void {
    this.#isKilling = true
    if (this.#pending > 0) for (const child of this.#roster.dynamics) this.#killIfAsked(child)
    else if (this.#cursor !== undefined) this.#killIfAsked(this.#cursor)
  }

  /** A child is down; `before` is its neighbour, while it was still there. */
  wentDown(child: Child, before: Child | undefined): void {
    const wasItsTurn = this.#cursor === child && this.#pending === 0
    if (this.#cursor === child) this.#cursor = before
    if (child.isDynamic) {
      this.#pending -= 1
      if (this.#pending === 0) this.#takeNext()
    } else if (wasItsTurn) {
      this.#takeNext()
    }
  }

  #takeNext(): void {
    for (; this.#cursor !== undefined; this.#cursor = this.#cursor.before) {
      if (this.#cursor.isAlive) return this.#take(this.#cursor)
    }
    this.#hands.over()
  }

  #take(child: Child): void {
    if (child.status !== 'stopping') this.#hands.stop(child)
    else if (this.#isKilling) this.#hands.kill(child)
  }

  #killIfAsked(child: Child): void {
    if (child.status === 'stopping') this.#hands.kill(child)
  }
}
