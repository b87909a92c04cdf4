import type { Failure } from '../failure.ts'
import type { Json } from '../payload.ts'
import { describeThrown } from '../thrown.ts'
import type {
  Broker,
  BrokerClock,
  CancelAnswer,
  DeadLetter,
  DeadLetterFilter,
  Enqueued,
  JobRecord,
  JobStatus,
  LeasedJob,
  NewJob,
  Outcome,
  QueueStats,
  Settled,
} from './broker.ts'
import { DueHeap } from './due-heap.ts'
import type { Entry } from './memory-entry.ts'
import { MemoryQueue } from './memory-queue.ts'

const KEPT_RESULTS = 10_000
const KEPT_RESULTS_FOR = 24 * 60 * 60 * 1_000
const KEPT_DEAD_LETTERS = 1_000
const KEPT_HISTORY = 100

/**
 * The default broker: jobs live and die with the process. Keeps the last 10 000 outcomes for 24 hours, and the last
 * 1 000 dead letters.
 */
export function memory(): Broker {
  return new MemoryBroker()
}

const NOTHING: Readonly<Record<string, number>> = Object.freeze({})

class MemoryBroker implements Broker {
  readonly name = 'memory'
  readonly durable = false
  readonly leaseTime = Infinity
  readonly #queues = new Map<string, MemoryQueue>()
  readonly #open = new Map<string, Entry>()
  readonly #finished = new Map<string, Entry>()
  readonly #dead = new Map<string, Entry>()
  readonly #delayed = new DueHeap<Entry>()
  #clock: BrokerClock = { now: () => Date.now(), setTimeout: () => undefined, clearTimeout: () => undefined }
  #timer: { readonly due: number; readonly handle: unknown } | undefined
  #lastId = 0
  #lastSeq = 0

  open(clock: BrokerClock): void {
    this.#clock = clock
  }

  close(): void {
    this.#clearTimer()
    while (this.#delayed.first !== undefined) this.#delayed.remove(this.#delayed.first)
    const now = this.#clock.now()
    for (const entry of this.#open.values()) {
      entry.status = 'cancelled'
      entry.finishedAt = now
      this.#keepResult(entry, now)
    }
    this.#open.clear()
    this.#queues.clear()
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
    }
  }

  lease(queue: string, limit: number): readonly LeasedJob[] {
    this.#promote(this.#clock.now())
    const from = this.#queue(queue)
    const taken: LeasedJob[] = []
    while (taken.length < limit) {
      const entry = from.take()
      if (entry === undefined) break
      entry.status = 'running'
      entry.token += 1
      taken.push(entry)
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
      this.#apply(entry, outcome)
      return 'settled'
    })
  }

  cancel(id: string, reason: unknown): CancelAnswer {
    const entry = this.#open.get(id)
    if (entry === undefined) return this.#finished.has(id) || this.#dead.has(id) ? 'finished' : 'unknown'
    if (entry.status === 'running') return 'leased'
    if (entry.place !== -1) this.#undelay(entry)
    else this.#queue(entry.queue).waiting -= 1
    this.#finish(entry, 'cancelled', { reason })
    return 'cancelled'
  }

  job(id: string): JobRecord | undefined {
    const entry = this.#open.get(id) ?? this.#finished.get(id) ?? this.#dead.get(id)
    return entry && record(entry)
  }

  stats(): readonly QueueStats[] {
    return [...this.#queues.values()].map(({ name, waiting, delayed, leased, dead }) => ({
      queue: name,
      waiting,
      delayed,
      leased,
      dead,
    }))
  }

  deadLetters(filter: DeadLetterFilter): readonly DeadLetter[] {
    return [...this.#dead.values()]
      .reverse()
      .filter(
        (entry) =>
          (filter.task === undefined || filter.task === entry.queue) &&
          (filter.kind === undefined || filter.kind === entry.failure?.kind) &&
          (filter.since === undefined || filter.since <= (entry.finishedAt ?? 0)),
      )
      .slice(0, filter.limit ?? 100)
      .map(letter)
  }

  deadLetter(id: string): DeadLetter | undefined {
    const entry = this.#dead.get(id)
    return entry && letter(entry)
  }

  replay(id: string, input: Json | undefined): { readonly queue: string } | undefined {
    const entry = this.#dead.get(id)
    if (entry === undefined) return undefined
    this.#forgetDead(entry)
    this.#open.set(id, entry)
    Object.assign(entry, {
      input: input === undefined ? entry.input : input,
      attempts: 0,
      charged: 0,
      putOffs: 0,
      generation: entry.generation + 1,
      restarts: NOTHING,
      finishedAt: undefined,
      failure: undefined,
      due: this.#clock.now(),
    })
    this.#makeReady(entry)
    return { queue: entry.queue }
  }

  discard(id: string): boolean {
    const entry = this.#dead.get(id)
    if (entry !== undefined) this.#forgetDead(entry)
    return entry !== undefined
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
    this.#promote(now)
    const queue = this.#queue(job.queue)
    const first = job.dedupe && queue.holderOf(job.dedupe.key, now)
    if (first !== undefined) return { id: first, duplicate: true }
    this.#lastSeq += 1
    const entry: Entry = {
      id: job.id,
      queue: job.queue,
      input: job.input,
      idempotencyKey: job.idempotencyKey,
      priority: job.priority,
      lane: job.lane,
      dedupe: job.dedupe,
      addedAt: now,
      status: 'waiting',
      attempts: 0,
      charged: 0,
      putOffs: 0,
      generation: 1,
      restarts: NOTHING,
      token: 0,
      due: now + job.delay,
      seq: this.#lastSeq,
      place: -1,
      behind: undefined,
      finishedAt: undefined,
      value: undefined,
      failure: undefined,
      reason: undefined,
      history: undefined,
    }
    if (job.dedupe !== undefined) queue.holdKey(job.dedupe, job.id, now)
    this.#open.set(job.id, entry)
    if (job.delay > 0) this.#delay(entry)
    else this.#makeReady(entry)
    return { id: job.id, duplicate: false }
  }

  #apply(entry: Entry, outcome: Outcome): void {
    const queue = this.#queue(entry.queue)
    queue.leased -= 1
    switch (outcome.kind) {
      case 'done':
        entry.attempts = outcome.attempts
        return this.#finish(entry, 'done', { value: outcome.value })
      case 'fallback':
        entry.attempts = outcome.attempts
        return this.#finish(entry, 'fallback', { value: outcome.value, failure: outcome.failure })
      case 'failed':
        entry.attempts = outcome.attempts
        this.#remember(entry, outcome.failure)
        return this.#finish(entry, 'failed', { failure: outcome.failure })
      case 'cancelled':
        entry.attempts = outcome.attempts
        return this.#finish(entry, 'cancelled', { reason: outcome.reason })
      case 'retry':
        entry.attempts = outcome.attempts
        entry.charged = outcome.charged
        entry.putOffs = outcome.putOffs
        this.#remember(entry, outcome.failure)
        return this.#comeAgain(entry, outcome.delay)
      case 'restart':
        this.#remember(entry, outcome.failure)
        entry.attempts = entry.charged = entry.putOffs = 0
        entry.generation = outcome.generation
        entry.restarts = outcome.restarts
        return this.#comeAgain(entry, outcome.delay)
      case 'release':
        entry.status = 'waiting'
        queue.putBack(entry)
        return queue.wake?.()
    }
  }

  #comeAgain(entry: Entry, delay: number): void {
    entry.due = this.#clock.now() + delay
    if (delay > 0) this.#delay(entry)
    else this.#makeReady(entry)
  }

  #remember(entry: Entry, failure: Failure): void {
    const { kind, at, attempt, error } = failure
    entry.history ??= []
    if (entry.history.length === KEPT_HISTORY) entry.history.shift()
    entry.history.push({
      generation: entry.generation,
      attempt: attempt ?? 0,
      at,
      kind,
      message: describeThrown(error),
    })
  }

  #makeReady(entry: Entry): void {
    entry.status = 'waiting'
    const queue = this.#queue(entry.queue)
    queue.put(entry)
    queue.wake?.()
  }

  #delay(entry: Entry): void {
    entry.status = 'delayed'
    this.#queue(entry.queue).delayed += 1
    this.#delayed.add(entry)
    if (this.#delayed.first === entry) this.#setTimer()
  }

  #undelay(entry: Entry): void {
    this.#delayed.remove(entry)
    this.#queue(entry.queue).delayed -= 1
  }

  /** Makes ready what is due by `now`; before anything is added or taken, so that order by due time holds. */
  #promote(now: number): void {
    for (let first = this.#delayed.first; first !== undefined && first.due <= now; first = this.#delayed.first) {
      this.#undelay(first)
      this.#makeReady(first)
    }
  }

  #setTimer(): void {
    const first = this.#delayed.first
    if (first === undefined) return this.#clearTimer()
    if (this.#timer !== undefined && this.#timer.due <= first.due) return
    this.#clearTimer()
    const fire = (): void => {
      this.#timer = undefined
      this.#promote(this.#clock.now())
      this.#setTimer()
    }
    const handle = this.#clock.setTimeout(fire, Math.max(0, first.due - this.#clock.now()))
    this.#timer = { due: first.due, handle }
  }

  #clearTimer(): void {
    if (this.#timer === undefined) return
    this.#clock.clearTimeout(this.#timer.handle)
    this.#timer = undefined
  }

  #finish(entry: Entry, status: JobStatus, end: { value?: Json; failure?: Failure; reason?: unknown }): void {
    const now = this.#clock.now()
    entry.status = status
    entry.finishedAt = now
    entry.value = end.value
    entry.failure = end.failure
    entry.reason = end.reason
    this.#open.delete(entry.id)
    const queue = this.#queue(entry.queue)
    queue.freeKey(entry, now)
    if (queue.leaveLane(entry)) queue.wake?.()
    if (status === 'failed') this.#keepDead(entry)
    else this.#keepResult(entry, now)
  }

  #keepResult(entry: Entry, now: number): void {
    this.#finished.set(entry.id, entry)
    for (const [id, oldest] of this.#finished) {
      const stays = this.#finished.size <= KEPT_RESULTS && now - (oldest.finishedAt ?? 0) <= KEPT_RESULTS_FOR
      if (stays) break
      this.#finished.delete(id)
    }
  }

  #keepDead(entry: Entry): void {
    this.#dead.set(entry.id, entry)
    this.#queue(entry.queue).dead += 1
    if (this.#dead.size <= KEPT_DEAD_LETTERS) return
    for (const oldest of this.#dead.values()) return this.#forgetDead(oldest)
  }

  #forgetDead(entry: Entry): void {
    this.#dead.delete(entry.id)
    this.#queue(entry.queue).dead -= 1
  }
}

function record(entry: Entry): JobRecord {
  return {
    id: entry.id,
    path: `${entry.queue}/job:${entry.id}`,
    status: entry.status,
    input: entry.input,
    idempotencyKey: entry.idempotencyKey,
    priority: entry.priority,
    lane: entry.lane,
    addedAt: entry.addedAt,
    dueAt: entry.due,
    finishedAt: entry.finishedAt,
    attempts: entry.attempts,
    charged: entry.charged,
    putOffs: entry.putOffs,
    generation: entry.generation,
    restarts: entry.restarts,
    value: entry.value,
    failure: entry.failure?.toJSON(),
    reason: entry.reason,
    history: [...(entry.history ?? [])],
  }
}

function letter(entry: Entry): DeadLetter {
  const failure = entry.failure as Failure // only failed jobs are kept as dead letters
  return {
    id: entry.id,
    path: `${entry.queue}/job:${entry.id}`,
    task: entry.queue,
    kind: failure.kind,
    message: failure.message,
    attempts: entry.attempts,
    diedAt: entry.finishedAt ?? 0,
    input: entry.input,
    failure: failure.toJSON(),
    history: [...(entry.history ?? [])],
  }
}
