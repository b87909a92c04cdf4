import { BrokerError } from '../errors.ts'
import { guarded } from '../evidence.ts'
import type { BrokerClock, BuriedJob, LeasedJob, NewJob, Outcome, Settled } from './broker.ts'
import { Along } from './bullmq-along.ts'
import { Batch, NO_CALLS, type Calls, type Part } from './bullmq-batch.ts'
import { isEscalation, type Fleet, type FleetCatch } from './bullmq-escalation.ts'
import { Hearing } from './bullmq-hearing.ts'
import { HeldJobs, type OfLease, type Taken } from './bullmq-held.ts'
import { Link, type Patience, type RedisTarget } from './bullmq-link.ts'
import { engineId, engineQueue, pathOfQueue } from './bullmq-names.ts'
import { warnOfLog } from './bullmq-server.ts'
import { Watch, type Looked } from './bullmq-watch.ts'
import { wordsOfJob } from './bullmq-words.ts'
import { isGone, thisProcess, type Owner } from '../owner.ts'
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

/** Jobs that a call takes along. */
interface Want {
  readonly queue: string
  readonly limit: number
  readonly token: number
}

type TurnAnswer = readonly [
  added: readonly unknown[],
  settled: readonly unknown[],
  taken: readonly Taken[],
  woken: unknown,
]

/** How many ids are remembered with their queues, so that nobody has to look for them in all. */
const PLACES = 20_000
const CLOSES_WITHIN = 2_000
const PASSED_ON_AFTER = 20

/** A store between its opening and its close. */
export class Session {
  readonly watch: Watch
  readonly link: Link
  readonly #options: SessionOptions
  readonly #watchers: Watchers
  readonly #clock: BrokerClock
  readonly #key: string
  readonly held: HeldJobs
  readonly #along: Along
  readonly #hearing: Hearing | undefined
  readonly #places = new Map<string, string>()
  /** Queues of which this process takes nothing for now. */
  readonly #heldOff = new Set<string>()
  /** Queues of which it is not known what was leased: the answer was lost on its way. */
  readonly #doubtful = new Set<string>()
  readonly #turns: Batch
  /** Queues of which this process was told, until it takes something. */
  readonly #owed = new Map<string, NodeJS.Timeout>()
  #isClosing = false
  #owner = ''
  #count = 0

  constructor(options: SessionOptions, watchers: Watchers, clock: BrokerClock) {
    this.#options = options
    this.#watchers = watchers
    this.#clock = clock
    this.#key = `${options.prefix}:~`
    const hands = { heard: (message: string) => this.#heard(message), isBack: () => this.#isBack() }
    this.link = new Link(options.connection, options, hands)
    this.watch = new Watch(watchers, clock, options.poll, (queues) => this.#look(queues))
    this.#turns = new Batch((calls) => this.#sendTurn(calls))
    this.held = new HeldJobs(this)
    this.#along = new Along(
      () => this.now,
      (jobs) => void this.settle(jobs.map(({ id, token }) => ({ id, token, kind: 'release' }))).catch(() => {}),
    )
    this.#hearing = options.catch && new Hearing(this, options.catch, options.lease, clock)
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
    await this.#hearing?.begin()
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
    this.#isClosing = true
    this.#along.close()
    this.#hearing?.end()
    let timer: NodeJS.Timeout | undefined
    const tooLate = new Promise<void>((resolve) => (timer = setTimeout(resolve, CLOSES_WITHIN)))
    await Promise.race([this.#leave().catch(() => {}), tooLate])
    clearTimeout(timer)
    this.link.close()
    await this.#turns.drained()
  }

  newId(): string {
    this.#count += 1
    return `${this.#owner}-${this.#count}`
  }

  async call(operation: string, words: readonly string[], patience: Patience = 'fails'): Promise<unknown> {
    const given = [operation, this.#options.prefix, String(this.now), this.#owner, ...words]
    return this.link.call(this.#key, given, patience)
  }

  async enqueue(jobs: readonly NewJob[]): Promise<readonly string[]> {
    const words = [String(jobs.length), ...jobs.flatMap((job) => this.wordsOf(job))]
    const queues =
      jobs.length === 1 ? [engineQueue((jobs[0] as NewJob).queue)] : jobs.map((job) => engineQueue(job.queue))
    return (await this.#turns.run('enqueue', words, queues)) as readonly string[]
  }

  /** What a delivery came to. One that is given back is not taken again at once. */
  tell(queue: string, words: readonly string[], isGivenBack: boolean): Promise<unknown> {
    if (isGivenBack) return this.#turns.run('settle', words, [])
    this.#along.plan(queue)
    return this.#turns.run('settle', words, [queue])
  }

  buried(job: BuriedJob): void {
    for (const listener of this.#watchers.listeners) listener.buried(job)
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
    if (!this.#watchers.byQueue.has(path)) return this.#ask(queue, limit)
    const { jobs, ask } = this.#along.fetch(queue, limit)
    if (ask > 0) return this.#ask(queue, ask)
    // Where none is there, one is being asked for.
    const isMore = jobs.length > 0 && jobs.length < limit && !this.#along.isDry(queue)
    if (isMore) setImmediate(() => this.#watchers.wake(path))
    return jobs
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

  async #take(queue: string, limit: number): Promise<ReturnType<HeldJobs['receive']>> {
    this.#count += 1
    try {
      const answer = await this.call('lease', [queue, String(limit), String(this.#count)], 'waits')
      const [taken, woken] = answer as readonly [Taken, readonly string[]]
      this.wake(woken)
      return this.#receive(taken, limit)
    } catch (error) {
      this.#doubtful.add(queue)
      throw error
    }
  }

  #receive(taken: Taken, asked: number): ReturnType<HeldJobs['receive']> {
    const [queue, , rows, wait, due, until] = taken
    const limited = Number(wait) === 0 ? Infinity : this.now + Number(wait)
    const [nextDue, nextUntil] = [Math.min(limited, timeOf(due)), timeOf(until)]
    this.watch.learn(pathOfQueue(queue), nextDue, nextUntil)
    this.#along.took(queue, asked, rows.length, Math.min(nextDue, nextUntil))
    const found = this.held.receive(taken)
    for (const { id } of found.jobs) this.#remember(id, queue)
    return found
  }

  async extend(leases: readonly OfLease[]): Promise<readonly Settled[]> {
    const held = leases.map((lease) => this.held.find(lease))
    const known = held.filter((one) => one !== undefined)
    if (known.length === 0) return leases.map(() => 'lost')
    const words = [String(known.length), ...known.flatMap(({ queue, eid, lock }) => [queue, eid, lock])]
    const answers = (await this.call('extend', words, 'waits')) as readonly (string | null)[]
    let next = 0
    return held.map((one, index) => {
      if (one === undefined) return 'lost'
      const [answer, unwanted] = [answers[2 * next], answers[2 * next + 1]]
      next += 1
      if (answer !== '1') this.held.letGo(leases[index] as OfLease)
      else if (typeof unwanted === 'string') this.#tellCancelled(one.id, unwanted)
      return answer === '1' ? 'settled' : 'lost'
    })
  }

  async settle(outcomes: readonly Outcome[]): Promise<readonly Settled[]> {
    if (outcomes.length === 1) return [await this.held.settle(outcomes[0] as Outcome)]
    return Promise.all(outcomes.map((outcome) => this.held.settle(outcome)))
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

  /** Whoever is paused is not told of jobs: another process is. */
  holdOff(path: string, isHeldOff: boolean): void {
    if (this.#heldOff.has(path) === isHeldOff) return
    if (isHeldOff) this.#heldOff.add(path)
    else this.#heldOff.delete(path)
    if (isHeldOff) this.part(path)
    else this.join(path)
  }

  /** Somebody waits for them no more. */
  part(path: string): void {
    if ((this.#watchers.byQueue.has(path) && !this.#heldOff.has(path)) || this.#isClosing) return
    this.#along.woken(engineQueue(path))
    void this.call('pass', [engineQueue(path)], 'waits').catch(() => {})
  }

  #wakeQueue(queue: string, isCounted: boolean): void {
    this.#along.woken(queue)
    if (isCounted) this.#passOn(queue)
    this.#watchers.wake(pathOfQueue(queue))
  }

  /** Whoever was told takes a job at once; if it is paused, or stops, somebody else has to. */
  #passOn(queue: string): void {
    if (this.#owed.has(queue)) return
    const timer = setTimeout(() => {
      this.#owed.delete(queue)
      this.#along.woken(queue)
      void this.call('pass', [queue], 'waits').catch(() => {})
    }, PASSED_ON_AFTER)
    this.#owed.set(queue, timer)
  }

  /** Calls of one turn as one step. Where not all of them bear the same, they are sent apart. */
  async #sendTurn({ enqueue, settle }: Readonly<Record<Part, Calls>>): Promise<void> {
    if (settle === NO_CALLS) return this.#sendPart(enqueue, settle, 'fails')
    if (enqueue === NO_CALLS) return this.#sendPart(enqueue, settle, 'waits')
    if (!this.link.isReady) {
      const parts = [this.#sendPart(enqueue, NO_CALLS, 'fails'), this.#sendPart(NO_CALLS, settle, 'waits')]
      return void (await Promise.all(parts))
    }
    const isFull = (error: unknown): boolean => error instanceof BrokerError && error.code === 'full'
    let refused: unknown
    const first = { ...settle, reject: (error: unknown) => (isFull(error) ? (refused = error) : settle.reject(error)) }
    await this.#sendPart(enqueue, first, 'fails')
    // A Redis that is full takes nothing new and nothing together with it, but still what ends jobs.
    if (refused !== undefined) await this.#sendPart(NO_CALLS, settle, 'waits')
  }

  async #sendPart(enqueue: Calls, settle: Calls, patience: Patience): Promise<void> {
    const wants = this.#wantsOf(enqueue.queues, settle.queues)
    const along = wants.flatMap(({ queue, limit, token }) => [queue, limit, token].map(String))
    try {
      const words = [...enqueue.words, ...settle.words, String(wants.length), ...along]
      const answer = (await this.call('turn', words, patience)) as TurnAnswer
      for (const { queue, limit } of wants) this.#along.ended(queue, limit)
      const [added, settled, taken, woken] = answer
      this.wake(woken)
      for (const [index, part] of taken.entries()) this.#tookAlong(part, wants[index]?.limit ?? 0)
      enqueue.resolve(added)
      settle.resolve(settled)
    } catch (error) {
      for (const { queue, limit } of wants) {
        this.#doubtful.add(queue)
        this.#along.ended(queue, limit)
      }
      enqueue.reject(error)
      settle.reject(error)
    }
  }

  #wantsOf(added: readonly string[], freed: readonly string[]): readonly Want[] {
    const wants: Want[] = []
    for (const queue of new Set([...added, ...freed])) {
      const path = pathOfQueue(queue)
      const isTaken = this.#watchers.byQueue.has(path) && !this.#heldOff.has(path)
      const isWatched = isTaken && !this.#doubtful.has(queue)
      const limit = this.#along.want(queue, freed.filter((one) => one === queue).length, isWatched)
      if (limit === 0) continue
      this.#count += 1
      wants.push({ queue, limit, token: this.#count })
    }
    return wants
  }

  #tookAlong(taken: Taken, asked: number): void {
    const [queue] = taken
    const { jobs, dead } = this.#receive(taken, asked)
    for (const bury of dead) void bury().catch(() => {}) // its lease runs out, and somebody finds it again
    if (jobs.length === 0) return
    this.#along.keep(queue, jobs)
    // After those who added the jobs, or ended others, know that they did: all that follows from promises comes first.
    process.nextTick(() => this.#watchers.wake(pathOfQueue(queue)))
  }

  async #reconcile(queue: string): Promise<void> {
    const locks = this.held.all.filter((held) => held.queue === queue).map(({ lock }) => lock)
    await this.call('reconcile', [queue, String(locks.length), ...locks], 'waits')
    this.#doubtful.delete(queue)
  }

  async #look(queues: readonly string[]): Promise<readonly Looked[]> {
    const answers = (await this.call('look', [String(queues.length), ...queues], 'waits')) as readonly string[][]
    return answers.map(([queue = '', due, next, until]) => {
      if (due === '1') this.#along.woken(queue)
      return { queue, isDue: due === '1', due: timeOf(next), until: timeOf(until) }
    })
  }

  async #bereave(processes: Readonly<Record<string, string>>): Promise<void> {
    const gone = Object.keys(processes).filter((owner) => {
      const text = processes[owner] as string
      return owner !== this.#owner && guarded(() => isGone(JSON.parse(text) as Owner), false)
    })
    if (gone.length > 0) await this.call('bereave', [String(gone.length), ...gone])
  }

  async #leave(): Promise<void> {
    await this.#turns.drained()
    const leases = this.held.all.map(({ id, token }) => ({ id, token, kind: 'release' }) as const)
    const released = this.settle(leases)
    await this.#turns.drained()
    await released
    const queues = [...this.#watchers.byQueue.keys()].map(engineQueue)
    await this.call('leave', [String(queues.length), ...queues])
    await this.link.client.hdel(`${this.#key}processes`, this.#owner)
  }

  /** `w…` a queue has jobs, `s…` a job is over, `c…` a job is unwanted, `e…` nobody decided about a failure. */
  #heard(message: string): void {
    const text = message.slice(1)
    if (message.startsWith('w')) {
      const queue = pathOfQueue(text)
      if (isEscalation(queue)) return this.#hearing?.hear(queue)
      return this.#wakeQueue(text, true)
    }
    if (message.startsWith('e')) return this.#hearing?.hear(pathOfQueue(text))
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
    for (const path of this.#watchers.byQueue.keys()) if (!this.#heldOff.has(path)) this.join(path)
    void this.watch.look()
  }

  #remember(id: string, queue: string): void {
    if (this.#places.size >= PLACES) this.#places.delete(this.#places.keys().next().value as string)
    this.#places.set(id, queue)
  }
}

const timeOf = (text: string | number | undefined): number =>
  text === undefined || text === '' ? Infinity : Number(text)
