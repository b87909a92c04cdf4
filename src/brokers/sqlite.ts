import '../node-version.ts'
import type { Duration } from '../duration.ts'
import { BrokerError, InvalidOptionError } from '../errors.ts'
import type { Failure } from '../failure.ts'
import { checkKeys, readDuration, readWholeNumber } from '../options.ts'
import type { Json } from '../payload.ts'
import type {
  Broker,
  BrokerClock,
  CancelAnswer,
  DeadLetter,
  DeadLetterFilter,
  Elsewhere,
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
  Swap,
  SwapAnswer,
  Tick,
  TickAnswer,
} from './broker.ts'
import { readCursor } from './cursor.ts'
import { ROWS_AT_ONCE, type Changes } from './sqlite-changes.ts'
import type { Database } from './sqlite-driver.ts'
import { openFile, unusable } from './sqlite-file.ts'
import { textsOf, type OutcomeTexts } from './sqlite-leases.ts'
import { readJson, writeJson } from './stored.ts'
import { Session, type SessionOptions } from './sqlite-session.ts'
import { Watchers } from './watchers.ts'

export interface SqliteOptions {
  /** How long a job is held without a sign of life, before it is given to somebody else. @default '30s' */
  readonly lease?: Duration
  /** A job whose holder was lost so often fails, kind `lost`. @default 3 */
  readonly lostLimit?: number
  /** Which results are kept: the latest, and no older ones. Dead letters are kept until they are discarded. */
  readonly keepResults?: {
    /** @default '24h' */
    readonly for?: Duration
    /** @default 10000 */
    readonly last?: number
  }
}

/**
 * Keeps jobs in a file that survives `kill -9` and power loss. Several processes of one machine may share it; it must
 * not lie on a network disk.
 *
 * @example
 * const system = await start(resize, { broker: sqlite('./app.db') })
 */
export function sqlite(path: string, options: SqliteOptions = {}): Broker {
  const subject = 'sqlite()'
  if (typeof path !== 'string' || path === '') {
    throw new InvalidOptionError(subject, 'path', path, `Give the path of a file, like './app.db'.`)
  }
  checkKeys(subject, options, ['lease', 'lostLimit', 'keepResults'])
  const { keepResults = {} } = options
  checkKeys(`keepResults of ${subject}`, keepResults, ['for', 'last'])
  return new SqliteBroker(path, {
    lease: readDuration(subject, 'lease', options.lease, { positive: true }) ?? 30_000,
    lostLimit: readWholeNumber(subject, 'lostLimit', options.lostLimit, { min: 1 }) ?? 3,
    retention: {
      for: readDuration(subject, 'keepResults.for', keepResults.for) ?? 24 * 60 * 60 * 1_000,
      last: readWholeNumber(subject, 'keepResults.last', keepResults.last, { min: 0 }) ?? 10_000,
    },
  })
}

class SqliteBroker implements Broker {
  readonly name = 'sqlite'
  readonly durable = true
  readonly leaseTime: number
  readonly #path: string
  readonly #options: SessionOptions
  readonly #watchers = new Watchers()
  #opening: Promise<Session> | undefined
  #session: Session | undefined

  constructor(path: string, options: SessionOptions) {
    this.#path = path
    this.#options = options
    this.leaseTime = options.lease
  }

  async open(clock: BrokerClock): Promise<void> {
    this.#opening ??= this.#open(clock)
    await this.#opening
  }

  async close(): Promise<void> {
    const session = await this.#opening?.catch(() => undefined)
    this.#opening = undefined
    await session?.close(() => (this.#session = undefined))
  }

  newId(): string {
    return this.#opened.ledger.newId()
  }

  async enqueue(jobs: readonly NewJob[]): Promise<readonly Enqueued[]> {
    const inputs = jobs.map(({ input }) => writeJson(input))
    return this.#write(jobs.length, ({ jobs: store, now }, changes) =>
      jobs.map((job, index) => store.add(job, inputs[index] ?? null, now, changes)),
    )
  }

  watch(queue: string, wake: () => void): () => void {
    const end = this.#watchers.add(queue, wake)
    this.#session?.watch.start()
    return end
  }

  listen(elsewhere: Elsewhere): () => void {
    this.#watchers.listeners.add(elsewhere)
    this.#session?.watch.start()
    return () => this.#watchers.listeners.delete(elsewhere)
  }

  /** Who holds a job need not survive a power loss, for the holder does not either: a commit without a wait for the disk. */
  async lease(queue: string, limit: number, without: ReadonlySet<string> = new Set()): Promise<readonly LeasedJob[]> {
    const session = this.#opened
    const taken: LeasedJob[] = []
    for (let lasts = false; ; lasts = true) {
      const take = (changes: Changes): ReturnType<Session['take']> =>
        session.take(queue, limit - taken.length, without, changes)
      const part = await session.commits.run(1, take, lasts)
      taken.push(...part.jobs)
      if (!part.isMore || taken.length === limit) return taken
    }
  }

  async extend(leases: readonly { readonly id: string; readonly token: number }[]): Promise<readonly Settled[]> {
    return this.#inParts(leases, ({ leases: held, now }, part) => part.map((lease) => held.extend(lease, now)))
  }

  async settle(outcomes: readonly Outcome[]): Promise<readonly Settled[]> {
    const written = outcomes.map((outcome) => ({ outcome, texts: textsOf(outcome) }))
    return this.#inParts(written, ({ leases, now }, part, changes) =>
      part.map(({ outcome, texts }) => leases.settle(outcome, texts, now, changes)),
    )
  }

  async step({ queue, outcome, jobs: added, notes: noted, room }: Step): Promise<StepAnswer> {
    const texts = outcome && textsOf(outcome)
    const inputs = added.map(({ input }) => writeJson(input))
    const written = Object.entries(noted).map(([name, note]) => [name, note === null ? null : writeJson(note)] as const)
    return this.#write(1 + added.length, (session, changes) => {
      const { jobs, leases, notes, queues, now } = session
      if (outcome !== undefined && leases.settle(outcome, texts as OutcomeTexts, now, changes) === 'lost') {
        return { answer: 'lost', enqueued: [] }
      }
      for (const [name, text] of written) notes.keep(queues.idOf(queue), name, text)
      const add = (job: NewJob, index: number): Enqueued => jobs.add(job, inputs[index] ?? null, now, changes)
      const enqueued = room === undefined ? added.map(add) : session.addInRoom(queue, added, room, add)
      return { answer: 'settled', enqueued }
    })
  }

  /** What processes agree on need not survive a power loss, for none of them does. */
  async swap({ queue, name, from, to }: Swap): Promise<SwapAnswer> {
    const [known, wanted] = [from === undefined ? null : writeJson(from), to === null ? null : writeJson(to)]
    const session = this.#opened
    if (known === null && wanted === null) {
      const word = session.word(queue, name) // nothing is changed: no transaction is needed
      return { swapped: word === null, now: readJson(word) }
    }
    const now = await session.commits.run(1, () => session.swap(queue, name, known, wanted), false)
    return { swapped: now === wanted, now: readJson(now) }
  }

  async notes(queue: string): Promise<Readonly<Record<string, Json>>> {
    const { notes, queues } = this.#opened
    const id = queues.find(queue)
    return id === undefined ? {} : notes.all(id)
  }

  /** In parts, each a transaction: the notes go last, so that who is killed meanwhile finds that it was not over. */
  async clear(name: string): Promise<void> {
    for (let isMore = true; isMore;) {
      isMore = await this.#write(ROWS_AT_ONCE, ({ queues, jobs, notes }) => {
        const queue = queues.find(name)
        if (queue === undefined || jobs.clear(queue)) return queue !== undefined
        notes.forget(queue)
        return false
      })
    }
  }

  async cancel(id: string, reason: unknown): Promise<CancelAnswer> {
    return this.#write(1, ({ jobs, now }, changes) => jobs.cancel(id, reason, now, changes))
  }

  async job(id: string): Promise<JobRecord | undefined> {
    const { archive, now } = this.#opened
    return archive.record(id, now)
  }

  async schedule(given: NewSchedule): Promise<number> {
    return this.#write(1, ({ schedules, now }) => schedules.keep(given, now))
  }

  async unschedule(queue: string): Promise<boolean> {
    return this.#write(1, ({ schedules }) => schedules.remove(queue))
  }

  async tick(tick: Tick): Promise<TickAnswer> {
    const input = writeJson(tick.job?.input)
    return this.#write(1, ({ schedules, now }, changes) => schedules.tick(tick, input, now, changes))
  }

  async stats(): Promise<readonly QueueStats[]> {
    const { queues, now } = this.#opened
    return queues.stats(now)
  }

  async deadLetters(filter: DeadLetterFilter, cursor?: string): Promise<readonly DeadLetter[]> {
    return this.#opened.archive.letters(filter, readCursor(cursor))
  }

  async deadLetter(id: string): Promise<DeadLetter | undefined> {
    return this.#opened.archive.letter(id)
  }

  async replay(
    id: string,
    input: Json | undefined,
    restarts?: Readonly<Record<string, number>>,
  ): Promise<{ readonly queue: string } | undefined> {
    const text = input === undefined ? undefined : writeJson(input)
    const behind = writeJson(restarts)
    return this.#write(1, ({ jobs, queues, now }, changes) => {
      const queue = jobs.revive(id, { input: text, restarts: behind }, now, changes)
      return queue === undefined ? undefined : { queue: queues.nameOf(queue) }
    })
  }

  async bury(job: NewJob, failure: Failure): Promise<void> {
    const [input, text] = [writeJson(job.input), JSON.stringify(failure)]
    await this.#write(1, ({ jobs, leases, now }, changes) => {
      const row = jobs.addDead(job, input, now, changes)
      if (row !== undefined) leases.endDead(row, failure, text, now, changes)
    })
  }

  async discard(id: string): Promise<boolean> {
    return this.#write(1, ({ jobs }) => jobs.discard(id))
  }

  async #open(clock: BrokerClock): Promise<Session> {
    let db: Database | undefined
    try {
      db = await openFile(this.#path)
      this.#session = new Session(db, this.#path, this.#options, this.#watchers, clock)
      return this.#session
    } catch (error) {
      db?.close()
      this.#opening = undefined // so that it can be tried again
      throw error instanceof BrokerError ? error : unusable(this.#path, error)
    }
  }

  get #opened(): Session {
    if (this.#session !== undefined) return this.#session
    throw new BrokerError('away', `${this.#path} is not open. Give the broker to start(), or call open() first.`)
  }

  #write<Value>(rows: number, work: (session: Session, changes: Changes) => Value): Promise<Value> {
    const session = this.#opened
    return session.commits.run(rows, (changes) => work(session, changes))
  }

  /** For calls that may be done in part: no transaction is longer than it should be. */
  #inParts<Item, Value>(
    items: readonly Item[],
    work: (session: Session, part: readonly Item[], changes: Changes) => readonly Value[],
  ): Promise<readonly Value[]> {
    if (items.length <= ROWS_AT_ONCE) {
      return this.#write(items.length, (session, changes) => work(session, items, changes))
    }
    const parts: Promise<readonly Value[]>[] = []
    for (let start = 0; start < items.length; start += ROWS_AT_ONCE) {
      const part = items.slice(start, start + ROWS_AT_ONCE)
      parts.push(this.#write(part.length, (session, changes) => work(session, part, changes)))
    }
    return Promise.all(parts).then((answers) => answers.flat())
  }
}
