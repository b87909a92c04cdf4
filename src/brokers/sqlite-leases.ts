import { LeaseLostError } from '../errors.ts'
import { Failure } from '../failure.ts'
import type { Outcome, Settled } from './broker.ts'
import type { Changes } from './sqlite-changes.ts'
import type { Database, Statement } from './sqlite-driver.ts'
import type { End, Jobs, Store } from './sqlite-jobs.ts'
import { isGone, thisProcess, type Owner } from '../owner.ts'
import { addToHistory, JOB_COLUMNS, restartsOf, type JobRow, type PastRow } from './sqlite-row.ts'
import { writeJson, writeReason } from './stored.ts'
import { ORPHANED, State } from './sqlite-schema.ts'

interface LosableRow extends JobRow {
  readonly lost: number
  readonly generation: number
  readonly restarts: string | null
}

interface OfLease {
  readonly id: string
  readonly token: number
}

const GIVEN_BACK_AT_ONCE = 256

/** Who holds which job, and what becomes of those whose holder is gone. Everything is called inside a transaction. */
export class Leases {
  readonly #store: Store
  readonly #jobs: Jobs
  readonly #lease: number
  readonly #lostLimit: number
  /** Queues of jobs that this process found to be lost too often. */
  readonly #found = new Set<number>()
  readonly #held: Statement
  readonly #extend: Statement
  readonly #anyExpired: Statement
  readonly #expired: Statement
  readonly #ofOwner: Statement
  readonly #past: Statement
  readonly #retry: Statement
  readonly #restart: Statement
  readonly #setLost: Statement
  readonly #orphan: Statement
  readonly #orphans: Statement
  readonly #setKind: Statement
  readonly #owners: Statement
  readonly #deleteOwner: Statement

  constructor(store: Store, jobs: Jobs, options: { readonly lease: number; readonly lostLimit: number }) {
    this.#store = store
    this.#jobs = jobs
    this.#lease = options.lease
    this.#lostLimit = options.lostLimit
    const { db } = store
    const leased = `SELECT ${JOB_COLUMNS}, lost, generation, restarts FROM jobs WHERE state = ${State.leased}`
    this.#held = db.prepare(`SELECT ${JOB_COLUMNS} FROM jobs WHERE id = ? AND token = ? AND state = ${State.leased}`)
    this.#extend = db.prepare(`UPDATE jobs SET until = ? WHERE id = ? AND token = ? AND state = ${State.leased}`)
    this.#anyExpired = db.prepare(`SELECT 1 FROM jobs WHERE state = ${State.leased} AND until <= ? LIMIT 1`)
    this.#expired = db.prepare(`${leased} AND until <= ? ORDER BY until LIMIT ${GIVEN_BACK_AT_ONCE}`)
    this.#ofOwner = db.prepare(`${leased} AND owner = ?`)
    this.#past = db.prepare('SELECT generation, history FROM jobs WHERE seq = ?')
    this.#retry = db.prepare(`
      UPDATE jobs SET attempts = ?, charged = ?, put_offs = ?, history = ?, input = coalesce(?, input) WHERE seq = ?`)
    this.#restart = db.prepare(`
      UPDATE jobs SET attempts = 0, charged = 0, put_offs = 0, lost = 0, generation = ?, restarts = ?, history = ?,
        input = coalesce(?, input) WHERE seq = ?`)
    this.#setLost = db.prepare('UPDATE jobs SET lost = ? WHERE seq = ?')
    this.#orphan = db.prepare(`UPDATE jobs SET until = ${ORPHANED}, owner = NULL, token = token + 1 WHERE seq = ?`)
    this.#orphans = db.prepare(`${leased} AND until = ${ORPHANED} AND queue = ? LIMIT ${GIVEN_BACK_AT_ONCE}`)
    this.#setKind = db.prepare('UPDATE jobs SET kind = ?, history = ? WHERE seq = ?')
    this.#owners = db.prepare('SELECT id, place, pid, born FROM owners WHERE id <> ?')
    this.#deleteOwner = db.prepare('DELETE FROM owners WHERE id = ?')
  }

  extend({ id, token }: OfLease, now: number): Settled {
    return Number(this.#extend.run(now + this.#lease, id, token).changes) === 1 ? 'settled' : 'lost'
  }

  settle(outcome: Outcome, texts: OutcomeTexts, now: number, changes: Changes): Settled {
    const row = this.#held.get(outcome.id, outcome.token) as JobRow | undefined
    if (row === undefined) return 'lost'
    this.#apply(row, outcome, texts, now, changes)
    return 'settled'
  }

  /** Whether there is something that nobody extended. */
  areOver(now: number): boolean {
    return this.#anyExpired.get(now) !== undefined
  }

  /** Gives again what nobody extended. */
  expire(now: number, changes: Changes): void {
    for (const row of this.#expired.all(now) as LosableRow[]) this.#lose(row, now, changes)
  }

  /** At open: processes of this machine that were killed extend nothing any more. */
  freeDeadOwners(now: number, changes: Changes): void {
    for (const owner of this.#owners.all(this.#store.owner) as (Owner & { readonly id: number })[]) {
      if (!isGone(owner)) continue
      for (const row of this.#ofOwner.all(owner.id) as LosableRow[]) this.#lose(row, now, changes)
      this.#deleteOwner.run(owner.id)
    }
  }

  /** At close: what this process holds was not lost. */
  giveBackAll(now: number, changes: Changes): void {
    const { owner } = this.#store
    for (const row of this.#ofOwner.all(owner) as LosableRow[]) this.#jobs.putBack(row, now, changes)
    this.#deleteOwner.run(owner)
  }

  /** Whether this process found jobs of a queue that were lost too often. */
  hasOrphans(queue: number): boolean {
    return this.#found.has(queue)
  }

  /** Ends jobs that were lost too often, by who knows their task: its supervisors are to decide about them. */
  bury(queue: number, now: number, changes: Changes): void {
    const rows = this.#orphans.all(queue) as LosableRow[]
    if (rows.length < GIVEN_BACK_AT_ONCE) this.#found.delete(queue)
    for (const row of rows) {
      if (row.unwanted === null) this.#bury(row, now, changes)
      else this.#jobs.putBack(row, now, changes)
    }
  }

  /** A job that ends its process each time must not do so for ever: nobody is given it, and it waits to be buried. */
  #lose(row: LosableRow, now: number, changes: Changes): void {
    const lost = row.lost + 1
    this.#setLost.run(lost, row.seq)
    if (lost < this.#lostLimit || row.unwanted !== null) return this.#jobs.putBack(row, now, changes)
    this.#orphan.run(row.seq)
    this.#found.add(row.queue)
  }

  /** Ends a job that was never held. */
  endDead(row: JobRow, failure: Failure, text: string, now: number, changes: Changes): void {
    this.#fail(row, failure, { attempts: failure.attempt ?? 0, failure: text }, now, changes)
  }

  #bury(row: LosableRow, now: number, changes: Changes): void {
    const { id, generation, lost } = row
    const queue = this.#store.queues.nameOf(row.queue)
    const path = `${queue}/job:${id}`
    const attempts = row.attempts + 1 // the last is the one that was lost
    const error = LeaseLostError.ofLimit(path, lost)
    const job = { id, task: queue, attempts }
    const failure = new Failure({ error, path, kind: 'lost', at: now, attempt: attempts, job, generation })
    this.#fail(row, failure, { attempts, failure: JSON.stringify(failure) }, now, changes)
    changes.buried.push({ id, queue, attempts, generation, restarts: restartsOf(row), failure })
  }

  #apply(row: JobRow, outcome: Outcome, texts: OutcomeTexts, now: number, changes: Changes): void {
    const { value, failure, reason, input } = texts
    switch (outcome.kind) {
      case 'done':
        return this.#jobs.finish(row, State.done, { attempts: outcome.attempts, value }, now, changes)
      case 'fallback': {
        const { attempts } = outcome
        return this.#jobs.finish(row, State.fallback, { attempts, value, failure }, now, changes)
      }
      case 'failed':
        return this.#fail(row, outcome.failure, { attempts: outcome.attempts, failure }, now, changes)
      case 'cancelled':
        return this.#jobs.finish(row, State.cancelled, { attempts: outcome.attempts, reason }, now, changes)
      case 'retry': {
        const { delay, attempts, charged, putOffs } = outcome
        this.#retry.run(attempts, charged, putOffs, this.#historyWith(row, outcome.failure), input, row.seq)
        return this.#jobs.comeAgain(row, delay, attempts, now, changes)
      }
      case 'restart': {
        const { delay, generation, restarts } = outcome
        const history = this.#historyWith(row, outcome.failure)
        this.#restart.run(generation, JSON.stringify(restarts), history, input, row.seq)
        return this.#jobs.comeAgain(row, delay, 0, now, changes)
      }
      case 'release':
        return this.#jobs.putBack(row, now, changes)
    }
  }

  #fail(row: JobRow, failure: Failure, end: End, now: number, changes: Changes): void {
    this.#setKind.run(failure.kind, this.#historyWith(row, failure), row.seq)
    this.#jobs.finish(row, State.failed, end, now, changes)
  }

  #historyWith({ seq }: JobRow, failure: Failure): string {
    return addToHistory(this.#past.get(seq) as PastRow, failure)
  }
}

/** What an outcome carries, as text: made before the transaction begins, for it may throw. */
export interface OutcomeTexts {
  readonly value: string | null
  readonly failure: string
  readonly reason: string | null
  /** Null where it stays as it is. */
  readonly input: string | null
}

export function textsOf(outcome: Outcome): OutcomeTexts {
  return {
    value: 'value' in outcome ? writeJson(outcome.value) : null,
    failure: outcome.kind === 'failed' || outcome.kind === 'fallback' ? JSON.stringify(outcome.failure) : '',
    reason: 'reason' in outcome ? writeReason(outcome.reason) : null,
    input: 'input' in outcome ? writeJson(outcome.input) : null,
  }
}

/** Gives this process its number among those that opened the file. */
export function registerProcess(db: Database): number {
  const { place, pid, born } = thisProcess()
  const insert = db.prepare('INSERT INTO owners (place, pid, born) VALUES (?, ?, ?)')
  return Number(insert.run(place, pid, born).lastInsertRowid)
}
