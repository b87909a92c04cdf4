import '../node-version.ts'
import { BrokerError, InvalidOptionError } from '../errors.ts'
import type { Failure } from '../failure.ts'
import type { Json } from '../payload.ts'
import { describeThrown } from '../thrown.ts'
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
import type { Fleet, FleetCatch } from './bullmq-escalation.ts'
import type { RedisTarget } from './bullmq-link.ts'
import { engineId, engineQueue, idOfEngine, pathOfQueue } from './bullmq-names.ts'
import { readOptions, type BullmqOptions } from './bullmq-options.ts'
import { letterOf, recordOf, rowOf } from './bullmq-row.ts'
import { Session, type SessionOptions } from './bullmq-session.ts'
import { entryOfFailure, fieldsOfDeath } from './bullmq-words.ts'
import { readCursor } from './cursor.ts'
import { readJson, writeJson, writeReason } from './stored.ts'
import { Watchers } from './watchers.ts'

export type { BullmqOptions, Fleet, FleetCatch, RedisTarget }

/** A broker of a fleet. */
export interface FleetBroker extends Broker {
  /** What concerns every process; of an open broker. */
  readonly fleet: Fleet
}

/**
 * Keeps jobs in Redis, in BullMQ's own queues: as many processes as there are work on them together, and dashboards for
 * BullMQ show them. Needs the packages bullmq and ioredis.
 *
 * @example
 * const system = await start(resize, { broker: bullmq({ connection: 'redis://10.0.0.3:6379' }) })
 */
export function bullmq(options: BullmqOptions): FleetBroker {
  return new BullmqBroker(readOptions('bullmq()', options))
}

type Found = readonly [queue: string, state: string, row: readonly string[], eid: string]

class BullmqBroker implements FleetBroker {
  readonly name = 'bullmq'
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

  get fleet(): Fleet {
    return this.#opened.fleet
  }

  newId(): string {
    return this.#opened.newId()
  }

  async enqueue(jobs: readonly NewJob[]): Promise<readonly Enqueued[]> {
    if (jobs.length === 0) return []
    return readEnqueued(await this.#opened.enqueue(jobs))
  }

  watch(queue: string, wake: () => void): () => void {
    const end = this.#watchers.add(queue, wake)
    this.#session?.join(queue)
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
    return () => this.#watchers.listeners.delete(elsewhere)
  }

  async lease(queue: string, limit: number): Promise<readonly LeasedJob[]> {
    return this.#opened.lease(queue, limit)
  }

  async extend(leases: readonly { readonly id: string; readonly token: number }[]): Promise<readonly Settled[]> {
    return this.#opened.extend(leases)
  }

  async settle(outcomes: readonly Outcome[]): Promise<readonly Settled[]> {
    return this.#opened.settle(outcomes)
  }

  async step({ queue, outcome, jobs, notes, room }: Step): Promise<StepAnswer> {
    const session = this.#opened
    const words = outcome && session.held.wordsOf(outcome)
    if (outcome !== undefined && words === undefined) return { answer: 'lost', enqueued: [] }
    const noted = Object.entries(notes).flatMap(([name, note]) => [name, note === null ? '' : (writeJson(note) ?? '')])
    const delivery = words === undefined ? [''] : ['1', ...words]
    const added = [String(jobs.length), ...jobs.flatMap((job) => session.wordsOf(job))]
    const within = room === undefined ? ['', '0', '0'] : [room.name, String(room.limit), String(room.back)]
    const all = [engineQueue(queue), ...delivery, ...added, ...within, String(noted.length / 2), ...noted]
    const answers = await session.call('step', all, 'waits')
    const [answer, enqueued, woken] = answers as readonly [string, readonly string[], unknown]
    if (answer === 'clash') throw clashError(enqueued[0] as string)
    if (outcome !== undefined) session.held.letGo(outcome)
    session.wake(woken)
    return answer === '1' ? { answer: 'settled', enqueued: readEnqueued(enqueued) } : { answer: 'lost', enqueued: [] }
  }

  async notes(queue: string): Promise<Readonly<Record<string, Json>>> {
    const session = this.#opened
    const texts = (await session.call('notes', [engineQueue(queue)])) as readonly string[]
    return Object.fromEntries([...rowOf(texts)].map(([name, text]) => [name, readJson(text) as Json]))
  }

  async swap({ queue, name, from, to }: Swap): Promise<SwapAnswer> {
    const told = (text: string | null): string[] => (text === null ? ['', ''] : ['1', text])
    const known = told(from === undefined ? null : writeJson(from))
    const words = [engineQueue(queue), name, ...known, ...told(to === null ? null : writeJson(to))]
    const [answer, now] = (await this.#opened.call('swap', words)) as readonly [string, string | null]
    return { swapped: answer === '1', now: readJson(now) }
  }

  /** In parts, each a step: the notes go last, so that who is killed meanwhile finds that it was not over. */
  async clear(queue: string): Promise<void> {
    for (let isMore = true; isMore;) isMore = (await this.#opened.call('clear', [engineQueue(queue)])) === '1'
  }

  async cancel(id: string, reason: unknown): Promise<CancelAnswer> {
    const session = this.#opened
    const text = writeReason(reason) ?? ''
    const words = [engineId(id), session.hintOf(id), text, JSON.stringify([id, text])]
    const [answer, woken] = (await session.call('cancel', words)) as readonly [CancelAnswer, unknown]
    // Redis has told the holder before it answers another question.
    if (answer === 'leased') await session.call('notes', [''])
    session.wake(woken)
    return answer
  }

  async job(id: string): Promise<JobRecord | undefined> {
    const session = this.#opened
    const found = (await session.call('record', [engineId(id), session.hintOf(id)])) as Found | null
    if (found === null) return undefined
    const [queue, state, flat] = found
    const row = rowOf(flat)
    return recordOf(row, id, pathOfQueue(queue), state)
  }

  async schedule({ queue, spec, next }: NewSchedule): Promise<number> {
    return Number(await this.#opened.call('schedule', [engineQueue(queue), spec, String(next)]))
  }

  async unschedule(queue: string): Promise<boolean> {
    return (await this.#opened.call('unschedule', [engineQueue(queue)])) === '1'
  }

  async tick({ queue, spec, at, next, overlap, job }: Tick): Promise<TickAnswer> {
    const session = this.#opened
    const made = job === undefined ? [''] : ['1', ...session.wordsOf(job)]
    const words = [engineQueue(queue), spec, String(at), String(next), overlap ? '1' : '', ...made]
    const answers = await session.call('tick', words)
    const [answer, more, woken] = answers as readonly ['added' | 'skipped' | 'stale', string, unknown]
    session.wake(woken)
    if (answer === 'added') return { answer }
    if (answer === 'skipped') return { answer, unfinished: more === '' ? undefined : more }
    return { answer, next: more === '' ? undefined : Number(more) }
  }

  async stats(): Promise<readonly QueueStats[]> {
    const session = this.#opened
    const queues = (await session.call('stats', [])) as readonly [string, number, number, number, number, string][]
    return queues.map(([queue, waiting, delayed, leased, dead, due]) => ({
      queue: pathOfQueue(queue),
      waiting,
      delayed,
      leased,
      dead,
      oldest: due === '' ? undefined : Math.max(0, session.now - Number(due)),
    }))
  }

  async deadLetters(filter: DeadLetterFilter, cursor?: string): Promise<readonly DeadLetter[]> {
    const { task, kind = '', since, limit = 100 } = filter
    const letters: DeadLetter[] = []
    let before = cursor === undefined ? '+inf' : `(${readCursor(cursor)}`
    while (before !== '' && letters.length < limit) {
      const left = String(limit - letters.length)
      const words = [before, left, task === undefined ? '' : engineQueue(task), kind, String(since ?? '')]
      const [next, found] = (await this.#opened.call('dead', words)) as readonly [string, readonly Found[]]
      letters.push(...found.map(readLetter))
      before = next
    }
    return letters
  }

  async deadLetter(id: string): Promise<DeadLetter | undefined> {
    const session = this.#opened
    const found = (await session.call('letter', [engineId(id), session.hintOf(id)])) as Found | null
    return found === null ? undefined : readLetter(found)
  }

  async replay(
    id: string,
    input: Json | undefined,
    restarts?: Readonly<Record<string, number>>,
  ): Promise<{ readonly queue: string } | undefined> {
    const session = this.#opened
    const data = input === undefined ? [''] : ['1']
    const words = [engineId(id), session.hintOf(id), ...data, writeJson(input) ?? 'null', '', writeJson(restarts) ?? '']
    const answer = (await session.call('replay', words)) as readonly [string, unknown] | null
    if (answer === null) return undefined
    session.wake(answer[1])
    return { queue: pathOfQueue(answer[0]) }
  }

  async bury(job: NewJob, failure: Failure): Promise<void> {
    const session = this.#opened
    const dead = { ...job, delay: 0, lane: undefined, dedupe: undefined }
    const fields = [...fieldsOfDeath(failure, failure.attempt ?? 0), entryOfFailure(failure, 1)]
    const words = [...session.wordsOf(dead), describeThrown(failure.error), String(fields.length), ...fields]
    await session.call('bury', words)
  }

  async discard(id: string): Promise<boolean> {
    const session = this.#opened
    return (await session.call('discard', [engineId(id), session.hintOf(id)])) === '1'
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
    throw new BrokerError('away', `the store in Redis is not open. Give the broker to start(), or call open() first.`)
  }
}

/** Pairs of an id and whether it is that of an older job; an empty id is followed by the one that is there already. */
function readEnqueued(words: readonly string[]): readonly Enqueued[] {
  if (words[0] === '') throw clashError(words[1] as string)
  const enqueued: Enqueued[] = []
  for (let index = 0; index < words.length; index += 2) {
    const [id, said] = [words[index] as string, words[index + 1]]
    enqueued.push({ id, duplicate: said === '1', ...(said === '2' && { refused: true as const }) })
  }
  return enqueued
}

function clashError(id: string): InvalidOptionError {
  return new InvalidOptionError('enqueue()', 'id', id, 'There is a job of that id; give each one of its own.')
}

function readLetter([queue, , flat, eid]: Found): DeadLetter {
  const row = rowOf(flat)
  return letterOf(row, idOfEngine(eid, row.get('~id')), pathOfQueue(queue))
}
