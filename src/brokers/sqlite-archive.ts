import type { DeadLetter, DeadLetterFilter, JobRecord } from './broker.ts'
import type { Database, Statement } from './sqlite-driver.ts'
import type { Ledger } from './sqlite-ledger.ts'
import { FULL_COLUMNS, letterOf, recordOf, type FullRow } from './sqlite-row.ts'
import { State } from './sqlite-schema.ts'

/** How long and how many results are kept. */
export interface Retention {
  readonly for: number
  readonly last: number
}

const LISTED = 100
const TRIMMED_AT_MOST = 512
const NOTHING = { finish: null }
const RESULT = `state IN (${State.done}, ${State.fallback}, ${State.cancelled})`

/** Records to look at, and what leaves when it was kept long enough. */
export class Archive {
  readonly #ledger: Ledger
  readonly #retention: Retention
  readonly #record: Statement
  readonly #letters: Statement
  readonly #letter: Statement
  readonly #newestOf: Statement
  readonly #newestBefore: Statement
  readonly #delete: Statement
  readonly #finishedSince: Statement

  constructor(db: Database, ledger: Ledger, retention: Retention) {
    this.#ledger = ledger
    this.#retention = retention
    const full = `SELECT ${FULL_COLUMNS} FROM jobs JOIN queues ON queues.id = jobs.queue`
    this.#record = db.prepare(`${full} WHERE jobs.id = ?`)
    this.#letter = db.prepare(`${full} WHERE jobs.id = ? AND state = ${State.failed}`)
    this.#letters = db.prepare(`
      ${full} WHERE state = ${State.failed} AND finish < ?
        AND coalesce(queues.name = ?, true) AND coalesce(kind = ?, true) AND coalesce(finished_at >= ?, true)
      ORDER BY finish DESC LIMIT ?`)
    this.#newestOf = db.prepare(`SELECT finish FROM jobs WHERE ${RESULT} ORDER BY finish LIMIT 1 OFFSET ?`)
    this.#newestBefore = db.prepare(`
      SELECT max(finish) AS finish
      FROM (SELECT finish, finished_at FROM jobs WHERE ${RESULT} ORDER BY finish LIMIT ?) WHERE finished_at < ?`)
    this.#delete = db.prepare(`DELETE FROM jobs WHERE ${RESULT} AND finish <= ?`)
    this.#finishedSince = db.prepare(`
      SELECT id FROM jobs WHERE ${RESULT} AND finish > ? AND finish <= ? AND owner <> ?
      UNION ALL SELECT id FROM jobs WHERE state = ${State.failed} AND finish > ? AND finish <= ? AND owner <> ?`)
  }

  record(id: string, now: number): JobRecord | undefined {
    const row = this.#record.get(id) as FullRow | undefined
    return row && recordOf(row, now)
  }

  letter(id: string): DeadLetter | undefined {
    const row = this.#letter.get(id) as FullRow | undefined
    return row && letterOf(row)
  }

  letters({ task, kind, since, limit = LISTED }: DeadLetterFilter, before: number): readonly DeadLetter[] {
    const rows = this.#letters.all(before, task ?? null, kind ?? null, since ?? null, limit)
    return (rows as FullRow[]).map(letterOf)
  }

  /** Lets the oldest results go, if they are too many or too old: a few more than came, so that no step is long. */
  trim(atMost: number, now: number): void {
    const { last, for: time } = this.#retention
    const rows = Math.min(TRIMMED_AT_MOST, atMost)
    const tooMany = Math.min(rows, this.#ledger.results - last)
    const number = tooMany > 0 ? this.#newestOf.get(tooMany - 1) : this.#newestBefore.get(rows, now - time)
    const { finish } = (number ?? NOTHING) as { readonly finish: number | null }
    if (finish !== null) this.#ledger.forget(finish, Number(this.#delete.run(finish).changes))
  }

  /** Ids of jobs that others than `owner` finished. */
  finishedSince(finish: number, until: number, owner: number): readonly string[] {
    const rows = this.#finishedSince.all(finish, until, owner, finish, until, owner) as { readonly id: string }[]
    return rows.map(({ id }) => id)
  }
}
