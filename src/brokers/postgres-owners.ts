import { guarded } from '../evidence.ts'
import { isGone, thisProcess } from '../owner.ts'
import type { Link } from './postgres-link.ts'
import { quoted } from './postgres-text.ts'

/** The processes of a store, each with a number by which it holds jobs and is told of things. */
export class Owners {
  readonly #link: Link
  readonly #table: string

  constructor(link: Link, schema: string) {
    this.#link = link
    this.#table = `${quoted(schema)}.owners`
  }

  /** The number of this process. */
  async register(): Promise<number> {
    const { place, pid, born } = thisProcess()
    const insert = `INSERT INTO ${this.#table} (place, pid, born) VALUES ($1, $2, $3) RETURNING id`
    const [row] = await this.#link.write(insert, [place, pid, born])
    return Number(row?.[0])
  }

  /** `gone`: of this machine, and extending nothing any more; `old`: of another, and begun so long ago that it is as well. */
  async left(own: number): Promise<{ readonly gone: readonly number[]; readonly old: readonly number[] }> {
    const [gone, old]: [number[], number[]] = [[], []]
    const select = `SELECT id, place, pid, born, opened < now() - interval '30 days' FROM ${this.#table} WHERE id <> $1`
    for (const [id, place, pid, born, isOld] of await this.#link.read(select, [own])) {
      const owner = { place: place ?? '', pid: Number(pid), born: born ?? '' }
      if (guarded(() => isGone(owner), false)) gone.push(Number(id))
      else if (isOld === 't') old.push(Number(id))
    }
    return { gone, old }
  }

  async forget(...ids: readonly number[]): Promise<void> {
    if (ids.length > 0) await this.#link.read(`DELETE FROM ${this.#table} WHERE id = ANY ($1)`, [ids])
  }
}
