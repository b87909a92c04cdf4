import type { NewJob } from './broker.ts'
import { DueHeap, type Timed } from './due-heap.ts'
import type { Entry } from './memory-entry.ts'

/** Entries of one priority in a row, linked through themselves. Rows stand in a heap, smaller priority first. */
class Row implements Timed {
  readonly due: number
  readonly seq = 0
  place = -1
  #first: Entry | undefined
  #last: Entry | undefined

  constructor(priority: number) {
    this.due = priority
  }

  push(entry: Entry): void {
    entry.behind = undefined
    if (this.#last === undefined) this.#first = entry
    else this.#last.behind = entry
    this.#last = entry
  }

  /** Puts in an entry that was first before, behind others that were put back as well. */
  putBack(entry: Entry): void {
    let ahead: Entry | undefined
    let next = this.#first
    while (next !== undefined && (next.due < entry.due || (next.due === entry.due && next.seq < entry.seq))) {
      ahead = next
      next = next.behind
    }
    entry.behind = next
    if (ahead === undefined) this.#first = entry
    else ahead.behind = entry
    if (next === undefined) this.#last = entry
  }

  /** The first that still waits; what was cancelled meanwhile is passed over. */
  shift(): Entry | undefined {
    while (this.#first !== undefined) {
      const entry = this.#first
      this.#first = entry.behind
      if (this.#first === undefined) this.#last = undefined
      entry.behind = undefined
      if (entry.status === 'waiting') return entry
    }
    return undefined
  }
}

/** The head of a lane, which alone may be taken, and those behind it. */
interface Lane {
  head: Entry
  readonly behind: Row
}

const SWEEP_EVERY = 1_024

/** The due jobs of one task, in the order they are taken. */
export class MemoryQueue {
  readonly name: string
  wake: (() => void) | undefined
  waiting = 0
  delayed = 0
  leased = 0
  dead = 0
  readonly #rows = new Map<number, Row>()
  readonly #nonEmpty = new DueHeap<Row>()
  readonly #lanes = new Map<string, Lane>()
  readonly #keys = new Map<string, { readonly id: string; readonly until: number | undefined }>()
  #timedKeys = 0

  constructor(name: string) {
    this.name = name
  }

  /** Adds a due job; behind the head of its lane, if that is another one. */
  put(entry: Entry): void {
    this.waiting += 1
    if (entry.lane !== undefined) {
      const lane = this.#lanes.get(entry.lane)
      if (lane === undefined) this.#lanes.set(entry.lane, { head: entry, behind: new Row(0) })
      else if (lane.head !== entry) return lane.behind.push(entry)
    }
    this.#row(entry.priority).push(entry)
  }

  /** Adds a job that was taken and let go again, where it had stood. */
  putBack(entry: Entry): void {
    this.waiting += 1
    this.#row(entry.priority).putBack(entry)
  }

  take(): Entry | undefined {
    for (let row = this.#nonEmpty.first; row !== undefined; row = this.#nonEmpty.first) {
      const entry = row.shift()
      if (entry !== undefined) {
        this.waiting -= 1
        this.leased += 1
        return entry
      }
      this.#nonEmpty.remove(row)
      this.#rows.delete(row.due)
    }
    return undefined
  }

  /** Opens the lane of a finished job for the next one; whether there is one. */
  leaveLane(entry: Entry): boolean {
    if (entry.lane === undefined) return false
    const lane = this.#lanes.get(entry.lane)
    if (lane?.head !== entry) return false
    const next = lane.behind.shift()
    if (next === undefined) {
      this.#lanes.delete(entry.lane)
      return false
    }
    lane.head = next
    this.#row(next.priority).push(next)
    return true
  }

  /** The id of the job that holds a key. */
  holderOf(key: string, now: number): string | undefined {
    const held = this.#keys.get(key)
    return held !== undefined && (held.until === undefined || held.until > now) ? held.id : undefined
  }

  holdKey(dedupe: NonNullable<NewJob['dedupe']>, id: string, now: number): void {
    this.#keys.set(dedupe.key, { id, until: dedupe.for === undefined ? undefined : now + dedupe.for })
    if (dedupe.for === undefined) return
    this.#timedKeys += 1
    if (this.#timedKeys % SWEEP_EVERY === 0) this.#sweepKeys(now)
  }

  freeKey(entry: Entry, now: number): void {
    if (entry.dedupe === undefined) return
    const held = this.#keys.get(entry.dedupe.key)
    if (held?.id === entry.id && (held.until === undefined || held.until <= now)) this.#keys.delete(entry.dedupe.key)
  }

  #sweepKeys(now: number): void {
    for (const [key, { until }] of this.#keys) if (until !== undefined && until <= now) this.#keys.delete(key)
  }

  #row(priority: number): Row {
    let row = this.#rows.get(priority)
    if (row === undefined) {
      this.#rows.set(priority, (row = new Row(priority)))
      this.#nonEmpty.add(row)
    }
    return row
  }
}
