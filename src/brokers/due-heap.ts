/** An entry that waits for a time. `place` is its index in the heap, -1 while it is in none. */
export interface Timed {
  readonly due: number
  readonly seq: number
  place: number
}

const before = (a: Timed, b: Timed): boolean => a.due < b.due || (a.due === b.due && a.seq < b.seq)

/** A binary heap by due time, then arrival; anything can be taken out of its middle. */
export class DueHeap<Entry extends Timed> {
  readonly #entries: Entry[] = []

  get first(): Entry | undefined {
    return this.#entries[0]
  }

  add(entry: Entry): void {
    this.#put(entry, this.#entries.length)
    this.#rise(entry)
  }

  remove(entry: Entry): void {
    const { place } = entry
    entry.place = -1
    const last = this.#entries.pop() as Entry
    if (last === entry) return
    this.#put(last, place)
    this.#rise(last)
    this.#sink(last)
  }

  /** Its time is another one now. */
  moved(entry: Entry): void {
    this.#rise(entry)
    this.#sink(entry)
  }

  /** In no order. */
  values(): readonly Entry[] {
    return this.#entries
  }

  #rise(entry: Entry): void {
    while (entry.place > 0) {
      const parent = this.#entries[(entry.place - 1) >> 1] as Entry
      if (!before(entry, parent)) return
      this.#swap(entry, parent)
    }
  }

  #sink(entry: Entry): void {
    for (;;) {
      const left = this.#entries[2 * entry.place + 1]
      if (left === undefined) return
      const right = this.#entries[2 * entry.place + 2]
      const child = right !== undefined && before(right, left) ? right : left
      if (!before(child, entry)) return
      this.#swap(child, entry)
    }
  }

  #swap(a: Entry, b: Entry): void {
    const { place } = a
    this.#put(a, b.place)
    this.#put(b, place)
  }

  #put(entry: Entry, place: number): void {
    this.#entries[place] = entry
    entry.place = place
  }
}
