import { Failure } from '../failure.ts'
import { guarded } from '../evidence.ts'
import { LeaseLostError } from '../errors.ts'
import type { BrokerClock, BuriedJob, LeasedJob, NewJob, Outcome, Settled } from './broker.ts'
import { Batch } from './bullmq-batch.ts'
import { escalationOf, hearEscalations, isEscalation, type Fleet, type FleetCatch } from './bullmq-escalation.ts'
import { Link, type Patience, type RedisTarget } from './bullmq-link.ts'
import { engineId, engineQueue, idOfEngine, pathOfQueue } from './bullmq-names.ts'
import { leaseOf, oddityOf, progressOf, rowOf, type Row } from './bullmq-row.ts'
import { warnOfLog } from './bullmq-server.ts'
import { Watch, type Looked } from './bullmq-watch.ts'
import { wordsOfJob, wordsOfOutcome, type Held } from './bullmq-words.ts'
import { isGone, thisProcess, type Owner } from './owner.ts'
import { readJson } from './stored.ts'
import type { Watchers } from './watchers.ts'

export interface SessionOptions {
  readonly connection: RedisTarget
  readonly prefix: string
  readonly lease: number
  readonly lostLimit: number
  readonly retention: { readonly for: number; readonly last: number }
  readonly events: number
  readonly metrics: number
  readonly poll: number
  readonly limits: Readonly<Record<string, TaskLimits>>
  readonly catch: FleetCatch | undefined
}

/** What a task may do over all processes; kept in Redis, where the engine looks at it. */
export interface TaskLimits {
  readonly concurrency: number | undefined
  readonly rate: { readonly limit: number; readonly within: number } | undefined
}

interface OfLease {
  readonly id: string
  readonly token: number
}

/** How many ids are remembered with their queues, so that nobody has to look for them in all. */
const PLACES = 20_000
/** Where in the words of an outcome the number of its fields stands. */
const FIELDS = 12
const CLOSES_WITHIN = 2_000
const HEARS_EVERY = 1_000
const PASSED_ON_AFTER = 20

/** A store between its opening and its close. */
export class Session {
  readonly watch: Watch
  readonly link: Link
  readonly #options: SessionOptions
  readonly #watchers: Watchers
  readonly #clock: BrokerClock
  readonly #key: string
  readonly #held = new Map<string, Held>()
  readonly #places = new Map<string, string>()
  /** Queues of which it is not known what was leased: the answer was lost on its way. */
  readonly #doubtful = new Set<string>()
  /** Outcomes that were told once: of one that comes again it is not known whether it was heard. */
  readonly #told = new WeakSet<Outcome>()
  readonly #settles: Batch
  readonly #enqueues: Batch
  /** What every call of the script says besides. */
  readonly #settings: readonly string[]
  /** Queues of which this process was told, until it takes something. */
  readonly #owed = new Map<string, NodeJS.Timeout>()
  readonly #hearing = new Map<string, Promise<void>>()
  #hearTimer: unknown
  #isClosing = false
  #owner = ''
  #count = 0

  constructor(options: SessionOptions, watchers: Watchers, clock: BrokerClock) {
    this.#options = options
    this.#watchers = watchers
    this.#clock = clock
    this.#key = `${options.prefix}:~`
    this.link = new Link(options.connection, {
      heard: (message) => this.#heard(message),
      isBack: () => this.#isBack(),
    })
    this.#settings = settingsOf(options, this.link.isCluster)
    this.watch = new Watch(watchers, clock, options.poll, (queues) => this.#look(queues))
    this.#settles = new Batch((words) => this.#shared('settle', words, 'waits'))
    this.#enqueues = new Batch((words) => this.#shared('enqueue', words, 'fails'))
  }

  /** Of this process among those of the store. */
  get owner(): string {
    return this.#owner
  }

  get now(): number {
    return Math.floor(this.#clock.now())
  }

  async open(): Promise<void> {
    await this.link.open(() => [`${this.#key}to:${this.#owner}`, `${this.#key}all`])
    try {
      const { client } = this.link
      this.#owner = (await client.incr(`${this.#key}owner`)).toString(36)
      await client.hset(`${this.#key}processes`, this.#owner, JSON.stringify(thisProcess()))
      await this.link.listen()
      await this.#bereave(await client.hgetall(`${this.#key}processes`))
    } catch (error) {
      this.link.close()
      throw this.link.explain(error)
    }
    for (const [task, limits] of Object.entries(this.#options.limits)) await this.#limit(task, limits)
    this.watch.start()
    if (this.#options.catch !== undefined) await this.#beginHearing()
  }

  /** What concerns every process of the store. */
  readonly fleet: Fleet = {
    pause: (task) => this.#pause(task, true),
    unpause: (task) => this.#pause(task, false),
    paused: async () => {
      const queues = (await this.call('stats', [])) as readonly (readonly [string, ...unknown[]])[]
      return queues.filter((queue) => queue[6] === 1).map(([queue]) => pathOfQueue(queue))
    },
    replay: async (id) => (await this.call('replay', [engineId(id), this.hintOf(id), '', 'null', '', ''])) !== null,
  }

  async #pause(task: string, isPaused: boolean): Promise<void> {
    this.wake(await this.call('pause', [engineQueue(task), isPaused ? '1' : '']))
  }

  async #limit(task: string, { concurrency, rate }: TaskLimits): Promise<void> {
    const limits = [concurrency, rate?.limit, rate?.within].map((limit) => String(limit ?? ''))
    await this.call('limit', [engineQueue(task), ...limits])
  }

  /** Somebody works here, so it matters whether jobs outlive Redis. */
  warnOfLog(): void {
    if (!this.link.isLogged) warnOfLog(this.link.name)
  }

  /** Finishes what was called and gives back what is held. Of a Redis that is away nobody waits for the answer. */
  async close(): Promise<void> {
    this.watch.stop()
    for (const timer of this.#owed.values()) clearTimeout(timer)
    this.#owed.clear()
    if (this.#hearTimer !== undefined) this.#clock.clearTimeout(this.#hearTimer)
    this.#isClosing = true
    let timer: NodeJS.Timeout | undefined
    const tooLate = new Promise<void>((resolve) => (timer = setTimeout(resolve, CLOSES_WITHIN)))
    await Promise.race([this.#leave().catch(() => {}), tooLate])
    clearTimeout(timer)
    this.link.close()
    await Promise.all([this.#settles.drained(), this.#enqueues.drained()])
  }

  newId(): string {
    this.#count += 1
    return `${this.#owner}-${this.#count}`
  }

  async call(operation: string, words: readonly string[], patience: Patience = 'fails'): Promise<unknown> {
    const given = [operation, this.#options.prefix, String(this.now), this.#owner, ...this.#settings, ...words]
    return this.link.call(this.#key, given, patience)
  }

  async enqueue(jobs: readonly NewJob[]): Promise<readonly string[]> {
    const words = [String(jobs.length), ...jobs.flatMap((job) => this.wordsOf(job))]
    return (await this.#enqueues.run(words)) as readonly string[]
  }

  wordsOf(job: NewJob): string[] {
    this.#remember(job.id, engineQueue(job.queue))
    return wordsOfJob(job, this.now, this.#owner)
  }

  hintOf(id: string): string {
    return this.#places.get(id) ?? ''
  }

  async lease(path: string, limit: number): Promise<readonly LeasedJob[]> {
    const queue = engineQueue(path)
    clearTimeout(this.#owed.get(queue))
    this.#owed.delete(queue)
    const taken: LeasedJob[] = []
    while (taken.length < limit) {
      if (this.#doubtful.has(queue)) await this.#reconcile(queue)
      const found = await this.#take(path, queue, limit - taken.length)
      taken.push(...found.jobs)
      if (found.dead.length === 0) break
      for (const bury of found.dead) await bury()
    }
    return taken
  }

  async extend(leases: readonly OfLease[]): Promise<readonly Settled[]> {
    const held = leases.map((lease) => this.#heldBy(lease))
    const known = held.filter((one) => one !== undefined)
    if (known.length === 0) return leases.map(() => 'lost')
    const words = [String(known.length), ...known.flatMap(({ queue, eid, lock }) => [queue, eid, lock])]
    const answers = (await this.call('extend', words, 'waits')) as readonly (string | null)[]
    let next = 0
    return held.map((one, index) => {
      if (one === undefined) return 'lost'
      const [answer, unwanted] = [answers[2 * next], answers[2 * next + 1]]
      next += 1
      if (answer !== '1') this.letGo(leases[index] as OfLease)
      else if (typeof unwanted === 'string') this.#tellCancelled(one.id, unwanted)
      return answer === '1' ? 'settled' : 'lost'
    })
  }

  async settle(outcomes: readonly Outcome[]): Promise<readonly Settled[]> {
    return Promise.all(outcomes.map((outcome) => this.#settle(outcome)))
  }

  /** Undefined if the lease is not held. */
  wordsOfOutcome(outcome: Outcome): string[] | undefined {
    const held = this.#heldBy(outcome)
    if (held === undefined) return undefined
    const words = wordsOfOutcome(outcome, held, this.#told.has(outcome), this.now)
    this.#told.add(outcome)
    return words
  }

  letGo(lease: OfLease): void {
    if (this.#heldBy(lease) !== undefined) this.#held.delete(lease.id)
  }

  /** Names of queues as the scripts give them: with a mark, if this process was counted as one that takes a job. */
  wake(queues: unknown): void {
    for (const name of (queues ?? []) as readonly string[]) {
      const queue = name.startsWith('!') ? name.slice(1) : name
      this.#wakeQueue(queue, queue !== name)
    }
  }

  /** Somebody waits for jobs of a queue from now on. */
  join(path: string): void {
    this.watch.start()
    this.warnOfLog()
    const queue = engineQueue(path)
    void this.call('join', [queue], 'waits').then(
      (isDue) => isDue === '1' && this.#wakeQueue(queue, false),
      () => {}, // the next look finds it
    )
  }

  #wakeQueue(queue: string, isCounted: boolean): void {
    if (isCounted) this.#passOn(queue)
    this.#watchers.wake(pathOfQueue(queue))
  }

  /** Whoever was told takes a job at once; if it is paused, or stops, somebody else has to. */
  #passOn(queue: string): void {
    if (this.#owed.has(queue)) return
    const timer = setTimeout(() => {
      this.#owed.delete(queue)
      void this.call('pass', [queue], 'waits').catch(() => {})
    }, PASSED_ON_AFTER)
    this.#owed.set(queue, timer)
  }

  async #settle(outcome: Outcome): Promise<Settled> {
    const words = this.wordsOfOutcome(outcome)
    if (words === undefined) return 'lost'
    const escalation = escalationOf(outcome, pathOfQueue(words[0] as string), () => this.newId())
    const more = escalation === undefined ? [''] : ['1', ...this.wordsOf(escalation)]
    const answer = await this.#settles.run([...words, ...more])
    this.letGo(outcome)
    return answer === '1' ? 'settled' : 'lost'
  }

  async #shared(operation: string, words: readonly string[], patience: Patience): Promise<readonly unknown[]> {
    const [answers, woken] = (await this.call(operation, words, patience)) as readonly [readonly unknown[], unknown]
    this.wake(woken)
    return answers
  }

  async #take(path: string, queue: string, limit: number): Promise<Found> {
    this.#count += 1
    let answer: readonly [Taken, readonly string[]]
    try {
      answer = (await this.call('lease', [queue, String(limit), String(this.#count)], 'waits')) as typeof answer
    } catch (error) {
      this.#doubtful.add(queue)
      throw error
    }
    const [taken, woken] = answer
    this.wake(woken)
    return this.#receive(path, taken)
  }

  #receive(path: string, [queue, number, rows, wait, due, until]: Taken): Found {
    const limited = wait === '0' ? Infinity : this.now + Number(wait)
    const time = (text: string): number => (text === '' ? Infinity : Number(text))
    this.watch.learn(path, Math.min(limited, time(due)), time(until))
    const [token, lock] = [Number(number), `${this.#owner}:${number}`]
    const jobs: LeasedJob[] = []
    const dead: (() => Promise<void>)[] = []
    for (const [eid, flat] of rows) {
      const row = rowOf(flat)
      const oddity = oddityOf(row)
      const id = idOfEngine(eid, row.get('~id'))
      const { generation, attempts } = progressOf(row)
      const [by, lane, isKeyed] = [row.get('~by') ?? '', row.get('~ln'), row.has('~dk')]
      const held: Held = { id, queue, eid, token, lock, generation, attempts, by, lane, isKeyed }
      this.#held.set(id, held)
      if (oddity !== undefined) dead.push(() => this.#buryOdd(path, held, row, oddity))
      else if (row.has('defa')) dead.push(() => this.#buryLost(path, held, row))
      else {
        this.#remember(id, queue)
        jobs.push(leaseOf(row, id, path, token))
      }
    }
    return { jobs, dead }
  }

  /** Ends a job that was lost too often, by who knows its task: its supervisors are to decide about it. */
  async #buryLost(queue: string, held: Held, row: Row): Promise<void> {
    const { id } = held
    const { generation, restarts, attempts: before } = progressOf(row)
    const attempts = before + 1 // the last is the one that was lost
    const path = `${queue}/job:${id}`
    const error = LeaseLostError.ofLimit(path, Number(row.get('stc') ?? 0))
    const job = { id, task: queue, attempts }
    const failure = new Failure({ error, path, kind: 'lost', at: this.now, attempt: attempts, job, generation })
    await this.#bury({ id, queue, attempts, generation, restarts, failure }, held)
  }

  /** A job that cannot be read is a dead letter with the reason, and does not come again. */
  async #buryOdd(queue: string, held: Held, row: Row, oddity: string): Promise<void> {
    const { id } = held
    const path = `${queue}/job:${id}`
    const error = new Error(`${path} cannot be worked: ${oddity}. Add jobs with system.run(), or update rootcatch.`)
    const generation = 1
    const job = { id, task: queue, attempts: 1 }
    const failure = new Failure({ error, path, kind: 'input', at: this.now, attempt: 1, job, generation })
    const fields = row.get('~v') === '1' ? [] : ['~id', id, '~v', '1']
    await this.#bury({ id, queue, attempts: 1, generation, restarts: {}, failure }, held, fields)
  }

  async #bury(job: BuriedJob, { token }: Held, fields: readonly string[] = []): Promise<void> {
    const { id, attempts, failure } = job
    const outcome = { id, token, kind: 'failed', attempts, failure } as const
    const words = this.wordsOfOutcome(outcome)
    if (words === undefined) return
    if (fields.length > 0) {
      words[FIELDS] = String(Number(words[FIELDS]) + fields.length)
      words.splice(FIELDS + 1, 0, ...fields)
    }
    const escalation = escalationOf(outcome, job.queue, () => this.newId())
    const more = escalation === undefined ? [''] : ['1', ...this.wordsOf(escalation)]
    const answer = await this.#settles.run([...words, ...more])
    this.letGo(outcome)
    if (answer !== '1') return
    for (const listener of this.#watchers.listeners) listener.buried(job)
  }

  async #reconcile(queue: string): Promise<void> {
    const locks = [...this.#held.values()].filter((held) => held.queue === queue).map(({ lock }) => lock)
    await this.call('reconcile', [queue, String(locks.length), ...locks], 'waits')
    this.#doubtful.delete(queue)
  }

  async #look(queues: readonly string[]): Promise<readonly Looked[]> {
    const answers = (await this.call('look', [String(queues.length), ...queues], 'waits')) as readonly string[][]
    const time = (text: string | undefined): number => (text === undefined || text === '' ? Infinity : Number(text))
    return answers.map(([queue = '', due, next, until]) => ({
      queue,
      isDue: due === '1',
      due: time(next),
      until: time(until),
    }))
  }

  async #bereave(processes: Readonly<Record<string, string>>): Promise<void> {
    const gone = Object.keys(processes).filter((owner) => {
      const text = processes[owner] as string
      return owner !== this.#owner && guarded(() => isGone(JSON.parse(text) as Owner), false)
    })
    if (gone.length > 0) await this.call('bereave', [String(gone.length), ...gone])
  }

  async #leave(): Promise<void> {
    await Promise.all([this.#settles.drained(), this.#enqueues.drained()])
    const leases = [...this.#held.values()].map(({ id, token }) => ({ id, token, kind: 'release' }) as const)
    const released = this.settle(leases)
    await this.#settles.drained()
    await released
    const queues = [...this.#watchers.byQueue.keys()].map(engineQueue)
    await this.call('leave', [String(queues.length), ...queues])
    await this.link.client.hdel(`${this.#key}processes`, this.#owner)
  }

  async #beginHearing(): Promise<void> {
    try {
      for (const queue of (await this.call('expect', [])) as readonly string[]) this.#hearQueue(pathOfQueue(queue))
    } catch {
      // Redis is away; the next look hears it.
    }
    if (!this.#isClosing) this.#hearTimer = this.#clock.setTimeout(() => void this.#beginHearing(), HEARS_EVERY)
  }

  #hearQueue(queue: string): void {
    const { catch: ask, lease } = this.#options
    if (ask === undefined || this.#isClosing || this.#hearing.has(queue)) return
    const store = {
      lease: (from: string, limit: number) => (this.#isClosing ? Promise.resolve([]) : this.lease(from, limit)),
      extend: (leases: readonly LeasedJob[]) => this.extend(leases),
      settle: (outcomes: readonly Outcome[]) => this.settle(outcomes),
    }
    const heard = hearEscalations(store, queue, lease, (failure) => ask(failure, this.fleet))
    this.#hearing.set(
      queue,
      heard.catch(() => {}).finally(() => this.#hearing.delete(queue)),
    )
  }

  /** `w…` a queue has jobs, `s…` a job is over, `c…` a job is unwanted, `e…` nobody decided about a failure. */
  #heard(message: string): void {
    const text = message.slice(1)
    if (message.startsWith('w')) {
      const queue = pathOfQueue(text)
      if (isEscalation(queue)) return this.#hearQueue(queue)
      return this.#wakeQueue(text, true)
    }
    if (message.startsWith('e')) return this.#hearQueue(pathOfQueue(text))
    if (message.startsWith('s')) {
      for (const listener of this.#watchers.listeners) listener.settled(text)
    } else if (message.startsWith('c')) {
      const [id, reason] = JSON.parse(text) as readonly [string, string]
      this.#tellCancelled(id, reason)
    }
  }

  #tellCancelled(id: string, reason: string): void {
    for (const listener of this.#watchers.listeners) listener.cancelled(id, readJson(reason || null))
  }

  #isBack(): void {
    for (const listener of this.#watchers.listeners) listener.settled(undefined)
    for (const path of this.#watchers.byQueue.keys()) this.join(path)
    void this.watch.look()
  }

  #heldBy({ id, token }: OfLease): Held | undefined {
    const held = this.#held.get(id)
    return held?.token === token ? held : undefined
  }

  #remember(id: string, queue: string): void {
    if (this.#places.size >= PLACES) this.#places.delete(this.#places.keys().next().value as string)
    this.#places.set(id, queue)
  }
}

function settingsOf(options: SessionOptions, isCluster: boolean): readonly string[] {
  const { retention, lease, lostLimit, events, metrics } = options
  const kept = [retention.last, retention.for / 1_000, lostLimit, lease].map(String)
  return [isCluster ? '1' : '', String(events), metrics === 0 ? '' : String(metrics), ...kept]
}

type Taken = readonly [
  queue: string,
  token: string,
  rows: readonly (readonly [eid: string, row: readonly string[]])[],
  wait: string,
  due: string,
  until: string,
]

interface Found {
  readonly jobs: readonly LeasedJob[]
  readonly dead: readonly (() => Promise<void>)[]
}
