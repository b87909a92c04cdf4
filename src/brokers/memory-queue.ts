import type { Json } from '../payload.ts'
import type { QueueStats } from './broker.ts'
import { DueHeap } from './due-heap.ts'
import { moreOf, type Entry, type Home } from './memory-entry.ts'
import { HeldKeys } from './memory-keys.ts'
import { Row } from './memory-row.ts'

/** The head of a lane, which alone may be taken, and those behind it. */
interface Lane {
  head: Entry
  readonly behind: Row<Entry>
}

/** Empty rows are kept up to this many, so that a queue that runs dry after each job makes none. */
const KEPT_ROWS = 16

const NO_GROUPS: ReadonlySet<string> = new Set()

const NO_NOTES: Readonly<Record<string, Json>> = Object.freeze({})

/** The due jobs of one task, in the order they are taken. */
export class MemoryQueue implements Home {
  readonly name: string
  readonly pathPrefix: string
  readonly keys: HeldKeys = new HeldKeys()
  wake: (() => void) | undefined
  notes: Readonly<Record<string, Json>> = NO_NOTES
  /** As text, by their names. */
  readonly words: Map<string, string> = new Map()
  delayed = 0
  leased = 0
  dead = 0
  #waiting = 0
  readonly #rows = new Map<number, Row<Entry>>()
  readonly #nonEmpty = new DueHeap<Row<Entry>>()
  readonly #lanes = new Map<string, Lane>()
  /** How many wait of each group. */
  readonly #groups = new Map<string, number>()

  constructor(name: string) {
    this.name = name
    this.pathPrefix = `${name}/job:`
  }

  /** Adds a due job; behind the head of its lane, if that is another one. */
  put(entry: Entry): void {
    this.#count(entry, 1)
    const { lane: name } = moreOf(entry)
    if (name !== undefined) {
      const lane = this.#lanes.get(name)
      if (lane === undefined) this.#lanes.set(name, { head: entry, behind: new Row<Entry>(0) })
      else if (lane.head !== entry) return lane.behind.push(entry)
    }
    this.#row(entry.priority).push(entry)
  }

  /** Adds a job that was taken and let go again, where it had stood. */
  putBack(entry: Entry): void {
    this.#count(entry, 1)
    this.#row(entry.priority).putBack(entry)
  }

  /** The first of them; with groups to go `without`, of other groups. */
  take(limit: number, without: ReadonlySet<string> = NO_GROUPS): readonly Entry[] {
    const taken = without.size === 0 ? this.#first(limit) : this.#firstWithout(limit, without)
    taken.forEach((entry) => this.#count(entry, -1))
    this.leased += taken.length
    return taken
  }

  /** Takes out a job that waits. */
  remove(entry: Entry): void {
    this.#unlink(entry)
    this.#count(entry, -1)
  }

  /** Opens the lane of a finished job for the next one; whether there is one. */
  leaveLane(entry: Entry): boolean {
    const { lane: name } = moreOf(entry)
    if (name === undefined) return false
    const lane = this.#lanes.get(name)
    if (lane?.head !== entry) return false
    const next = lane.behind.first
    if (next === undefined) {
      this.#lanes.delete(name)
      return false
    }
    lane.behind.remove(next)
    lane.head = next
    this.#row(next.priority).push(next)
    return true
  }

  stats(now: number): QueueStats {
    let oldest: number | undefined
    for (const { first } of this.#rows.values()) {
      if (first !== undefined) oldest = Math.max(oldest ?? 0, now - first.due)
    }
    const { name: queue, delayed, leased, dead } = this
    return { queue, waiting: this.#waiting, delayed, leased, dead, oldest }
  }

  /** Keeps what is noted under new names or old ones; null takes one away. */
  note(notes: Readonly<Record<string, Json>>): void {
    const names = Object.keys(notes)
    if (names.length === 0) return
    const all = Object.entries({ ...this.notes, ...notes }).filter(([, note]) => note !== null)
    this.notes = all.length === 0 ? NO_NOTES : Object.fromEntries(all)
  }

  get isEmpty(): boolean {
    return (
      this.notes === NO_NOTES &&
      this.words.size === 0 &&
      this.#waiting + this.delayed + this.leased + this.dead + this.keys.size + this.#lanes.size === 0
    )
  }

  /** Forgets its jobs; those that are dead are kept elsewhere. */
  clear(): void {
    this.#waiting = this.delayed = this.leased = 0
    this.#rows.clear()
    while (this.#nonEmpty.first !== undefined) this.#nonEmpty.remove(this.#nonEmpty.first)
    this.#lanes.clear()
    this.#groups.clear()
    this.keys.clear()
    this.notes = NO_NOTES
    this.words.clear()
  }

  #first(limit: number): readonly Entry[] {
    const taken: Entry[] = []
    while (taken.length < limit) {
      const entry = this.#nonEmpty.first?.first
      if (entry === undefined) break
      this.#unlink(entry)
      taken.push(entry)
    }
    return taken
  }

  #firstWithout(limit: number, without: ReadonlySet<string>): readonly Entry[] {
    let wanted = 0
    for (const [group, waiting] of this.#groups) if (!without.has(group)) wanted += waiting
    const taken: Entry[] = []
    const rows = [...this.#rows.values()].filter(({ place }) => place !== -1).sort((a, b) => a.due - b.due)
    for (const row of rows) {
      // With nothing left to find nobody looks through all that wait of the others.
      for (let entry = row.first; entry !== undefined && taken.length < Math.min(limit, wanted);) {
        const next: Entry | undefined = entry.behind
        const { group } = moreOf(entry)
        if (group !== undefined && !without.has(group)) {
          this.#unlink(entry)
          taken.push(entry)
        }
        entry = next
      }
    }
    return taken
  }

  #count(entry: Entry, by: 1 | -1): void {
    this.#waiting += by
    const { group } = moreOf(entry)
    if (group === undefined) return
    const count = (this.#groups.get(group) ?? 0) + by
    if (count === 0) this.#groups.delete(group)
    else this.#groups.set(group, count)
  }

  /** The row to put an entry into, which is about to have one. */
  #row(priority: number): Row<Entry> {
    let row = this.#rows.get(priority)
    if (row === undefined) this.#rows.set(priority, (row = new Row<Entry>(priority)))
    if (row.place === -1) this.#nonEmpty.add(row)
    return row
  }

  #unlink(entry: Entry): void {
    const { row } = entry
    if (row === undefined) return
    row.remove(entry)
    if (row.first !== undefined || row.place === -1) return // the row of a lane stands in no heap
    this.#nonEmpty.remove(row)
    if (this.#rows.size > KEPT_ROWS) this.#rows.delete(row.due)
  }
}
