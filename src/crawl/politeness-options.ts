import type { Duration } from '../duration.ts'
import { checkKeys, readDuration, readWholeNumber } from '../options.ts'
import { exponential, readBackoff, type Backoff } from '../retry.ts'

/** How a host is treated. */
export interface PerHostOptions {
  /** Requests at once. @default 8 */
  readonly concurrency?: number
  /** From the start of one request to the start of the next. @default 0 */
  readonly delay?: Duration
  /** Up to so much is added to each delay, by lot. @default 0 */
  readonly jitter?: Duration
}

/** How one host, or the hosts below one, are treated differently. */
export interface DomainPace extends PerHostOptions {
  /** After so many network errors in a row the host rests, then one request goes ahead. @default never */
  readonly pauseAfter?: number
  /** How long it rests. @default exponential({ from: '5s', to: '5m' }) */
  readonly backoff?: Backoff
}

/** The pace of a host as it was read: defaults in, durations in ms. */
export interface Pace {
  readonly concurrency: number
  readonly delay: number
  readonly jitter: number
  readonly pauseAfter: number
  readonly backoff: Backoff
}

export const defaultPace: Pace = Object.freeze({
  concurrency: 8,
  delay: 0,
  jitter: 0,
  pauseAfter: Infinity,
  backoff: exponential({ from: '5s', to: '5m' }),
})

/** The options of a pace, for who reads more than these from one object. */
export const paceKeys: readonly (keyof DomainPace)[] = ['concurrency', 'delay', 'jitter', 'pauseAfter', 'backoff']

/** Reads `perHost`, or an entry of `domains`; what is left out is as in `others`. */
export function readPace(subject: string, options: DomainPace, others: Pace = defaultPace): Pace {
  checkKeys(subject, options, paceKeys)
  return Object.freeze({
    concurrency: readWholeNumber(subject, 'concurrency', options.concurrency, { min: 1 }) ?? others.concurrency,
    delay: readDuration(subject, 'delay', options.delay) ?? others.delay,
    jitter: readDuration(subject, 'jitter', options.jitter) ?? others.jitter,
    pauseAfter: readWholeNumber(subject, 'pauseAfter', options.pauseAfter, { min: 1 }) ?? others.pauseAfter,
    backoff: readBackoff(subject, 'backoff', options.backoff) ?? others.backoff,
  })
}
