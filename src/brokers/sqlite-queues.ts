import type { QueueStats } from './broker.ts'
import type { Database, Statement } from './sqlite-driver.ts'
import { State, type StateNumber } from './sqlite-schema.ts'

/** How many jobs a queue has more, or fewer, than the file says. */
interface Delta {
  waiting: number
  delayed: number
  leased: number
  dead: number
}

interface QueueRow extends Delta {
  readonly id: number
  readonly name: string
  readonly due: number | null
}

const COUNTED: Readonly<Partial<Record<StateNumber, keyof Delta>>> = {
  [State.ready]: 'waiting',
  [State.behind]: 'waiting',
  [State.delayed]: 'delayed',
  [State.leased]: 'leased',
  [State.failed]: 'dead',
}

/** Queues by name, and the counts of their jobs: kept rather than counted, and written once per transaction. */
export class Queues {
  readonly #ids = new Map<string, number>()
  readonly #names = new Map<number, string>()
  readonly #deltas = new Map<number, Delta>()
  readonly #find: Statement
  readonly #name: Statement
  readonly #insert: Statement
  readonly #count: Statement
  readonly #all: Statement
  readonly #promoted: Statement

  constructor(db: Database) {
    this.#find = db.prepare('SELECT id FROM queues WHERE name = ?')
    this.#name = db.prepare('SELECT name FROM queues WHERE id = ?')
    this.#insert = db.prepare('INSERT INTO queues (name) VALUES (?)')
    this.#count = db.prepare(
      'UPDATE queues SET waiting = waiting + ?, delayed = delayed + ?, leased = leased + ?, dead = dead + ? WHERE id = ?',
    )
    // The oldest of each priority is the first of its stretch of the index; nothing else is read.
    this.#all = db.prepare(`
      SELECT id, name, waiting, delayed, leased, dead, (
        WITH RECURSIVE stretch (priority) AS (
          SELECT min(priority) FROM jobs WHERE queue = queues.id AND state = ${State.ready}
          UNION ALL
          SELECT (SELECT min(priority) FROM jobs
            WHERE queue = queues.id AND state = ${State.ready} AND priority > stretch.priority)
          FROM stretch WHERE stretch.priority IS NOT NULL
        )
        SELECT min((SELECT min(due) FROM jobs
          WHERE queue = queues.id AND state = ${State.ready} AND priority = stretch.priority))
        FROM stretch
      ) AS due FROM queues`)
    this.#promoted = db.prepare(
      `SELECT count(*) AS jobs, min(due) AS due FROM jobs WHERE queue = ? AND state = ${State.delayed} AND due <= ?`,
    )
  }

  /** Inside a transaction: of a queue nobody knew yet, too. */
  idOf(name: string): number {
    return this.find(name) ?? this.#know(Number(this.#insert.run(name).lastInsertRowid), name)
  }

  find(name: string): number | undefined {
    const known = this.#ids.get(name)
    if (known !== undefined) return known
    const row = this.#find.get(name) as { readonly id: number } | undefined
    return row && this.#know(row.id, name)
  }

  nameOf(id: number): string {
    const known = this.#names.get(id)
    if (known !== undefined) return known
    const { name } = this.#name.get(id) as { readonly name: string }
    this.#know(id, name)
    return name
  }

  move(queue: number, from: StateNumber | undefined, to: StateNumber | undefined): void {
    const before = from === undefined ? undefined : COUNTED[from]
    const after = to === undefined ? undefined : COUNTED[to]
    if (before === after) return
    let delta = this.#deltas.get(queue)
    if (delta === undefined) this.#deltas.set(queue, (delta = { waiting: 0, delayed: 0, leased: 0, dead: 0 }))
    if (before !== undefined) delta[before] -= 1
    if (after !== undefined) delta[after] += 1
  }

  /** Before a commit. */
  write(): void {
    for (const [queue, { waiting, delayed, leased, dead }] of this.#deltas) {
      this.#count.run(waiting, delayed, leased, dead, queue)
    }
    this.#deltas.clear()
  }

  /** After a rollback. */
  forget(): void {
    this.#deltas.clear()
    this.#ids.clear() // a queue may have been made in that transaction
    this.#names.clear()
  }

  /** A delayed job that became due waits, also before somebody looks at it. */
  stats(now: number): readonly QueueStats[] {
    return (this.#all.all() as QueueRow[]).map(({ id, name: queue, waiting, delayed, leased, dead, due }) => {
      const promoted = this.#promoted.get(id, now) as { readonly jobs: number; readonly due: number | null }
      const oldest = Math.min(due ?? Infinity, promoted.due ?? Infinity)
      return {
        queue,
        waiting: waiting + promoted.jobs,
        delayed: delayed - promoted.jobs,
        leased,
        dead,
        oldest: oldest === Infinity ? undefined : Math.max(0, now - oldest),
      }
    })
  }

  #know(id: number, name: string): number {
    this.#ids.set(name, id)
    this.#names.set(id, name)
    return id
  }
}
