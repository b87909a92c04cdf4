import type { Json } from '../payload.ts'
import type { JobRecord } from './broker.ts'
import { isPlain, NO_RESTARTS, recordOf, type Entry, type Home } from './memory-entry.ts'

const KEPT = 10_000
const KEPT_FOR = 24 * 60 * 60 * 1_000

/** So many at a time, in an array that is young while it is written to: old ones have to be watched by the collector. */
const PER_BLOCK = 256
const BLOCKS = Math.ceil(KEPT / PER_BLOCK) + 1

/** Ids, queues, inputs and values; or an entry in place of a queue, where there is more to say of a job. */
type Cell = string | Home | Entry | Json | undefined
const CELLS = 4

/**
 * What jobs came to, for a while: columns, so that most entries are gone with their jobs. Ten thousand objects that live
 * just long enough to be moved about are what a collector and a cache like least.
 */
export class Results {
  readonly #blocks: Cell[][] = []
  /** Three for each: added, due, finished. */
  readonly #times = new Float64Array(3 * BLOCKS * PER_BLOCK)
  readonly #attempts = new Uint32Array(BLOCKS * PER_BLOCK)
  /** Numbers of the oldest that is kept and of the next one; a result is known by its number. */
  #first = 0
  #next = 0
  readonly #forget: (id: string) => void

  /** `forget` is told which job nobody can ask for any more. */
  constructor(forget: (id: string) => void) {
    this.#forget = forget
  }

  /** Gives the number of the result. */
  keep(entry: Entry, now: number): number {
    const number = this.#next
    const at = number % (BLOCKS * PER_BLOCK)
    if (at % PER_BLOCK === 0) this.#blocks[at / PER_BLOCK] = []
    const cells = this.#blocks[Math.floor(at / PER_BLOCK)] as Cell[]
    this.#times[3 * at + 2] = entry.finishedAt
    if (isPlain(entry)) {
      cells.push(entry.id, entry.home, entry.input, entry.value)
      this.#times[3 * at] = entry.addedAt
      this.#times[3 * at + 1] = entry.due
      this.#attempts[at] = entry.attempts
    } else {
      cells.push(entry.id, entry, null, undefined)
    }
    this.#next += 1
    if (this.#next - this.#first > KEPT) this.#dropFirst()
    while (now - (this.#times[3 * (this.#first % (BLOCKS * PER_BLOCK)) + 2] as number) > KEPT_FOR) this.#dropFirst()
    return number
  }

  record(number: number): JobRecord {
    const [cells, from] = this.#cellsOf(number)
    const at = number % (BLOCKS * PER_BLOCK)
    const home = cells[from + 1] as Home | Entry
    if ('home' in home) return recordOf(home)
    return recordOf({
      id: cells[from] as string,
      home,
      input: cells[from + 2] as Json,
      value: cells[from + 3] as Json | undefined,
      idempotencyKey: undefined,
      addedAt: this.#times[3 * at] as number,
      due: this.#times[3 * at + 1] as number,
      finishedAt: this.#times[3 * at + 2] as number,
      attempts: this.#attempts[at] as number,
      status: 'done',
      priority: 0,
      lane: undefined,
      group: undefined,
      charged: 0,
      putOffs: 0,
      generation: 1,
      restarts: NO_RESTARTS,
      failure: undefined,
      reason: undefined,
      history: undefined,
    })
  }

  /** Another job has its id now. */
  drop(number: number): void {
    const [cells, from] = this.#cellsOf(number)
    clear(cells, from)
  }

  #dropFirst(): void {
    const [cells, from] = this.#cellsOf(this.#first)
    const id = cells[from]
    if (id !== undefined) {
      clear(cells, from)
      this.#forget(id as string)
    }
    this.#first += 1
  }

  #cellsOf(number: number): [cells: Cell[], from: number] {
    const at = number % (BLOCKS * PER_BLOCK)
    return [this.#blocks[Math.floor(at / PER_BLOCK)] as Cell[], CELLS * (at % PER_BLOCK)]
  }
}

function clear(cells: Cell[], from: number): void {
  cells[from] = cells[from + 1] = cells[from + 2] = cells[from + 3] = undefined
}
