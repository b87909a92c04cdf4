import type { DeadLetter, DeadLetterFilter, JobRecord } from './broker.ts'
import type { Link } from './postgres-link.ts'
import { letterOf, RECORD_COLUMNS, recordOf } from './postgres-row.ts'
import { State } from './postgres-tables.ts'
import { quoted, toKey, toText } from './postgres-text.ts'

interface Wanted {
  readonly id: string
  readonly resolve: (record: JobRecord | undefined) => void
  readonly reject: (error: unknown) => void
}

const LISTED = 100

/** Records to look at. */
export class Archive {
  readonly #link: Link
  readonly #full: string
  readonly #now: () => number
  #wanted: Wanted[] = []

  constructor(link: Link, schema: string, now: () => number) {
    this.#link = link
    this.#now = now
    const place = quoted(schema)
    this.#full = `SELECT ${RECORD_COLUMNS} FROM ${place}.jobs j JOIN ${place}.queues q ON q.id = j.queue`
  }

  /** Those that are asked for at once are read at once. */
  record(id: string): Promise<JobRecord | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#wanted.length === 0) setImmediate(() => void this.#read())
      this.#wanted.push({ id: toText(id), resolve, reject })
    })
  }

  async letter(id: string): Promise<DeadLetter | undefined> {
    const [row] = await this.#ask(`${this.#full} WHERE j.id = $1 AND j.state + 0 = ${State.failed}`, [toText(id)])
    return row && letterOf(row)
  }

  async letters(filter: DeadLetterFilter, before: number): Promise<readonly DeadLetter[]> {
    const { task, kind, since, limit = LISTED } = filter
    const rows = await this.#ask(
      `${this.#full} WHERE j.state = ${State.failed} AND j.finish < $1 AND ($2::text IS NULL OR q.key = $2)
        AND ($3::text IS NULL OR j.kind = $3) AND ($4::float8 IS NULL OR j.finished_at >= $4)
        ORDER BY j.finish DESC LIMIT $5`,
      [before, task === undefined ? null : toKey(task), kind ?? null, since ?? null, limit],
    )
    return rows.map(letterOf)
  }

  async #read(): Promise<void> {
    const wanted = this.#wanted
    this.#wanted = []
    try {
      const rows = await this.#ask(`${this.#full} WHERE j.id = ANY ($1)`, [wanted.map(({ id }) => id)])
      const byId = new Map(rows.map((row) => [row[0], row]))
      for (const { id, resolve } of wanted) {
        const row = byId.get(id)
        resolve(row && recordOf(row, this.#now()))
      }
    } catch (error) {
      for (const { reject } of wanted) reject(error)
    }
  }

  async #ask(text: string, values: readonly unknown[]): ReturnType<Link['read']> {
    try {
      return await this.#link.read(text, values)
    } catch (error) {
      throw this.#link.explain(error)
    }
  }
}
