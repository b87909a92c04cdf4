import type { Failure, FailureJson } from '../failure.ts'
import type { Json } from '../payload.ts'
import { describeThrown } from '../thrown.ts'
import type { DeadLetter, HistoryEntry, JobRecord, JobStatus, LeasedJob, NewJob, Outcome } from './broker.ts'
import { State, type StateNumber } from './postgres-tables.ts'
import { fromText, toKey, toText } from './postgres-text.ts'
import { readJson, readRestarts, writeJson, writeReason } from './stored.ts'

/** A job as `turn` reads it. What is undefined is left out, and is null there. */
export interface JobWords {
  readonly id: string
  readonly queue: number
  readonly priority: number
  readonly delay: number
  readonly lane: string | undefined
  readonly lname: string | undefined
  readonly grp: string | undefined
  readonly dkey: string | undefined
  readonly dfor: number | undefined
  readonly ikey: string | undefined
  readonly input: string | null
}

/** A taken job, as `turn` gives it. */
export type TakenRow = readonly [
  id: string,
  lane: string | null,
  ikey: string | null,
  input: string | null,
  token: number,
  attempts: number,
  charged: number,
  putOffs: number,
  generation: number,
  restarts: string | null,
]

/** A job that was lost too often, as `turn` gives it. */
export type OrphanRow = readonly [
  id: string,
  token: number,
  attempts: number,
  generation: number,
  restarts: string | null,
  lost: number,
]

const FOREVER = Number.MAX_SAFE_INTEGER

export function wordsOfJob(job: NewJob, queue: number): JobWords {
  const { id, input, priority, delay, lane, group, dedupe } = job
  const key = lane === undefined ? undefined : toKey(lane)
  const name = lane === undefined ? undefined : toText(lane)
  return {
    id: toText(id),
    queue,
    priority,
    delay: Math.min(delay, FOREVER),
    lane: key,
    lname: name === key ? undefined : name,
    grp: group === undefined ? undefined : toKey(group),
    dkey: dedupe && toKey(dedupe.key),
    dfor: dedupe?.for === undefined ? undefined : Math.min(dedupe.for, FOREVER),
    ikey: isKeyPath(job) ? undefined : toText(job.idempotencyKey),
    input: writeJson(input),
  }
}

/** One with a key held for a time may get another id, and keeps the key it was given. */
function isKeyPath({ id, queue, idempotencyKey, keyIsPath, dedupe }: NewJob): boolean {
  return keyIsPath === true || (dedupe?.for === undefined && idempotencyKey === `${queue}/job:${id}`)
}

/** Neither key nor lane: it is written together with others. */
export const isPlain = ({ dkey, lane }: JobWords): boolean => dkey === undefined && lane === undefined

/** What a delivery came to, as `turn` reads it. `again`: whether it was heard before is not known. */
export function wordsOfOutcome(outcome: Outcome, again: boolean): Readonly<Record<string, unknown>> {
  const { kind, token } = outcome
  return {
    id: toText(outcome.id),
    token,
    kind,
    ...(again && { again }),
    ...('attempts' in outcome && { attempts: outcome.attempts }),
    ...('value' in outcome && { value: writeJson(outcome.value) }),
    ...('failure' in outcome && { entry: entryOf(outcome.failure) }),
    ...((kind === 'failed' || kind === 'fallback') && { failure: JSON.stringify(outcome.failure) }),
    ...(kind === 'failed' && { fkind: outcome.failure.kind }),
    ...(kind === 'fallback' && { entry: undefined }),
    ...('reason' in outcome && { reason: writeReason(outcome.reason) }),
    ...('delay' in outcome && { delay: Math.min(outcome.delay, FOREVER) }),
    ...('input' in outcome && { input: writeJson(outcome.input) }),
    ...(kind === 'retry' && { charged: outcome.charged, putoffs: outcome.putOffs }),
    ...(kind === 'restart' && { generation: outcome.generation, restarts: JSON.stringify(outcome.restarts) }),
  }
}

/** An attempt that failed, without the generation it was of: that stands in the row. */
export function entryOf({ kind, at, attempt, error }: Failure): string {
  return JSON.stringify({ attempt: attempt ?? 0, at, kind, message: describeThrown(error) })
}

export function leaseOf(row: TakenRow, queue: string): LeasedJob {
  const [text, lane, ikey, input, token, attempts, charged, putOffs, generation, restarts] = row
  const id = fromText(text)
  return {
    id,
    queue,
    input: readJson(input) as Json,
    idempotencyKey: ikey === null ? `${queue}/job:${id}` : fromText(ikey),
    lane: lane === null ? undefined : fromText(lane),
    token,
    attempts,
    charged,
    putOffs,
    generation,
    restarts: readRestarts(restarts),
  }
}

const COLUMNS = [
  'id',
  'state',
  'due',
  'priority',
  'lane',
  'lane_name',
  'idempotency_key',
  'input',
  'attempts',
  'charged',
  'put_offs',
  'generation',
  'restarts',
  'added_at',
  'finish',
  'finished_at',
  'value',
  'failure',
  'reason',
  'history',
] as const

export const RECORD_COLUMNS: string = `${COLUMNS.map((column) => `j.${column}`).join(', ')}, q.name`

type FullRow = Readonly<Record<(typeof COLUMNS)[number] | 'name', string | null>>

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

export function recordOf(values: readonly (string | null)[], now: number): JobRecord {
  const row = rowOf(values)
  const [id, queue] = [textOf(row.id), textOf(row.name)]
  const state = Number(row.state) as StateNumber
  const isDue = state === State.delayed && Number(row.due) <= now
  const lane = row.lane_name ?? row.lane
  return {
    id,
    path: `${queue}/job:${id}`,
    status: isDue ? 'waiting' : STATUS[state],
    input: readJson(row.input) as Json,
    idempotencyKey: row.idempotency_key === null ? `${queue}/job:${id}` : fromText(row.idempotency_key),
    priority: Number(row.priority),
    lane: lane === null ? undefined : fromText(lane),
    addedAt: Number(row.added_at),
    dueAt: Number(row.due),
    finishedAt: row.finished_at === null ? undefined : Number(row.finished_at),
    attempts: Number(row.attempts) + (state === State.leased ? 1 : 0), // who holds it has begun the next one
    charged: Number(row.charged),
    putOffs: Number(row.put_offs),
    generation: Number(row.generation),
    restarts: readRestarts(row.restarts),
    value: readJson(row.value),
    failure: readJson(row.failure) as FailureJson | undefined,
    reason: readJson(row.reason),
    history: historyOf(row),
  }
}

export function letterOf(values: readonly (string | null)[]): DeadLetter {
  const row = rowOf(values)
  const failure = readJson(row.failure) as unknown as FailureJson // only failed jobs are dead letters
  return {
    id: textOf(row.id),
    path: failure.path,
    task: textOf(row.name),
    kind: failure.kind,
    message: failure.message,
    attempts: Number(row.attempts),
    diedAt: Number(row.finished_at),
    cursor: String(row.finish),
    input: readJson(row.input) as Json,
    failure,
    history: historyOf(row),
  }
}

function rowOf(values: readonly (string | null)[]): FullRow {
  return Object.fromEntries([...COLUMNS, 'name'].map((column, index) => [column, values[index] ?? null])) as FullRow
}

const textOf = (text: string | null): string => fromText(text ?? '')

const historyOf = ({ history }: FullRow): readonly HistoryEntry[] =>
  (readJson(history) ?? []) as unknown as readonly HistoryEntry[]
