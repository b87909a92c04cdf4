import type { LeasedJob } from './broker.ts'

interface Slots {
  /** Free ones nobody has asked a job for. */
  room: number
  /** Asked for by calls that are under way, or will be by what waits to be sent. */
  pending: number
  /** Taken already, for the worker to come and get. */
  jobs: LeasedJob[]
  /** There was nothing more to take, and who looks is told of what comes: until when that holds. */
  dry: { readonly at: number; readonly until: number } | undefined
  offUntil: number
  timer: NodeJS.Timeout | undefined
}

const AT_ONCE = 128
/** Whoever was told has come for its jobs by then, or is paused, or has no right to them by its rate. */
const FETCHED_WITHIN = 30
const OFF_FOR = 5_000
const DRY_FOR = 100

/**
 * Jobs that are taken along with calls that go to the store anyway: as one ends, the next is taken in the same step, and one
 * that is added to a worker that waits is taken as it is added. So a job costs two round trips instead of three or four.
 */
export class Along {
  readonly #now: () => number
  readonly #giveBack: (jobs: readonly LeasedJob[]) => void
  readonly #queues = new Map<string, Slots>()

  constructor(now: () => number, giveBack: (jobs: readonly LeasedJob[]) => void) {
    this.#now = now
    this.#giveBack = giveBack
  }

  /** For a worker with so many free slots: what is here already, and how many the store is to be asked for. */
  fetch(queue: string, free: number): { readonly jobs: readonly LeasedJob[]; readonly ask: number } {
    const slots = this.#of(queue)
    const jobs = slots.jobs.splice(0, free)
    if (slots.jobs.length === 0) this.#stopTimer(slots)
    const left = free - jobs.length
    const isDry = this.#isDry(slots)
    const ask = isDry || jobs.length > 0 ? 0 : Math.max(0, left - slots.pending)
    slots.room = Math.max(0, left - slots.pending) - ask
    return { jobs, ask }
  }

  /** A call waits to be sent that frees a slot. */
  plan(queue: string): void {
    this.#of(queue).pending += 1
  }

  /** How many jobs a call may take along, now that so many slots are free again. */
  want(queue: string, freed: number, isWatched: boolean): number {
    const slots = this.#of(queue)
    slots.pending -= freed
    slots.room += freed
    if (!isWatched) slots.room = 0
    if (slots.room <= 0 || slots.jobs.length > 0 || slots.offUntil > performance.now()) return 0
    const wanted = Math.min(slots.room, AT_ONCE)
    slots.room -= wanted
    slots.pending += wanted
    return wanted
  }

  /** A call that was to take some along has been answered, or is lost. */
  ended(queue: string, wanted: number): void {
    this.#of(queue).pending -= wanted
  }

  /** What a call took, of so many it asked for; `next`: when there may be more without anybody saying so. */
  took(queue: string, asked: number, taken: number, next: number): void {
    const slots = this.#of(queue)
    slots.room += asked - taken
    slots.dry = taken < asked ? { at: performance.now(), until: next } : undefined
  }

  /** Keeps what was taken along until the worker comes for it. */
  keep(queue: string, jobs: readonly LeasedJob[]): void {
    const slots = this.#of(queue)
    slots.jobs.push(...jobs)
    slots.timer ??= setTimeout(() => {
      slots.timer = undefined
      slots.offUntil = performance.now() + OFF_FOR
      slots.room = 0
      this.#giveBack(slots.jobs.splice(0))
    }, FETCHED_WITHIN)
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
    for (const slots of this.#queues.values()) this.#stopTimer(slots)
    this.#queues.clear()
  }

  #isDry({ dry }: Slots): boolean {
    return dry !== undefined && this.#now() < dry.until && performance.now() - dry.at < DRY_FOR
  }

  #stopTimer(slots: Slots): void {
    clearTimeout(slots.timer)
    slots.timer = undefined
  }

  #of(queue: string): Slots {
    let slots = this.#queues.get(queue)
    if (slots === undefined) {
      slots = { room: 0, pending: 0, jobs: [], dry: undefined, offUntil: 0, timer: undefined }
      this.#queues.set(queue, slots)
    }
    return slots
  }
}
