import type { Duration } from '../duration.ts'
import { InvalidOptionError } from '../errors.ts'
import { checkKeys, readDuration, readWholeNumber } from '../options.ts'
import type { PostgresTarget } from './postgres-driver.ts'
import type { SessionOptions } from './postgres-session.ts'

export interface PostgresOptions {
  /** A URL, or options of pg's Client: `{ host, port, database, user, password, ssl }`. */
  readonly connection: PostgresTarget
  /** The schema that holds the tables; it is made if it is not there, and holds nothing else. @default 'rootcatch' */
  readonly schema?: string
  /** How long a job is held without a sign of life, before it is given to somebody else. @default '30s' */
  readonly lease?: Duration
  /** A job whose holder was lost so often fails, kind `lost`. @default 3 */
  readonly lostLimit?: number
  /** Which results are kept: the latest, and no older ones. Dead letters are kept until they are discarded. */
  readonly keepResults?: {
    /** @default '24h' */
    readonly for?: Duration
    /** @default 10000 */
    readonly last?: number
  }
  /** How often an idle process looks for jobs of which nobody told it. @default '1s' */
  readonly poll?: Duration
}

/** As the session takes them; what does not fit is refused. */
export function readOptions(subject: string, options: PostgresOptions): SessionOptions {
  checkKeys(subject, options, ['connection', 'schema', 'lease', 'lostLimit', 'keepResults', 'poll'])
  const { connection, schema = 'rootcatch', keepResults = {} } = options
  checkKeys(`keepResults of ${subject}`, keepResults, ['for', 'last'])
  if (!isTarget(connection)) {
    const advice = `Give a URL like 'postgres://app@10.0.0.3:5432/app', or options of pg: { host, database }.`
    throw new InvalidOptionError(subject, 'connection', shown(connection), advice)
  }
  if (typeof schema !== 'string' || !/^(?!pg_)[a-z_][a-z0-9_]{0,62}$/.test(schema)) {
    const advice = `Give a name of small letters, digits and _, like 'app_jobs'.`
    throw new InvalidOptionError(subject, 'schema', schema, advice)
  }
  return {
    connection,
    schema,
    lease: readDuration(subject, 'lease', options.lease, { positive: true }) ?? 30_000,
    lostLimit: readWholeNumber(subject, 'lostLimit', options.lostLimit, { min: 1 }) ?? 3,
    retention: {
      for: readDuration(subject, 'keepResults.for', keepResults.for) ?? 24 * 60 * 60 * 1_000,
      last: readWholeNumber(subject, 'keepResults.last', keepResults.last, { min: 0 }) ?? 10_000,
    },
    poll: readDuration(subject, 'poll', options.poll, { positive: true }) ?? 1_000,
  }
}

function isTarget(connection: unknown): connection is PostgresTarget {
  if (typeof connection === 'string') return /^postgres(?:ql)?:\/\//i.test(connection)
  return typeof connection === 'object' && connection !== null && !Array.isArray(connection)
}

/** Another URL may hold a password. */
function shown(connection: unknown): unknown {
  const scheme = typeof connection === 'string' ? /^[a-z][a-z\d+.-]*:\/\//i.exec(connection)?.[0] : undefined
  return scheme === undefined ? connection : `${scheme}…`
}
