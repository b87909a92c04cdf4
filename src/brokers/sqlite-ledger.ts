import { guarded } from '../evidence.ts'
import type { Database, Statement } from './sqlite-driver.ts'

interface LedgerRow {
  readonly finish: number
  readonly forgotten: number
  readonly results: number
}

const IDS_AT_ONCE = 1_000

/** Numbers that all processes of a store share: read once per transaction, and written once if they changed. */
export class Ledger {
  readonly #read: Statement
  readonly #write: Statement
  readonly #reserve: Statement
  #row: { finish: number; forgotten: number; results: number } | undefined
  #isChanged = false
  #added = 0
  #nextId = 0
  #endOfIds = 0
  #prefix = ''

  constructor(db: Database) {
    this.#read = db.prepare('SELECT finish, forgotten, results FROM store')
    this.#write = db.prepare('UPDATE store SET finish = ?, forgotten = ?, results = ?')
    this.#reserve = db.prepare(`UPDATE store SET next_id = next_id + ${IDS_AT_ONCE} RETURNING next_id`)
  }

  get results(): number {
    return this.#inTransaction().results
  }

  /** How many results this transaction added. */
  get added(): number {
    return this.#added
  }

  read(): LedgerRow {
    return this.#read.get() as LedgerRow
  }

  /** The number of one more job that finished. */
  finish(isResult: boolean): number {
    const row = this.#inTransaction()
    row.finish += 1
    if (isResult) {
      row.results += 1
      this.#added += 1
    }
    this.#isChanged = true
    return row.finish
  }

  /** Finished jobs are kept no longer: the number of the newest of them, and how many of them were results. */
  forget(finish: number, results: number): void {
    const row = this.#inTransaction()
    row.forgotten = Math.max(row.forgotten, finish)
    row.results -= results
    this.#isChanged = true
  }

  /** Before a commit. */
  write(): void {
    if (this.#isChanged && this.#row !== undefined) {
      const { finish, forgotten, results } = this.#row
      this.#write.run(finish, forgotten, results)
    }
    this.clear()
  }

  /** Others may write in between: nothing is known from one transaction to the next. */
  clear(): void {
    this.#row = undefined
    this.#isChanged = false
    this.#added = 0
  }

  /** An id no other process gives. While the file cannot be written they begin with something random. */
  newId(): string {
    if (this.#nextId === this.#endOfIds) this.#reserveIds()
    this.#nextId += 1
    return `${this.#prefix}${this.#nextId - 1}`
  }

  #reserveIds(): void {
    // `all`, not `get`: a statement of its own is committed when it is stepped to its end.
    const [row] = guarded(() => this.#reserve.all() as { readonly next_id: number }[], [])
    this.#prefix = row === undefined ? `${process.getBuiltinModule('node:crypto').randomUUID()}-` : ''
    this.#endOfIds = row?.next_id ?? IDS_AT_ONCE
    this.#nextId = this.#endOfIds - IDS_AT_ONCE
  }

  #inTransaction(): { finish: number; forgotten: number; results: number } {
    this.#row ??= { ...this.read() }
    return this.#row
  }
}
