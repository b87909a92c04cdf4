import type { Database, Statement } from './sqlite-driver.ts'

const SWEPT_AT_ONCE = 2
const CLEARED_AT_ONCE = 2_000

interface Keyed {
  readonly id: string
  readonly queue: number
  readonly dedupe_key: string | null
}

/** Which job holds a key to deduplicate by. */
export class Keys {
  readonly #find: Statement
  readonly #hold: Statement
  readonly #free: Statement
  readonly #sweep: Statement
  readonly #clear: Statement

  constructor(db: Database) {
    this.#find = db.prepare('SELECT id FROM keys WHERE queue = ? AND key = ? AND (until IS NULL OR until > ?)')
    this.#hold = db.prepare('INSERT OR REPLACE INTO keys (queue, key, id, until) VALUES (?, ?, ?, ?)')
    this.#free = db.prepare('DELETE FROM keys WHERE queue = ? AND key = ? AND id = ? AND (until IS NULL OR until <= ?)')
    this.#sweep = db.prepare(`
      DELETE FROM keys WHERE (queue, key) IN (
        SELECT queue, key FROM keys WHERE until IS NOT NULL AND until <= ? ORDER BY until LIMIT ${SWEPT_AT_ONCE}
      )`)
    this.#clear = db.prepare(`
      DELETE FROM keys WHERE queue = ? AND key IN (SELECT key FROM keys WHERE queue = ? LIMIT ${CLEARED_AT_ONCE})`)
  }

  /** The id of the job that holds a key. */
  holderOf(queue: number, key: string, now: number): string | undefined {
    const row = this.#find.get(queue, key, now) as { readonly id: string } | undefined
    return row?.id
  }

  hold(
    { id, queue, dedupe_key: key, dedupe_for: time }: Keyed & { readonly dedupe_for: number | null },
    now: number,
  ): void {
    if (key === null) return
    this.#hold.run(queue, key, id, time === null ? null : Math.min(Number.MAX_SAFE_INTEGER, Math.ceil(now + time)))
    if (time !== null) this.#sweep.run(now) // one comes, up to two that are over go: they never pile up
  }

  /** Forgets some of the keys of a queue; whether there may be more. */
  clear(queue: number): boolean {
    return Number(this.#clear.run(queue, queue).changes) === CLEARED_AT_ONCE
  }

  /** The job is over: what it held without a time is free. */
  free({ id, queue, dedupe_key: key }: Keyed, now: number): void {
    if (key !== null) this.#free.run(queue, key, id, now)
  }
}
