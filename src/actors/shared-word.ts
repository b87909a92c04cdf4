import type { Broker } from '../brokers/broker.ts'
import type { Json } from '../payload.ts'

/** What processes that share a store agree on under one name: each changes what it knows, and looks again if it knew wrong. */
export class SharedWord<Value extends Json> {
  readonly #broker: Pick<Broker, 'swap'>
  readonly #queue: string
  readonly #name: string
  #known: Value | undefined

  constructor(broker: Pick<Broker, 'swap'>, queue: string, name: string) {
    this.#broker = broker
    this.#queue = queue
    this.#name = name
  }

  /** As it is now. */
  async read(): Promise<Value | undefined> {
    return (await this.#swap(undefined, null)).now
  }

  /**
   * Gives what it is afterwards. `next` says what it is to be: null for nothing, undefined to let it be; it is asked again
   * as long as others change it meanwhile.
   */
  async change(next: (now: Value | undefined) => Value | null | undefined): Promise<Value | undefined> {
    let now = this.#known
    for (let isFresh = false; ; isFresh = true) {
      const to = next(now)
      if (to === undefined) {
        if (isFresh) return now
        now = await this.read() // what was known may be long over
        continue
      }
      const answer = await this.#swap(now, to)
      if (answer.swapped) return answer.now
      now = answer.now
    }
  }

  async #swap(
    from: Value | undefined,
    to: Value | null,
  ): Promise<{ readonly swapped: boolean; readonly now: Value | undefined }> {
    const answer = await this.#broker.swap({ queue: this.#queue, name: this.#name, from, to })
    this.#known = answer.now as Value | undefined
    return answer as { readonly swapped: boolean; readonly now: Value | undefined }
  }
}
