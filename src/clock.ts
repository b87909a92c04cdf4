import { InvalidOptionError } from './errors.ts'
import { peek } from './evidence.ts'

/** Where all time of a system comes from. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
  /** Any delay from 0, however long; Node's own timer fires at once above 2^31−1 ms. */
  setTimeout(callback: () => void, ms: number): unknown
  clearTimeout(timer: unknown): void
}

const LONGEST_NODE_TIMER = 2 ** 31 - 1

/** A wait longer than one timer of Node, in parts. */
interface LongTimer {
  part: NodeJS.Timeout
}

const isLong = (timer: unknown): timer is LongTimer => typeof timer === 'object' && timer !== null && 'part' in timer

export const systemClock: Clock = Object.freeze({
  now: () => Date.now(),
  setTimeout: (callback: () => void, ms: number): unknown => {
    if (ms <= LONGEST_NODE_TIMER) return setTimeout(callback, ms)
    const due = Date.now() + ms
    const waitOn = (): void => {
      const left = due - Date.now()
      timer.part = left <= LONGEST_NODE_TIMER ? setTimeout(callback, left) : setTimeout(waitOn, LONGEST_NODE_TIMER)
    }
    const timer: LongTimer = { part: setTimeout(waitOn, LONGEST_NODE_TIMER) }
    return timer
  },
  clearTimeout: (timer: unknown): void => {
    clearTimeout(isLong(timer) ? timer.part : (timer as NodeJS.Timeout | undefined))
  },
})

/** Reads a clock as an option; without one it is the machine's. */
export function readClock(subject: string, clock: Clock | undefined): Clock {
  if (clock === undefined) return systemClock
  const isClock = ['now', 'setTimeout', 'clearTimeout'].every((part) => typeof peek(clock, part) === 'function')
  if (isClock) return clock
  throw new InvalidOptionError(subject, 'clock', clock, 'Pass the clock that start() got.')
}
