import { moreOf, type Entry } from './memory-entry.ts'

const SWEPT_AT_LEAST = 1_024

/** So many ms are longer than any process lives. */
const FOR_EVER = Number.MAX_SAFE_INTEGER

/** Which job holds a key to deduplicate by, of one task. */
export class HeldKeys {
  readonly #held = new Map<string, { readonly id: string; readonly until: number | undefined }>()
  /** Those that are never free again: only the id is kept, for there may be millions. */
  readonly #forEver = new Map<string, string>()
  /** Keys with a time, since the last sweep. */
  #added = 0

  /** The id of the job that holds a key. */
  holderOf(key: string, now: number): string | undefined {
    const first = this.#forEver.get(key)
    if (first !== undefined) return first
    const held = this.#held.get(key)
    return held !== undefined && (held.until === undefined || held.until > now) ? held.id : undefined
  }

  hold(entry: Entry, now: number): void {
    const { id } = entry
    const { dedupe } = moreOf(entry)
    if (dedupe === undefined) return
    if (dedupe.for === FOR_EVER) return void this.#forEver.set(dedupe.key, id)
    this.#held.set(dedupe.key, { id, until: dedupe.for === undefined ? undefined : now + dedupe.for })
    if (dedupe.for === undefined) return
    this.#added += 1
    if (this.#added > Math.max(SWEPT_AT_LEAST, this.#held.size / 2)) this.#sweep(now)
  }

  /** The job is over: what it held without a time is free. */
  free(entry: Entry, now: number): void {
    const { id } = entry
    const { dedupe } = moreOf(entry)
    if (dedupe === undefined || dedupe.for === FOR_EVER) return
    const held = this.#held.get(dedupe.key)
    if (held?.id === id && (held.until === undefined || held.until <= now)) this.#held.delete(dedupe.key)
  }

  get size(): number {
    return this.#held.size + this.#forEver.size
  }

  clear(): void {
    this.#held.clear()
    this.#forEver.clear()
  }

  #sweep(now: number): void {
    this.#added = 0
    for (const [key, { until }] of this.#held) if (until !== undefined && until <= now) this.#held.delete(key)
  }
}
