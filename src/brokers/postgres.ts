import '../node-version.ts'
import { BrokerError, InvalidOptionError } from '../errors.ts'
import type { Failure } from '../failure.ts'
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
import type { PostgresTarget } from './postgres-driver.ts'
import { isClash } from './postgres-errors.ts'
import { readOptions, type PostgresOptions } from './postgres-options.ts'
import { entryOf, wordsOfJob, type JobWords } from './postgres-row.ts'
import { Session, type SessionOptions } from './postgres-session.ts'
import { fromText, quoted, toText } from './postgres-text.ts'
import { readJson, writeJson, writeReason } from './stored.ts'
import { Watchers } from './watchers.ts'

export type { PostgresOptions, PostgresTarget }

/** A schedule whose tick nobody has made for so long is known to no process any more. */
const FORGOTTEN_AFTER = 30 * 86_400_000
const CLEARED_AT_ONCE = 2_000

/**
 * Keeps jobs in PostgreSQL, in tables of its own: as many processes as there are work on them together. Experimental: it
 * keeps all that a broker promises, and has been used by few. Needs the package pg.
 *
 * @example
 * const system = await start(resize, { broker: postgres({ connection: 'postgres://app@10.0.0.3/app' }) })
 */
export function postgres(options: PostgresOptions): Broker {
  return new PostgresBroker(readOptions('postgres()', options))
}

class PostgresBroker implements Broker {
  readonly name = 'postgres'
  readonly durable = true
  readonly leaseTime: number
  readonly #options: SessionOptions
  readonly #watchers = new Watchers()
  #opening: Promise<Session> | undefined
  #session: Session | undefined

  constructor(options: SessionOptions) {
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
    await session?.close()
    this.#session = undefined
  }

  newId(): string {
    return this.#opened.newId()
  }

  async enqueue(jobs: readonly NewJob[]): Promise<readonly Enqueued[]> {
    if (jobs.length === 0) return []
    const session = this.#opened
    const j = await wordsOf(session, jobs)
    const answers = (await told(
      jobs,
      session.call({ o: 'add', j }, { rows: j.length, added: [...new Set(jobs.map(({ queue }) => queue))] }),
    )) as readonly string[]
    return jobs.map(({ id }, index) => readEnqueued(id, answers[index]))
  }

  watch(queue: string, wake: () => void): () => void {
    const end = this.#watchers.add(queue, wake)
    this.#session?.watch.start()
    return () => {
      end()
      this.#session?.part(queue)
    }
  }

  holdOff(queue: string, isHeldOff: boolean): void {
    this.#session?.holdOff(queue, isHeldOff)
  }

  listen(elsewhere: Elsewhere): () => void {
    this.#watchers.listeners.add(elsewhere)
    this.#session?.watch.start()
    return () => this.#watchers.listeners.delete(elsewhere)
  }

  async lease(queue: string, limit: number, without?: ReadonlySet<string>): Promise<readonly LeasedJob[]> {
    return this.#opened.lease(queue, limit, without)
  }

  async extend(leases: readonly { readonly id: string; readonly token: number }[]): Promise<readonly Settled[]> {
    return this.#opened.extend(leases)
  }

  async settle(outcomes: readonly Outcome[]): Promise<readonly Settled[]> {
    return this.#opened.settle(outcomes)
  }

  async step({ queue, outcome, jobs, notes, room }: Step): Promise<StepAnswer> {
    const session = this.#opened
    const q = await session.queueOf(queue)
    const words = {
      o: 'do',
      isStep: true,
      q,
      ...(outcome && { s: [session.wordsOf(outcome)] }),
      ...(jobs.length > 0 && { j: await wordsOf(session, jobs) }),
      m: Object.entries(notes).map(([name, note]) => ({
        name: toText(name),
        value: note === null ? null : writeJson(note),
      })),
      ...(room && { room: toText(room.name), limit: room.limit, back: room.back }),
    }
    const how = { rows: 1 + jobs.length, patience: 'waits' } as const
    const answers = [...((await told(jobs, session.call(words, how))) as readonly string[])]
    if (outcome !== undefined && session.ended(outcome, answers.shift()) === 'lost') {
      return { answer: 'lost', enqueued: [] }
    }
    return { answer: 'settled', enqueued: jobs.map(({ id }, index) => readEnqueued(id, answers[index])) }
  }

  async notes(queue: string): Promise<Readonly<Record<string, Json>>> {
    const session = this.#opened
    const q = await session.queueOf(queue)
    const table = `${quoted(this.#options.schema)}.notes`
    const rows = await this.#read(session, `SELECT name, value FROM ${table} WHERE queue = $1`, [q])
    return Object.fromEntries(rows.map(([name, value]) => [fromText(name ?? ''), readJson(value ?? null) as Json]))
  }

  async swap({ queue, name, from, to }: Swap): Promise<SwapAnswer> {
    const session = this.#opened
    const [known, wanted] = [from === undefined ? null : writeJson(from), to === null ? null : writeJson(to)]
    const words = { o: 'swap', q: await session.queueOf(queue), name: toText(name), from: known, to: wanted }
    const [now = null] = (await session.call(words, { lasts: false })) as readonly (string | null)[]
    return { swapped: now === wanted, now: readJson(now) }
  }

  /** In parts, each a transaction: the notes go last, so that who is killed meanwhile finds that it was not over. */
  async clear(queue: string): Promise<void> {
    const session = this.#opened
    const words = { o: 'clear', q: await session.queueOf(queue) }
    for (let isMore = true; isMore;) {
      isMore = ((await session.call(words, { rows: CLEARED_AT_ONCE })) as readonly string[]).length > 0
    }
  }

  async cancel(id: string, reason: unknown): Promise<CancelAnswer> {
    return this.#opened.cancel(id, writeReason(reason))
  }

  async job(id: string): Promise<JobRecord | undefined> {
    return this.#opened.archive.record(id)
  }

  async schedule({ queue, spec, next }: NewSchedule): Promise<number> {
    const session = this.#opened
    const words = { o: 'plan', q: await session.queueOf(queue), spec: toText(spec), next, forgotten: FORGOTTEN_AFTER }
    const [answer] = (await session.call(words)) as readonly string[]
    return Number(answer)
  }

  async unschedule(queue: string): Promise<boolean> {
    const session = this.#opened
    const answers = (await session.call({ o: 'unplan', q: await session.queueOf(queue) })) as readonly string[]
    return answers.length > 0
  }

  async tick({ queue, spec, at, next, overlap, job }: Tick): Promise<TickAnswer> {
    const session = this.#opened
    const q = await session.queueOf(queue)
    const made = job === undefined ? {} : { j: await wordsOf(session, [job]), id: toText(job.id) }
    const words = { o: 'tick', q, spec: toText(spec), at, next, overlap, ...made }
    const [answer = ''] = (await session.call(words)) as readonly string[]
    if (answer.startsWith('skipped')) return { answer: 'skipped', unfinished: fromText(answer.slice(7)) || undefined }
    if (answer.startsWith('stale')) return { answer: 'stale', next: Number(answer.slice(5)) || undefined }
    return { answer: 'added' }
  }

  async stats(): Promise<readonly QueueStats[]> {
    const session = this.#opened
    try {
      return await session.queues.stats(session.now)
    } catch (error) {
      throw session.link.explain(error)
    }
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
    const session = this.#opened
    const given = input === undefined ? {} : { isGiven: true, input: writeJson(input) }
    const words = { o: 'replay', id: toText(id), restarts: writeJson(restarts), ...given }
    const [queue = null] = (await session.call(words)) as readonly (string | null)[]
    if (queue === null) return undefined
    const table = `${quoted(this.#options.schema)}.queues`
    const [row] = await this.#read(session, `SELECT name FROM ${table} WHERE id = $1`, [queue])
    return { queue: fromText(row?.[0] ?? '') }
  }

  async bury(job: NewJob, failure: Failure): Promise<void> {
    const session = this.#opened
    const [words] = await wordsOf(session, [{ ...job, lane: undefined, dedupe: undefined }])
    const { attempt: attempts = 0, kind: fkind } = failure
    const entry = entryOf(failure)
    await session.call({ o: 'bury', ...words, attempts, failure: JSON.stringify(failure), fkind, entry })
  }

  async discard(id: string): Promise<boolean> {
    return ((await this.#opened.call({ o: 'discard', id: toText(id) })) as readonly string[]).length > 0
  }

  async #open(clock: BrokerClock): Promise<Session> {
    const session = new Session(this.#options, this.#watchers, clock)
    try {
      await session.open()
      this.#session = session
      return session
    } catch (error) {
      this.#opening = undefined // so that it can be tried again
      throw error
    }
  }

  get #opened(): Session {
    if (this.#session !== undefined) return this.#session
    throw new BrokerError(
      'away',
      `the store in Postgres is not open. Give the broker to start(), or call open() first.`,
    )
  }

  async #read(session: Session, text: string, values: readonly unknown[]): ReturnType<Session['link']['read']> {
    try {
      return await session.link.read(text, values)
    } catch (error) {
      throw session.link.explain(error)
    }
  }
}

async function wordsOf(session: Session, jobs: readonly NewJob[]): Promise<readonly JobWords[]> {
  await session.know(jobs.map(({ queue }) => queue))
  return jobs.map((job) => wordsOfJob(job, session.queues.known(job.queue) as number))
}

/** As given, or `=` and the id of the one that is there already, `#` and an id of its own, `!` if it was refused. */
function readEnqueued(given: string, answer = ''): Enqueued {
  const id = answer === '' || answer === '!' ? given : fromText(answer.slice(1))
  return { id, duplicate: answer.startsWith('='), ...(answer === '!' && { refused: true as const }) }
}

/** A job of that id is there already: nothing was written. */
async function told(jobs: readonly NewJob[], answer: Promise<unknown>): Promise<unknown> {
  try {
    return await answer
  } catch (error) {
    if (!isClash(error)) throw error
    const ids = jobs.length === 1 ? jobs[0]?.id : jobs.map(({ id }) => id)
    throw new InvalidOptionError('enqueue()', 'id', ids, 'There is a job of that id; give each one of its own.')
  }
}
