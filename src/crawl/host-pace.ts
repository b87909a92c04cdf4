import { delayOf, exponential } from '../retry.ts'
import type { Pace } from './politeness-options.ts'

/** What a request at a host came to, as far as the pace is concerned. */
export type HostOutcome =
  | { readonly kind: 'ok' }
  /** A network error that the host may be to blame for. */
  | { readonly kind: 'error' }
  /** 429, or 503 with `Retry-After`. */
  | { readonly kind: 'throttled'; readonly retryAfter: number | undefined }
  /** Says nothing about the host: cancelled, from the cache, a mistake of the request. */
  | { readonly kind: 'neutral' }

/** What changed at a host by an outcome. */
export type HostChange =
  | { readonly kind: 'paused'; readonly until: number; readonly because: 'throttled' | 'errors' }
  | { readonly kind: 'resumed' }

/** What is known of a host, to be kept elsewhere. */
export interface HostPaceState {
  readonly delay: number
  readonly allowed: number
  readonly nextStart: number
  readonly pausedUntil: number
  readonly lastSlowDown: number
  readonly lastPause: number
  readonly okInRow: number
  readonly errorsInRow: number
  readonly errorsAtLowest: number
  readonly throttledInRow: number
  readonly pausesInRow: number
  readonly isProbing: boolean
}

const throttledWait = exponential({ from: '5s', to: '5m', jitter: 0 })

/** An error at the lowest pace makes the host wait between requests, longer with each. */
const slowest = exponential({ from: '250ms', to: '30s', jitter: 0 })

/**
 * When a host may be asked next, by what it did: it is asked less at once after errors, more again while all goes well,
 * and not at all while it wants to be left alone. Knows no clock and no queue.
 */
export class HostPace {
  running = 0
  /** Whether its delay is longer than it was set. */
  isSlowed = false
  #pace: Pace
  readonly #random: () => number
  /** How many at once at present; between 1 and the pace's. */
  #allowed: number
  #nextStart = 0
  #pausedUntil = 0
  /** Outcomes of requests that began earlier say nothing new about a slow-down or a pause. */
  #lastSlowDown = -1
  #lastPause = -1
  #okInRow = 0
  #errorsInRow = 0
  #errorsAtLowest = 0
  #throttledInRow = 0
  #pausesInRow = 0
  /** Whether one request goes ahead to see whether the host is back. */
  #isProbing = false

  constructor(pace: Pace, random: () => number) {
    this.#pace = pace
    this.#random = random
    this.#allowed = pace.concurrency
  }

  toJSON(): HostPaceState {
    return {
      delay: this.#pace.delay,
      allowed: this.#allowed,
      nextStart: this.#nextStart,
      pausedUntil: this.#pausedUntil,
      lastSlowDown: this.#lastSlowDown,
      lastPause: this.#lastPause,
      okInRow: this.#okInRow,
      errorsInRow: this.#errorsInRow,
      errorsAtLowest: this.#errorsAtLowest,
      throttledInRow: this.#throttledInRow,
      pausesInRow: this.#pausesInRow,
      isProbing: this.#isProbing,
    }
  }

  /** Goes on from what was kept; what was not kept is as at the first request. */
  restore(state: Partial<HostPaceState>): void {
    this.slowTo(state.delay ?? 0)
    this.#allowed = Math.min(state.allowed ?? Infinity, this.#pace.concurrency)
    this.#nextStart = state.nextStart ?? 0
    this.#pausedUntil = state.pausedUntil ?? 0
    this.#lastSlowDown = state.lastSlowDown ?? -1
    this.#lastPause = state.lastPause ?? -1
    this.#okInRow = state.okInRow ?? 0
    this.#errorsInRow = state.errorsInRow ?? 0
    this.#errorsAtLowest = state.errorsAtLowest ?? 0
    this.#throttledInRow = state.throttledInRow ?? 0
    this.#pausesInRow = state.pausesInRow ?? 0
    this.#isProbing = state.isProbing ?? false
  }

  /** When the next request may start, if one may at all before another is over; `Infinity` when not. */
  nextAt(): number {
    if (this.running >= (this.#isProbing ? 1 : this.#allowed)) return Infinity
    return Math.max(this.#nextStart, this.#pausedUntil)
  }

  /** Whether the host is as if nobody had ever asked it. */
  isFresh(now: number): boolean {
    const isCalm = this.#errorsInRow === 0 && this.#throttledInRow === 0 && !this.#isProbing
    return isCalm && this.running === 0 && this.#allowed === this.#pace.concurrency && this.nextAt() <= now
  }

  /** Makes the delay at least this long, as a robots.txt asks. */
  slowTo(delay: number): void {
    if (delay <= this.#pace.delay) return
    this.#pace = { ...this.#pace, delay }
    this.isSlowed = true
  }

  start(now: number): void {
    const { delay, jitter } = this.#pace
    const extra = this.#errorsAtLowest === 0 ? 0 : delayOf(slowest, this.#errorsAtLowest, this.#random)
    this.running += 1
    this.#nextStart = now + Math.max(delay, extra) + Math.round(jitter * this.#random())
  }

  end(outcome: HostOutcome, startedAt: number, now: number): HostChange | undefined {
    this.running -= 1
    if (outcome.kind === 'neutral') return undefined
    if (outcome.kind === 'ok') return this.#goesWell()
    this.#slowDown(startedAt, now)
    return outcome.kind === 'throttled'
      ? this.#rest(outcome.retryAfter, startedAt, now)
      : this.#goesWrong(startedAt, now)
  }

  #goesWell(): HostChange | undefined {
    const wasProbing = this.#isProbing
    this.#isProbing = false
    this.#errorsInRow = 0
    this.#errorsAtLowest = 0
    this.#throttledInRow = 0
    this.#pausesInRow = 0
    this.#okInRow += 1
    if (this.#okInRow >= this.#allowed && this.#allowed < this.#pace.concurrency) {
      this.#allowed += 1
      this.#okInRow = 0
    }
    return wasProbing ? { kind: 'resumed' } : undefined
  }

  #slowDown(startedAt: number, now: number): void {
    this.#okInRow = 0
    if (startedAt <= this.#lastSlowDown) return // it began before the last one could help
    this.#lastSlowDown = now
    if (this.#allowed === 1) this.#errorsAtLowest += 1
    this.#allowed = Math.max(1, Math.floor(this.#allowed / 2))
  }

  #goesWrong(startedAt: number, now: number): HostChange | undefined {
    this.#errorsInRow += 1
    if (this.#errorsInRow < this.#pace.pauseAfter || startedAt <= this.#lastPause) return undefined
    this.#pausesInRow += 1
    this.#isProbing = true
    return this.#pause(now + delayOf(this.#pace.backoff, this.#pausesInRow, this.#random), 'errors', now)
  }

  #rest(retryAfter: number | undefined, startedAt: number, now: number): HostChange | undefined {
    const isNew = startedAt > this.#lastPause
    if (isNew) this.#throttledInRow += 1
    else if (retryAfter === undefined) return undefined
    const wait = retryAfter ?? delayOf(throttledWait, this.#throttledInRow, this.#random)
    return this.#pause(now + wait, 'throttled', now)
  }

  #pause(until: number, because: 'throttled' | 'errors', now: number): HostChange | undefined {
    this.#lastPause = now
    if (until <= this.#pausedUntil) return undefined
    this.#pausedUntil = until
    return { kind: 'paused', until, because }
  }
}
