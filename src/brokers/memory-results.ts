import type { Failure } from '../failure.ts'
import { numberOf } from '../job-table.ts'
import type { Json } from '../payload.ts'
import type { HistoryEntry, JobRecord, JobStatus } from './broker.ts'
import { Entry, NO_RESTARTS, openMore, recordOf, type Home } from './memory-entry.ts'

const KEPT = 10_000
const KEPT_FOR = 24 * 60 * 60 * 1_000

/** So many at a time, in an array that is young while it is written to: old ones have to be watched by the collector. */
const PER_BLOCK = 256
const BLOCKS = Math.ceil(KEPT / PER_BLOCK) + 1

/** What is not the same for all of a queue that were done at their first attempt. */
interface Past {
  readonly status: JobStatus
  readonly charged: number
  readonly putOffs: number
  readonly failure: Failure | undefined
  readonly history: HistoryEntry[] | undefined
}

/** Queues, inputs, values and what few have: their past, or the whole entry where there is more to say of a job. */
type Cell = Home | Entry | Past | Json | undefined
const CELLS = 4

/** In place of the number of an id: the id is no number, or belongs to another job now. */
const [NO_NUMBER, NO_ID] = [-1, 0]

/**
 * What jobs came to, for a while: columns, so that most entries are gone with their jobs. Ten thousand objects that live
 * just long enough to be moved about are what a collector and a cache like least.
 */
export class Results {
  readonly #blocks: (Cell[] | undefined)[] = []
  /** Three for each: added, due, finished. */
  readonly #times = new Float64Array(3 * BLOCKS * PER_BLOCK)
  readonly #attempts = new Uint32Array(BLOCKS * PER_BLOCK)
  /** What ids are the text of: a number needs no object that outlives its job. */
  readonly #numbers = new Float64Array(BLOCKS * PER_BLOCK)
  /** Numbers of the oldest that is kept and of the next one; a result is known by its number. */
  #first = 0
  #next = 0
  readonly #forget: (id: string | number) => void

  /** `forget` is told which job nobody can ask for any more, a block at a time; by its number, if its id is one. */
  constructor(forget: (id: string | number) => void) {
    this.#forget = forget
  }

  /** Gives the number of the result. */
  keep(entry: Entry, value: Json | undefined, now: number): number {
    const number = this.#next
    const at = number % (BLOCKS * PER_BLOCK)
    if (at % PER_BLOCK === 0) this.#blocks[at / PER_BLOCK] = emptyBlock()
    const [cells, from] = [this.#blockOf(number), placeOf(number)]
    cells[from] = entry.home
    cells[from + 1] = entry.input
    cells[from + 2] = value
    cells[from + 3] = beside(entry)
    this.#times[3 * at] = entry.addedAt
    this.#times[3 * at + 1] = entry.due
    this.#times[3 * at + 2] = now
    this.#attempts[at] = entry.attempts
    this.#numbers[at] = numberOf(entry.id)
    this.#next += 1
    if (this.#next - this.#first > KEPT) this.#dropFirst()
    while (now - (this.#times[3 * (this.#first % (BLOCKS * PER_BLOCK)) + 2] as number) > KEPT_FOR) this.#dropFirst()
    return number
  }

  /** Whether it may still be asked for; others wait for their block to be forgotten. */
  isKept(number: number): boolean {
    return number >= this.#first
  }

  record(number: number, epoch: number): JobRecord {
    const [cells, from] = [this.#blockOf(number), placeOf(number)]
    const at = number % (BLOCKS * PER_BLOCK)
    const [home, input, value] = [cells[from] as Home, cells[from + 1] as Json, cells[from + 2] as Json | undefined]
    const end = { finishedAt: this.#times[3 * at + 2] as number, value }
    const past = cells[from + 3] as Entry | Past | undefined
    if (past !== undefined && 'home' in past) return recordOf(past, epoch, end)
    const id = String(this.#numbers[at])
    const entry = new Entry(
      { id, queue: home.name, input, idempotencyKey: home.pathPrefix + id, ...USUAL },
      home,
      this.#times[3 * at] as number,
      0,
    )
    entry.status = 'done'
    entry.due = this.#times[3 * at + 1] as number
    entry.attempts = this.#attempts[at] as number
    if (past === undefined) return recordOf(entry, epoch, end)
    const { history, ...rest } = past
    if (history !== undefined) openMore(entry).history = history
    return recordOf(Object.assign(entry, rest), epoch, end)
  }

  /** Another job has its id now. */
  drop(number: number): void {
    const from = placeOf(number)
    this.#blockOf(number).fill(undefined, from, from + CELLS)
    this.#numbers[number % (BLOCKS * PER_BLOCK)] = NO_ID
  }

  #dropFirst(): void {
    this.#first += 1
    if (this.#first % PER_BLOCK === 0) this.#forgetBlock(this.#first - PER_BLOCK)
  }

  #forgetBlock(first: number): void {
    const cells = this.#blockOf(first)
    for (let number = first; number < first + PER_BLOCK; number += 1) {
      const id = this.#numbers[number % (BLOCKS * PER_BLOCK)] as number
      if (id !== NO_ID) this.#forget(id === NO_NUMBER ? (cells[placeOf(number) + 3] as Entry).id : id)
    }
    this.#blocks[(first % (BLOCKS * PER_BLOCK)) / PER_BLOCK] = undefined
  }

  #blockOf(number: number): Cell[] {
    return this.#blocks[Math.floor((number % (BLOCKS * PER_BLOCK)) / PER_BLOCK)] as Cell[]
  }
}

/** Of a result's first cell, in its block. */
const placeOf = (number: number): number => CELLS * (number % PER_BLOCK)

/** What there is to say of it beside what every job has. */
function beside(entry: Entry): Entry | Past | undefined {
  const { status, priority, charged, putOffs, failure, more } = entry
  if (priority !== 0 || numberOf(entry.id) === NO_NUMBER) return entry
  if (more === undefined) {
    if (status === 'done' && charged === 0 && putOffs === 0) return undefined
    return { status, charged, putOffs, failure, history: undefined }
  }
  const isUsual = more.lane === undefined && more.dedupe === undefined && more.group === undefined
  const isFirst = more.generation === 1 && more.restarts === NO_RESTARTS && more.death === 0
  if (!isUsual || !isFirst || more.hasOwnKey || more.reason !== undefined) return entry
  return { status, charged, putOffs, failure, history: more.history }
}

/** Made at once: one that grows is made several times. */
function emptyBlock(): Cell[] {
  return new Array<Cell>(CELLS * PER_BLOCK).fill(undefined) // oxlint-disable-line unicorn/no-new-array
}

const USUAL = { keyIsPath: true, priority: 0, delay: 0, lane: undefined, dedupe: undefined } as const
