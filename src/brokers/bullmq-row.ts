import { guarded } from '../evidence.ts'
import type { FailureJson, FailureKind } from '../failure.ts'
import type { Json } from '../payload.ts'
import type { DeadLetter, HistoryEntry, JobProgress, JobRecord, JobStatus, LeasedJob } from './broker.ts'
import { readJson, readRestarts } from './stored.ts'

/** The engine takes priorities from 1, and would let a job without one overtake all. */
export const PRIORITY = 1_000_001

/** A job as Redis keeps it: the engine's fields, and ours with a tilde. */
export type Row = ReadonlyMap<string, string>

export function rowOf(flat: readonly string[]): Row {
  const row = new Map<string, string>()
  for (let index = 0; index < flat.length; index += 2) row.set(flat[index] as string, flat[index + 1] as string)
  return row
}

/** What is given to who works it; a text says why nobody can: somebody else put it there, or another version did. */
export function leaseOf(row: Row, id: string, queue: string, token: number): LeasedJob | string {
  const version = row.get('~v')
  if (version === undefined) return 'it was not added by rootcatch'
  if (version !== '1') return `it was written by another version of rootcatch (data ${version}, this one knows 1)`
  try {
    return {
      id,
      queue,
      input: (row.get('~ni') === '1' ? undefined : readJson(row.get('data') ?? '')) as Json,
      idempotencyKey: row.get('~ik') ?? `${queue}/job:${id}`,
      lane: row.get('~ln'),
      token,
      ...progressOf(row),
    }
  } catch {
    return 'its data is no JSON'
  }
}

export function recordOf(row: Row, id: string, queue: string, state: string): JobRecord {
  const status = statusOf(row, state)
  const progress = progressOf(row)
  return {
    id,
    path: `${queue}/job:${id}`,
    status,
    input: inputOf(row) as Json,
    idempotencyKey: row.get('~ik') ?? `${queue}/job:${id}`,
    priority: numberOf(row, 'priority', PRIORITY) - PRIORITY,
    lane: row.get('~ln'),
    addedAt: numberOf(row, 'timestamp', 0),
    dueAt: numberOf(row, '~due', numberOf(row, 'timestamp', 0)),
    finishedAt: isOver(state) ? Math.floor(numberOf(row, 'finishedOn', 0)) : undefined,
    ...progress,
    attempts: attemptsOf(row, progress.attempts, status),
    value: isOver(state) ? valueOf(row, status) : undefined,
    failure: failureOf(row, status),
    reason: readJson(row.get('~re') || null),
    history: historyOf(row),
  }
}

export function letterOf(row: Row, id: string, queue: string): DeadLetter {
  const failure = readJson(row.get('~fl') ?? null) as unknown as FailureJson // only failed jobs are dead letters
  return {
    id,
    path: failure.path,
    task: queue,
    kind: failure.kind,
    message: failure.message,
    attempts: numberOf(row, '~at', 0),
    diedAt: Math.floor(numberOf(row, 'finishedOn', 0)),
    cursor: row.get('~dn') ?? '0',
    input: inputOf(row) as Json,
    failure,
    history: historyOf(row),
  }
}

export function progressOf(row: Row): JobProgress {
  return {
    attempts: numberOf(row, '~at', 0),
    charged: numberOf(row, '~ch', 0),
    putOffs: numberOf(row, '~po', 0),
    generation: numberOf(row, '~ge', 1),
    restarts: readRestarts(row.get('~rs') ?? null),
  }
}

/** A failed attempt, as the history of a job keeps it: one line each. */
export function entryOf(generation: number, kind: FailureKind, at: number, attempt: number, message: string): string {
  return JSON.stringify({ generation, attempt, at, kind, message })
}

/** Who holds it has begun the next one; one that was done at the first attempt does not say so. */
function attemptsOf(row: Row, attempts: number, status: JobStatus): number {
  if (status === 'running') return attempts + 1
  return status === 'done' && !row.has('~at') ? 1 : attempts
}

function historyOf(row: Row): readonly HistoryEntry[] {
  const lines = row.get('~hi')?.split('\n') ?? []
  return lines.map((line) => readJson(line) as unknown as HistoryEntry)
}

function statusOf(row: Row, state: string): JobStatus {
  if (state === 'failed') return 'failed'
  if (state === 'completed') return (row.get('~st') ?? 'done') as JobStatus
  return state as JobStatus
}

function valueOf(row: Row, status: JobStatus): Json | undefined {
  const text = row.get('returnvalue')
  if (text === undefined || row.get('~nv') === '1') return undefined
  if (status === 'done') return readJson(text)
  return status === 'fallback' ? (readJson(text) as { readonly value?: Json }).value : undefined
}

function failureOf(row: Row, status: JobStatus): FailureJson | undefined {
  if (status === 'failed') return readJson(row.get('~fl') ?? null) as FailureJson | undefined
  if (status !== 'fallback') return undefined
  return (readJson(row.get('returnvalue') ?? null) as { readonly failure?: Json }).failure as FailureJson | undefined
}

const isOver = (state: string): boolean => state === 'completed' || state === 'failed'

/** What is no JSON is shown as the text it is. */
function inputOf(row: Row): Json | undefined {
  if (row.get('~ni') === '1') return undefined
  const text = row.get('data') ?? null
  return guarded(() => readJson(text), text)
}

const numberOf = (row: Row, field: string, otherwise: number): number => Number(row.get(field) ?? otherwise)
