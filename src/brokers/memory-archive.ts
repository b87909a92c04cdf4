import type { DeadLetterFilter } from './broker.ts'
import type { Entry } from './memory-entry.ts'
import { JobTable } from '../job-table.ts'
import { Row } from './memory-row.ts'

const KEPT_RESULTS = 10_000
const KEPT_RESULTS_FOR = 24 * 60 * 60 * 1_000
const KEPT_DEAD_LETTERS = 1_000
const LISTED = 100

/** Jobs by id, and by age: to find the oldest key of a Map, V8 walks over all that were deleted before it. */
class Shelf {
  readonly #byId = new JobTable<Entry>()
  readonly #byAge = new Row<Entry>(0)

  get size(): number {
    return this.#byId.size
  }

  get oldest(): Entry | undefined {
    return this.#byAge.first
  }

  get(id: string): Entry | undefined {
    return this.#byId.get(id)
  }

  add(entry: Entry): void {
    this.#byId.set(entry.id, entry)
    this.#byAge.push(entry)
  }

  remove(entry: Entry): void {
    this.#byId.delete(entry.id)
    this.#byAge.remove(entry)
  }

  newestFirst(): Entry[] {
    const entries: Entry[] = []
    for (let entry = this.#byAge.first; entry !== undefined; entry = entry.behind) entries.push(entry)
    return entries.reverse()
  }
}

/** Jobs that are over: outcomes for a while, dead letters until somebody deals with them. */
export class Archive {
  readonly #finished = new Shelf()
  readonly #dead = new Shelf()
  #deaths = 0

  get(id: string): Entry | undefined {
    return this.#finished.get(id) ?? this.#dead.get(id)
  }

  keepResult(entry: Entry, now: number): void {
    this.#finished.add(entry)
    for (let { oldest } = this.#finished; oldest !== undefined; oldest = this.#finished.oldest) {
      if (this.#finished.size <= KEPT_RESULTS && now - (oldest.finishedAt ?? 0) <= KEPT_RESULTS_FOR) return
      this.#finished.remove(oldest)
    }
  }

  /** Gives the dead letter that had to make room, if one had to. */
  keepDead(entry: Entry): Entry | undefined {
    this.#deaths += 1
    entry.death = this.#deaths
    this.#dead.add(entry)
    const { oldest } = this.#dead
    if (oldest === undefined || this.#dead.size <= KEPT_DEAD_LETTERS) return undefined
    this.#dead.remove(oldest)
    return oldest
  }

  dead(id: string): Entry | undefined {
    return this.#dead.get(id)
  }

  takeDead(id: string): Entry | undefined {
    const entry = this.#dead.get(id)
    if (entry !== undefined) this.#dead.remove(entry)
    return entry
  }

  listDead({ task, kind, since, limit = LISTED }: DeadLetterFilter, before: number): readonly Entry[] {
    const matches = ({ queue, failure, finishedAt, death }: Entry): boolean =>
      death < before &&
      (task === undefined || task === queue) &&
      (kind === undefined || kind === failure?.kind) &&
      (since === undefined || since <= (finishedAt ?? 0))
    return this.#dead.newestFirst().filter(matches).slice(0, limit)
  }
}
