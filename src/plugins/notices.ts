import type { Clock } from '../clock.ts'
import type { Failure } from '../failure.ts'

/** How often somebody is told of the same thing. */
export interface NoticeRules {
  /** At most so many notices of one key … */
  readonly limit: number
  /** … in this time, in ms, from the first of them. */
  readonly window: number
}

/** What is to be told: the failures that are shown, the newest last, and how many more there were. */
export interface Notice {
  readonly failures: readonly Failure[]
  /** Held back, and not among `failures`. */
  readonly more: number
  /** Since when they were held back, by the clock; undefined for a failure that was told at once. */
  readonly since: number | undefined
}

interface Window {
  told: number
  held: Failure[]
  more: number
  since: number
  readonly timer: unknown
}

/**
 * Holds back what was told often enough. Each key has a window of its own; when it ends, what was held back becomes one
 * notice, which begins the next window. A key nothing is held back of is forgotten.
 */
export class Notices {
  readonly #clock: Clock
  readonly #rules: NoticeRules
  readonly #tell: (notice: Notice) => void
  readonly #windows = new Map<string, Window>()

  /** `tell` is given what was held back, when its window is over. */
  constructor(clock: Clock, rules: NoticeRules, tell: (notice: Notice) => void) {
    this.#clock = clock
    this.#rules = rules
    this.#tell = tell
  }

  /** Whether to tell it now; else it is held back, and counted. `others` is the key where there are too many of them. */
  admits(key: string, others: string, failure: Failure): boolean {
    const place = this.#windows.has(key) || this.#windows.size < MOST_KEYS ? key : others
    const window = this.#windows.get(place) ?? this.#begin(place)
    if (window.told < this.#rules.limit) {
      window.told += 1
      return true
    }
    if (window.held.length + window.more === 0) window.since = this.#clock.now()
    if (window.held.length === MOST_SHOWN) {
      window.held.shift()
      window.more += 1
    }
    window.held.push(failure)
    return false
  }

  /** What is held back at present; nothing is kept from now on, and no timer. */
  empty(): readonly Notice[] {
    const notices: Notice[] = []
    for (const window of this.#windows.values()) {
      this.#clock.clearTimeout(window.timer)
      if (window.held.length > 0) notices.push(noticeOf(window))
    }
    this.#windows.clear()
    return notices
  }

  #begin(key: string): Window {
    const timer = this.#clock.setTimeout(() => this.#end(key), this.#rules.window)
    const window: Window = { told: 0, held: [], more: 0, since: 0, timer }
    this.#windows.set(key, window)
    return window
  }

  #end(key: string): void {
    const window = this.#windows.get(key)
    this.#windows.delete(key)
    if (window === undefined || window.held.length === 0) return
    this.#begin(key).told = 1
    this.#tell(noticeOf(window))
  }
}

/** Keys come from texts of errors, of which there may be any number. */
const MOST_KEYS = 1_000
const MOST_SHOWN = 10

function noticeOf({ held, more, since }: Window): Notice {
  return { failures: held, more, since }
}
