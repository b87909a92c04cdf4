import type { Failure } from '../failure.ts'
import { copyJson, type Json } from '../payload.ts'
import { describeThrown } from '../thrown.ts'
import type { DeadLetter, HistoryEntry, JobRecord, JobStatus, LeasedJob, NewJob } from './broker.ts'
import type { Waiting } from './memory-row.ts'

/** The queue of a job, as its entry knows it. */
export interface Home {
  readonly name: string
  /** Of the paths of its jobs, where they come from a task. */
  readonly pathPrefix: string
  readonly keys: { free(entry: Entry, now: number): void }
  readonly isEmpty: boolean
  wake: (() => void) | undefined
  delayed: number
  leased: number
  dead: number
  put(entry: Entry): void
  putBack(entry: Entry): void
  remove(entry: Entry): void
  leaveLane(entry: Entry): boolean
}

/** A job in memory. Also its own place in rows and heap, so that it costs one object. */
export interface Entry extends Waiting<Entry> {
  id: string
  /** Where it waits, and which queue that is. */
  home: Home
  input: Json
  /** Undefined where it is the path. */
  idempotencyKey: string | undefined
  priority: number
  lane: string | undefined
  group: string | undefined
  dedupe: NewJob['dedupe']
  addedAt: number
  status: JobStatus
  attempts: number
  charged: number
  putOffs: number
  generation: number
  restarts: Readonly<Record<string, number>>
  token: number
  due: number
  seq: number
  /** `OPEN` while it is not. */
  finishedAt: number
  value: Json | undefined
  failure: Failure | undefined
  reason: unknown
  history: HistoryEntry[] | undefined
  /** How many jobs had died when it did, itself included; 0 while it lives. */
  death: number
}

/** Instead of the time when it was finished. */
const OPEN = -1

const KEPT_HISTORY = 100

/** Without a prototype: a path may be called `constructor`. */
export const NO_RESTARTS: Readonly<Record<string, number>> = Object.freeze(
  Object.create(null) as Record<string, number>,
)

export function newEntry(job: NewJob, home: Home, now: number, seq: number): Entry {
  return {
    id: job.id,
    home,
    input: job.input,
    idempotencyKey: job.keyIsPath === true ? undefined : job.idempotencyKey,
    priority: job.priority,
    lane: job.lane,
    group: job.group,
    dedupe: job.dedupe,
    addedAt: now,
    status: 'waiting',
    attempts: 0,
    charged: 0,
    putOffs: 0,
    generation: 1,
    restarts: NO_RESTARTS,
    token: 0,
    due: now + job.delay,
    seq,
    place: -1,
    row: undefined,
    turn: 0,
    ahead: undefined,
    behind: undefined,
    finishedAt: OPEN,
    value: undefined,
    failure: undefined,
    reason: undefined,
    history: undefined,
    death: 0,
  }
}

/** Makes a dead job a new one under the same id and key; its history stays. */
export function revive(
  entry: Entry,
  { input, restarts = NO_RESTARTS }: { input: Json | undefined; restarts: Entry['restarts'] | undefined },
  now: number,
): void {
  if (input !== undefined) entry.input = input
  entry.attempts = entry.charged = entry.putOffs = 0
  entry.generation += 1
  entry.restarts = restarts
  entry.finishedAt = OPEN
  entry.failure = undefined
  entry.due = now
}

/** Writes an attempt that failed into the history. */
export function remember(entry: Entry, { kind, at, attempt, error }: Failure): void {
  const { generation, history } = entry
  const latest = { generation, attempt: attempt ?? 0, at, kind, message: describeThrown(error) }
  if (history === undefined) {
    entry.history = [latest] // no longer than that: most jobs that wait have failed once
    return
  }
  if (history.length === KEPT_HISTORY) history.shift()
  history.push(latest)
}

/** A copy, so that an old lease keeps its old token. */
export function leaseOf(entry: Entry): LeasedJob {
  return {
    id: entry.id,
    queue: entry.home.name,
    input: entry.input,
    idempotencyKey: entry.idempotencyKey ?? pathOf(entry),
    lane: entry.lane,
    token: entry.token,
    attempts: entry.attempts,
    charged: entry.charged,
    putOffs: entry.putOffs,
    generation: entry.generation,
    restarts: entry.restarts,
  }
}

/** What a record is made of. */
type Recorded = Omit<Entry, 'dedupe' | 'token' | 'seq' | 'place' | 'row' | 'turn' | 'ahead' | 'behind' | 'death'>

/** Whether it was done at its first attempt, and there is nothing else to say of it. */
export function isPlain(entry: Entry): boolean {
  return (
    entry.status === 'done' &&
    entry.priority === 0 &&
    entry.lane === undefined &&
    entry.idempotencyKey === undefined &&
    entry.history === undefined &&
    entry.generation === 1 &&
    entry.charged === 0 &&
    entry.putOffs === 0 &&
    entry.restarts === NO_RESTARTS
  )
}

export function recordOf(entry: Recorded): JobRecord {
  return {
    id: entry.id,
    path: pathOf(entry),
    status: entry.status,
    input: copyJson(entry.input),
    idempotencyKey: entry.idempotencyKey ?? pathOf(entry),
    priority: entry.priority,
    lane: entry.lane,
    addedAt: entry.addedAt,
    dueAt: entry.due,
    finishedAt: entry.finishedAt === OPEN ? undefined : entry.finishedAt,
    attempts: entry.attempts + (entry.status === 'running' ? 1 : 0), // who holds it has begun the next one
    charged: entry.charged,
    putOffs: entry.putOffs,
    generation: entry.generation,
    restarts: { ...entry.restarts },
    value: entry.value === undefined ? undefined : copyJson(entry.value),
    failure: entry.failure?.toJSON(),
    reason: entry.reason,
    history: [...(entry.history ?? [])],
  }
}

export function letterOf(entry: Entry): DeadLetter {
  const failure = entry.failure as Failure // only failed jobs are kept as dead letters
  return {
    id: entry.id,
    path: failure.path,
    task: entry.home.name,
    kind: failure.kind,
    message: failure.message,
    attempts: entry.attempts,
    diedAt: entry.finishedAt,
    cursor: String(entry.death),
    input: copyJson(entry.input),
    failure: failure.toJSON(),
    history: [...(entry.history ?? [])],
  }
}

const pathOf = ({ home, id }: Pick<Entry, 'home' | 'id'>): string => home.pathPrefix + id
