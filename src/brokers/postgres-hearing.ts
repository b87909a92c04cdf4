import type { CancelAnswer } from './broker.ts'
import type { Link } from './postgres-link.ts'
import { fromText, toText } from './postgres-text.ts'
import { readJson } from './stored.ts'
import type { Watchers } from './watchers.ts'

interface Store {
  readonly link: Link
  /** What the channel of a process is called. */
  channelOf(owner: number): string
  /** Tells the store that nobody wants a job any more. */
  cancel(words: { readonly id: string; readonly kind: 'cancel'; readonly reason: string | null }): Promise<CancelAnswer>
  wake(queue: number): void
  look(): Promise<void>
}

/** `w` a queue has jobs, `s` a job is over, `c` one is unwanted, `a` its holder knows. */
type Said = readonly [kind: 'w' | 's' | 'c' | 'a', what: string | number, by?: number, reason?: string | null]

/** There was more to say than a notification takes. */
const TOO_MUCH = '*'
/** Who cancels a job waits so long for its holder to know of it. */
const KNOWS_WITHIN = 250

/** What processes say to each other, and who is told of it here. */
export class Hearing {
  readonly #store: Store
  readonly #watchers: Watchers
  /** Who waits until the holder of a job knows that it is cancelled. */
  readonly #answered = new Map<string, () => void>()

  constructor(store: Store, watchers: Watchers) {
    this.#store = store
    this.#watchers = watchers
  }

  heard(message: string): void {
    if (message === TOO_MUCH) {
      this.tellSettled(undefined)
      return void this.#store.look()
    }
    for (const [kind, what, by = 0, reason] of JSON.parse(message) as readonly Said[]) {
      if (kind === 'w') this.#store.wake(what as number)
      else if (kind === 's') this.tellSettled(fromText(what as string))
      else if (kind === 'a') this.#answered.get(what as string)?.()
      else void this.#giveUp(what as string, by, reason)
    }
  }

  async cancel(id: string, reason: string | null): Promise<CancelAnswer> {
    const key = toText(id)
    let timer: NodeJS.Timeout | undefined
    const isKnown = new Promise<void>((resolve) => this.#answered.set(key, resolve))
    try {
      const answer = await this.#store.cancel({ id: key, kind: 'cancel', reason })
      const tooLate = new Promise<void>((resolve) => (timer = setTimeout(resolve, KNOWS_WITHIN)))
      if (answer === 'leased') await Promise.race([isKnown, tooLate])
      return answer
    } finally {
      clearTimeout(timer)
      this.#answered.delete(key)
    }
  }

  /** Undefined: which job is no longer known. */
  tellSettled(id: string | undefined): void {
    for (const listener of this.#watchers.listeners) listener.settled(id)
  }

  /** By the id in the store, and the reason as it keeps it. */
  tellCancelled(id: string, reason: string): void {
    for (const listener of this.#watchers.listeners) listener.cancelled(fromText(id), readJson(reason || null))
  }

  /** Somebody cancelled a job that is held here, and waits until we know. */
  async #giveUp(id: string, by: number, reason: string | null | undefined): Promise<void> {
    if (typeof reason === 'string') this.tellCancelled(id, reason)
    else await this.#store.look() // it reads the reason
    const said = JSON.stringify([['a', id]])
    await this.#store.link.read('SELECT pg_notify($1, $2)', [this.#store.channelOf(by), said]).catch(() => {})
  }
}
