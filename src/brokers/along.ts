import type { LeasedJob } from './broker.ts'
import { Bodies } from './bodies.ts'

interface Slots {
  /** Free ones: as many as the worker said when it last came, and those that were freed since. */
  free: number
  /** Of these, freed by what waits to be sent. */
  planned: number
  /** Jobs that calls under way were asked to take along for free slots, and ahead of them. */
  asked: number
  askedAhead: number
  /** Taken already, for the worker to come and get. */
  jobs: LeasedJob[]
  /** How long their leases certainly hold. */
  heldUntil: number
  /** There was nothing more to take, and who looks is told of what comes: until when that holds. */
  dry: { readonly at: number; readonly until: number } | undefined
  offUntil: number
  timer: NodeJS.Timeout | undefined
  readonly bodies: Bodies
}

export interface AlongLimits {
  readonly lease: number
  /** Whether jobs may be taken ahead of free slots. */
  readonly takesAhead: boolean
}

interface Hands {
  /** Of the store's clock. */
  now(): number
  /** When a job was taken, by the machine's. */
  takenAt(job: LeasedJob): number
  giveBack(jobs: readonly LeasedJob[]): void
}

const AT_ONCE = 128
/** Whoever was told has come for its jobs by then, or is paused, or has no right to them by its rate. */
const FETCHED_WITHIN = 30
const OFF_FOR = 5_000
const DRY_FOR = 100
/** A job that was taken ahead of a free slot goes back when none was freed for it by then, in ms. */
const AHEAD_FOR = 5

/**
 * Jobs that are taken along with calls that go to the store anyway: as one ends, the next is taken in the same step, and one
 * that is added to a worker that waits is taken as it is added. So a job costs two round trips instead of three or four.
 * Where bodies are short a few more are taken than there are free slots, so that many share a round trip also where one
 * runs at a time (docs/decisions/040-short-jobs-are-taken-ahead.md).
 */
export class Along {
  readonly #hands: Hands
  readonly #limits: AlongLimits
  readonly #queues = new Map<string, Slots>()

  constructor(hands: Hands, limits: AlongLimits) {
    this.#hands = hands
    this.#limits = limits
  }

  /** For a worker with so many free slots: what is here already, and how many the store is to be asked for. */
  fetch(queue: string, free: number): { readonly jobs: readonly LeasedJob[]; readonly ask: number } {
    const slots = this.#of(queue)
    if (slots.jobs.length > 0 && this.#hands.now() >= slots.heldUntil) this.#giveBack(slots, 0)
    const jobs = slots.jobs.splice(0, free)
    slots.free = free - jobs.length
    if (jobs.length > 0 || this.#isDry(slots)) return { jobs, ask: 0 }
    const ask = Math.max(0, slots.free - slots.planned - slots.asked)
    slots.free -= ask
    return { jobs, ask }
  }

  /** A job has ended, and a call waits to be sent that says so. Whether there is another one for its slot. */
  plan(queue: string, body: number): boolean {
    const slots = this.#of(queue)
    slots.planned += 1
    slots.free += 1
    slots.bodies.took(body)
    return slots.jobs.length > 0
  }

  /** How many jobs a call may take along for free slots, and ahead of them, that frees so many slots. */
  want(queue: string, freed: number, isWatched: boolean): { readonly limit: number; readonly ahead: number } {
    const slots = this.#of(queue)
    slots.planned -= freed
    if (!isWatched) slots.free = 0
    if (!isWatched || slots.offUntil > performance.now()) return NOTHING
    const limit = Math.min(AT_ONCE, Math.max(0, slots.free - slots.asked - slots.jobs.length))
    const ahead = freed > 0 ? this.#ahead(slots, limit) : 0
    slots.asked += limit
    slots.askedAhead += ahead
    return limit + ahead === 0 ? NOTHING : { limit, ahead }
  }

  /** A call that was to take some along has been answered, or is lost. */
  ended(queue: string, limit: number, ahead: number): void {
    const slots = this.#of(queue)
    slots.asked -= limit
    slots.askedAhead -= ahead
  }

  /** What a call took, of so many it asked for; `next`: when there may be more without anybody saying so. */
  took(queue: string, asked: number, taken: number, next: number): void {
    this.#of(queue).dry = taken < asked ? { at: performance.now(), until: next } : undefined
  }

  /** A call of the worker's own took fewer than it asked for, so many slots are free still. */
  freed(queue: string, slots: number): void {
    this.#of(queue).free += slots
  }

  /** Keeps what was taken along until the worker comes for it. */
  keep(queue: string, jobs: readonly LeasedJob[]): void {
    const slots = this.#of(queue)
    if (slots.jobs.length === 0) slots.heldUntil = this.#hands.now() + this.#limits.lease / 2
    slots.jobs.push(...jobs)
    this.#lookAfter(slots, AHEAD_FOR)
  }

  /** Gives back what nobody came for yet. */
  drop(queue: string): void {
    const slots = this.#queues.get(queue)
    if (slots !== undefined) this.#giveBack(slots, 0)
  }

  /** Gives one back, if nobody came for it yet. */
  dropOne(queue: string, id: string): boolean {
    const slots = this.#queues.get(queue)
    const index = slots?.jobs.findIndex((job) => job.id === id) ?? -1
    if (slots === undefined || index === -1) return false
    this.#hands.giveBack(slots.jobs.splice(index, 1))
    return true
  }

  isDry(queue: string): boolean {
    return this.#isDry(this.#of(queue))
  }

  /** There may be more. */
  woken(queue: string): void {
    const slots = this.#queues.get(queue)
    if (slots !== undefined) slots.dry = undefined
  }

  close(): void {
    for (const { timer } of this.#queues.values()) clearTimeout(timer)
    this.#queues.clear()
  }

  /** So many more that those that wait here for a slot to be freed are no more than bodies allow. */
  #ahead({ free, jobs, askedAhead, bodies }: Slots, limit: number): number {
    if (!this.#limits.takesAhead) return 0
    const waiting = Math.max(0, jobs.length - free) + Math.max(0, limit - 1)
    return Math.max(0, bodies.ahead - waiting - askedAhead)
  }

  /** The timer runs on when those it was for are gone: to set one for each job would cost more than it does to find nothing. */
  #lookAfter(slots: Slots, ms: number): void {
    slots.timer ??= setTimeout(() => this.#look(slots), ms)
  }

  #look(slots: Slots): void {
    slots.timer = undefined
    const { jobs } = slots
    if (jobs.length === 0) return
    // What is on its way here stands behind those in the store, and would begin before them if they went back now.
    if (slots.asked + slots.askedAhead > 0) return this.#lookAfter(slots, 1)
    const now = performance.now()
    const waited = (index: number): number => now - this.#hands.takenAt(jobs[index] as LeasedJob)
    const ahead = Math.min(jobs.length, Math.max(0, slots.free))
    if (ahead < jobs.length && waited(ahead) >= AHEAD_FOR) {
      slots.bodies.tookLong()
      this.#giveBack(slots, ahead)
    }
    if (jobs.length > 0 && waited(0) >= FETCHED_WITHIN) {
      slots.offUntil = now + OFF_FOR
      slots.free = 0
      this.#giveBack(slots, 0)
    }
    if (jobs.length > 0) this.#lookAfter(slots, Math.max(1, AHEAD_FOR - waited(Math.min(ahead, jobs.length - 1))))
  }

  /** Those from there on; all at once, so that they keep their order. */
  #giveBack(slots: Slots, from: number): void {
    const jobs = slots.jobs.splice(from)
    if (jobs.length > 0) this.#hands.giveBack(jobs)
  }

  #isDry({ dry }: Slots): boolean {
    return dry !== undefined && this.#hands.now() < dry.until && performance.now() - dry.at < DRY_FOR
  }

  #of(queue: string): Slots {
    let slots = this.#queues.get(queue)
    if (slots === undefined) {
      slots = {
        free: 0,
        planned: 0,
        asked: 0,
        askedAhead: 0,
        jobs: [],
        heldUntil: 0,
        dry: undefined,
        offUntil: 0,
        timer: undefined,
        bodies: new Bodies(),
      }
      this.#queues.set(queue, slots)
    }
    return slots
  }
}

const NOTHING = { limit: 0, ahead: 0 } as const
