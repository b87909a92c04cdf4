import type { Database, Statement } from './sqlite-driver.ts'
import { State } from './sqlite-schema.ts'

/** More groups than these are not looked at one by one: in their common order something of them is near the front. */
const FEW = 64

interface Found {
  readonly seq: number
  readonly priority: number
  readonly due: number
}

/** Due jobs of some groups only: found without a look at those of the others, however many they are. */
export class Groups {
  readonly #names: Statement
  readonly #ofGroup: Statement
  readonly #ofOthers: Statement

  constructor(db: Database) {
    const ready = `queue = ? AND state = ${State.ready} AND grp IS NOT NULL`
    // From group to group by the index: as many steps as there are groups, not as there are jobs.
    this.#names = db.prepare(`
      WITH RECURSIVE names (grp) AS (
        SELECT min(grp) FROM jobs WHERE ${ready}
        UNION ALL
        SELECT (SELECT min(grp) FROM jobs WHERE ${ready} AND grp > names.grp) FROM names WHERE names.grp IS NOT NULL
      ) SELECT grp FROM names WHERE grp IS NOT NULL`)
    this.#ofGroup = db.prepare(`
      SELECT seq, priority, due FROM jobs WHERE ${ready} AND grp = ? ORDER BY priority, due, seq LIMIT ?`)
    this.#ofOthers = db.prepare(`
      SELECT seq, priority, due FROM jobs
      WHERE queue = ? AND state = ${State.ready} AND grp NOT IN (SELECT value FROM json_each(?))
      ORDER BY priority, due, seq LIMIT ?`)
  }

  /** The first of a queue that are of other groups. */
  first(queue: number, limit: number, without: ReadonlySet<string>): readonly number[] {
    const names = (this.#names.all(queue, queue) as { readonly grp: string }[]).map(({ grp }) => grp)
    const wanted = names.filter((name) => !without.has(name))
    const found =
      wanted.length > FEW
        ? (this.#ofOthers.all(queue, JSON.stringify([...without]), limit) as unknown as Found[])
        : wanted.flatMap((name) => this.#ofGroup.all(queue, name, limit) as unknown as Found[]).sort(byTurn)
    return found.slice(0, limit).map(({ seq }) => seq)
  }
}

const byTurn = (a: Found, b: Found): number => a.priority - b.priority || a.due - b.due || a.seq - b.seq
