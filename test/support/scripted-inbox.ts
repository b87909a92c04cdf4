import type { Update } from 'grammy/types'
import type { Inbox } from '../../src/bot/inbox.ts'

/** An inbox whose updates are finished when a test says so. */
export class ScriptedInbox implements Inbox {
  readonly durable: boolean
  /** The ids of each batch that was admitted, as they came. */
  readonly batches: number[][] = []
  /** What `drain` was called with. */
  readonly drained: number[] = []
  /** The ids that were admitted and are not finished. */
  readonly running = new Set<number>()
  /** What the next `admit` calls wait for or fail with. */
  readonly admitting: (Promise<void> | Error)[] = []
  /** Ends a drain that waits for updates. */
  drainUntil: Promise<void> = Promise.resolve()
  readonly #known = new Set<number>()
  readonly #released = new Set<number>()
  readonly #listeners = new Set<() => void>()

  constructor(durable = false) {
    this.durable = durable
  }

  async admit(updates: readonly Update[]): Promise<void> {
    const next = this.admitting.shift()
    if (next instanceof Error) throw next
    await next
    const ids = updates.map(({ update_id }) => update_id)
    this.batches.push(ids)
    for (const id of ids.filter((one) => Number.isFinite(one) && !this.#known.has(one))) {
      this.#known.add(id)
      this.running.add(id)
    }
    this.#moved()
  }

  finish(...ids: readonly number[]): void {
    for (const id of ids) this.running.delete(id)
    this.#moved()
  }

  confirmable(): number | undefined {
    if (this.#known.size === 0) return undefined
    const held = this.durable ? [] : [...this.running].filter((id) => !this.#released.has(id))
    return held.length > 0 ? Math.min(...held) : Math.max(...this.#known) + 1
  }

  unconfirmed(): number {
    return this.durable ? 0 : [...this.running].filter((id) => !this.#released.has(id)).length
  }

  onProgress(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  release(): number {
    const fresh = [...this.running].filter((id) => !this.#released.has(id))
    for (const id of fresh) this.#released.add(id)
    return fresh.length
  }

  async drain(within: number): Promise<void> {
    this.drained.push(within)
    await this.drainUntil
  }

  async handle(): Promise<void> {}

  get listeners(): number {
    return this.#listeners.size
  }

  #moved(): void {
    for (const listener of this.#listeners) listener()
  }
}
