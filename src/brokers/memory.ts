import type { Failure } from '../failure.ts'
import { copyJson, type Json } from '../payload.ts'
import type {
  Broker,
  BrokerClock,
  CancelAnswer,
  DeadLetter,
  DeadLetterFilter,
  Enqueued,
  JobRecord,
  JobTerms,
  LeasedJob,
  NewJob,
  NewSchedule,
  Outcome,
  QueueStats,
  Room,
  Settled,
  Step,
  StepAnswer,
  Swap,
  SwapAnswer,
  Tick,
  TickAnswer,
} from './broker.ts'
import { CountedIds } from './memory-ids.ts'
import { JobTable } from '../job-table.ts'
import { forOne } from './broker.ts'
import { readCursor } from './cursor.ts'
import { DeadJobs } from './memory-dead.ts'
import { Delays } from './memory-delays.ts'
import {
  endOf,
  Entry,
  Lease,
  letterOf,
  moreOf,
  openMore,
  recordOf,
  remember,
  revive,
  tellHistory,
  type Home,
} from './memory-entry.ts'
import { MemoryQueue } from './memory-queue.ts'
import { Results } from './memory-results.ts'
import { Schedules } from './memory-schedules.ts'
import { JobTimes } from './memory-times.ts'

/**
 * The default broker: jobs live and die with the process. Keeps the last 10 000 outcomes for 24 hours, and the last
 * 1 000 dead letters.
 */
export function memory(): Broker {
  return new MemoryBroker()
}

const CLOSED: BrokerClock = { now: () => Date.now(), setTimeout: () => undefined, clearTimeout: () => undefined }

class MemoryBroker implements Broker {
  readonly name = 'memory'
  readonly durable = false
  readonly leaseTime = Infinity
  readonly #queues = new Map<string, MemoryQueue>()
  /** The one that was asked for last: jobs mostly come in rows of one task. */
  #latest: MemoryQueue | undefined
  /** Those that are not over; and where the results of others are kept. */
  readonly #entries = new JobTable<Entry | number>()
  readonly #results = new Results((id) =>
    typeof id === 'number' ? this.#entries.deleteNumber(id) : this.#entries.delete(id),
  )
  readonly #dead = new DeadJobs()
  readonly #schedules = new Schedules({
    isKnown: (id) => this.#entry(id) !== undefined || this.#dead.get(id) !== undefined,
    isOpen: (id) => this.#isOpen(id),
    add: (job) => this.#add(job),
  })
  readonly #ids = new CountedIds()
  readonly #delays = new Delays(CLOSED, (entry) => this.#isDue(entry))
  #clock = CLOSED
  #times = new JobTimes(CLOSED, CLOSED)
  /** All times are kept since then: small whole numbers need no objects of their own. */
  #epoch = 0
  #lastSeq = 0

  static {
    const { enqueue, settle } = this.prototype
    Object.assign(enqueue, {
      [forOne](this: MemoryBroker, id: string, queue: string, input: Json, path: string, terms: JobTerms) {
        return this.#addOne(id, queue, input, path, false, terms)
      },
    })
    Object.assign(settle, {
      [forOne]: {
        any(this: MemoryBroker, outcome: Outcome) {
          return this.#settleOne(outcome)
        },
        value(this: MemoryBroker, id: string, token: number, value: Json, attempts: number, failure?: Failure) {
          return this.#settleValue(id, token, value, attempts, failure)
        },
      },
    })
  }

  open(clock: BrokerClock): void {
    if (this.#lastSeq === 0) this.#epoch = clock.now()
    this.#clock = this.#delays.clock = {
      now: () => clock.now() - this.#epoch,
      setTimeout: (callback, ms) => clock.setTimeout(callback, ms),
      clearTimeout: (timer) => clock.clearTimeout(timer),
    }
    this.#times = new JobTimes(clock, this.#clock)
  }

  close(): void {
    const now = this.#clock.now()
    this.#delays.clear()
    for (const entry of this.#entries.values()) {
      if (typeof entry === 'number') continue
      tellHistory(entry)
      entry.status = 'cancelled'
      entry.row = entry.ahead = entry.behind = undefined
      this.#keepResult(entry, undefined, now)
    }
    this.#schedules.clear()
    for (const queue of this.#queues.values()) queue.clear()
  }

  newId(): string {
    return this.#ids.next()
  }

  enqueue(jobs: readonly NewJob[]): readonly Enqueued[] {
    return jobs.map((job) => this.#add(job) ?? { id: job.id, duplicate: false })
  }

  watch(queue: string, wake: () => void): () => void {
    const watched = this.#queue(queue)
    watched.wake = wake
    return () => {
      if (watched.wake === wake) watched.wake = undefined
      this.#forgetUnused(watched)
    }
  }

  lease(queue: string, limit: number, without?: ReadonlySet<string>): readonly LeasedJob[] {
    if (!this.#delays.isEmpty) this.#delays.promote(this.#clock.now())
    const from = this.#queue(queue)
    const taken: LeasedJob[] = []
    const entries = from.take(limit, without)
    for (let index = 0; index < entries.length; index += 1) {
      const entry = entries[index] as Entry
      entry.status = 'running'
      entry.token += 1
      taken.push(new Lease(entry))
    }
    return taken
  }

  extend(leases: readonly { readonly id: string; readonly token: number }[]): readonly Settled[] {
    return leases.map(({ id, token }) => (this.#held(id, token) === undefined ? 'lost' : 'settled'))
  }

  settle(outcomes: readonly Outcome[]): readonly Settled[] {
    return outcomes.map((outcome) => this.#settleOne(outcome))
  }

  step({ queue, outcome, jobs, notes, room }: Step): StepAnswer {
    const [answer] = outcome === undefined ? (['settled'] as const) : this.settle([outcome])
    if (answer === 'lost') return { answer, enqueued: [] }
    this.#queue(queue).note(notes)
    if (room === undefined) return { answer: 'settled', enqueued: this.enqueue(jobs) }
    return { answer: 'settled', enqueued: this.#addInRoom(queue, jobs, room) }
  }

  swap({ queue, name, from, to }: Swap): SwapAnswer {
    const { words } = this.#queue(queue)
    const [now, wanted] = [words.get(name) ?? null, to === null ? null : JSON.stringify(to)]
    const isSwapped = now === wanted || now === (from === undefined ? null : JSON.stringify(from))
    if (isSwapped && wanted === null) words.delete(name)
    else if (isSwapped) words.set(name, wanted as string)
    const left = isSwapped ? wanted : now
    return { swapped: isSwapped, now: left === null ? undefined : (JSON.parse(left) as Json) }
  }

  notes(queue: string): Readonly<Record<string, Json>> {
    return this.#queues.get(queue)?.notes ?? {}
  }

  clear(name: string): void {
    const queue = this.#queues.get(name)
    if (queue === undefined) return
    for (const entry of this.#entries.values()) {
      if (typeof entry === 'number' || entry.home !== queue) continue
      if (entry.status === 'delayed') this.#delays.remove(entry)
      this.#entries.delete(entry.id)
    }
    queue.clear()
    this.#forgetUnused(queue)
  }

  cancel(id: string, reason: unknown): CancelAnswer {
    const entry = this.#entry(id)
    if (entry === undefined) return this.#dead.get(id) === undefined ? 'unknown' : 'finished'
    if (typeof entry === 'number') return 'finished'
    if (entry.status === 'running') return 'leased'
    const queue = entry.home
    if (entry.status === 'delayed') {
      this.#delays.remove(entry)
      queue.delayed -= 1
    } else {
      queue.remove(entry)
    }
    openMore(entry).reason = reason
    this.#finish(entry, 'cancelled', undefined)
    return 'cancelled'
  }

  job(id: string): JobRecord | undefined {
    const entry = this.#entry(id)
    if (typeof entry === 'number') return this.#results.record(entry, this.#epoch)
    if (entry !== undefined) return recordOf(entry, this.#epoch)
    const dead = this.#dead.get(id)
    return dead && recordOf(dead, this.#epoch, endOf(dead))
  }

  schedule(given: NewSchedule): number {
    return this.#schedules.keep(given)
  }

  unschedule(queue: string): boolean {
    return this.#schedules.drop(queue)
  }

  tick(tick: Tick): TickAnswer {
    return this.#schedules.tick(tick)
  }

  stats(): readonly QueueStats[] {
    const now = this.#clock.now()
    return [...this.#queues.values()].map((queue) => queue.stats(now))
  }

  deadLetters(filter: DeadLetterFilter, cursor?: string): readonly DeadLetter[] {
    const { since, ...rest } = filter
    const asked = since === undefined ? rest : { ...rest, since: since - this.#epoch }
    return this.#dead.list(asked, readCursor(cursor)).map((entry) => letterOf(entry, this.#epoch))
  }

  deadLetter(id: string): DeadLetter | undefined {
    const entry = this.#dead.get(id)
    return entry && letterOf(entry, this.#epoch)
  }

  replay(
    id: string,
    input: Json | undefined,
    restarts?: Readonly<Record<string, number>>,
  ): { readonly queue: string } | undefined {
    const entry = this.#dead.take(id)
    if (entry === undefined) return undefined
    const now = this.#clock.now()
    const queue = this.#queue(entry.home.name)
    entry.home = queue
    queue.dead -= 1
    revive(entry, { input, restarts }, now)
    const { dedupe } = moreOf(entry)
    if (dedupe !== undefined && queue.keys.holderOf(dedupe.key, now) === undefined) queue.keys.hold(entry, now)
    this.#put(entry)
    this.#comeAgain(entry, 0, now)
    return { queue: queue.name }
  }

  bury(job: NewJob, failure: Failure): void {
    if (this.#isOpen(job.id)) return // it waits already: a replay overtook the one that died
    this.discard(job.id)
    this.#lastSeq += 1
    const { id, queue, input, idempotencyKey: key, keyIsPath } = job
    const entry = new Entry(
      id,
      this.#queue(queue),
      input,
      key,
      keyIsPath !== true,
      job,
      this.#clock.now(),
      this.#lastSeq,
    )
    entry.attempts = failure.attempt ?? 0
    this.#die(entry, failure)
    this.#keepDead(entry, this.#clock.now())
  }

  discard(id: string): boolean {
    const entry = this.#dead.take(id)
    if (entry !== undefined) entry.home.dead -= 1
    return entry !== undefined
  }

  /** Tasks come and go with dynamic children; a queue that nobody watches and that holds nothing goes too. */
  #forgetUnused(queue: Home): void {
    if (queue.wake !== undefined || !queue.isEmpty || this.#queues.get(queue.name) !== queue) return
    this.#queues.delete(queue.name)
    this.#latest = undefined
  }

  #queue(name: string): MemoryQueue {
    if (this.#latest?.name === name) return this.#latest
    let queue = this.#queues.get(name)
    if (queue === undefined) this.#queues.set(name, (queue = new MemoryQueue(name)))
    this.#latest = queue
    return queue
  }

  /** Of a job that is over, the number of its result while that is kept. */
  #entry(id: string): Entry | number | undefined {
    const entry = this.#entries.get(id)
    return typeof entry === 'number' && !this.#results.isKept(entry) ? undefined : entry
  }

  #held(id: string, token: number): Entry | undefined {
    const entry = this.#entries.get(id)
    if (typeof entry !== 'object') return undefined
    return entry.status === 'running' && entry.token === token ? entry : undefined
  }

  /** Undefined if it is added, as it is given. */
  #add(job: NewJob): Enqueued | undefined {
    const { id, queue, input, idempotencyKey, keyIsPath } = job
    return this.#addOne(id, queue, input, idempotencyKey, keyIsPath !== true, job)
  }

  #addOne(
    id: string,
    queue: string,
    input: Json,
    key: string,
    hasOwnKey: boolean,
    terms: JobTerms,
  ): Enqueued | undefined {
    const { delay, dedupe } = terms
    const isPlain = delay === 0 && dedupe === undefined && this.#delays.isEmpty
    const now = isPlain ? this.#times.now() : this.#times.exact()
    const home = this.#queue(queue)
    const first = dedupe && home.keys.holderOf(dedupe.key, now)
    if (first !== undefined) return { id: first, duplicate: true }
    this.#lastSeq += 1
    const entry = new Entry(id, home, input, key, hasOwnKey, terms, now, this.#lastSeq)
    if (dedupe !== undefined) home.keys.hold(entry, now)
    this.#put(entry)
    this.#comeAgain(entry, delay, now)
    return undefined
  }

  /** A result of a job that had the same id gives way. */
  #put(entry: Entry): void {
    const earlier = this.#entries.swap(entry.id, entry)
    if (typeof earlier === 'number') this.#results.drop(earlier)
  }

  #isOpen(id: string): boolean {
    return typeof this.#entries.get(id) === 'object'
  }

  #keepResult(entry: Entry, value: Json | undefined, now: number): void {
    this.#entries.set(entry.id, this.#results.keep(entry, value, now))
  }

  #settleOne(outcome: Outcome): Settled {
    const entry = this.#held(outcome.id, outcome.token)
    if (entry === undefined) return 'lost'
    entry.home.leased -= 1
    this.#apply(entry, outcome)
    return 'settled'
  }

  #settleValue(id: string, token: number, value: Json, attempts: number, failure: Failure | undefined): Settled {
    const entry = this.#held(id, token)
    if (entry === undefined) return 'lost'
    entry.home.leased -= 1
    entry.attempts = attempts
    if (failure === undefined) this.#finish(entry, 'done', copyJson(value))
    else this.#fallBack(entry, failure, value)
    return 'settled'
  }

  #addInRoom(queue: string, jobs: readonly NewJob[], { name, limit, back }: Room): readonly Enqueued[] {
    const { words } = this.#queue(queue)
    let count = Math.max(0, Number(words.get(name) ?? 0) - back)
    const now = this.#clock.now()
    const enqueued = jobs.map((job): Enqueued => {
      if (job.queue !== queue) return this.#add(job) ?? { id: job.id, duplicate: false }
      const isKnown =
        job.dedupe !== undefined && this.#queue(job.queue).keys.holderOf(job.dedupe.key, now) !== undefined
      if (!isKnown && count >= limit) return { id: job.id, duplicate: false, refused: true }
      if (!isKnown) count += 1
      return this.#add(job) ?? { id: job.id, duplicate: false }
    })
    words.set(name, String(count))
    return enqueued
  }

  #apply(entry: Entry, outcome: Outcome): void {
    switch (outcome.kind) {
      case 'done':
        entry.attempts = outcome.attempts
        return this.#finish(entry, 'done', copyJson(outcome.value), outcome.isForgettable)
      case 'fallback':
        entry.attempts = outcome.attempts
        return this.#fallBack(entry, outcome.failure, outcome.value)
      case 'failed':
        entry.attempts = outcome.attempts
        this.#die(entry, outcome.failure)
        return this.#finish(entry, 'failed', undefined)
      case 'cancelled':
        entry.attempts = outcome.attempts
        openMore(entry).reason = outcome.reason
        return this.#finish(entry, 'cancelled', undefined)
      case 'retry':
        entry.attempts = outcome.attempts
        entry.charged = outcome.charged
        entry.putOffs = outcome.putOffs
        if (outcome.input !== undefined) entry.input = outcome.input
        remember(entry, outcome.failure)
        return this.#comeAgain(entry, outcome.delay, this.#clock.now())
      case 'restart': {
        remember(entry, outcome.failure)
        tellHistory(entry) // before it is of another generation
        entry.attempts = entry.charged = entry.putOffs = 0
        const more = openMore(entry)
        more.generation = outcome.generation
        more.restarts = outcome.restarts
        if (outcome.input !== undefined) entry.input = outcome.input
        return this.#comeAgain(entry, outcome.delay, this.#clock.now())
      }
      case 'release': {
        entry.status = 'waiting'
        entry.home.putBack(entry)
        return entry.home.wake?.()
      }
    }
  }

  #fallBack(entry: Entry, failure: Failure, value: Json): void {
    tellHistory(entry)
    entry.failure = failure
    this.#finish(entry, 'fallback', copyJson(value))
  }

  #comeAgain(entry: Entry, delay: number, now: number): void {
    this.#delays.promote(now) // what is due already stands before what becomes due now
    entry.due = now + delay
    if (delay === 0) return this.#makeReady(entry)
    entry.status = 'delayed'
    entry.home.delayed += 1
    this.#delays.add(entry)
  }

  #isDue(entry: Entry): void {
    entry.home.delayed -= 1
    this.#makeReady(entry)
  }

  #makeReady(entry: Entry): void {
    const { home } = entry
    entry.status = 'waiting'
    home.put(entry)
    home.wake?.()
  }

  /** It was told when it failed; what is kept of it now is what it came to. */
  #die(entry: Entry, failure: Failure): void {
    remember(entry, failure)
    tellHistory(entry)
    entry.failure = failure
    entry.status = 'failed'
  }

  #finish(
    entry: Entry,
    status: 'done' | 'fallback' | 'failed' | 'cancelled',
    value: Json | undefined,
    isForgettable = false,
  ): void {
    const now = entry.more === undefined ? this.#times.now() : this.#times.exact()
    const { home } = entry
    if (status === 'cancelled') tellHistory(entry)
    entry.status = status
    if (entry.more?.dedupe !== undefined) home.keys.free(entry, now)
    if (home.leaveLane(entry)) home.wake?.()
    if (status === 'failed') {
      this.#entries.delete(entry.id)
      this.#keepDead(entry, now)
    } else if (isForgettable) {
      this.#entries.delete(entry.id)
    } else {
      this.#keepResult(entry, value, now)
    }
    if (home.wake === undefined) this.#forgetUnused(home)
  }

  #keepDead(entry: Entry, now: number): void {
    entry.home.dead += 1
    openMore(entry).diedAt = now
    const forgotten = this.#dead.keep(entry)
    if (forgotten !== undefined) forgotten.home.dead -= 1
  }
}
