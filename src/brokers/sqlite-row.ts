import type { Failure, FailureJson } from '../failure.ts'
import type { Json } from '../payload.ts'
import { describeThrown } from '../thrown.ts'
import type { DeadLetter, HistoryEntry, JobProgress, JobRecord, JobStatus, LeasedJob } from './broker.ts'
import { State, type StateNumber } from './sqlite-schema.ts'
import { KEPT_HISTORY, readJson, readRestarts } from './stored.ts'

/** What every change of a job has to look at: few columns, for each one costs. */
export interface JobRow {
  readonly seq: number
  readonly id: string
  readonly queue: number
  readonly state: StateNumber
  readonly due: number
  readonly lane: string | null
  readonly dedupe_key: string | null
  readonly attempts: number
  readonly unwanted: string | null
}

export const JOB_COLUMNS = 'seq, id, queue, state, due, lane, dedupe_key, attempts, unwanted'

export interface LeaseRow {
  readonly seq: number
  readonly id: string
  readonly lane: string | null
  readonly priority: number
  readonly due: number
  readonly idempotency_key: string
  readonly input: string | null
  readonly token: number
  readonly attempts: number
  readonly charged: number
  readonly put_offs: number
  readonly generation: number
  readonly restarts: string | null
}

export const LEASE_COLUMNS =
  'seq, id, lane, priority, due, idempotency_key, input, token, attempts, charged, put_offs, generation, restarts'

/** What came before in the life of a job. */
export interface PastRow {
  readonly generation: number
  readonly history: string | null
}

/** All of a job, under its queue's name. */
export interface FullRow extends JobRow, LeaseRow, PastRow {
  readonly name: string
  readonly added_at: number
  readonly finish: number | null
  readonly finished_at: number | null
  readonly value: string | null
  readonly failure: string | null
  readonly reason: string | null
}

export const FULL_COLUMNS = 'jobs.*, queues.name'

const STATUS: Readonly<Record<StateNumber, JobStatus>> = {
  [State.ready]: 'waiting',
  [State.delayed]: 'delayed',
  [State.behind]: 'waiting',
  [State.leased]: 'running',
  [State.done]: 'done',
  [State.fallback]: 'fallback',
  [State.cancelled]: 'cancelled',
  [State.failed]: 'failed',
}

export function leaseOf(row: LeaseRow, queue: string): LeasedJob {
  return {
    id: row.id,
    queue,
    input: readJson(row.input) as Json,
    idempotencyKey: row.idempotency_key,
    lane: row.lane ?? undefined,
    token: row.token,
    ...progressOf(row),
  }
}

export function recordOf(row: FullRow, now: number): JobRecord {
  const isDue = row.state === State.delayed && row.due <= now
  return {
    id: row.id,
    path: pathOf(row),
    status: isDue ? 'waiting' : STATUS[row.state],
    input: readJson(row.input) as Json,
    idempotencyKey: row.idempotency_key,
    priority: row.priority,
    lane: row.lane ?? undefined,
    addedAt: row.added_at,
    dueAt: row.due,
    finishedAt: row.finished_at ?? undefined,
    ...progressOf(row),
    attempts: row.attempts + (row.state === State.leased ? 1 : 0), // who holds it has begun the next one
    value: readJson(row.value),
    failure: readJson(row.failure) as FailureJson | undefined,
    reason: readJson(row.reason),
    history: historyOf(row),
  }
}

export function letterOf(row: FullRow): DeadLetter {
  const failure = readJson(row.failure) as unknown as FailureJson // only failed jobs are dead letters
  return {
    id: row.id,
    path: failure.path,
    task: row.name,
    kind: failure.kind,
    message: failure.message,
    attempts: row.attempts,
    diedAt: row.finished_at ?? 0,
    cursor: String(row.finish),
    input: readJson(row.input) as Json,
    failure,
    history: historyOf(row),
  }
}

/** The history with one more attempt that failed. */
export function addToHistory(row: PastRow, { kind, at, attempt, error }: Failure): string {
  const { generation } = row
  const entry = { generation, attempt: attempt ?? 0, at, kind, message: describeThrown(error) }
  return JSON.stringify([...historyOf(row), entry].slice(-KEPT_HISTORY))
}

function progressOf(row: LeaseRow): JobProgress {
  return {
    attempts: row.attempts,
    charged: row.charged,
    putOffs: row.put_offs,
    generation: row.generation,
    restarts: restartsOf(row),
  }
}

export function restartsOf({ restarts }: { readonly restarts: string | null }): JobProgress['restarts'] {
  return readRestarts(restarts)
}

const historyOf = (row: { readonly history: string | null }): readonly HistoryEntry[] =>
  (readJson(row.history) ?? []) as unknown as readonly HistoryEntry[]

const pathOf = (row: FullRow): string => `${row.name}/job:${row.id}`
