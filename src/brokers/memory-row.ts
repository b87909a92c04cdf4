import type { Timed } from './due-heap.ts'

/** What can wait in a row: it holds its own links. */
export interface Waiting<Entry extends Waiting<Entry>> extends Timed {
  row: Row<Entry> | undefined
  ahead: Entry | undefined
  behind: Entry | undefined
}

/** Entries in the order they are taken, linked through themselves. Rows of a queue stand in a heap by priority. */
export class Row<Entry extends Waiting<Entry>> implements Timed {
  /** The priority. */
  readonly due: number
  readonly seq = 0
  place = -1
  #first: Entry | undefined
  #last: Entry | undefined

  constructor(priority: number) {
    this.due = priority
  }

  get first(): Entry | undefined {
    return this.#first
  }

  push(entry: Entry): void {
    this.#link(entry, this.#last, undefined)
  }

  /** Puts an entry where it had stood: behind those that are due earlier or came earlier. */
  putBack(entry: Entry): void {
    let next = this.#first
    while (next !== undefined && (next.due < entry.due || (next.due === entry.due && next.seq < entry.seq))) {
      next = next.behind
    }
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
