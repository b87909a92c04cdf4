import type { Clock } from '../clock.ts'

/** A time that runs for something until it is ended. */
export interface Deadline {
  end(): void
}

/**
 * Times that run for many things at once. Those of the same length end in the order they began, so that one timer is
 * enough for all of them: a timer of its own for each fetch costs as much as the books that are kept of it.
 */
export class Deadlines {
  readonly #clock: Clock
  /** By their length. */
  readonly #lines = new Map<number, Line>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Calls `expire` after so many ms, unless it was ended by then. */
  begin(ms: number, expire: () => void): Deadline {
    let line = this.#lines.get(ms)
    if (line === undefined) {
      line = new Line(this.#clock, ms, () => this.#lines.delete(ms))
      this.#lines.set(ms, line)
    }
    return line.add(expire)
  }

  /** Ends all of them; nobody is told. */
  close(): void {
    for (const line of this.#lines.values()) line.close()
    this.#lines.clear()
  }
}

class Line {
  readonly #clock: Clock
  readonly #ms: number
  readonly #onEmpty: () => void
  #first: Entry | undefined
  #last: Entry | undefined
  #timer: unknown

  constructor(clock: Clock, ms: number, onEmpty: () => void) {
    this.#clock = clock
    this.#ms = ms
    this.#onEmpty = onEmpty
  }

  add(expire: () => void): Deadline {
    const entry = new Entry(this, this.#clock.now() + this.#ms, expire)
    entry.before = this.#last
    if (this.#last === undefined) this.#first = entry
    else this.#last.after = entry
    this.#last = entry
    if (this.#timer === undefined) this.#setTimer(this.#ms)
    return entry
  }

  remove(entry: Entry): void {
    const { before, after } = entry
    if (before === undefined) this.#first = after
    else before.after = after
    if (after === undefined) this.#last = before
    else after.before = before
    entry.before = entry.after = undefined // one that is old by now would keep all that came after it
    if (this.#first !== undefined) return // its timer finds nothing due, and is set anew
    this.close()
    this.#onEmpty()
  }

  close(): void {
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #setTimer(ms: number): void {
    this.#timer = this.#clock.setTimeout(() => {
      this.#timer = undefined
      this.#expire()
      if (this.#first !== undefined && this.#timer === undefined) {
        this.#setTimer(Math.max(0, this.#first.due - this.#clock.now()))
      }
    }, ms)
  }

  #expire(): void {
    const now = this.#clock.now()
    while (this.#first !== undefined && this.#first.due <= now) {
      const { expire } = this.#first
      this.#first.end()
      expire()
    }
  }
}

class Entry implements Deadline {
  readonly due: number
  readonly expire: () => void
  before: Entry | undefined
  after: Entry | undefined
  #line: Line | undefined

  constructor(line: Line, due: number, expire: () => void) {
    this.#line = line
    this.due = due
    this.expire = expire
  }

  end(): void {
    const line = this.#line
    this.#line = undefined
    line?.remove(this)
  }
}
