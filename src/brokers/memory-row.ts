import type { Timed } from './due-heap.ts'

/** What can wait in a row: it holds its own links. */
export interface Waiting<Entry extends Waiting<Entry>> extends Timed {
  row: Row<Entry> | undefined
  /** When it was put into its row, counted over all rows of its queue. */
  turn: number
  ahead: Entry | undefined
  behind: Entry | undefined
}

/** Entries of one group in the order they are taken, linked through themselves. Rows of a queue stand in a heap by priority and head. */
export class Row<Entry extends Waiting<Entry>> implements Timed {
  /** The priority. */
  readonly due: number
  readonly group: string | undefined
  place = -1
  #first: Entry | undefined
  #last: Entry | undefined

  constructor(priority: number, group?: string) {
    this.due = priority
    this.group = group
  }

  get seq(): number {
    return this.#first?.turn ?? 0
  }

  get first(): Entry | undefined {
    return this.#first
  }

  push(entry: Entry): void {
    this.#link(entry, this.#last, undefined)
  }

  /** Puts an entry where it had stood. */
  putBack(entry: Entry): void {
    let next = this.#first
    while (next !== undefined && next.turn < entry.turn) next = next.behind
    this.#link(entry, next === undefined ? this.#last : next.ahead, next)
  }

  remove(entry: Entry): void {
    const { ahead, behind } = entry
    if (ahead === undefined) this.#first = behind
    else ahead.behind = behind
    if (behind === undefined) this.#last = ahead
    else behind.ahead = ahead
    entry.row = entry.ahead = entry.behind = undefined
  }

  #link(entry: Entry, ahead: Entry | undefined, behind: Entry | undefined): void {
    entry.row = this
    entry.ahead = ahead
    entry.behind = behind
    if (ahead === undefined) this.#first = entry
    else ahead.behind = entry
    if (behind === undefined) this.#last = entry
    else behind.ahead = entry
  }
}
