/** An update as Telegram sends it. What else it holds stands beside its number. */
export interface FakeUpdate {
  readonly update_id: number
}

/** Kinds that Telegram sends only to bots that ask for them by name. */
const ONLY_BY_NAME: ReadonlySet<string> = new Set(['chat_member', 'message_reaction', 'message_reaction_count'])

const MOST_AT_ONCE = 100

/** The updates that a bot has not confirmed, by Telegram's rules of offsets. */
export class Backlog {
  /** Nonsense without a number is confirmed with what stands before it. */
  #kept: readonly { readonly number: number; readonly update: FakeUpdate }[] = []
  /** The last list that was given; empty: everything but what is sent by name only. */
  #allowed: readonly string[] = []

  get updates(): readonly FakeUpdate[] {
    return this.#kept.map(({ update }) => update)
  }

  get allowed(): readonly string[] {
    return this.#allowed
  }

  /** Whether it is kept for the bot; what the bot did not ask for is not. */
  add(update: FakeUpdate): boolean {
    const kinds = Object.keys(Object(update)).filter((key) => key !== 'update_id')
    const isWanted = (kind: string): boolean =>
      this.#allowed.length === 0 ? !ONLY_BY_NAME.has(kind) : this.#allowed.includes(kind)
    if (kinds.length > 0 && !kinds.some(isWanted)) return false
    const own: unknown = (update as FakeUpdate | null | undefined)?.update_id
    const number = Number.isSafeInteger(own) ? (own as number) : (this.#kept.at(-1)?.number ?? 0)
    this.#kept = [...this.#kept, { number, update }]
    return true
  }

  allow(kinds: unknown): void {
    if (Array.isArray(kinds)) this.#allowed = kinds.map(String)
  }

  drop(): void {
    this.#kept = []
  }

  /** A positive offset confirms what stands before it; a negative one keeps that many and forgets the rest. */
  take(offset: number, limit: number): readonly FakeUpdate[] {
    if (offset > 0) this.#kept = this.#kept.filter(({ number }) => number >= offset)
    if (offset < 0) this.#kept = this.#kept.slice(offset)
    return this.updates.slice(0, Math.min(MOST_AT_ONCE, Math.max(1, limit)))
  }
}
