import type { QueueStats } from './broker.ts'
import type { Link } from './postgres-link.ts'
import { fromText, quoted, toKey, toText } from './postgres-text.ts'

/** Queues by their numbers in the store. No queue ever leaves it. */
export class Queues {
  readonly #link: Link
  readonly #table: string
  readonly #stats: string
  readonly #ids = new Map<string, number>()
  readonly #names = new Map<number, string>()

  constructor(link: Link, schema: string, stats: string) {
    this.#link = link
    this.#table = `${quoted(schema)}.queues`
    this.#stats = stats
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
    const [row] = await this.#link.read(`SELECT ${this.#stats}($1)`, [now])
    const queues = JSON.parse(row?.[0] ?? '[]') as readonly (readonly [
      string,
      number,
      number,
      number,
      number,
      number?,
    ])[]
    return queues.map(([name, waiting, delayed, leased, dead, due]) => ({
      queue: fromText(name),
      waiting,
      delayed,
      leased,
      dead,
      oldest: typeof due === 'number' ? Math.max(0, now - due) : undefined,
    }))
  }
}
