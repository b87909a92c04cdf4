import type { Failure } from '../failure.ts'
import { numberOf } from '../job-table.ts'
import type { Json } from '../payload.ts'
import { describeThrown } from '../thrown.ts'
import type { HistoryEntry, JobRecord, JobStatus } from './broker.ts'
import { Entry, NO_RESTARTS, openMore, recordOf, tellHistory, type Home } from './memory-entry.ts'
import { KeptFailures, saysNoMore } from './memory-failures.ts'

const KEPT = 10_000
const KEPT_FOR = 24 * 60 * 60 * 1_000

/** So many at a time, in an array that is young while it is written to: old ones have to be watched by the collector. */
const PER_BLOCK = 256
const BLOCKS = Math.ceil(KEPT / PER_BLOCK) + 1
const PLACES = BLOCKS * PER_BLOCK

/** What there is to say of a job where columns are too few, and a whole entry is too much. */
interface Past {
  readonly status: JobStatus
  readonly charged: number
  readonly putOffs: number
  readonly failure: Failure | undefined
  readonly history: HistoryEntry[] | undefined
}

/**
 * How much there is to say of a job: done at once; done at another attempt, with the message of the failed one; fallen
 * back, with its error; with a past; or so much that the whole entry is kept.
 */
const [DONE, DONE_LATER, FELL_BACK, PAST, WHOLE] = [0, 1, 2, 3, 4]

/** Queues, inputs, values, and what belongs to how much there is to say: anything, for anything can be thrown. */
type Cell = unknown
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
  readonly #times = new Float64Array(3 * PLACES)
  readonly #attempts = new Uint32Array(PLACES)
  /** What ids are the text of: a number needs no object that outlives its job. */
  readonly #numbers = new Float64Array(PLACES)
  readonly #manners = new Uint8Array(PLACES)
  #failures: KeptFailures | undefined
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
    const at = number % PLACES
    if (at % PER_BLOCK === 0) this.#blocks[at / PER_BLOCK] = emptyBlock()
    const [cells, from] = [this.#blockOf(number), placeOf(number)]
    cells[from] = entry.home
    cells[from + 1] = entry.input
    cells[from + 2] = value
    cells[from + 3] = this.#keepRest(entry, at)
    this.#times[3 * at] = entry.addedAt
    this.#times[3 * at + 1] = entry.due
    this.#times[3 * at + 2] = now
    this.#attempts[at] = entry.attempts
    this.#numbers[at] = numberOf(entry.id)
    this.#next += 1
    if (this.#next - this.#first > KEPT) this.#dropFirst()
    while (now - (this.#times[3 * (this.#first % PLACES) + 2] as number) > KEPT_FOR) this.#dropFirst()
    return number
  }

  /** Whether it may still be asked for; others wait for their block to be forgotten. */
  isKept(number: number): boolean {
    return number >= this.#first
  }

  record(number: number, epoch: number): JobRecord {
    const [cells, from] = [this.#blockOf(number), placeOf(number)]
    const at = number % PLACES
    const [home, input, value] = [cells[from] as Home, cells[from + 1] as Json, cells[from + 2] as Json | undefined]
    const end = { finishedAt: this.#times[3 * at + 2] as number, value }
    const rest = cells[from + 3]
    const manner = this.#manners[at]
    if (manner === WHOLE) return recordOf(rest as Entry, epoch, end)
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
    if (manner === PAST) {
      const { history, ...past } = rest as Past
      if (history !== undefined) openMore(entry).history = history
      return recordOf(Object.assign(entry, past), epoch, end)
    }
    if (manner !== DONE) Object.assign(entry, this.#failures?.progress(at))
    if (manner === DONE_LATER) openMore(entry).history = this.#failures && [this.#failures.told(at, rest as string)]
    if (manner === FELL_BACK) {
      entry.status = 'fallback'
      entry.failure = this.#failures?.failure(at, rest, entry)
    }
    return recordOf(entry, epoch, end)
  }

  /** Another job has its id now. */
  drop(number: number): void {
    const from = placeOf(number)
    this.#blockOf(number).fill(undefined, from, from + CELLS)
    this.#numbers[number % PLACES] = NO_ID
  }

  /** What there is to say of it beside what every job has. */
  #keepRest(entry: Entry, at: number): Cell {
    const { status, failure } = entry
    const manner = mannerOf(entry)
    this.#manners[at] = manner
    if (manner === DONE) return undefined
    if (manner !== WHOLE && failure !== undefined) {
      this.#failures ??= new KeptFailures(PLACES)
      this.#failures.keep(at, entry, failure)
      return manner === DONE_LATER ? describeThrown(failure.error) : failure.error
    }
    if (status === 'done') tellHistory(entry)
    const past = pastOf(entry)
    if (past !== undefined) this.#manners[at] = PAST
    return past ?? entry
  }

  #dropFirst(): void {
    this.#first += 1
    if (this.#first % PER_BLOCK === 0) this.#forgetBlock(this.#first - PER_BLOCK)
  }

  #forgetBlock(first: number): void {
    const cells = this.#blockOf(first)
    for (let number = first; number < first + PER_BLOCK; number += 1) {
      const id = this.#numbers[number % PLACES] as number
      if (id !== NO_ID) this.#forget(id === NO_NUMBER ? (cells[placeOf(number) + 3] as Entry).id : id)
    }
    this.#blocks[(first % PLACES) / PER_BLOCK] = undefined
  }

  #blockOf(number: number): Cell[] {
    return this.#blocks[Math.floor((number % PLACES) / PER_BLOCK)] as Cell[]
  }
}

/** Of a result's first cell, in its block. */
const placeOf = (number: number): number => CELLS * (number % PER_BLOCK)

/** `WHOLE` also for those that have a past. */
function mannerOf(entry: Entry): number {
  const { status, priority, id, charged, putOffs, failure, more } = entry
  if (more !== undefined || priority !== 0 || numberOf(id) === NO_NUMBER) return WHOLE
  if (status === 'fallback' && failure !== undefined) return saysNoMore(failure, entry) ? FELL_BACK : WHOLE
  if (status !== 'done') return WHOLE
  if (failure !== undefined) return DONE_LATER
  return charged === 0 && putOffs === 0 ? DONE : WHOLE
}

/** Undefined where there is more to say of it. */
function pastOf({ status, priority, id, charged, putOffs, failure, more }: Entry): Past | undefined {
  if (priority !== 0 || numberOf(id) === NO_NUMBER) return undefined
  if (more === undefined) return { status, charged, putOffs, failure, history: undefined }
  const isUsual = more.lane === undefined && more.dedupe === undefined && more.group === undefined
  const isFirst = more.generation === 1 && more.restarts === NO_RESTARTS && more.death === 0
  if (!isUsual || !isFirst || more.hasOwnKey || more.reason !== undefined) return undefined
  return { status, charged, putOffs, failure, history: more.history }
}

/** Made at once: one that grows is made several times. */
function emptyBlock(): Cell[] {
  return new Array<Cell>(CELLS * PER_BLOCK).fill(undefined) // oxlint-disable-line unicorn/no-new-array
}

const USUAL = { keyIsPath: true, priority: 0, delay: 0, lane: undefined, dedupe: undefined } as const
