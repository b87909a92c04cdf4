import type { Failure } from '../failure.ts'
import { copyJson, type Json } from '../payload.ts'
import { describeThrown } from '../thrown.ts'
import type { DeadLetter, HistoryEntry, JobRecord, JobStatus, JobTerms, LeasedJob, NewJob } from './broker.ts'
import type { Row, Waiting } from './memory-row.ts'

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

export interface More {
  hasOwnKey: boolean
  lane: string | undefined
  group: string | undefined
  dedupe: NewJob['dedupe']
  generation: number
  restarts: Readonly<Record<string, number>>
  reason: unknown
  history: HistoryEntry[] | undefined
  diedAt: number
  /** How many jobs had died when it did, itself included; 0 while it lives. */
  death: number
}

const KEPT_HISTORY = 100

/** Without a prototype: a path may be called `constructor`. */
export const NO_RESTARTS: Readonly<Record<string, number>> = Object.freeze(
  Object.create(null) as Record<string, number>,
)

const NOTHING_MORE: Readonly<More> = Object.freeze({
  hasOwnKey: false,
  lane: undefined,
  group: undefined,
  dedupe: undefined,
  generation: 1,
  restarts: NO_RESTARTS,
  reason: undefined,
  history: undefined,
  diedAt: 0,
  death: 0,
})

/**
 * A job in memory. Also its own place in rows and heap, so that it costs one object; of a class, as `Lease` is: where many
 * objects of one literal live long, V8 makes all that come after them in its old space, though most jobs are over at once.
 */
export class Entry implements Waiting<Entry> {
  id: string
  /** Where it waits, and which queue that is. */
  home: Home
  input: Json
  /** Its path, if it has none of its own. */
  idempotencyKey: string
  priority: number
  addedAt: number
  status: JobStatus = 'waiting'
  attempts = 0
  charged = 0
  putOffs = 0
  token = 0
  due: number
  seq: number
  place = -1
  row: Row<Entry> | undefined = undefined
  turn = 0
  ahead: Entry | undefined = undefined
  behind: Entry | undefined = undefined
  /** What it came to, of one that is over; else the latest, while it is not told in its history. */
  failure: Failure | undefined = undefined
  /** What few jobs have. */
  more: More | undefined

  constructor(
    id: string,
    home: Home,
    input: Json,
    key: string,
    hasOwnKey: boolean,
    terms: JobTerms,
    now: number,
    seq: number,
  ) {
    const { priority, lane, group, dedupe } = terms
    this.id = id
    this.home = home
    this.input = input
    this.idempotencyKey = key
    this.priority = priority
    this.addedAt = now
    this.due = now + terms.delay
    this.seq = seq
    const isUsual = !hasOwnKey && lane === undefined && group === undefined && dedupe === undefined
    this.more = isUsual ? undefined : { ...NOTHING_MORE, hasOwnKey, lane, group, dedupe }
  }
}

/** What few jobs have, of one of them; to be read only. */
export function moreOf({ more }: Entry): Readonly<More> {
  return more ?? NOTHING_MORE
}

/** The same, to be written to. */
export function openMore(entry: Entry): More {
  entry.more ??= { ...NOTHING_MORE }
  return entry.more
}

/** Makes a dead job a new one under the same id and key; its history stays. */
export function revive(
  entry: Entry,
  { input, restarts = NO_RESTARTS }: { input: Json | undefined; restarts: More['restarts'] | undefined },
  now: number,
): void {
  if (input !== undefined) entry.input = input
  entry.attempts = entry.charged = entry.putOffs = 0
  entry.failure = undefined
  entry.due = now
  const more = openMore(entry)
  more.generation += 1
  more.restarts = restarts
}

/** Keeps an attempt that failed for the history. It is told when the next one is, or the job is over: most never are. */
export function remember(entry: Entry, failure: Failure): void {
  tellHistory(entry)
  entry.failure = failure
}

/** Writes the latest attempt that failed into the history. */
export function tellHistory(entry: Entry): void {
  const { failure } = entry
  if (failure === undefined) return
  entry.failure = undefined
  const more = openMore(entry)
  const latest = told(failure, more.generation)
  if (more.history === undefined) {
    more.history = [latest] // no longer than that: most jobs have failed once
    return
  }
  if (more.history.length === KEPT_HISTORY) more.history.shift()
  more.history.push(latest)
}

function told({ kind, at, attempt, error }: Failure, generation: number): HistoryEntry {
  return { generation, attempt: attempt ?? 0, at, kind, message: describeThrown(error) }
}

/** A copy, so that an old lease keeps its old token. */
export class Lease implements LeasedJob {
  readonly id: string
  readonly queue: string
  readonly input: Json
  readonly idempotencyKey: string
  readonly keyIsPath: boolean
  readonly lane: string | undefined
  readonly token: number
  readonly attempts: number
  readonly charged: number
  readonly putOffs: number
  readonly generation: number
  readonly restarts: Readonly<Record<string, number>>

  constructor(entry: Entry) {
    const { lane, hasOwnKey, generation, restarts } = entry.more ?? NOTHING_MORE
    this.id = entry.id
    this.queue = entry.home.name
    this.input = entry.input
    this.idempotencyKey = entry.idempotencyKey
    this.keyIsPath = !hasOwnKey
    this.lane = lane
    this.token = entry.token
    this.attempts = entry.attempts
    this.charged = entry.charged
    this.putOffs = entry.putOffs
    this.generation = generation
    this.restarts = restarts
  }
}

/** What a record tells of a job that is over, beside its entry. */
export interface End {
  readonly finishedAt: number
  readonly value: Json | undefined
}

/** `epoch` is what its times are counted from. */
export function recordOf(entry: Entry, epoch: number, end?: End): JobRecord {
  const { more = NOTHING_MORE, failure } = entry
  const untold = end === undefined && failure !== undefined ? [told(failure, more.generation)] : []
  const history = [...(more.history ?? []), ...untold].slice(-KEPT_HISTORY)
  return {
    id: entry.id,
    path: pathOf(entry),
    status: entry.status,
    input: copyJson(entry.input),
    idempotencyKey: entry.idempotencyKey,
    priority: entry.priority,
    lane: more.lane,
    addedAt: epoch + entry.addedAt,
    dueAt: epoch + entry.due,
    finishedAt: end && epoch + end.finishedAt,
    attempts: entry.attempts + (entry.status === 'running' ? 1 : 0), // who holds it has begun the next one
    charged: entry.charged,
    putOffs: entry.putOffs,
    generation: more.generation,
    restarts: { ...more.restarts },
    value: end?.value === undefined ? undefined : copyJson(end.value),
    failure: end && failure?.toJSON(),
    reason: more.reason,
    history,
  }
}

/** How it ended, of a dead one. */
export function endOf(entry: Entry): End {
  return { finishedAt: moreOf(entry).diedAt, value: undefined }
}

export function letterOf(entry: Entry, epoch: number): DeadLetter {
  const failure = entry.failure as Failure // only failed jobs are kept as dead letters
  const { diedAt, death, history } = moreOf(entry)
  return {
    id: entry.id,
    path: failure.path,
    task: entry.home.name,
    kind: failure.kind,
    message: failure.message,
    attempts: entry.attempts,
    diedAt: epoch + diedAt,
    cursor: String(death),
    input: copyJson(entry.input),
    failure: failure.toJSON(),
    history: [...(history ?? [])],
  }
}

const pathOf = ({ home, id }: Entry): string => home.pathPrefix + id
