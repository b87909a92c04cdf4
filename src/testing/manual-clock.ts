import type { Clock } from '../clock.ts'
import { parseDuration, type Duration } from '../duration.ts'
import { InvalidOptionError } from '../errors.ts'
import { settle } from './settle.ts'

/** A clock that stands still until it is told to go on. Give it to `start(root, { clock })`. */
export interface ManualClock extends Clock {
  /** Goes on from timer to timer, and lets everything a timer caused come to rest before the next. */
  advance(duration: Duration): Promise<void>
  /** Timers that wait. */
  readonly pending: number
}

interface Timer {
  readonly due: number
  readonly seq: number
  readonly callback: () => void
}

/**
 * A clock for tests: nothing sleeps, and what would take a day takes no time.
 *
 * @example
 * const clock = manualClock()
 * const system = await start(root, { clock })
 * await clock.advance('1h')
 */
export function manualClock(startAt = 0): ManualClock {
  const timers = new Map<number, Timer>()
  let now = startAt
  let lastSeq = 0

  const nextUntil = (until: number): Timer | undefined => {
    let next: Timer | undefined
    for (const timer of timers.values()) {
      if (timer.due <= until && (next === undefined || timer.due < next.due)) next = timer
    }
    return next
  }

  return {
    now: () => now,
    setTimeout: (callback, ms) => {
      lastSeq += 1
      timers.set(lastSeq, { due: now + Math.max(0, ms), seq: lastSeq, callback })
      return lastSeq
    },
    clearTimeout: (timer) => void timers.delete(timer as number),
    advance: async (duration) => {
      const ms = parseDuration(duration)
      if (ms === undefined) {
        throw new InvalidOptionError(
          'advance()',
          'duration',
          duration,
          `Write milliseconds, or a text like '250ms', '30s', '5m'.`,
        )
      }
      const until = now + ms
      await settle()
      for (let timer = nextUntil(until); timer !== undefined; timer = nextUntil(until)) {
        now = Math.max(now, timer.due)
        timers.delete(timer.seq)
        timer.callback()
        await settle()
      }
      now = until
    },
    get pending() {
      return timers.size
    },
  }
}
