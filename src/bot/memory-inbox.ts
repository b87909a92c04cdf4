import type { WebhookReplyEnvelope } from 'grammy'
import type { Update } from 'grammy/types'
import { PassingMap } from '../passing-map.ts'
import type { RunOutcome } from '../run.ts'
import { Admitted } from './admitted.ts'
import type { Inbox } from './inbox.ts'
import { isUpdate, reportMalformed } from './malformed.ts'
import type { Updates } from './updates.ts'

/** Keeps admitted updates in memory: what is unfinished holds the offset back, so that Telegram sends it again. */
export class MemoryInbox implements Inbox {
  readonly durable = false
  readonly #updates: Updates
  readonly #admitted: Admitted
  readonly #listeners = new Set<() => void>()
  readonly #handling = new PassingMap<Promise<void>, number>()

  /** `next`: the offset that an inbox of the same bot had come to. */
  constructor(updates: Updates, next?: number) {
    this.#updates = updates
    this.#admitted = new Admitted(next)
  }

  async admit(updates: readonly Update[]): Promise<void> {
    const fresh = new Map<number, Update>()
    let highest: number | undefined
    for (const update of updates) {
      if (!isUpdate(update)) {
        reportMalformed(this.#updates, update)
        continue
      }
      const { update_id: id } = update
      highest = Math.max(id, highest ?? id)
      if (!this.#admitted.isKnown(id) && !fresh.has(id)) fresh.set(id, update)
    }
    // An offset confirms all numbers below it, so that they count here; updates are handled in the order they came in.
    for (const id of [...fresh.keys()].toSorted((a, b) => a - b)) this.#admitted.begin(id)
    if (highest !== undefined && fresh.size > 0) this.#admitted.sawUpTo(highest)
    for (const [id, update] of fresh) this.#updates.admit(update, { over: (outcome) => this.#finish(id, outcome) })
  }

  confirmable(): number | undefined {
    return this.#admitted.confirmable
  }

  unconfirmed(): number {
    return this.#admitted.unconfirmed
  }

  onProgress(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  release(): number {
    const released = this.#admitted.release()
    if (released > 0) this.#tell()
    return released
  }

  drain(within: number): Promise<void> {
    return this.#updates.drain(within)
  }

  handle(update: Update, envelope?: WebhookReplyEnvelope): Promise<void> {
    if (!isUpdate(update)) {
      reportMalformed(this.#updates, update)
      return Promise.resolve()
    }
    const { update_id: id } = update
    const running = this.#handling.get(id)
    if (running !== undefined) return running
    const earlier = this.#admitted.outcome(id)
    const isOver = earlier === 'done' || (earlier === 'failed' && this.#updates.definition.retry.attempts > 1)
    if (isOver) return Promise.resolve()
    const handled = new Promise<void>((resolve, reject) => {
      this.#admitted.begin(id)
      const over = (outcome: RunOutcome): void => {
        this.#handling.delete(id)
        this.#finish(id, outcome)
      }
      this.#updates.admit(update, { envelope, caller: { resolve, reject }, over })
    })
    this.#handling.set(id, handled)
    return handled
  }

  #finish(id: number, { status }: RunOutcome): void {
    this.#admitted.finish(id, status === 'failed' ? 'failed' : 'done')
    this.#tell()
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }
}
