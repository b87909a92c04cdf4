import { SharedWord } from '../actors/shared-word.ts'
import type { Broker } from '../brokers/broker.ts'
import type { Json } from '../payload.ts'

interface Given {
  /** How many items have a place. */
  readonly count: number
  /** Those of pages that are not settled: if such a page comes again it has its places already. */
  readonly held: Readonly<Record<string, number>>
}

/** Places for items, so that all processes together give no more than `maxItems`, also when one is killed. */
export class ItemRoom {
  readonly #word: SharedWord<Json>
  readonly #limit: number
  #isTaken = false

  constructor(broker: Pick<Broker, 'swap'>, path: string, limit: number) {
    this.#word = new SharedWord(broker, path, 'items')
    this.#limit = limit
  }

  /** Whether all places are taken; pages that have some may still be lost. */
  get isTaken(): boolean {
    return this.#isTaken
  }

  /** How many of so many items of a page may be given. */
  async take(id: string, wanted: number): Promise<number> {
    let places = 0
    await this.#word.change((now) => {
      const { count, held } = givenOf(now)
      const before = held[id] ?? 0
      places = Math.min(wanted, before + this.#limit - count)
      this.#isTaken = count - before + places >= this.#limit
      return { count: count - before + places, held: { ...held, [id]: places } }
    })
    return places
  }

  /** The page is settled; whether all items there may be have been given. */
  async settled(id: string): Promise<boolean> {
    let isFull = false
    await this.#word.change((now) => {
      const { count, held } = givenOf(now)
      const others = Object.entries(held).filter(([other]) => other !== id)
      isFull = count >= this.#limit && others.every(([, places]) => places === 0)
      return { count, held: Object.fromEntries(others) }
    })
    return isFull
  }
}

const givenOf = (now: Json | undefined): Given => (now ?? { count: 0, held: {} }) as unknown as Given
