import { PassingMap } from '../passing-map.ts'

/** What waits for its turn. */
export interface Entry {
  /** Its lanes, each once; none: it waits for nobody. */
  readonly lanes: readonly string[]
  /** In how many of its lanes somebody stands before it. */
  before: number
  /** Number of its arrival. */
  turn: number
}

/**
 * Who may run: one at a time in each lane, by arrival, and so many over all of them. One that is in several lanes runs
 * when it is the first in all of them, and leaves them together. A lane nobody is in is not kept.
 */
export class Lanes<Each extends Entry> {
  readonly #slots: number
  readonly #start: (entry: Each) => void
  readonly #lanes = new PassingMap<Line<Each>>()
  /** First in all their lanes, but there was no slot. */
  readonly #ready = new Line<Each>()
  #arrivals = 0
  #running = 0
  #waiting = 0
  #isClosed = false
  #isPumping = false

  constructor(slots: number, start: (entry: Each) => void) {
    this.#slots = slots
    this.#start = start
  }

  /** Those that have a slot. */
  get running(): number {
    return this.#running
  }

  /** Those that wait for a lane or a slot. */
  get waiting(): number {
    return this.#waiting
  }

  /** Lanes that somebody is in. */
  get size(): number {
    return this.#lanes.size
  }

  get free(): number {
    return this.#slots - this.#running
  }

  add(entry: Each): void {
    this.#arrivals += 1
    this.#waiting += 1
    entry.turn = this.#arrivals
    entry.before = 0
    for (const lane of entry.lanes) {
      let line = this.#lanes.get(lane)
      if (line === undefined) this.#lanes.set(lane, (line = new Line()))
      else entry.before += 1
      line.push(entry)
    }
    if (entry.before === 0) this.#isReady(entry)
  }

  /** It waits for its next attempt: others may have its slot, but not its lanes. */
  park(): void {
    this.#running -= 1
    this.#pump()
  }

  /** Its next attempt is due. */
  unpark(entry: Each): void {
    this.#waiting += 1
    this.#isReady(entry)
  }

  /** It is over. `wasRunning`: it had a slot. */
  leave(entry: Each, wasRunning: boolean): void {
    if (wasRunning) this.#running -= 1
    for (const lane of entry.lanes) {
      const line = this.#lanes.get(lane) as Line<Each>
      line.shift()
      const next = line.first
      if (next === undefined) this.#lanes.delete(lane)
      else if ((next.before -= 1) === 0) this.#isReady(next)
    }
    this.#pump()
  }

  /** Starts nothing more. */
  close(): void {
    this.#isClosed = true
  }

  /** Those that wait, in order of arrival; they are taken out. */
  takeWaiting(): readonly Each[] {
    const all = new Set<Each>(this.#ready.all())
    for (const line of this.#lanes.values()) for (const entry of line.all()) if (entry.before > 0) all.add(entry)
    this.#ready.clear()
    this.#waiting = 0
    return [...all].sort((a, b) => a.turn - b.turn)
  }

  #isReady(entry: Each): void {
    this.#ready.insert(entry)
    this.#pump()
  }

  /** A loop, not a recursion: what starts may be over at once, and let the next one start. */
  #pump(): void {
    if (this.#isPumping) return
    this.#isPumping = true
    while (!this.#isClosed && this.#running < this.#slots && this.#ready.first !== undefined) {
      const entry = this.#ready.shift() as Each
      this.#running += 1
      this.#waiting -= 1
      this.#start(entry)
    }
    this.#isPumping = false
  }
}

const KEPT_GAP = 32

/** A queue whose head costs the same however long it is. */
class Line<Each extends Entry> {
  readonly #entries: (Each | undefined)[] = []
  #head = 0

  get first(): Each | undefined {
    return this.#entries[this.#head]
  }

  push(entry: Each): void {
    this.#entries.push(entry)
  }

  /** Behind all that came before it. */
  insert(entry: Each): void {
    let at = this.#entries.length
    while (at > this.#head && (this.#entries[at - 1] as Each).turn > entry.turn) at -= 1
    if (at === this.#entries.length) this.#entries.push(entry)
    else this.#entries.splice(at, 0, entry)
  }

  shift(): Each | undefined {
    const entry = this.#entries[this.#head]
    if (entry === undefined) return undefined
    this.#entries[this.#head] = undefined
    this.#head += 1
    if (this.#head === this.#entries.length || (this.#head > KEPT_GAP && 2 * this.#head > this.#entries.length)) {
      this.#entries.splice(0, this.#head)
      this.#head = 0
    }
    return entry
  }

  all(): readonly Each[] {
    return this.#entries.slice(this.#head) as Each[]
  }

  clear(): void {
    this.#entries.length = this.#head = 0
  }
}
