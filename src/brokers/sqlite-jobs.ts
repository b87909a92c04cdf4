import type { CancelAnswer, Enqueued, LeasedJob, NewJob } from './broker.ts'
import type { Archive } from './sqlite-archive.ts'
import { ROWS_AT_ONCE, type Changes } from './sqlite-changes.ts'
import type { Database, Statement } from './sqlite-driver.ts'
import type { Keys } from './sqlite-keys.ts'
import type { Lanes } from './sqlite-lanes.ts'
import type { Ledger } from './sqlite-ledger.ts'
import type { Queues } from './sqlite-queues.ts'
import { Groups } from './sqlite-groups.ts'
import { JOB_COLUMNS, LEASE_COLUMNS, leaseOf, type JobRow, type LeaseRow } from './sqlite-row.ts'
import { writeReason } from './stored.ts'
import { State, type StateNumber } from './sqlite-schema.ts'

/** What the life of a job rests on. */
export interface Store {
  readonly db: Database
  readonly queues: Queues
  readonly lanes: Lanes
  readonly keys: Keys
  readonly ledger: Ledger
  readonly archive: Archive
  /** Number of this process among those that opened the file. */
  readonly owner: number
}

/** What a job ended with, as text. */
export interface End {
  readonly attempts: number
  readonly value?: string | null
  readonly failure?: string
  readonly reason?: string | null
}

type FinalState = typeof State.done | typeof State.fallback | typeof State.cancelled | typeof State.failed

interface DeadRow extends JobRow {
  readonly dedupe_for: number | null
  readonly finish: number
}

const PROMOTED_AT_ONCE = 256

/** The life of jobs in the file. Everything here is called inside a transaction. */
export class Jobs {
  readonly #store: Store
  readonly #insert: Statement
  readonly #find: Statement
  readonly #due: Statement
  readonly #place: Statement
  readonly #take: Statement
  readonly #takeThese: Statement
  readonly #groups: Groups
  readonly #finish: Statement
  readonly #want: Statement
  readonly #dead: Statement
  readonly #revive: Statement
  readonly #delete: Statement
  /** Those that are not over, a statement for each state they may be in: each has an index of its own. */
  readonly #open: readonly Statement[]

  constructor(store: Store) {
    this.#store = store
    const { db } = store
    this.#insert = db.prepare(`
      INSERT INTO jobs (id, queue, state, priority, due, added_at, lane, grp, dedupe_key, dedupe_for, idempotency_key, input)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
    this.#find = db.prepare(`SELECT ${JOB_COLUMNS} FROM jobs WHERE id = ?`)
    this.#due = db.prepare(`
      SELECT ${JOB_COLUMNS} FROM jobs WHERE queue = ? AND state = ${State.delayed} AND due <= ?
      ORDER BY due LIMIT ${PROMOTED_AT_ONCE}`)
    this.#place = db.prepare('UPDATE jobs SET state = ?, due = ?, owner = NULL, until = NULL WHERE seq = ?')
    const take = (these: string): Statement =>
      db.prepare(`
        UPDATE jobs SET state = ${State.leased}, token = token + 1, owner = ?, until = ?
        WHERE seq IN (${these}) RETURNING ${LEASE_COLUMNS}`)
    this.#take = take(
      `SELECT seq FROM jobs WHERE queue = ? AND state = ${State.ready} ORDER BY priority, due, seq LIMIT ?`,
    )
    this.#takeThese = take('SELECT value FROM json_each(?)')
    this.#groups = new Groups(db)
    this.#finish = db.prepare(`
      UPDATE jobs SET state = ?, finish = ?, finished_at = ?, owner = ?, until = NULL, unwanted = NULL, attempts = ?,
        value = ?, failure = ?, reason = ? WHERE seq = ?`)
    this.#want = db.prepare('UPDATE jobs SET unwanted = ? WHERE seq = ?')
    this.#dead = db.prepare(
      `SELECT ${JOB_COLUMNS}, dedupe_for, finish FROM jobs WHERE id = ? AND state = ${State.failed}`,
    )
    this.#revive = db.prepare(`
      UPDATE jobs SET input = CASE WHEN ? THEN input ELSE ? END, finish = NULL, finished_at = NULL, failure = NULL,
        kind = NULL, attempts = 0, charged = 0, put_offs = 0, lost = 0, generation = generation + 1, restarts = ?
      WHERE seq = ?`)
    this.#delete = db.prepare('DELETE FROM jobs WHERE seq = ?')
    const inState = (condition: string): Statement =>
      db.prepare(`SELECT ${JOB_COLUMNS} FROM jobs WHERE queue = ? AND ${condition} LIMIT ${ROWS_AT_ONCE}`)
    this.#open = [
      inState(`state = ${State.ready}`),
      inState(`state = ${State.delayed}`),
      inState(`state = ${State.behind} AND lane IS NOT NULL`),
      inState(`state = ${State.leased}`),
    ]
  }

  add(job: NewJob, input: string | null, now: number, changes: Changes): Enqueued {
    const { queues, keys, lanes } = this.#store
    const { delay, dedupe, lane = null, group = null } = job
    const queue = queues.idOf(job.queue)
    const first = dedupe && keys.holderOf(queue, dedupe.key, now)
    if (first !== undefined) return { id: first, duplicate: true }
    const due = dueAt(now, delay)
    const state = delay > 0 ? State.delayed : lane === null ? State.ready : State.behind
    const [key, time] = [dedupe?.key ?? null, dedupe?.for ?? null]
    const { idempotencyKey, priority } = job
    const id = time === null ? job.id : this.#freeId(job.id)
    this.#insert.run(id, queue, state, priority, due, now, lane, group, key, time, idempotencyKey, input)
    queues.move(queue, undefined, state)
    keys.hold({ id, queue, dedupe_key: key, dedupe_for: time }, now)
    tellPlace(changes, queue, state, due)
    if (state === State.behind) lanes.enter({ queue, lane }, now, changes)
    return { id, duplicate: false }
  }

  /** Whether there is one with its key. */
  isKnown({ queue, dedupe }: NewJob, now: number): boolean {
    const { queues, keys } = this.#store
    return dedupe !== undefined && keys.holderOf(queues.idOf(queue), dedupe.key, now) !== undefined
  }

  /** Of a job that never was queued; undefined if there is one of that id that is not dead. */
  addDead(job: NewJob, input: string | null, now: number, changes: Changes): JobRow | undefined {
    this.discard(job.id)
    if (this.find(job.id) !== undefined) return undefined
    this.add({ ...job, delay: 1, lane: undefined, dedupe: undefined }, input, now, changes)
    return this.find(job.id)
  }

  find(id: string): JobRow | undefined {
    return this.#find.get(id) as JobRow | undefined
  }

  /** Lets jobs that became due compete by their own priority; whether there may be more of them. */
  promote(queue: number, now: number, changes: Changes): boolean {
    const rows = this.#due.all(queue, now) as JobRow[]
    for (const row of rows) {
      const state = this.#store.lanes.stateOf(row)
      this.#put(row, state, row.due)
      if (state === State.behind) this.#store.lanes.enter(row, now, changes)
    }
    return rows.length === PROMOTED_AT_ONCE
  }

  take(queue: number, limit: number, until: number, without: ReadonlySet<string>): readonly LeasedJob[] {
    const { queues, owner } = this.#store
    const rows = (
      without.size === 0
        ? this.#take.all(owner, until, queue, limit)
        : this.#takeThese.all(owner, until, JSON.stringify(this.#groups.first(queue, limit, without)))
    ) as LeaseRow[]
    const name = queues.nameOf(queue)
    for (let taken = 0; taken < rows.length; taken += 1) queues.move(queue, State.ready, State.leased)
    return rows.sort(byTurn).map((row) => leaseOf(row, name)) // RETURNING promises no order
  }

  /** A job waits again. If somebody gave it up while it was held, it is over instead. */
  comeAgain(row: JobRow, delay: number, attempts: number, now: number, changes: Changes): void {
    if (row.unwanted !== null) return this.#giveUp(row, row.unwanted, attempts, now, changes)
    const due = dueAt(now, delay)
    const state = delay > 0 ? State.delayed : this.#store.lanes.stateOf(row)
    this.#put(row, state, due)
    tellPlace(changes, row.queue, state, due)
    if (state === State.behind) this.#store.lanes.enter(row, now, changes)
  }

  /** A job that was held stands where it had stood. */
  putBack(row: JobRow, now: number, changes: Changes): void {
    if (row.unwanted !== null) return this.#giveUp(row, row.unwanted, row.attempts, now, changes)
    this.#put(row, State.ready, row.due)
    changes.woken.add(row.queue)
  }

  finish(row: JobRow, state: FinalState, end: End, now: number, changes: Changes): void {
    const { queues, keys, lanes, ledger, owner } = this.#store
    const { attempts, value = null, failure = null, reason = null } = end
    const finish = ledger.finish(state !== State.failed)
    this.#finish.run(state, finish, now, owner, attempts, value, failure, reason, row.seq)
    queues.move(row.queue, row.state, state)
    keys.free(row, now)
    lanes.leave(row, now, changes)
  }

  cancel(id: string, reason: unknown, now: number, changes: Changes): CancelAnswer {
    const row = this.find(id)
    if (row === undefined) return 'unknown'
    if (row.state >= State.done) return 'finished'
    if (row.state === State.leased) {
      this.#want.run(JSON.stringify({ reason: writeReason(reason) }), row.seq)
      return 'leased'
    }
    this.finish(row, State.cancelled, { attempts: row.attempts, reason: writeReason(reason) }, now, changes)
    return 'cancelled'
  }

  /** A dead job is a new one under the same id and key; its history stays. */
  revive(
    id: string,
    { input, restarts }: { readonly input: string | null | undefined; readonly restarts: string | null },
    now: number,
    changes: Changes,
  ): number | undefined {
    const { keys } = this.#store
    const row = this.#takeDead(id)
    if (row === undefined) return undefined
    this.#revive.run(input === undefined ? 1 : 0, input ?? null, restarts, row.seq)
    if (row.dedupe_key !== null && keys.holderOf(row.queue, row.dedupe_key, now) === undefined) keys.hold(row, now)
    this.comeAgain(row, 0, 0, now, changes)
    return row.queue
  }

  discard(id: string): boolean {
    const row = this.#takeDead(id)
    if (row === undefined) return false
    this.#delete.run(row.seq)
    this.#store.queues.move(row.queue, State.failed, undefined)
    return true
  }

  #freeId(wanted: string): string {
    let id = wanted
    for (let nth = 2; this.find(id) !== undefined; nth += 1) id = `${wanted}#${nth}`
    return id
  }

  /** Takes out some of the jobs of a queue that are not over, and then its keys; whether there may be more. */
  clear(queue: number): boolean {
    const { queues, lanes, keys } = this.#store
    for (const open of this.#open) {
      const rows = open.all(queue) as JobRow[]
      for (const row of rows) {
        this.#delete.run(row.seq)
        queues.move(queue, row.state, undefined)
      }
      if (rows.length > 0) return true
    }
    lanes.clear(queue)
    return keys.clear(queue)
  }

  #takeDead(id: string): DeadRow | undefined {
    const row = this.#dead.get(id) as DeadRow | undefined
    if (row !== undefined) this.#store.ledger.forget(row.finish, 0)
    return row
  }

  #put(row: JobRow, state: StateNumber, due: number): void {
    this.#place.run(state, due, row.seq)
    this.#store.queues.move(row.queue, row.state, state)
  }

  #giveUp(row: JobRow, unwanted: string, attempts: number, now: number, changes: Changes): void {
    const { reason } = JSON.parse(unwanted) as { readonly reason: string | null }
    this.finish(row, State.cancelled, { attempts, reason }, now, changes)
    changes.ended.push(row.id)
  }
}

/** Never early: a part of a millisecond counts as one. */
function dueAt(now: number, delay: number): number {
  return Math.min(Number.MAX_SAFE_INTEGER, Math.ceil(now + delay))
}

function tellPlace(changes: Changes, queue: number, state: StateNumber, due: number): void {
  if (state === State.ready) changes.woken.add(queue)
  if (state === State.delayed) changes.due = Math.min(changes.due, due)
}

const byTurn = (a: LeaseRow, b: LeaseRow): number => a.priority - b.priority || a.due - b.due || a.seq - b.seq
