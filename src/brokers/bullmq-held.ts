import { LeaseLostError } from '../errors.ts'
import { Failure } from '../failure.ts'
import type { BuriedJob, LeasedJob, NewJob, Outcome, Settled } from './broker.ts'
import { escalationOf } from './bullmq-escalation.ts'
import { idOfEngine, pathOfQueue } from './bullmq-names.ts'
import { leaseOf, progressOf, rowOf, type Row } from './bullmq-row.ts'
import { FIELDS, wordsOfOutcome, type Held } from './bullmq-words.ts'

export interface OfLease {
  readonly id: string
  readonly token: number
}

/** Jobs of a queue as the scripts give them to who takes them. */
export type Taken = readonly [
  queue: string,
  token: string,
  rows: readonly (readonly [eid: string, row: readonly string[]])[],
  wait: string | number,
  due: string | number,
  until: string | number,
]

interface Found {
  readonly jobs: readonly LeasedJob[]
  /** Those that nobody can work: each is to be ended. */
  readonly dead: readonly (() => Promise<void>)[]
}

interface Store {
  readonly owner: string
  readonly now: number
  newId(): string
  wordsOf(job: NewJob): string[]
  /** Tells what deliveries came to, together with others of this turn. */
  tell(held: Held, words: readonly string[], isGivenBack: boolean): Promise<unknown>
  buried(job: BuriedJob): void
}

const NEW = { generation: 1, attempts: 0 } as const

/** The jobs that this process holds. */
export class HeldJobs {
  readonly #store: Store
  readonly #held = new Map<string, Held>()
  /** Outcomes that were told once: of one that comes again it is not known whether it was heard. */
  readonly #told = new WeakSet<Outcome>()

  constructor(store: Store) {
    this.#store = store
  }

  get all(): readonly Held[] {
    return [...this.#held.values()]
  }

  find({ id, token }: OfLease): Held | undefined {
    const held = this.#held.get(id)
    return held?.token === token ? held : undefined
  }

  letGo(lease: OfLease): void {
    if (this.find(lease) !== undefined) this.#held.delete(lease.id)
  }

  /** Those behind the first `slots` were taken before there is a slot for them. */
  receive([queue, first, rows]: Taken, slots: number): Found {
    const path = pathOfQueue(queue)
    const since = performance.now()
    let token = Number(first)
    const jobs: LeasedJob[] = []
    const dead: (() => Promise<void>)[] = []
    for (const [eid, flat] of rows) {
      const row = rowOf(flat)
      const id = idOfEngine(eid, row.get('~id'))
      const lease = leaseOf(row, id, path, token)
      const { generation, attempts } = typeof lease === 'string' ? NEW : lease
      const [by, lane, isKeyed, tries] = [row.get('~by') ?? '', row.get('~ln'), row.has('~dk'), row.get('atm') ?? '0']
      const lock = `${this.#store.owner}:${token}`
      const isAhead = token - Number(first) >= slots
      const known = { id, queue, eid, token, lock, generation, attempts, by, lane, isKeyed, tries }
      const held: Held = { ...known, since, isAhead }
      this.#held.set(id, held)
      token += 1
      if (typeof lease === 'string') dead.push(() => this.#buryOdd(path, held, row, lease))
      else if (row.has('defa')) dead.push(() => this.#buryLost(path, held, row))
      else jobs.push(lease)
    }
    return { jobs, dead }
  }

  /** Undefined if the lease is not held. */
  wordsOf(outcome: Outcome): string[] | undefined {
    const held = this.find(outcome)
    if (held === undefined) return undefined
    const words = wordsOfOutcome(outcome, held, this.#told.has(outcome), this.#store.now)
    this.#told.add(outcome)
    return words
  }

  async settle(outcome: Outcome, fields: readonly string[] = []): Promise<Settled> {
    const words = this.wordsOf(outcome)
    if (words === undefined) return 'lost'
    if (fields.length > 0) {
      words[FIELDS] = String(Number(words[FIELDS]) + fields.length)
      words.splice(FIELDS + 1, 0, ...fields)
    }
    const held = this.find(outcome) as Held
    if (outcome.kind === 'failed') {
      const escalation = escalationOf(outcome, pathOfQueue(held.queue), () => this.#store.newId())
      words.push(...(escalation === undefined ? [''] : ['1', ...this.#store.wordsOf(escalation)]))
    } else if (words[0] === 'o') words.push('')
    const answer = await this.#store.tell(held, words, outcome.kind === 'release')
    this.letGo(outcome)
    return answer === '1' ? 'settled' : 'lost'
  }

  /** Ends a job that was lost too often, by who knows its task: its supervisors are to decide about it. */
  async #buryLost(queue: string, held: Held, row: Row): Promise<void> {
    const { id } = held
    const { generation, restarts, attempts: before } = progressOf(row)
    const attempts = before + 1 // the last is the one that was lost
    const path = `${queue}/job:${id}`
    const error = LeaseLostError.ofLimit(path, Number(row.get('stc') ?? 0))
    const job = { id, task: queue, attempts }
    const failure = new Failure({ error, path, kind: 'lost', at: this.#store.now, attempt: attempts, job, generation })
    await this.#bury({ id, queue, attempts, generation, restarts, failure }, held)
  }

  /** A job that cannot be read is a dead letter with the reason, and does not come again. */
  async #buryOdd(queue: string, held: Held, row: Row, oddity: string): Promise<void> {
    const { id } = held
    const path = `${queue}/job:${id}`
    const error = new Error(`${path} cannot be worked: ${oddity}. Add jobs with system.run(), or update rootcatch.`)
    const generation = 1
    const job = { id, task: queue, attempts: 1 }
    const failure = new Failure({ error, path, kind: 'input', at: this.#store.now, attempt: 1, job, generation })
    const fields = row.get('~v') === '1' ? [] : ['~id', id, '~v', '1']
    await this.#bury({ id, queue, attempts: 1, generation, restarts: {}, failure }, held, fields)
  }

  async #bury(job: BuriedJob, { token }: Held, fields: readonly string[] = []): Promise<void> {
    const { id, attempts, failure } = job
    const answer = await this.settle({ id, token, kind: 'failed', attempts, failure }, fields)
    if (answer === 'settled') this.#store.buried(job)
  }
}
