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
  LeasedJob,
  NewJob,
  NewSchedule,
  Outcome,
  QueueStats,
  Settled,
  Step,
  StepAnswer,
  Tick,
  TickAnswer,
} from './broker.ts'
import { PassingMap } from '../passing-map.ts'
import { readCursor } from './cursor.ts'
import { Archive } from './memory-archive.ts'
import { Delays } from './memory-delays.ts'
import { leaseOf, letterOf, newEntry, recordOf, remember, revive, type Entry } from './memory-entry.ts'
import { MemoryQueue } from './memory-queue.ts'

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
  readonly #open = new PassingMap<Entry>()
  readonly #archive = new Archive()
  readonly #schedules = new Map<string, { readonly spec: string; next: number; last: string | undefined }>()
  readonly #delays = new Delays(CLOSED, (entry) => this.#isDue(entry))
  #clock = CLOSED
  #lastId = 0
  #lastSeq = 0

  open(clock: BrokerClock): void {
    this.#clock = this.#delays.clock = clock
  }

  close(): void {
    const now = this.#clock.now()
    this.#delays.clear()
    for (const entry of this.#open.values()) {
      entry.status = 'cancelled'
      entry.finishedAt = now
      entry.row = entry.ahead = entry.behind = undefined
      this.#archive.keepResult(entry, now)
    }
    this.#open.clear()
    this.#schedules.clear()
    for (const queue of this.#queues.values()) queue.clear()
  }

  newId(): string {
    this.#lastId += 1
    return String(this.#lastId)
  }

  enqueue(jobs: readonly NewJob[]): readonly Enqueued[] {
    return jobs.map((job) => this.#add(job))
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
    this.#delays.promote(this.#clock.now())
    const from = this.#queue(queue)
    const taken: LeasedJob[] = []
    for (const entry of from.take(limit, without)) {
      entry.status = 'running'
      entry.token += 1
      taken.push(leaseOf(entry))
    }
    return taken
  }

  extend(leases: readonly { readonly id: string; readonly token: number }[]): readonly Settled[] {
    return leases.map((lease) => (this.#held(lease) === undefined ? 'lost' : 'settled'))
  }

  settle(outcomes: readonly Outcome[]): readonly Settled[] {
    return outcomes.map((outcome) => {
      const entry = this.#held(outcome)
      if (entry === undefined) return 'lost'
      this.#queue(entry.queue).leased -= 1
      this.#apply(entry, outcome)
      return 'settled'
    })
  }

  step({ queue, outcome, jobs, notes }: Step): StepAnswer {
    const [answer] = outcome === undefined ? (['settled'] as const) : this.settle([outcome])
    if (answer === 'lost') return { answer, enqueued: [] }
    this.#queue(queue).note(notes)
    return { answer: 'settled', enqueued: this.enqueue(jobs) }
  }

  notes(queue: string): Readonly<Record<string, Json>> {
    return this.#queues.get(queue)?.notes ?? {}
  }

  clear(name: string): void {
    const queue = this.#queues.get(name)
    if (queue === undefined) return
    for (const entry of this.#open.values()) {
      if (entry.queue !== name) continue
      if (entry.status === 'delayed') this.#delays.remove(entry)
      this.#open.delete(entry.id)
    }
    queue.clear()
    this.#forgetUnused(queue)
  }

  cancel(id: string, reason: unknown): CancelAnswer {
    const entry = this.#open.get(id)
    if (entry === undefined) return this.#archive.get(id) === undefined ? 'unknown' : 'finished'
    if (entry.status === 'running') return 'leased'
    const queue = this.#queue(entry.queue)
    if (entry.status === 'delayed') {
      this.#delays.remove(entry)
      queue.delayed -= 1
    } else {
      queue.remove(entry)
    }
    entry.reason = reason
    this.#finish(entry, 'cancelled')
    return 'cancelled'
  }

  job(id: string): JobRecord | undefined {
    const entry = this.#open.get(id) ?? this.#archive.get(id)
    return entry && recordOf(entry)
  }

  schedule({ queue, spec, next }: NewSchedule): number {
    const kept = this.#schedules.get(queue)
    if (kept?.spec === spec) return kept.next
    this.#schedules.set(queue, { spec, next, last: kept?.last })
    return next
  }

  unschedule(queue: string): boolean {
    return this.#schedules.delete(queue)
  }

  tick({ queue, spec, at, next, overlap, job }: Tick): TickAnswer {
    const kept = this.#schedules.get(queue)
    if (kept?.spec !== spec) return { answer: 'stale', next: undefined }
    if (kept.next !== at) return { answer: 'stale', next: kept.next }
    kept.next = next
    if (job === undefined) return { answer: 'skipped', unfinished: undefined }
    // The clock was set back: this tick was made before.
    if (this.#open.has(job.id) || this.#archive.get(job.id) !== undefined) return { answer: 'stale', next }
    const isFree = overlap || kept.last === undefined || !this.#open.has(kept.last)
    if (!isFree) return { answer: 'skipped', unfinished: kept.last }
    const { id, duplicate } = this.#add(job)
    if (duplicate) return { answer: 'skipped', unfinished: id }
    kept.last = id
    return { answer: 'added' }
  }

  stats(): readonly QueueStats[] {
    const now = this.#clock.now()
    return [...this.#queues.values()].map((queue) => queue.stats(now))
  }

  deadLetters(filter: DeadLetterFilter, cursor?: string): readonly DeadLetter[] {
    return this.#archive.listDead(filter, readCursor(cursor)).map(letterOf)
  }

  deadLetter(id: string): DeadLetter | undefined {
    const entry = this.#archive.dead(id)
    return entry && letterOf(entry)
  }

  replay(
    id: string,
    input: Json | undefined,
    restarts?: Readonly<Record<string, number>>,
  ): { readonly queue: string } | undefined {
    const entry = this.#archive.takeDead(id)
    if (entry === undefined) return undefined
    const now = this.#clock.now()
    const queue = this.#queue(entry.queue)
    queue.dead -= 1
    revive(entry, { input, restarts }, now)
    if (entry.dedupe !== undefined && queue.keys.holderOf(entry.dedupe.key, now) === undefined) {
      queue.keys.hold(entry, now)
    }
    this.#open.set(id, entry)
    this.#comeAgain(entry, 0)
    return { queue: entry.queue }
  }

  bury(job: NewJob, failure: Failure): void {
    if (this.#open.has(job.id)) return // it waits already: a replay overtook the one that died
    this.discard(job.id)
    this.#lastSeq += 1
    const entry = newEntry(job, this.#clock.now(), this.#lastSeq)
    entry.attempts = failure.attempt ?? 0
    entry.failure = failure
    entry.status = 'failed'
    entry.finishedAt = this.#clock.now()
    remember(entry, failure)
    this.#keepDead(entry, this.#queue(job.queue))
  }

  discard(id: string): boolean {
    const entry = this.#archive.takeDead(id)
    if (entry !== undefined) this.#queue(entry.queue).dead -= 1
    return entry !== undefined
  }

  /** Tasks come and go with dynamic children; a queue that nobody watches and that holds nothing goes too. */
  #forgetUnused(queue: MemoryQueue): void {
    if (queue.wake === undefined && queue.isEmpty && this.#queues.get(queue.name) === queue)
      this.#queues.delete(queue.name)
  }

  #queue(name: string): MemoryQueue {
    let queue = this.#queues.get(name)
    if (queue === undefined) this.#queues.set(name, (queue = new MemoryQueue(name)))
    return queue
  }

  #held(lease: { readonly id: string; readonly token: number }): Entry | undefined {
    const entry = this.#open.get(lease.id)
    return entry?.status === 'running' && entry.token === lease.token ? entry : undefined
  }

  #add(job: NewJob): Enqueued {
    const now = this.#clock.now()
    const { keys } = this.#queue(job.queue)
    const first = job.dedupe && keys.holderOf(job.dedupe.key, now)
    if (first !== undefined) return { id: first, duplicate: true }
    this.#lastSeq += 1
    const entry = newEntry(job, now, this.#lastSeq)
    keys.hold(entry, now)
    this.#open.set(job.id, entry)
    this.#comeAgain(entry, job.delay)
    return { id: job.id, duplicate: false }
  }

  #apply(entry: Entry, outcome: Outcome): void {
    switch (outcome.kind) {
      case 'done':
        entry.attempts = outcome.attempts
        entry.value = copyJson(outcome.value)
        return this.#finish(entry, 'done', outcome.isForgettable)
      case 'fallback':
        entry.attempts = outcome.attempts
        entry.value = copyJson(outcome.value)
        entry.failure = outcome.failure
        return this.#finish(entry, 'fallback')
      case 'failed':
        entry.attempts = outcome.attempts
        entry.failure = outcome.failure
        remember(entry, outcome.failure)
        return this.#finish(entry, 'failed')
      case 'cancelled':
        entry.attempts = outcome.attempts
        entry.reason = outcome.reason
        return this.#finish(entry, 'cancelled')
      case 'retry':
        entry.attempts = outcome.attempts
        entry.charged = outcome.charged
        entry.putOffs = outcome.putOffs
        if (outcome.input !== undefined) entry.input = outcome.input
        remember(entry, outcome.failure)
        return this.#comeAgain(entry, outcome.delay)
      case 'restart':
        remember(entry, outcome.failure)
        entry.attempts = entry.charged = entry.putOffs = 0
        entry.generation = outcome.generation
        entry.restarts = outcome.restarts
        if (outcome.input !== undefined) entry.input = outcome.input
        return this.#comeAgain(entry, outcome.delay)
      case 'release': {
        const queue = this.#queue(entry.queue)
        entry.status = 'waiting'
        queue.putBack(entry)
        return queue.wake?.()
      }
    }
  }

  #comeAgain(entry: Entry, delay: number): void {
    const now = this.#clock.now()
    this.#delays.promote(now) // what is due already stands before what becomes due now
    entry.due = now + delay
    if (delay === 0) return this.#makeReady(entry)
    entry.status = 'delayed'
    this.#queue(entry.queue).delayed += 1
    this.#delays.add(entry)
  }

  #isDue(entry: Entry): void {
    this.#queue(entry.queue).delayed -= 1
    this.#makeReady(entry)
  }

  #makeReady(entry: Entry): void {
    entry.status = 'waiting'
    const queue = this.#queue(entry.queue)
    queue.put(entry)
    queue.wake?.()
  }

  #finish(entry: Entry, status: 'done' | 'fallback' | 'failed' | 'cancelled', isForgettable = false): void {
    const now = this.#clock.now()
    entry.status = status
    entry.finishedAt = now
    this.#open.delete(entry.id)
    const queue = this.#queue(entry.queue)
    queue.keys.free(entry, now)
    if (queue.leaveLane(entry)) queue.wake?.()
    if (status === 'failed') this.#keepDead(entry, queue)
    else if (!isForgettable) this.#archive.keepResult(entry, now)
    this.#forgetUnused(queue)
  }

  #keepDead(entry: Entry, queue: MemoryQueue): void {
    queue.dead += 1
    const forgotten = this.#archive.keepDead(entry)
    if (forgotten !== undefined) this.#queue(forgotten.queue).dead -= 1
  }
}
