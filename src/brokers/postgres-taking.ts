import { LeaseLostError } from '../errors.ts'
import { Failure } from '../failure.ts'
import { Along } from './along.ts'
import type { BuriedJob, LeasedJob, Outcome, Settled } from './broker.ts'
import { leaseOf, type OrphanRow, type TakenRow } from './postgres-row.ts'
import { fromText, toKey, toText } from './postgres-text.ts'
import type { Given, Want } from './postgres-turns.ts'
import { readRestarts } from './stored.ts'
import type { Watchers } from './watchers.ts'

interface OfLease {
  readonly id: string
  readonly token: number
}

/** What the call `take` came to. */
interface Taken {
  readonly jobs: readonly TakenRow[]
  readonly isMore: boolean
  readonly orphans: readonly OrphanRow[]
}

interface Store {
  now(): number
  /** The number of a queue, if it is known. */
  known(queue: string): number | undefined
  queueOf(queue: string): Promise<number>
  call(given: Given): Promise<unknown>
  settle(outcomes: readonly Outcome[]): Promise<readonly Settled[]>
  /** Whether this process works on it, and is not paused. */
  isWorkedOn(queue: string): boolean
}

/** The jobs that this process holds, and how it comes to them: by a call of its own, or along with one that goes anyway. */
export class Taking {
  readonly #store: Store
  readonly #watchers: Watchers
  readonly #along: Along
  /** By the ids in the store. */
  readonly #held = new Map<string, { readonly token: number; readonly queue: string; readonly since: number }>()
  /** An answer was lost on its way, so that jobs may be held here of which nobody knows. */
  #isDoubtful = false

  constructor(store: Store, watchers: Watchers, lease: number) {
    this.#store = store
    this.#watchers = watchers
    const hands = {
      now: () => store.now(),
      takenAt: ({ id }: LeasedJob) => this.#held.get(toText(id))?.since ?? 0,
      giveBack: (jobs: readonly LeasedJob[]) =>
        void store.settle(jobs.map(({ id, token }) => ({ id, token, kind: 'release' }))).catch(() => {}),
    }
    this.#along = new Along(hands, { lease, takesAhead: false }) // here those would count as lost
  }

  /** All that is held, where that is to be said: the store gives the rest to others. */
  get reconciled(): readonly string[] | undefined {
    return this.#isDoubtful ? [...this.#held.keys()] : undefined
  }

  queueOf({ id, token }: OfLease): string | undefined {
    const held = this.#held.get(toText(id))
    return held?.token === token ? held.queue : undefined
  }

  letGo(lease: OfLease): void {
    if (this.queueOf(lease) !== undefined) this.#held.delete(toText(lease.id))
  }

  async lease(queue: string, limit: number, without: ReadonlySet<string> | undefined): Promise<readonly LeasedJob[]> {
    if (without !== undefined && without.size > 0) return this.#ask(queue, limit, without)
    if (!this.#watchers.byQueue.has(queue)) return this.#ask(queue, limit)
    const { jobs, ask } = this.#along.fetch(queue, limit)
    if (ask > 0) return this.#ask(queue, ask)
    // Where none is there, one is being asked for.
    const isMore = jobs.length > 0 && jobs.length < limit && !this.#along.isDry(queue)
    if (isMore) setImmediate(() => this.#watchers.wake(queue))
    return jobs
  }

  /** A call waits to be sent that frees slots. */
  plan(queues: readonly string[]): void {
    for (const queue of queues) this.#along.plan(queue, 0)
  }

  /** It is not sent. */
  unplan(queues: readonly string[]): void {
    for (const queue of queues) this.#along.want(queue, 1, false)
  }

  /** What a turn may take along that adds jobs to queues and frees slots of others. */
  wants(added: readonly string[], freed: readonly string[]): readonly Want[] {
    const wants: Want[] = []
    for (const queue of new Set([...added, ...freed])) {
      const q = this.#store.known(queue)
      const isWatched = this.#store.isWorkedOn(queue) && q !== undefined
      const { limit } = this.#along.want(queue, freed.filter((one) => one === queue).length, isWatched)
      if (limit > 0) wants.push({ queue, limit, words: { o: 'take', q, limit, waits: true } })
    }
    return wants
  }

  tookAlong({ queue, limit }: Want, answer: unknown): void {
    const taken = answer as Taken
    this.#along.ended(queue, limit, 0)
    const jobs = this.#receive(queue, taken, limit)
    if (taken.isMore) process.nextTick(() => this.#wake(queue))
    if (taken.orphans.length > 0) void this.#bury(queue, taken.orphans).catch(() => {}) // the next look finds them again
    if (jobs.length === 0) return
    this.#along.keep(queue, jobs)
    // After those who added the jobs, or ended others, know that they did: all that follows from promises comes first.
    process.nextTick(() => this.#watchers.wake(queue))
  }

  /** The turn that was to take them along has no answer. */
  lost(wants: readonly Want[]): void {
    for (const { queue, limit } of wants) this.#along.ended(queue, limit, 0)
  }

  doubt(): void {
    this.#isDoubtful = true
  }

  /** The store knows what is held here. */
  isSure(): void {
    this.#isDoubtful = false
  }

  /** There may be more in a queue than was known. */
  woken(queue: string): void {
    this.#along.woken(queue)
  }

  /** Nothing is held any more: the store is to give all of it to others. */
  close(): void {
    this.#along.close()
    this.#held.clear()
    this.doubt()
  }

  /** Ends jobs that were lost too often. */
  async buryAll(queue: string): Promise<void> {
    const { orphans } = await this.#take(queue, 0)
    await this.#bury(queue, orphans)
  }

  async #ask(queue: string, limit: number, without?: ReadonlySet<string>): Promise<readonly LeasedJob[]> {
    const jobs: LeasedJob[] = []
    for (;;) {
      const left = limit - jobs.length
      const taken = await this.#take(queue, left, without)
      jobs.push(...this.#receive(queue, taken, left))
      if (taken.orphans.length > 0) await this.#bury(queue, taken.orphans)
      else if (!taken.isMore) break
      if (jobs.length === limit) break
    }
    this.#along.freed(queue, limit - jobs.length)
    return jobs
  }

  async #take(queue: string, limit: number, without?: ReadonlySet<string>): Promise<Taken> {
    const q = await this.#store.queueOf(queue)
    const groups = without === undefined ? {} : { without: [...without].map(toKey) }
    const words = { o: 'take', q, limit, waits: this.#store.isWorkedOn(queue), ...groups }
    return (await this.#store.call({ words, rows: limit, patience: 'waits', lasts: false })) as Taken
  }

  #receive(queue: string, { jobs, isMore }: Taken, asked: number): readonly LeasedJob[] {
    if (!isMore) this.#along.took(queue, asked, jobs.length, Infinity)
    return jobs.map((row) => {
      const [id, , , , token] = row
      this.#held.set(id, { token, queue, since: performance.now() })
      return leaseOf(row, queue)
    })
  }

  /** By who knows their task: its supervisors are to decide about them. */
  async #bury(queue: string, orphans: readonly OrphanRow[]): Promise<void> {
    for (const [text, token, before, generation, restarts, lost] of orphans) {
      const id = fromText(text)
      const path = `${queue}/job:${id}`
      const attempts = before + 1 // the last is the one that was lost
      const error = LeaseLostError.ofLimit(path, lost)
      const job = { id, task: queue, attempts }
      const failure = new Failure({
        error,
        path,
        kind: 'lost',
        at: this.#store.now(),
        attempt: attempts,
        job,
        generation,
      })
      const [answer] = await this.#store.settle([{ id, token, kind: 'failed', attempts, failure }])
      if (answer !== 'settled') continue
      this.#tell({ id, queue, attempts, generation, restarts: readRestarts(restarts), failure })
    }
  }

  #tell(job: BuriedJob): void {
    for (const listener of this.#watchers.listeners) listener.buried(job)
  }

  #wake(queue: string): void {
    this.woken(queue)
    this.#watchers.wake(queue)
  }
}
