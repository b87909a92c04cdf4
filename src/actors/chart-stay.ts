import type { AnyEventObject } from 'xstate'
import type { Effect, Ending, Stay } from './effect.ts'

type AnyEffect = Effect<unknown, AnyEventObject>

/** What one stay of a compiled chart in a state rests on. */
export class ChartStay implements Stay<AnyEventObject> {
  /** None once it is over. */
  #actor: Stay<AnyEventObject> | undefined
  /** None once it has begun. */
  #effect: AnyEffect | undefined
  /** What it begins with, then what has to be ended. */
  #held: unknown

  constructor(effect: AnyEffect, input: unknown, actor: Stay<AnyEventObject>) {
    this.#actor = actor
    this.#effect = effect
    this.#held = input
  }

  /** Whether to end it does nothing that anybody could see. */
  get endsUnseen(): boolean {
    if (this.#effect !== undefined) return true
    const ending = this.#held as Ending | undefined
    return ending === undefined || ending.isOver === true
  }

  begin(): void {
    const effect = this.#effect
    if (effect === undefined || this.#actor === undefined) return
    const input = this.#held
    this.#effect = this.#held = undefined
    this.#held = effect(input, this)
  }

  send(event: AnyEventObject): void {
    this.#actor?.send(event)
  }

  /** What it sends afterwards reaches nobody; what it sends meanwhile does, as with the interpreter. */
  end(): void {
    try {
      if (this.#effect === undefined) (this.#held as Ending | undefined)?.end()
    } finally {
      this.#actor = this.#held = undefined
    }
  }
}
