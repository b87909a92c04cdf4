import type { Update } from 'grammy/types'
import type { Clock } from '../clock.ts'
import type { Inbox } from './inbox.ts'
import { sleep } from './waiting.ts'

/** As many updates as Telegram gives at once: with so many unconfirmed, what comes after them is out of sight. */
const MOST_UNCONFIRMED = 100
const LONGEST_HOLD = 30_000
const FIRST_PAUSE = 100
const LONGEST_PAUSE = 1_000

/** Telegram forgets an update after this long, and may count on from anywhere after a week. */
const QUIET = 86_400_000

/**
 * The offset of the next poll. While an update is neither finished nor kept, it stays where that update can come again:
 * polls then return at once, so they are made apart; and after a while the update is let go, so that others get through.
 */
export class HeldOffset {
  readonly #inbox: Inbox
  readonly #clock: Clock
  readonly #pageSize: number
  readonly #released: (count: number) => void
  /** Below it Telegram has nothing more. */
  #floor = 1
  /** The highest id of the last answer that had any. */
  #highest: number | undefined
  #last: 'empty' | 'new' | 'known' = 'empty'
  #isPage = false
  #pause = FIRST_PAUSE
  #heldSince: number | undefined
  #lastUpdateAt: number

  constructor(inbox: Inbox, clock: Clock, limit: number | undefined, released: (count: number) => void) {
    this.#inbox = inbox
    this.#clock = clock
    this.#pageSize = Math.min(limit ?? MOST_UNCONFIRMED, MOST_UNCONFIRMED)
    this.#released = released
    this.#lastUpdateAt = clock.now()
  }

  /** Whether updates that came cannot be confirmed yet. */
  get isHeld(): boolean {
    const confirmable = this.#inbox.confirmable()
    return confirmable !== undefined && this.#highest !== undefined && confirmable <= this.#highest
  }

  /** What the next poll confirms up to. */
  next(): number {
    const isQuiet = !this.isHeld && this.#clock.now() - this.#lastUpdateAt >= QUIET
    const offset = isQuiet ? 1 : (this.#inbox.confirmable() ?? 1)
    this.#moveTo(offset)
    return offset
  }

  /** Takes note of an answer. */
  saw(updates: readonly Update[]): void {
    if (updates.length > 0) this.#lastUpdateAt = this.#clock.now()
    const ids = updates.map(({ update_id }) => update_id).filter(Number.isFinite)
    const highest = ids.length === 0 ? this.#highest : Math.max(...ids)
    this.#isPage = updates.length >= this.#pageSize
    this.#last = updates.length === 0 ? 'empty' : highest === this.#highest ? 'known' : 'new'
    this.#highest = highest
    if (this.#last === 'new') this.#pause = FIRST_PAUSE
    if (ids.length > 0) this.#moveTo(Math.min(...ids))
  }

  /** Resolves when the next poll may be made: at once, unless updates hold the offset. */
  async untilDue(signal: AbortSignal): Promise<void> {
    if (!this.isHeld) {
      this.#heldSince = undefined
      // An update without a number is never confirmed: it would come again at once, for ever.
      if (this.#last === 'known' && !this.#canMove) await this.#wait(this.#nextPause(), signal)
      return
    }
    if (this.#canMove) return
    this.#heldSince ??= this.#clock.now()
    const until = this.#heldSince + LONGEST_HOLD
    if (this.#inbox.unconfirmed() >= MOST_UNCONFIRMED || (this.#isPage && this.#last === 'known')) this.#release()
    else await this.#wait(Math.min(this.#nextPause(), until - this.#clock.now()), signal)
    if (!signal.aborted && this.isHeld && !this.#canMove && this.#clock.now() >= until) this.#release()
  }

  get #canMove(): boolean {
    return (this.#inbox.confirmable() ?? 1) > this.#floor
  }

  #moveTo(floor: number): void {
    if (floor === this.#floor) return
    this.#floor = floor
    this.#pause = FIRST_PAUSE
    this.#heldSince = undefined
  }

  #nextPause(): number {
    const pause = this.#pause
    this.#pause = Math.min(pause * 2, LONGEST_PAUSE)
    return pause
  }

  #release(): void {
    const count = this.#inbox.release()
    this.#heldSince = undefined
    if (count > 0) this.#released(count)
  }

  /** Ends early when the offset can move. */
  async #wait(ms: number, signal: AbortSignal): Promise<void> {
    const ended = new AbortController()
    const end = (): void => ended.abort()
    const forget = this.#inbox.onProgress(() => this.#canMove && end())
    signal.addEventListener('abort', end)
    await sleep(this.#clock, ms, ended.signal)
    signal.removeEventListener('abort', end)
    forget()
  }
}
