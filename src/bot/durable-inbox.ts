import type { WebhookReplyEnvelope } from 'grammy'
import type { Update } from 'grammy/types'
import type { NewJob } from '../brokers/broker.ts'
import { copyPayload } from '../payload.ts'
import type { Inbox } from './inbox.ts'
import { isUpdate, reportMalformed } from './malformed.ts'
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
    const fit: Update[] = []
    for (const update of updates) {
      if (isUpdate(update)) fit.push(update)
      else reportMalformed(this.#updates, update)
    }
    const last = fit.at(-1)
    if (last === undefined) return
    await this.#updates.tree.broker.enqueue(await Promise.all(fit.map((update) => this.#newJob(update))))
    this.#next = last.update_id + 1
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

  /** Numbers begin anew after a quiet week, and a record of one that is long gone may still have this one's. */
  async #newJob(update: Update): Promise<NewJob> {
    const job = this.#jobOf(update)
    const { broker, clock } = this.#updates.tree
    const known = await broker.job(job.id)
    const isOther = known?.finishedAt !== undefined && clock.now() - known.addedAt >= REMEMBERED_FOR
    return isOther ? { ...job, id: `${job.id}@${clock.now()}` } : job
  }

  #jobOf(update: Update): NewJob {
    const { id, queue, idempotencyKey } = this.#updates.newLease(update)
    return {
      id,
      queue,
      idempotencyKey,
      input: copyPayload('update', update, Infinity),
      priority: 0,
      delay: 0,
      lane: this.#laneOf(update),
      dedupe: { key: id, for: REMEMBERED_FOR },
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
