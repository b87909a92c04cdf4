import type { Broker, DeadLetterFilter } from '../brokers/broker.ts'
import { parseDuration } from '../duration.ts'
import { FAILURE_KINDS, type FailureKind } from '../failure.ts'
import { nearest } from '../nearest.ts'
import { UsageError } from './usage-error.ts'

/** Options as they are typed. */
export interface FilterOptions {
  readonly task?: string
  readonly kind?: string
  readonly since?: string
  readonly limit?: string
}

/** What options ask for. `now` is what a duration counts back from. */
export function readFilter({ task, kind, since, limit }: FilterOptions, now: number): DeadLetterFilter {
  return {
    ...(task !== undefined && { task }),
    ...(kind !== undefined && { kind: readKind(kind) }),
    ...(since !== undefined && { since: readSince(since, now) }),
    ...(limit !== undefined && { limit: readLimit(limit) }),
  }
}

/** The path of a task that was written by its last part. What is unknown stays as it is and matches nothing. */
export async function findTask(
  broker: Broker,
  task: string,
): Promise<{ readonly path: string; readonly hint?: string }> {
  const paths = (await broker.stats()).map(({ queue }) => queue)
  if (paths.includes(task)) return { path: task }
  const [only, ...more] = paths.filter((path) => path.endsWith(`/${task}`))
  if (only !== undefined && more.length === 0) return { path: only }
  const near = more.length > 0 ? [only, ...more].join(' or ') : nearest(task, paths)
  return { path: task, ...(near !== undefined && { hint: near }) }
}

function readKind(kind: string): FailureKind {
  const known = FAILURE_KINDS.find((one) => one === kind)
  if (known !== undefined) return known
  const meant = nearest(kind, FAILURE_KINDS)
  const advice = meant === undefined ? `Use one of ${FAILURE_KINDS.join(', ')}.` : `Did you mean "${meant}"?`
  throw new UsageError(`--kind got "${kind}". ${advice}`)
}

function readSince(since: string, now: number): number {
  const ago = parseDuration(since)
  if (ago !== undefined) return now - ago
  const date = /^\d{4}-\d\d(?:-\d\d)?/.test(since) ? Date.parse(since) : Number.NaN
  if (!Number.isNaN(date)) return date
  throw new UsageError(`--since got "${since}". Write a duration like 90s, 1h or 7d, or a date like 2026-01-31T12:00.`)
}

function readLimit(limit: string): number {
  if (/^\d{1,9}$/.test(limit) && Number(limit) > 0) return Number(limit)
  throw new UsageError(`--limit got "${limit}". Use a whole number from 1.`)
}
