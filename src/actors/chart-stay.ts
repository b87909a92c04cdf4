import type { AnyEventObject } from 'xstate'
import type { Effect, Ending, Stay } from './effect.ts'

type AnyEffect = Effect<unknown, AnyEventObject>

/** What one stay of a compiled chart in a state rests on. */
export class ChartStay implements Stay<AnyEventObject> {
  readonly #effect: AnyEffect
  readonly #input: unknown
  readonly #actor: Stay<AnyEventObject>
  hasBegun = false
  #isOver = false
  #ending: Ending | undefined

  constructor(effect: AnyEffect, input: unknown, actor: Stay<AnyEventObject>) {
    this.#effect = effect
    this.#input = input
    this.#actor = actor
  }

  begin(): void {
    if (this.#isOver || this.hasBegun) return
    this.hasBegun = true
    this.#ending = this.#effect(this.#input, this)
  }

  send(event: AnyEventObject): void {
    if (!this.#isOver) this.#actor.send(event)
  }

  /** What it sends afterwards reaches nobody; what it sends meanwhile does, as with the interpreter. */
  end(): void {
    try {
      this.#ending?.end()
    } finally {
      this.#isOver = true
      this.#ending = undefined
    }
  }
}
