import type { Failure } from '../failure.ts'
import { numberOf } from '../job-table.ts'
import type { Json } from '../payload.ts'
import { describeThrown } from '../thrown.ts'
import type { HistoryEntry, JobRecord, JobStatus } from './broker.ts'
import { Entry, NO_RESTARTS, openMore, recordOf, tellHistory, type Home } from './memory-entry.ts'
import { KeptFailures, saysNoMore } from './memory-failures.ts'

const KEPT = 10_000
const KEPT_FOR = 24 * 60 * 60 * 1_000

/** So many are forgotten at once. */
const PER_BLOCK_BITS = 8
const PER_BLOCK = 2 ** PER_BLOCK_BITS
const IN_BLOCK = PER_BLOCK - 1
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
/** Beside that: it was not due at once, or attempts were not one. Most results are neither, and need not say it. */
const [WAS_DUE_LATER, HAS_ATTEMPTS] = [8, 16]
const MANNER = 7

/** An input, a value, or what belongs to how much there is to say: anything, for anything can be thrown. */
type Cell = unknown

/**
 * What so many jobs in a row came to, by their places in it. Used again and again: a block that is dropped is an old object by
 * then, and keeps all that it names until the next full collection.
 */
class Block {
  /** Of the first of them, and mostly of all. */
  home: Home | undefined
  /** Input and value of each. */
  readonly cells: Cell[] = empty(2 * PER_BLOCK)
  /** Of those of other queues. */
  homes: Cell[] | undefined
  /** Of those with more to say. */
  rests: Cell[] | undefined

  homeOf(place: number): Home {
    return (this.homes?.[place] ?? this.home) as Home
  }

  clear(): void {
    this.home = undefined
    for (const cells of [this.cells, this.homes, this.rests]) cells?.fill(undefined)
  }
}

/** In place of the number of an id: the id is no number, or belongs to another job now. */
const [NO_NUMBER, NO_ID] = [-1, 0]

/**
 * What jobs came to, for a while: columns, so that most entries are gone with their jobs. Ten thousand objects that live
 * just long enough to be moved about are what a collector and a cache like least.
 */
export class Results {
  readonly #blocks: Block[] = []
  /** Two for each: added, finished. */
  readonly #times = new Float64Array(2 * PLACES)
  readonly #due = new Float64Array(PLACES)
  readonly #attempts = new Uint32Array(PLACES)
  /** What ids are the text of: a number needs no object that outlives its job. */
  readonly #numbers = new Int32Array(PLACES)
  readonly #manners = new Uint8Array(PLACES)
  #failures: KeptFailures | undefined
  /** Numbers of the oldest that is kept and of the next one; a result is known by its number. */
  #first = 0
  #next = 0
  /** Where they stand: a remainder costs as much as all that is written there. */
  #firstAt = 0
  #nextAt = 0
  /** Up to here it is known that none is too old. */
  #lookedAt = -Infinity
  readonly #forget: (id: string | number) => void

  /** `forget` is told which job nobody can ask for any more, a block at a time; by its number, if its id is one. */
  constructor(forget: (id: string | number) => void) {
    this.#forget = forget
  }

  /** Gives the number of the result. */
  keep(entry: Entry, value: Json | undefined, now: number): number {
    const number = this.#next
    const at = this.#nextAt
    const place = at & IN_BLOCK
    const block = (this.#blocks[at >> PER_BLOCK_BITS] ??= new Block())
    block.home ??= entry.home
    block.cells[2 * place] = entry.input
    block.cells[2 * place + 1] = value
    if (entry.home !== block.home) (block.homes ??= empty(PER_BLOCK))[place] = entry.home
    this.#times[2 * at] = entry.addedAt
    this.#times[2 * at + 1] = now
    this.#numbers[at] = numberOf(entry.id)
    this.#keepRest(entry, at, block)
    this.#next += 1
    this.#nextAt = after(at)
    if (this.#next - this.#first > KEPT) this.#dropFirst()
    if (now !== this.#lookedAt) this.#dropOld(now)
    return number
  }

  /** Whether it may still be asked for; others wait for their block to be forgotten. */
  isKept(number: number): boolean {
    return number >= this.#first
  }

  record(number: number, epoch: number): JobRecord {
    const at = number % PLACES
    const [block, place] = [this.#blocks[at >> PER_BLOCK_BITS] as Block, at & IN_BLOCK]
    const [home, rest] = [block.homeOf(place), block.rests?.[place]]
    const [input, value] = [block.cells[2 * place] as Json, block.cells[2 * place + 1] as Json | undefined]
    const [addedAt, finishedAt] = [this.#times[2 * at] as number, this.#times[2 * at + 1] as number]
    const end = { finishedAt, value }
    const said = this.#manners[at] as number
    const manner = said & MANNER
    if (manner === WHOLE) return recordOf(rest as Entry, epoch, end)
    const id = String(this.#numbers[at])
    const entry = new Entry(id, home, input, home.pathPrefix + id, false, USUAL, addedAt, 0)
    entry.status = 'done'
    if ((said & WAS_DUE_LATER) !== 0) entry.due = this.#due[at] as number
    entry.attempts = (said & HAS_ATTEMPTS) === 0 ? 1 : (this.#attempts[at] as number)
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
    const at = number % PLACES
    const [block, place] = [this.#blocks[at >> PER_BLOCK_BITS] as Block, at & IN_BLOCK]
    block.cells.fill(undefined, 2 * place, 2 * place + 2)
    if (block.rests !== undefined) block.rests[place] = undefined
    this.#numbers[at] = NO_ID
  }

  /** What there is to say of it beside what every job has. */
  #keepRest(entry: Entry, at: number, block: Block): void {
    let manner = mannerOf(entry)
    if (manner !== DONE) {
      const [known, rest] = this.#restOf(entry, manner, at)
      manner = known
      ;(block.rests ??= empty(PER_BLOCK))[at & IN_BLOCK] = rest
    }
    if (entry.due !== entry.addedAt) {
      manner |= WAS_DUE_LATER
      this.#due[at] = entry.due
    }
    if (entry.attempts !== 1) {
      manner |= HAS_ATTEMPTS
      this.#attempts[at] = entry.attempts
    }
    this.#manners[at] = manner
  }

  #restOf(entry: Entry, manner: number, at: number): readonly [manner: number, rest: Cell] {
    const { status, failure } = entry
    if (manner !== WHOLE && failure !== undefined) {
      this.#failures ??= new KeptFailures(PLACES)
      this.#failures.keep(at, entry, failure)
      return [manner, manner === DONE_LATER ? describeThrown(failure.error) : failure.error]
    }
    if (status === 'done') tellHistory(entry)
    const past = pastOf(entry)
    return past === undefined ? [WHOLE, entry] : [PAST, past]
  }

  #dropOld(now: number): void {
    this.#lookedAt = now
    while (now - (this.#times[2 * this.#firstAt + 1] as number) > KEPT_FOR) this.#dropFirst()
  }

  #dropFirst(): void {
    const at = this.#firstAt
    this.#first += 1
    this.#firstAt = after(at)
    if (this.#firstAt % PER_BLOCK === 0) this.#forgetBlock(at >> PER_BLOCK_BITS)
  }

  #forgetBlock(number: number): void {
    const block = this.#blocks[number] as Block
    const first = number << PER_BLOCK_BITS
    for (let place = 0; place < PER_BLOCK; place += 1) {
      const id = this.#numbers[first + place] as number
      if (id !== NO_ID) this.#forget(id === NO_NUMBER ? ((block.rests as Cell[])[place] as Entry).id : id)
    }
    block.clear()
  }
}

const after = (at: number): number => (at + 1 === PLACES ? 0 : at + 1)

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
function empty(length: number): Cell[] {
  return new Array<Cell>(length).fill(undefined) // oxlint-disable-line unicorn/no-new-array
}

const USUAL = { priority: 0, delay: 0, lane: undefined, dedupe: undefined } as const
