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
  /** Entries that were put into rows so far. */
  #turns = 0
  /** Of jobs without a group, by priority. */
  readonly #rows = new Map<number, Row<Entry>>()
  /** The one that was asked for last: most jobs have the same priority. */
  #latest: Row<Entry> | undefined
  /** Of those with one: a row per priority, none of them empty. So whole groups are left out, however many wait in them. */
  readonly #groups = new Map<string, Row<Entry>[]>()
  readonly #nonEmpty = new DueHeap<Row<Entry>>()
  readonly #lanes = new Map<string, Lane>()

  constructor(name: string) {
    this.name = name
    this.pathPrefix = `${name}/job:`
  }

  /** Adds a due job; behind the head of its lane, if that is another one. */
  put(entry: Entry): void {
    this.#waiting += 1
    const { lane: name } = moreOf(entry)
    if (name !== undefined) {
      const lane = this.#lanes.get(name)
      if (lane === undefined) this.#lanes.set(name, { head: entry, behind: new Row<Entry>(0) })
      else if (lane.head !== entry) return lane.behind.push(entry)
    }
    this.#push(entry)
  }

  /** Adds a job that was taken and let go again, where it had stood. */
  putBack(entry: Entry): void {
    this.#waiting += 1
    const row = this.#row(entry)
    row.putBack(entry)
    if (row.place === -1) this.#nonEmpty.add(row)
    else if (row.first === entry) this.#nonEmpty.moved(row)
  }

  /** The first of them; with groups to go `without`, of other groups. */
  take(limit: number, without: ReadonlySet<string> = NO_GROUPS): readonly Entry[] {
    const taken = without.size === 0 ? this.#first(limit) : this.#firstWithout(limit, without)
    this.#waiting -= taken.length
    this.leased += taken.length
    return taken
  }

  /** Takes out a job that waits. */
  remove(entry: Entry): void {
    this.#unlink(entry)
    this.#waiting -= 1
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
    this.#push(next)
    return true
  }

  stats(now: number): QueueStats {
    let oldest: number | undefined
    for (const { first } of this.#nonEmpty.values()) {
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
    this.#latest = undefined
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
    const taken: Entry[] = []
    const passed: Row<Entry>[] = []
    while (taken.length < limit) {
      const row = this.#nonEmpty.first
      if (row === undefined) break
      if (row.group === undefined || without.has(row.group)) {
        this.#nonEmpty.remove(row)
        passed.push(row)
      } else {
        const entry = row.first as Entry
        this.#unlink(entry)
        taken.push(entry)
      }
    }
    for (const row of passed) this.#nonEmpty.add(row)
    return taken
  }

  #push(entry: Entry): void {
    this.#turns += 1
    entry.turn = this.#turns
    const row = this.#row(entry)
    row.push(entry)
    if (row.place === -1) this.#nonEmpty.add(row)
  }

  /** The row to put an entry into. */
  #row(entry: Entry): Row<Entry> {
    const { priority } = entry
    const { group } = moreOf(entry)
    if (group !== undefined) return this.#rowOf(group, priority)
    if (this.#latest?.due === priority) return this.#latest
    let row = this.#rows.get(priority)
    if (row === undefined) this.#rows.set(priority, (row = new Row<Entry>(priority)))
    this.#latest = row
    return row
  }

  #rowOf(group: string, priority: number): Row<Entry> {
    let rows = this.#groups.get(group)
    if (rows === undefined) this.#groups.set(group, (rows = []))
    let row = rows.find(({ due }) => due === priority)
    if (row === undefined) rows.push((row = new Row<Entry>(priority, group)))
    return row
  }

  #unlink(entry: Entry): void {
    const { row } = entry
    if (row === undefined) return
    const wasFirst = row.first === entry
    row.remove(entry)
    if (row.place === -1) return // the row of a lane stands in no heap
    if (row.first !== undefined) return wasFirst ? this.#nonEmpty.moved(row) : undefined
    this.#nonEmpty.remove(row)
    this.#forget(row)
  }

  #forget(row: Row<Entry>): void {
    const { group, due } = row
    if (group === undefined) {
      if (this.#rows.size <= KEPT_ROWS) return
      this.#rows.delete(due)
      this.#latest = undefined
      return
    }
    const rows = this.#groups.get(group) as Row<Entry>[]
    if (rows.length === 1) this.#groups.delete(group)
    else rows.splice(rows.indexOf(row), 1)
  }
}
