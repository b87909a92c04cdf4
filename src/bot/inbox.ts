import type { WebhookReplyEnvelope } from 'grammy'
import type { Update } from 'grammy/types'

/** Where admitted updates are kept until they are finished. */
export interface Inbox {
  /** Whether an admitted update survives the end of this process. */
  readonly durable: boolean
  /** Admits a batch in order of arrival. Resolves once it may be confirmed as far as keeping goes: durable: when it is on disk; else at once.
   *  Updates that are known (running, waiting, or finished within 25 h on a durable inbox) are skipped. Never rejects for a malformed update. */
  admit(updates: readonly Update[]): Promise<void>
  /** The id below which every admitted update is finished (or durably kept): the offset that may be told to Telegram. undefined: nothing admitted yet. */
  confirmable(): number | undefined
  /** How many admitted updates hold the offset back: neither finished, nor durably kept, nor released. */
  unconfirmed(): number
  /** Called whenever confirmable() can have moved. Returns the way to stop listening. */
  onProgress(listener: () => void): () => void
  /** Confirms all the same: what is unfinished so far no longer holds the offset back (the poller decides when: 30 s or 100). Returns how many. */
  release(): number
  /** Starts nothing more; resolves when running updates are over, or aborts them and hands back what is unfinished when `within` is over. */
  drain(within: number): Promise<void>
  /** Runs one update for a webhook: resolves when it is over; rejects with its BotError. The same update_id while it runs shares the run; finished: resolves, nothing runs. */
  handle(update: Update, envelope?: WebhookReplyEnvelope): Promise<void>
}
