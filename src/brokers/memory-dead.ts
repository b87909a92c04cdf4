import { JobTable } from '../job-table.ts'
import type { DeadLetterFilter } from './broker.ts'
import { moreOf, openMore, type Entry } from './memory-entry.ts'
import { Row } from './memory-row.ts'

const KEPT_DEAD_LETTERS = 1_000
const LISTED = 100

/** Dead letters, until somebody deals with them. */
export class DeadJobs {
  readonly #dead = new Row<Entry>(0)
  readonly #deadById = new JobTable<Entry>()
  #deaths = 0

  /** Gives the dead letter that had to make room, if one had to. */
  keep(entry: Entry): Entry | undefined {
    this.#deaths += 1
    openMore(entry).death = this.#deaths
    this.#deadById.set(entry.id, entry)
    this.#dead.push(entry)
    const oldest = this.#dead.first
    if (oldest === undefined || this.#deadById.size <= KEPT_DEAD_LETTERS) return undefined
    this.#drop(oldest)
    return oldest
  }

  get(id: string): Entry | undefined {
    return this.#deadById.get(id)
  }

  take(id: string): Entry | undefined {
    const entry = this.#deadById.get(id)
    if (entry !== undefined) this.#drop(entry)
    return entry
  }

  list({ task, kind, since, limit = LISTED }: DeadLetterFilter, before: number): readonly Entry[] {
    const matches = (entry: Entry): boolean => {
      const { diedAt, death } = moreOf(entry)
      return (
        death < before &&
        (task === undefined || task === entry.home.name) &&
        (kind === undefined || kind === entry.failure?.kind) &&
        (since === undefined || since <= diedAt)
      )
    }
    const oldestFirst: Entry[] = []
    for (let entry = this.#dead.first; entry !== undefined; entry = entry.behind) oldestFirst.push(entry)
    return oldestFirst.reverse().filter(matches).slice(0, limit)
  }

  #drop(entry: Entry): void {
    this.#deadById.delete(entry.id)
    this.#dead.remove(entry)
  }
}
