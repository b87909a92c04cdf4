import type { Failure, FailureJson, FailureKind } from '../failure.ts'
import type { Json } from '../payload.ts'

/** A value at once, or later. A broker in memory answers at once and costs its caller no turn. */
export type Awaitable<Value> = Value | PromiseLike<Value>

/** A job as it is handed to the broker. */
export interface NewJob {
  readonly id: string
  /** Path of the task; names the queue. */
  readonly queue: string
  readonly input: Json
  readonly idempotencyKey: string
  /** That key says no more than queue and id do: `<queue>/job:<id>`. @default false */
  readonly keyIsPath?: boolean
  readonly priority: number
  readonly delay: number
  readonly lane: string | undefined
  /** What may be left out when jobs are taken: such as all of one host. */
  readonly group?: string
  /** Held while the job is unfinished, or for so many ms. */
  readonly dedupe: { readonly key: string; readonly for: number | undefined } | undefined
}

/** What is asked of a job beside its input. */
export type JobTerms = Pick<NewJob, 'priority' | 'delay' | 'lane' | 'group' | 'dedupe'>

export interface Enqueued {
  /** Of the first job with the same key, if this one is a duplicate. */
  readonly id: string
  readonly duplicate: boolean
  /** There was no room for it, and it was not added. */
  readonly refused?: true
}

/** What a job knows from earlier deliveries, in whichever process they were. */
export interface JobProgress {
  /** Attempts begun in this incarnation. */
  readonly attempts: number
  readonly charged: number
  /** Put-offs in a row. */
  readonly putOffs: number
  readonly generation: number
  /** Restarts decided so far, by the supervisor that decided. */
  readonly restarts: Readonly<Record<string, number>>
}

export interface LeasedJob extends JobProgress {
  readonly id: string
  readonly queue: string
  readonly input: Json
  readonly idempotencyKey: string
  /** That key is its path. @default false */
  readonly keyIsPath?: boolean
  readonly lane: string | undefined
  /** Proves that the lease is still held. */
  readonly token: number
}

export type JobStatus = 'waiting' | 'delayed' | 'running' | 'done' | 'fallback' | 'failed' | 'cancelled'

/** One failed attempt, as the record keeps it. */
export interface HistoryEntry {
  readonly generation: number
  readonly attempt: number
  readonly at: number
  readonly kind: FailureKind
  readonly message: string
}

/** What is known of a job; a copy, as it was when it was asked for. */
export interface JobRecord extends JobProgress {
  readonly id: string
  readonly path: string
  readonly status: JobStatus
  readonly input: Json
  readonly idempotencyKey: string
  readonly priority: number
  readonly lane: string | undefined
  readonly addedAt: number
  /** When it may be taken, or was. */
  readonly dueAt: number
  readonly finishedAt: number | undefined
  readonly value: Json | undefined
  readonly failure: FailureJson | undefined
  readonly reason: unknown
  readonly history: readonly HistoryEntry[]
}

interface OfLease {
  readonly id: string
  readonly token: number
}

/** What a delivery came to. */
export type Outcome = OfLease &
  (
    | {
        readonly kind: 'done'
        readonly attempts: number
        readonly value: Json
        /** Nobody will ask for its record: a broker whose records cost memory keeps none. */
        readonly isForgettable?: boolean
      }
    | { readonly kind: 'fallback'; readonly attempts: number; readonly value: Json; readonly failure: Failure }
    | { readonly kind: 'failed'; readonly attempts: number; readonly failure: Failure }
    | { readonly kind: 'cancelled'; readonly attempts: number; readonly reason: unknown }
    | {
        readonly kind: 'retry'
        readonly delay: number
        readonly failure: Failure
        readonly attempts: number
        readonly charged: number
        readonly putOffs: number
        /** What it is given from now on. @default as before */
        readonly input?: Json
      }
    | {
        readonly kind: 'restart'
        readonly delay: number
        readonly failure: Failure
        readonly generation: number
        readonly restarts: Readonly<Record<string, number>>
        readonly input?: Json
      }
    /** Back into the queue as if it had not been taken. */
    | { readonly kind: 'release' }
  )

export type Settled = 'settled' | 'lost'

/** What a delivery came to together with what it led to: all of it is written, or nothing. */
export interface Step {
  readonly queue: string
  /** Of a lease that was lost, nothing of the step is written. */
  readonly outcome: Outcome | undefined
  readonly jobs: readonly NewJob[]
  /** Kept beside the queue under their names; null takes one away. */
  readonly notes: Readonly<Record<string, Json>>
  /** How many more jobs may be added. @default as many as are given */
  readonly room?: Room
}

/** Jobs of a step's own queue count one number, in whichever process: those that are no duplicates, up to a limit. */
export interface Room {
  readonly name: string
  readonly limit: number
  /** So many of those that were counted count no more. */
  readonly back: number
}

/** A change of a word that processes agree on. Words are kept beside a queue, apart from the notes of steps. */
export interface Swap {
  readonly queue: string
  readonly name: string
  /** What it is taken to be; undefined: there is none. */
  readonly from: Json | undefined
  /** null takes it away. */
  readonly to: Json | null
}

export interface SwapAnswer {
  readonly swapped: boolean
  /** What it is now. */
  readonly now: Json | undefined
}

export interface StepAnswer {
  readonly answer: Settled
  /** One for each job of the step; none if it was lost. */
  readonly enqueued: readonly Enqueued[]
}

export type CancelAnswer =
  /** It was waiting and never starts. */
  | 'cancelled'
  /** Somebody holds it and has to end it. */
  | 'leased'
  | 'finished'
  | 'unknown'

export interface QueueStats {
  readonly queue: string
  readonly waiting: number
  readonly delayed: number
  readonly leased: number
  readonly dead: number
  /** How long the oldest due job has waited, in ms; undefined if none waits. */
  readonly oldest: number | undefined
}

/** A job that failed for good. */
export interface DeadLetter {
  readonly id: string
  readonly path: string
  readonly task: string
  readonly kind: FailureKind
  readonly message: string
  readonly attempts: number
  readonly diedAt: number
  /** Its place in the list: those that died before it come after this cursor. */
  readonly cursor: string
  readonly input: Json
  readonly failure: FailureJson
  readonly history: readonly HistoryEntry[]
}

export interface DeadLetterFilter {
  /** Path of the task. */
  readonly task?: string
  readonly kind?: FailureKind
  /** Died at or after, in ms since 1970. */
  readonly since?: number
  /** @default 100 */
  readonly limit?: number
}

/** When a queue gets jobs by itself, as a store keeps it. */
export interface NewSchedule {
  readonly queue: string
  /** Says all that decides the times. */
  readonly spec: string
  /** The first tick, in ms since 1970. */
  readonly next: number
}

export interface Tick {
  readonly queue: string
  readonly spec: string
  /** The tick that is due. */
  readonly at: number
  /** The tick after it: all between the two were missed, and are left out. */
  readonly next: number
  /** Whether it matters not that the job of the tick before is unfinished. */
  readonly overlap: boolean
  /** What it makes; undefined: nothing. */
  readonly job: NewJob | undefined
}

/** What a tick came to. */
export type TickAnswer =
  | { readonly answer: 'added' }
  /** It made no job; `unfinished` is the id of the one that stood in its way. */
  | { readonly answer: 'skipped'; readonly unfinished: string | undefined }
  /** Not this one: `next` is the tick to wait for, undefined if the schedule is gone or another one. */
  | { readonly answer: 'stale'; readonly next: number | undefined }

/** A job that the broker ended, for whoever held it was lost too often. */
export interface BuriedJob {
  readonly id: string
  readonly queue: string
  /** Begun in this incarnation. */
  readonly attempts: number
  readonly generation: number
  readonly restarts: Readonly<Record<string, number>>
  readonly failure: Failure
}

/** What happens to the jobs of a store without the workers of this process. */
export interface Elsewhere {
  /** Told once, to a process that takes jobs of that queue; the others are told that it is settled. */
  buried(job: BuriedJob): void
  /** A job is over without this process; undefined: some are, and which is no longer known. May be told again. */
  settled(id: string | undefined): void
  /** Somebody gave up a job that this process holds. May be told again. */
  cancelled(id: string, reason: unknown): void
}

/** Where jobs wait and are kept. Order: priority, then due time, then arrival. */
export interface Broker {
  readonly name: string
  /** Whether jobs outlive the process. */
  readonly durable: boolean
  /** How long a lease holds without `extend`, in ms; Infinity: for ever. */
  readonly leaseTime: number
  open(clock: BrokerClock): Awaitable<void>
  /** Finishes its own writes. What is not durable is gone afterwards. */
  close(): Awaitable<void>
  /** An id no other job of this store has. */
  newId(): string
  /**
   * All or none; resolves when they are as safe as this broker makes them. A job whose key is held for a time may come
   * again under its id once that is over: where a record still has the id it is given another one, as the answer says.
   */
  enqueue(jobs: readonly NewJob[]): Awaitable<readonly Enqueued[]>
  /** Calls `wake` whenever a job of the queue may have become due; gives the way to end that. */
  watch(queue: string, wake: () => void): () => void
  /** Whether this process takes none of a queue for now, though it watches it. Absent where nobody else might. */
  holdOff?(queue: string, isHeldOff: boolean): void
  /** Tells what happens in other processes; gives the way to end that. Absent where there are no others. */
  listen?(elsewhere: Elsewhere): () => void
  /**
   * Due jobs only, no job to two holders. With groups to go `without`: only jobs of other groups. A broker that knows no
   * groups gives jobs of them all the same.
   */
  lease(queue: string, limit: number, without?: ReadonlySet<string>): Awaitable<readonly LeasedJob[]>
  extend(leases: readonly OfLease[]): Awaitable<readonly Settled[]>
  /** Changes nothing for an outcome whose lease is lost, and says so. */
  settle(outcomes: readonly Outcome[]): Awaitable<readonly Settled[]>
  /** Settles, adds and notes as one. */
  step(step: Step): Awaitable<StepAnswer>
  /** What was noted beside a queue. */
  notes(queue: string): Awaitable<Readonly<Record<string, Json>>>
  /**
   * Changes a word if it still is what it is taken to be, as text; of many that try the same at once one succeeds. Where it
   * is what it is to be already it counts as changed, so that a call whose answer was lost may come again: a word says who
   * wrote it.
   */
  swap(swap: Swap): Awaitable<SwapAnswer>
  /** Empties a queue: jobs that are not over, keys, notes and words go, leases are lost. Results and dead letters stay. */
  clear(queue: string): Awaitable<void>
  cancel(id: string, reason: unknown): Awaitable<CancelAnswer>
  job(id: string): Awaitable<JobRecord | undefined>
  /** Keeps the schedule of a queue and gives its next tick. Changes nothing if it has one of the same spec. */
  schedule(given: NewSchedule): Awaitable<number>
  /** Whether there was one. */
  unschedule(queue: string): Awaitable<boolean>
  /** Makes the job of a tick and goes on to the next one, in one step: once, however many ask. */
  tick(tick: Tick): Awaitable<TickAnswer>
  stats(): Awaitable<readonly QueueStats[]>
  /** Newest first; of those behind `cursor`, a place that stays although its letter was replayed or discarded. */
  deadLetters(filter: DeadLetterFilter, cursor?: string): Awaitable<readonly DeadLetter[]>
  deadLetter(id: string): Awaitable<DeadLetter | undefined>
  /**
   * Queues a dead job again under its own id, from attempt 1; undefined if it is not there (any more). `restarts`: those
   * it has behind it, if a supervisor decided it. @default none
   */
  replay(
    id: string,
    input: Json | undefined,
    restarts?: Readonly<Record<string, number>>,
  ): Awaitable<{ readonly queue: string } | undefined>
  /** Keeps a job that failed before it was ever queued; a dead letter of that id gives way to it. */
  bury(job: NewJob, failure: Failure): Awaitable<void>
  /** Whether it was there. */
  discard(id: string): Awaitable<boolean>
}

export interface BrokerClock {
  now(): number
  setTimeout(callback: () => void, ms: number): unknown
  clearTimeout(timer: unknown): void
}

/**
 * Where a function that takes a list keeps the one that does the same for one alone, at once. On the function, and not
 * beside it: whoever puts one of theirs in its place, or wraps it, is asked instead.
 */
export const forOne: unique symbol = Symbol('forOne')

/** What `enqueue` may be. It gives nothing of a job that is added as it is given; that one's key is its path. */
export interface EnqueueOne {
  readonly [forOne]?: (
    this: Broker,
    id: string,
    queue: string,
    input: Json,
    path: string,
    terms: JobTerms,
  ) => Enqueued | undefined
}

/** What `settle` may be: for one outcome; and for those of most jobs, which need none made for them. */
export interface SettleOne {
  readonly [forOne]?: {
    readonly any: (this: Broker, outcome: Outcome) => Settled
    /** With the failure of one that fell back. */
    readonly value: (
      this: Broker,
      id: string,
      token: number,
      value: Json,
      attempts: number,
      failure: Failure | undefined,
    ) => Settled
  }
}
