import type { Json } from '../payload.ts'
import type { Database, Statement } from './sqlite-driver.ts'
import { readJson } from './stored.ts'

/** Begins the names of words, which are no notes: behind all that a name of a note begins with. */
const WORD = '~'

/** What is kept beside the jobs of a queue, by its name. Everything that changes it is called inside a transaction. */
export class Notes {
  readonly #keep: Statement
  readonly #remove: Statement
  readonly #all: Statement
  readonly #forget: Statement
  readonly #one: Statement

  constructor(db: Database) {
    this.#keep = db.prepare('INSERT OR REPLACE INTO notes (queue, name, value) VALUES (?, ?, ?)')
    this.#remove = db.prepare('DELETE FROM notes WHERE queue = ? AND name = ?')
    this.#all = db.prepare(`SELECT name, value FROM notes WHERE queue = ? AND name < '${WORD}'`)
    this.#one = db.prepare('SELECT value FROM notes WHERE queue = ? AND name = ?')
    this.#forget = db.prepare('DELETE FROM notes WHERE queue = ?')
  }

  /** Null takes a note away. */
  keep(queue: number, name: string, text: string | null): void {
    if (text === null) this.#remove.run(queue, name)
    else this.#keep.run(queue, name, text)
  }

  all(queue: number): Readonly<Record<string, Json>> {
    const rows = this.#all.all(queue) as { readonly name: string; readonly value: string }[]
    return Object.fromEntries(rows.map(({ name, value }) => [name, readJson(value) as Json]))
  }

  /** What processes agree on under a name, as text. */
  word(queue: number, name: string): string | null {
    const row = this.#one.get(queue, WORD + name) as { readonly value: string } | undefined
    return row?.value ?? null
  }

  setWord(queue: number, name: string, text: string | null): void {
    this.keep(queue, WORD + name, text)
  }

  forget(queue: number): void {
    this.#forget.run(queue)
  }
}
