import type { QueueStats } from './broker.ts'
import type { Link } from './postgres-link.ts'
import { State } from './postgres-tables.ts'
import { fromText, quoted, toKey, toText } from './postgres-text.ts'

/** Queues by their numbers in the store. No queue ever leaves it. */
export class Queues {
  readonly #link: Link
  readonly #table: string
  readonly #jobs: string
  readonly #ids = new Map<string, number>()
  readonly #names = new Map<number, string>()

  constructor(link: Link, schema: string) {
    this.#link = link
    this.#table = `${quoted(schema)}.queues`
    this.#jobs = `${quoted(schema)}.jobs`
  }

  /** Undefined where it was not asked for before. */
  known(name: string): number | undefined {
    return this.#ids.get(name)
  }

  /** Also of a queue nobody knew yet. */
  async idOf(name: string): Promise<number> {
    const known = this.#ids.get(name)
    if (known !== undefined) return known
    const key = toKey(name)
    const find = `SELECT id FROM ${this.#table} WHERE key = $1`
    const found = await this.#link.read(find, [key])
    if (found.length === 0) {
      await this.#link.read(`INSERT INTO ${this.#table} (key, name) VALUES ($1, $2) ON CONFLICT DO NOTHING`, [
        key,
        toText(name),
      ])
    }
    const [row] = found.length === 0 ? await this.#link.read(find, [key]) : found
    const id = Number(row?.[0])
    this.#ids.set(name, id)
    this.#names.set(id, name)
    return id
  }

  /** The numbers of all of these, one for each. */
  async idsOf(names: readonly string[]): Promise<void> {
    for (const name of new Set(names)) if (!this.#ids.has(name)) await this.idOf(name)
  }

  /** Undefined where this process has not asked for it. */
  nameOf(id: number): string | undefined {
    return this.#names.get(id)
  }

  /** A delayed job that became due waits, also before somebody looks at it. */
  async stats(now: number): Promise<readonly QueueStats[]> {
    const jobs = this.#jobs
    // The oldest of each priority is the first of its stretch of the index; nothing else is read.
    const rows = await this.#link.read(
      `SELECT q.name, q.waiting + d.jobs, q.delayed - d.jobs, q.leased, q.dead, LEAST(d.due, (
        WITH RECURSIVE stretch (priority) AS (
          (SELECT priority FROM ${jobs} WHERE queue = q.id AND state = ${State.ready} ORDER BY priority LIMIT 1)
          UNION ALL
          SELECT (SELECT j.priority FROM ${jobs} j WHERE j.queue = q.id AND j.state = ${State.ready}
            AND j.priority > stretch.priority ORDER BY j.priority LIMIT 1)
          FROM stretch WHERE stretch.priority IS NOT NULL
        )
        SELECT min((SELECT j.due FROM ${jobs} j WHERE j.queue = q.id AND j.state = ${State.ready}
          AND j.priority = stretch.priority ORDER BY j.due LIMIT 1)) FROM stretch
      )) FROM ${this.#table} q, LATERAL (
        SELECT count(*) AS jobs, min(due) AS due FROM ${jobs} WHERE queue = q.id AND state = ${State.delayed} AND due <= $1
      ) AS d WHERE q.used ORDER BY q.id`,
      [now],
    )
    return rows.map(([name, waiting, delayed, leased, dead, due]) => ({
      queue: fromText(name ?? ''),
      waiting: Number(waiting),
      delayed: Number(delayed),
      leased: Number(leased),
      dead: Number(dead),
      oldest: due === null || due === undefined ? undefined : Math.max(0, now - Number(due)),
    }))
  }
}
