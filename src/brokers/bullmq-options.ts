import type { Duration } from '../duration.ts'
import { InvalidOptionError } from '../errors.ts'
import { peek } from '../evidence.ts'
import { checkKeys, readDuration, readFunction, readWholeNumber } from '../options.ts'
import type { FleetCatch } from './bullmq-escalation.ts'
import type { RedisTarget } from './bullmq-link.ts'
import { hashTag } from './bullmq-names.ts'
import type { SessionOptions } from './bullmq-session.ts'

export interface BullmqOptions {
  /** A URL, options of ioredis (Sentinel, TLS, ACL user, path of a socket), or `{ nodes, options }` of a Cluster. */
  readonly connection: RedisTarget
  /** What all keys begin with, in braces so that a Cluster keeps them together. @default 'rootcatch' */
  readonly prefix?: string
  /** How long a job is held without a sign of life, before it is given to somebody else. @default '30s' */
  readonly lease?: Duration
  /** A job whose holder was lost so often fails, kind `lost`. @default 3 */
  readonly lostLimit?: number
  /** Which results are kept of each task: the latest, and no older ones. Dead letters are kept until they are discarded. */
  readonly keepResults?: {
    /** @default '24h' */
    readonly for?: Duration
    /** @default 10000 */
    readonly last?: number
  }
  /** How many of the engine's events are kept per task, for dashboards. @default 1000 */
  readonly events?: number
  /** For how many minutes the engine counts what was done and what failed, per task; 0: not at all. @default 1440 */
  readonly metrics?: number
  /** How often an idle process looks for jobs of which nobody told it. @default '1s' */
  readonly poll?: Duration
  /**
   * What tasks may do over all processes, by their paths, beside what each process may: so many jobs at once, so many in
   * a time. Kept in Redis for everybody; `{}` takes the limits of a task away. @default none
   */
  readonly limits?: Readonly<
    Record<
      string,
      { readonly concurrency?: number; readonly rate?: { readonly limit: number; readonly within: Duration } }
    >
  >
  /**
   * The root catch of the fleet: hears of failures that no `catch` of a process decided, and can pause a task everywhere.
   * @default none
   */
  readonly catch?: FleetCatch
}

const OPTIONS = [
  'connection',
  'prefix',
  'lease',
  'lostLimit',
  'keepResults',
  'events',
  'metrics',
  'poll',
  'limits',
  'catch',
]

/** As the session takes them; what does not fit is refused. */
export function readOptions(subject: string, options: BullmqOptions): SessionOptions {
  checkKeys(subject, options, OPTIONS)
  const { connection, prefix = 'rootcatch', keepResults = {} } = options
  checkKeys(`keepResults of ${subject}`, keepResults, ['for', 'last'])
  if (typeof connection !== 'object' && typeof connection !== 'string') {
    const advice = `Give a URL like 'redis://10.0.0.3:6379', or options of ioredis: { host, port }.`
    throw new InvalidOptionError(subject, 'connection', connection, advice)
  }
  if (isPostgres(connection)) {
    const advice = `It works on Redis only: for Postgres use postgres() of rootcatch/postgres.`
    throw new InvalidOptionError(subject, 'connection', 'postgres://…', advice) // what was given holds a password
  }
  if (typeof prefix !== 'string' || prefix === '' || prefix.includes(':')) {
    throw new InvalidOptionError(subject, 'prefix', prefix, `Give a text without colons, like 'app'.`)
  }
  return {
    connection,
    prefix: hashTag(prefix),
    lease: readDuration(subject, 'lease', options.lease, { positive: true }) ?? 30_000,
    lostLimit: readWholeNumber(subject, 'lostLimit', options.lostLimit, { min: 1 }) ?? 3,
    retention: {
      for: readDuration(subject, 'keepResults.for', keepResults.for) ?? 24 * 60 * 60 * 1_000,
      last: readWholeNumber(subject, 'keepResults.last', keepResults.last, { min: 0 }) ?? 10_000,
    },
    events: readWholeNumber(subject, 'events', options.events, { min: 0 }) ?? 1_000,
    metrics: readWholeNumber(subject, 'metrics', options.metrics, { min: 0 }) ?? 1_440,
    poll: readDuration(subject, 'poll', options.poll, { positive: true }) ?? 1_000,
    limits: readLimits(subject, options.limits ?? {}),
    catch: readFunction(subject, 'catch', options.catch),
  }
}

/** The engine also has a backend for it, which this broker cannot use (docs/decisions/041-postgres-on-tables-of-our-own.md). */
function isPostgres(connection: unknown): boolean {
  const url = typeof connection === 'string' ? connection : peek(connection, 'connectionString')
  return typeof url === 'string' && /^postgres(ql)?:/i.test(url)
}

function readLimits(subject: string, given: BullmqOptions['limits'] & object): SessionOptions['limits'] {
  return Object.fromEntries(
    Object.entries(given).map(([task, limits]) => {
      const what = `limits of ${task} of ${subject}`
      checkKeys(what, limits, ['concurrency', 'rate'])
      const concurrency = readWholeNumber(what, 'concurrency', limits.concurrency, { min: 1 })
      return [task, { concurrency, rate: limits.rate && readRate(what, limits.rate) }] as const
    }),
  )
}

function readRate(what: string, rate: { readonly limit: number; readonly within: Duration }) {
  checkKeys(`rate of ${what}`, rate, ['limit', 'within'])
  const limit = readWholeNumber(what, 'rate.limit', rate.limit, { min: 1 }) ?? 1
  return { limit, within: readDuration(what, 'rate.within', rate.within, { positive: true }) ?? 1_000 }
}
