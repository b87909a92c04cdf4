import type { PollingOptions as GrammyPollingOptions } from 'grammy'
import { InvalidOptionError } from '../errors.ts'
import { checkKeys, readBoolean, readDuration, readFunction, readWholeNumber } from '../options.ts'
import { exponential, readBackoff, type Backoff } from '../retry.ts'
import type { Duration } from '../duration.ts'

/** grammY's options of long polling, and ours. */
export interface PollingOptions extends GrammyPollingOptions {
  /** How long after its timeout a poll may take before it counts as broken. @default '10s' */
  readonly stall?: Duration
  /** The waits after calls that came to nothing. @default exponential({ from: '200ms', to: '30s' }) */
  readonly backoff?: Backoff
}

/** The options as they were read: defaults in. */
export interface PollingPolicy {
  readonly limit: number | undefined
  /** Seconds. */
  readonly timeout: number
  readonly allowedUpdates: readonly string[] | undefined
  readonly dropPendingUpdates: boolean | undefined
  readonly onStart: GrammyPollingOptions['onStart']
  /** Milliseconds. */
  readonly stall: number
  readonly backoff: Backoff
}

export const POLLING_KEYS = [
  'limit',
  'timeout',
  'allowed_updates',
  'drop_pending_updates',
  'onStart',
  'stall',
  'backoff',
] as const

const STALL = 10_000
const TIMEOUT = 30

/** Reads the options of a poller; `subject` is whose they are. */
export function readPolling(subject: string, options: PollingOptions = {}): PollingPolicy {
  checkKeys(subject, options, POLLING_KEYS)
  return Object.freeze({
    limit: readWholeNumber(subject, 'limit', options.limit, { min: 1 }),
    timeout: readWholeNumber(subject, 'timeout', options.timeout, { min: 0 }) ?? TIMEOUT,
    allowedUpdates: readKinds(subject, options.allowed_updates),
    dropPendingUpdates: readBoolean(subject, 'drop_pending_updates', options.drop_pending_updates),
    onStart: readFunction(subject, 'onStart', options.onStart),
    stall: readDuration(subject, 'stall', options.stall, { positive: true }) ?? STALL,
    backoff: readBackoff(subject, 'backoff', options.backoff) ?? exponential({ from: 200, to: 30_000 }),
  })
}

function readKinds(subject: string, kinds: unknown): readonly string[] | undefined {
  if (kinds === undefined) return undefined
  if (Array.isArray(kinds) && kinds.every((kind) => typeof kind === 'string')) return [...kinds]
  throw new InvalidOptionError(subject, 'allowed_updates', kinds, `Give a list, such as ['message', 'callback_query'].`)
}
