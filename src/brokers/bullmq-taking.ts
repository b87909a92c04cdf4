import type { LeasedJob } from './broker.ts'
import { Along, type AlongLimits } from './along.ts'
import type { HeldJobs, Taken } from './bullmq-held.ts'
import type { Held } from './bullmq-words.ts'
import type { Patience } from './bullmq-link.ts'
import { pathOfQueue } from './bullmq-names.ts'
import { timeOf, type Watch } from './bullmq-watch.ts'
import type { Watchers } from './watchers.ts'

/** Jobs that a call takes along. */
export interface Want {
  readonly queue: string
  /** For slots that are free. */
  readonly limit: number
  /** Besides these, for the next that are freed. */
  readonly ahead: number
  /** Of the first; the others have those that follow. */
  readonly token: number
}

interface Store {
  readonly now: number
  readonly watch: Watch
  readonly held: HeldJobs
  call(operation: string, words: readonly string[], patience?: Patience): Promise<unknown>
  /** Whether this process works on it, and is not paused. */
  isWorkedOn(path: string): boolean
  wake(queues: unknown): void
  /** In which queue a job is. */
  remember(id: string, queue: string): void
  giveBack(jobs: readonly LeasedJob[]): void
}

type Found = ReturnType<HeldJobs['receive']>

/** How this process comes to jobs: by a call of its own, or along with one that goes to Redis anyway. */
export class Taking {
  readonly #store: Store
  readonly #watchers: Watchers
  readonly #along: Along
  /** Queues of which it is not known what was leased: the answer was lost on its way. */
  readonly #doubtful = new Set<string>()
  /** Jobs that were taken ahead and have begun, which Redis is told with the next call. */
  readonly #begun = new Set<Held>()
  #tokens = 0

  constructor(store: Store, watchers: Watchers, limits: AlongLimits) {
    this.#store = store
    this.#watchers = watchers
    const hands = {
      now: () => store.now,
      takenAt: (job: LeasedJob) => store.held.find(job)?.since ?? 0,
      giveBack: (jobs: readonly LeasedJob[]) => store.giveBack(jobs),
    }
    this.#along = new Along(hands, limits)
  }

  async lease(path: string, queue: string, limit: number): Promise<readonly LeasedJob[]> {
    if (!this.#watchers.byQueue.has(path)) return this.#ask(queue, limit)
    const { jobs, ask } = this.#along.fetch(queue, limit)
    if (ask > 0) return this.#ask(queue, ask)
    for (const job of jobs) this.#begin(job)
    // Where none is there, one is being asked for.
    const isMore = jobs.length > 0 && jobs.length < limit && !this.#along.isDry(queue)
    if (isMore) setImmediate(() => this.#watchers.wake(path))
    return jobs
  }

  /** A job has ended, and a call waits to be sent that says so. One that was taken ahead begins in its place. */
  plan(held: Held): void {
    this.#begun.delete(held)
    const isMore = this.#along.plan(held.queue, performance.now() - held.since)
    if (isMore) this.#watchers.wake(pathOfQueue(held.queue))
  }

  /** A job goes back, whether it has begun or not. */
  letGo(held: Held): void {
    this.#begun.delete(held)
  }

  /** What a call may take along that adds jobs to queues and frees slots of others. */
  wants(added: readonly string[], freed: readonly string[]): readonly Want[] {
    const wants: Want[] = []
    for (const queue of new Set([...added, ...freed])) {
      const isWatched = this.#store.isWorkedOn(pathOfQueue(queue)) && !this.#doubtful.has(queue)
      const { limit, ahead } = this.#along.want(queue, freed.filter((one) => one === queue).length, isWatched)
      if (limit + ahead > 0) wants.push({ queue, limit, ahead, token: this.#nextTokens(limit + ahead) })
    }
    return wants
  }

  /** What Redis is to be told: the jobs that were taken ahead of a slot and have one now. */
  begun(): readonly Held[] {
    if (this.#begun.size === 0) return []
    const begun = [...this.#begun]
    this.#begun.clear()
    return begun
  }

  /** The call that was to take them along has its answer. */
  answered(wants: readonly Want[]): void {
    for (const { queue, limit, ahead } of wants) this.#along.ended(queue, limit, ahead)
  }

  /** The call that was to take them along has none. */
  lost(wants: readonly Want[]): void {
    for (const { queue } of wants) this.#doubtful.add(queue)
    this.answered(wants)
  }

  tookAlong(taken: Taken, asked: number): void {
    const [queue] = taken
    const { jobs, dead } = this.#receive(taken, asked)
    for (const bury of dead) void bury().catch(() => {}) // its lease runs out, and somebody finds it again
    if (jobs.length === 0) return
    if (!this.#store.isWorkedOn(pathOfQueue(queue))) return this.#store.giveBack(jobs)
    this.#along.keep(queue, jobs)
    // After those who added the jobs, or ended others, know that they did: all that follows from promises comes first.
    process.nextTick(() => this.#watchers.wake(pathOfQueue(queue)))
  }

  /** There may be more in a queue than was known. */
  woken(queue: string): void {
    this.#along.woken(queue)
  }

  /** Whoever works on a queue has no more use for jobs. */
  drop(queue: string): void {
    this.#along.drop(queue)
  }

  /** Nobody wants a job any more. Whether it was one that waits here, and goes back. */
  dropOne(queue: string, id: string): boolean {
    return this.#along.dropOne(queue, id)
  }

  close(): void {
    this.#along.close()
  }

  #begin(job: LeasedJob): void {
    const held = this.#store.held.find(job)
    if (held === undefined) return
    held.since = performance.now()
    if (held.isAhead) this.#begun.add(held)
  }

  #nextTokens(count: number): number {
    const first = this.#tokens + 1
    this.#tokens += count
    return first
  }

  async #ask(queue: string, limit: number): Promise<readonly LeasedJob[]> {
    const taken: LeasedJob[] = []
    while (taken.length < limit) {
      if (this.#doubtful.has(queue)) await this.#reconcile(queue)
      const found = await this.#take(queue, limit - taken.length)
      taken.push(...found.jobs)
      if (found.dead.length === 0) break
      for (const bury of found.dead) await bury()
    }
    return taken
  }

  async #take(queue: string, limit: number): Promise<Found> {
    const token = String(this.#nextTokens(limit))
    try {
      const answer = await this.#store.call('lease', [queue, String(limit), token], 'waits')
      const [taken, woken] = answer as readonly [Taken, readonly string[]]
      this.#store.wake(woken)
      const found = this.#receive(taken, limit)
      this.#along.freed(queue, limit - taken[2].length)
      return found
    } catch (error) {
      this.#doubtful.add(queue)
      throw error
    }
  }

  #receive(taken: Taken, asked: number): Found {
    const { now, watch, held } = this.#store
    const [queue, , rows, wait, due, until] = taken
    const limited = Number(wait) === 0 ? Infinity : now + Number(wait)
    const [nextDue, nextUntil] = [Math.min(limited, timeOf(due)), timeOf(until)]
    watch.learn(pathOfQueue(queue), nextDue, nextUntil)
    this.#along.took(queue, asked, rows.length, Math.min(nextDue, nextUntil))
    const found = held.receive(taken, asked)
    for (const { id } of found.jobs) this.#store.remember(id, queue)
    return found
  }

  async #reconcile(queue: string): Promise<void> {
    const locks = this.#store.held.all.filter((held) => held.queue === queue).map(({ lock }) => lock)
    await this.#store.call('reconcile', [queue, String(locks.length), ...locks], 'waits')
    this.#doubtful.delete(queue)
  }
}
