import { JobTable } from '../job-table.ts'
import type { DeadLetterFilter } from './broker.ts'
import type { Entry } from './memory-entry.ts'
import { Row } from './memory-row.ts'

const KEPT_RESULTS = 10_000
const KEPT_RESULTS_FOR = 24 * 60 * 60 * 1_000
const KEPT_DEAD_LETTERS = 1_000
const LISTED = 100

/** Jobs that are over, by age: outcomes for a while, dead letters until somebody deals with them. */
export class Archive {
  readonly #results = new Row<Entry>(0)
  #resultCount = 0
  readonly #dead = new Row<Entry>(0)
  readonly #deadById = new JobTable<Entry>()
  #deaths = 0
  readonly #forget: (entry: Entry) => void

  /** `forget` is given results that nobody can ask for any more. */
  constructor(forget: (entry: Entry) => void) {
    this.#forget = forget
  }

  keepResult(entry: Entry, now: number): void {
    this.#results.push(entry)
    this.#resultCount += 1
    for (let oldest = this.#results.first; oldest !== undefined; oldest = this.#results.first) {
      if (this.#resultCount <= KEPT_RESULTS && now - oldest.finishedAt <= KEPT_RESULTS_FOR) return
      this.dropResult(oldest)
      this.#forget(oldest)
    }
  }

  /** Another job has its id now. */
  dropResult(entry: Entry): void {
    this.#results.remove(entry)
    this.#resultCount -= 1
  }

  /** Gives the dead letter that had to make room, if one had to. */
  keepDead(entry: Entry): Entry | undefined {
    this.#deaths += 1
    entry.death = this.#deaths
    this.#deadById.set(entry.id, entry)
    this.#dead.push(entry)
    const oldest = this.#dead.first
    if (oldest === undefined || this.#deadById.size <= KEPT_DEAD_LETTERS) return undefined
    this.#dropDead(oldest)
    return oldest
  }

  dead(id: string): Entry | undefined {
    return this.#deadById.get(id)
  }

  takeDead(id: string): Entry | undefined {
    const entry = this.#deadById.get(id)
    if (entry !== undefined) this.#dropDead(entry)
    return entry
  }

  listDead({ task, kind, since, limit = LISTED }: DeadLetterFilter, before: number): readonly Entry[] {
    const matches = ({ home, failure, finishedAt, death }: Entry): boolean =>
      death < before &&
      (task === undefined || task === home.name) &&
      (kind === undefined || kind === failure?.kind) &&
      (since === undefined || since <= finishedAt)
    const oldestFirst: Entry[] = []
    for (let entry = this.#dead.first; entry !== undefined; entry = entry.behind) oldestFirst.push(entry)
    return oldestFirst.reverse().filter(matches).slice(0, limit)
  }

  #dropDead(entry: Entry): void {
    this.#deadById.delete(entry.id)
    this.#dead.remove(entry)
  }
}
