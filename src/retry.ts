import { formatDuration, type Duration } from './duration.ts'
import { isBranded } from './brand.ts'
import { InvalidOptionError } from './errors.ts'
import { checkKeys, readDuration, readFunction, readWholeNumber } from './options.ts'

const brand: unique symbol = Symbol.for('rootcatch.backoff')

/** How long to wait before the n-th try in a row, all in ms; made by `exponential()`. */
export interface Backoff {
  readonly from: number
  readonly to: number
  readonly factor: number
  readonly jitter: number
  readonly reset: number
  readonly [brand]: true
}

export interface ExponentialOptions {
  /** The first wait. */
  readonly from: Duration
  /** The longest wait, also after jitter. */
  readonly to: Duration
  /** What each wait is multiplied by to get the next. @default 2 */
  readonly factor?: number
  /** The share of a wait that is drawn by lot: 0 none, 1 all of it. @default 0.5 */
  readonly jitter?: number
  /** Up without failing for this long: the next wait is `from` again. @default the same as `to` */
  readonly reset?: Duration
}

/** How often, how long apart, and for which errors an attempt is followed by another. */
export interface RetryOptions {
  /** All attempts, the first included. @default 1 */
  readonly attempts?: number
  /** The wait between two attempts. @default none */
  readonly backoff?: Backoff
  /** Whether this error is worth another attempt; a throw counts as yes. @default always */
  readonly when?: (error: unknown) => boolean
}

/** Retry options as they were read: defaults in. */
export interface RetryPolicy {
  readonly attempts: number
  readonly backoff: Backoff | undefined
  readonly when: ((error: unknown) => boolean) | undefined
}

/**
 * Waits that grow by a factor up to a longest one, each partly drawn by lot so that many do not come back at once.
 *
 * @example
 * const backoff = exponential({ from: '200ms', to: '10s' }) // 200, 400, 800 … 10 000 ms, each less up to half of it
 */
export function exponential(options: ExponentialOptions): Backoff {
  const subject = 'exponential()'
  checkKeys(subject, options, ['from', 'to', 'factor', 'jitter', 'reset'])
  const from = readWait(subject, 'from', options.from)
  const to = readWait(subject, 'to', options.to)
  if (to < from) {
    throw new InvalidOptionError(
      subject,
      'to',
      options.to,
      `Make it at least as long as from, ${formatDuration(from)}.`,
    )
  }
  return Object.freeze({
    from,
    to,
    factor: readNumber(subject, 'factor', options.factor, { min: 1, max: Number.MAX_VALUE, or: 2 }),
    jitter: readNumber(subject, 'jitter', options.jitter, { min: 0, max: 1, or: 0.5 }),
    reset: readDuration(subject, 'reset', options.reset) ?? to,
    [brand]: true as const,
  })
}

/** Whether a value was made by `exponential()`, of this or a second copy of the package. */
export function isBackoff(value: unknown): value is Backoff {
  return isBranded(value, brand)
}

/** Reads a backoff as an option; undefined stays undefined. */
export function readBackoff(subject: string, key: string, value: unknown): Backoff | undefined {
  if (value === undefined || isBackoff(value)) return value
  throw new InvalidOptionError(subject, key, value, `Use exponential({ from: '200ms', to: '10s' }).`)
}

/** Reads the retry options of whatever `subject` names. */
export function readRetry(subject: string, value: unknown): RetryPolicy {
  const options = (value === undefined ? {} : value) as RetryOptions
  const owner = `retry of ${subject}`
  checkKeys(owner, options, ['attempts', 'backoff', 'when'])
  return Object.freeze({
    attempts: readWholeNumber(owner, 'attempts', options.attempts, { min: 1 }) ?? 1,
    backoff: readBackoff(owner, 'backoff', options.backoff),
    when: readFunction(owner, 'when', options.when),
  })
}

/** The wait before the n-th try in a row, counted from 1, in whole ms. `random` gives 0 to 1, as `Math.random` does. */
export function delayOf(backoff: Backoff, n: number, random: () => number): number {
  const { from, to, factor, jitter } = backoff
  const longest = from === 0 ? 0 : Math.min(to, Math.round(from * factor ** (n - 1))) // 0 times Infinity is no number
  return Math.ceil(longest - longest * jitter * random())
}

function readWait(subject: string, key: string, value: unknown): number {
  const ms = readDuration(subject, key, value)
  if (ms === undefined)
    throw new InvalidOptionError(subject, key, value, `Write it, as in { from: '200ms', to: '10s' }.`)
  return ms
}

function readNumber(
  subject: string,
  key: string,
  value: unknown,
  { min, max, or }: { readonly min: number; readonly max: number; readonly or: number },
): number {
  if (value === undefined) return or
  if (typeof value === 'number' && value >= min && value <= max) return value
  const range = max === Number.MAX_VALUE ? `from ${min}` : `from ${min} to ${max}`
  throw new InvalidOptionError(subject, key, value, `Use a number ${range}.`)
}
