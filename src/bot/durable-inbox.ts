import type { WebhookReplyEnvelope } from 'grammy'
import type { Update } from 'grammy/types'
import type { NewJob } from '../brokers/broker.ts'
import { copyPayload } from '../payload.ts'
import type { Inbox } from './inbox.ts'
import { isUpdate, reportMalformed, reportUnkeepable } from './malformed.ts'
import type { MemoryInbox } from './memory-inbox.ts'
import type { Updates } from './updates.ts'

/** Telegram keeps an update for 24 hours, and so long may send it again. */
const REMEMBERED_FOR = 25 * 60 * 60 * 1_000

/** Keeps admitted updates where the broker keeps jobs: they are confirmed as soon as they are there. */
export class DurableInbox implements Inbox {
  readonly durable = true
  readonly #updates: Updates
  readonly #direct: MemoryInbox
  readonly #lanesOf: (update: Update) => readonly string[]
  readonly #listeners = new Set<() => void>()
  #next: number | undefined

  /** `direct` handles what comes by webhooks: their answer is what keeps it. */
  constructor(updates: Updates, direct: MemoryInbox, lanesOf: (update: Update) => readonly string[]) {
    this.#updates = updates
    this.#direct = direct
    this.#lanesOf = lanesOf
  }

  async admit(updates: readonly Update[]): Promise<void> {
    const jobs: NewJob[] = []
    let next: number | undefined
    for (const update of updates) {
      if (isUpdate(update)) {
        next = Math.max(update.update_id + 1, next ?? 1)
        const job = this.#jobOf(update)
        if (job !== undefined) jobs.push(job)
      } else reportMalformed(this.#updates, update)
    }
    if (jobs.length > 0) await this.#updates.tree.broker.enqueue(jobs)
    if (next === undefined) return
    this.#next = next
    for (const listener of this.#listeners) listener()
  }

  confirmable(): number | undefined {
    return this.#next
  }

  unconfirmed(): number {
    return 0
  }

  onProgress(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  release(): number {
    return 0
  }

  drain(within: number): Promise<void> {
    return this.#updates.drain(within)
  }

  handle(update: Update, envelope?: WebhookReplyEnvelope): Promise<void> {
    return this.#direct.handle(update, envelope)
  }

  /** Undefined for one that cannot be kept: it is confirmed all the same, or it would come again for ever. */
  #jobOf(update: Update): NewJob | undefined {
    const { id, queue, idempotencyKey } = this.#updates.newLease(update)
    try {
      const input = copyPayload('update', update, Infinity)
      // By a key, for a time: numbers begin anew after a quiet week, and an old record may still have this one's id.
      const dedupe = { key: id, for: REMEMBERED_FOR }
      return { id, queue, idempotencyKey, input, priority: 0, delay: 0, lane: this.#laneOf(update), dedupe }
    } catch (error) {
      reportUnkeepable(this.#updates, error)
      return undefined
    }
  }

  /** So that order outlives the process; several lanes at once are kept apart by this process alone. */
  #laneOf(update: Update): string | undefined {
    try {
      const [lane, ...others] = this.#lanesOf(update)
      return others.length === 0 ? lane : undefined
    } catch {
      return undefined // it fails when it is run
    }
  }
}
