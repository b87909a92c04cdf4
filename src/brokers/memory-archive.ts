import type { DeadLetterFilter } from './broker.ts'
import type { Entry } from './memory-entry.ts'

const KEPT_RESULTS = 10_000
const KEPT_RESULTS_FOR = 24 * 60 * 60 * 1_000
const KEPT_DEAD_LETTERS = 1_000
const LISTED = 100

/** Jobs that are over: outcomes for a while, dead letters until somebody deals with them. */
export class Archive {
  readonly #finished = new Map<string, Entry>()
  readonly #dead = new Map<string, Entry>()

  get(id: string): Entry | undefined {
    return this.#finished.get(id) ?? this.#dead.get(id)
  }

  keepResult(entry: Entry, now: number): void {
    this.#finished.set(entry.id, entry)
    for (const [id, oldest] of this.#finished) {
      const stays = this.#finished.size <= KEPT_RESULTS && now - (oldest.finishedAt ?? 0) <= KEPT_RESULTS_FOR
      if (stays) return
      this.#finished.delete(id)
    }
  }

  /** Gives the dead letter that had to make room, if one had to. */
  keepDead(entry: Entry): Entry | undefined {
    this.#dead.set(entry.id, entry)
    if (this.#dead.size <= KEPT_DEAD_LETTERS) return undefined
    for (const oldest of this.#dead.values()) return this.takeDead(oldest.id)
    return undefined
  }

  dead(id: string): Entry | undefined {
    return this.#dead.get(id)
  }

  takeDead(id: string): Entry | undefined {
    const entry = this.#dead.get(id)
    this.#dead.delete(id)
    return entry
  }

  /** Newest first. */
  listDead({ task, kind, since, limit = LISTED }: DeadLetterFilter): readonly Entry[] {
    const matches = ({ queue, failure, finishedAt }: Entry): boolean =>
      (task === undefined || task === queue) &&
      (kind === undefined || kind === failure?.kind) &&
      (since === undefined || since <= (finishedAt ?? 0))
    return [...this.#dead.values()].reverse().filter(matches).slice(0, limit)
  }
}
