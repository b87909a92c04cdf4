import { guarded } from '../evidence.ts'
import type { BrokerClock, BuriedJob, LeasedJob, NewJob, Outcome, Settled } from './broker.ts'
import { isEscalation, type Fleet, type FleetCatch } from './bullmq-escalation.ts'
import { Hearing } from './bullmq-hearing.ts'
import { HeldJobs, type OfLease } from './bullmq-held.ts'
import { Link, type Patience, type RedisTarget } from './bullmq-link.ts'
import { engineId, engineQueue, pathOfQueue } from './bullmq-names.ts'
import { warnOfLog } from './bullmq-server.ts'
import { Taking } from './bullmq-taking.ts'
import { Turns } from './bullmq-turns.ts'
import { timeOf, Watch, type Looked } from './bullmq-watch.ts'
import { wordsOfJob, type Held } from './bullmq-words.ts'
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
  readonly #taking: Taking
  readonly #turns: Turns
  readonly #hearing: Hearing | undefined
  readonly #places = new Map<string, string>()
  /** Queues of which this process takes nothing for now. */
  readonly #heldOff = new Set<string>()
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
    this.held = new HeldJobs(this)
    // A job that ended, of which Redis has not heard, is lost as well if the next one ends the process.
    this.#taking = new Taking(this, watchers, { lease: options.lease, takesAhead: options.lostLimit > 1 })
    this.#turns = new Turns(this, this.#taking)
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
    if (isPaused) this.#taking.drop(engineQueue(task))
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
    this.#taking.close()
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
    return (await this.#turns.enqueue(words, queues)) as readonly string[]
  }

  /** What a delivery came to. */
  tell(held: Held, words: readonly string[], isGivenBack: boolean): Promise<unknown> {
    return this.#turns.settle(held, words, isGivenBack)
  }

  buried(job: BuriedJob): void {
    for (const listener of this.#watchers.listeners) listener.buried(job)
  }

  wordsOf(job: NewJob): string[] {
    this.remember(job.id, engineQueue(job.queue))
    return wordsOfJob(job, this.now, this.#owner)
  }

  remember(id: string, queue: string): void {
    if (this.#places.size >= PLACES) this.#places.delete(this.#places.keys().next().value as string)
    this.#places.set(id, queue)
  }

  hintOf(id: string): string {
    return this.#places.get(id) ?? ''
  }

  lease(path: string, limit: number): Promise<readonly LeasedJob[]> {
    const queue = engineQueue(path)
    clearTimeout(this.#owed.get(queue))
    this.#owed.delete(queue)
    return this.#taking.lease(path, queue, limit)
  }

  giveBack(jobs: readonly LeasedJob[]): void {
    const releases = jobs.map(({ id, token }) => ({ id, token, kind: 'release' }) as const)
    // Where that was not heard their leases run out.
    void this.settle(releases).catch(() => jobs.forEach((job) => this.held.letGo(job)))
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

  /** Whether somebody here waits for its jobs, and is not paused. */
  isWorkedOn(path: string): boolean {
    return this.#watchers.byQueue.has(path) && !this.#heldOff.has(path)
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
    if (this.isWorkedOn(path) || this.#isClosing) return
    this.#taking.woken(engineQueue(path))
    this.#taking.drop(engineQueue(path))
    void this.call('pass', [engineQueue(path)], 'waits').catch(() => {})
  }

  #wakeQueue(queue: string, isCounted: boolean): void {
    this.#taking.woken(queue)
    if (isCounted) this.#passOn(queue)
    this.#watchers.wake(pathOfQueue(queue))
  }

  /** Whoever was told takes a job at once; if it is paused, or stops, somebody else has to. */
  #passOn(queue: string): void {
    if (this.#owed.has(queue)) return
    const timer = setTimeout(() => {
      this.#owed.delete(queue)
      this.#taking.woken(queue)
      void this.call('pass', [queue], 'waits').catch(() => {})
    }, PASSED_ON_AFTER)
    this.#owed.set(queue, timer)
  }

  async #look(queues: readonly string[]): Promise<readonly Looked[]> {
    const answers = (await this.call('look', [String(queues.length), ...queues], 'waits')) as readonly string[][]
    return answers.map(([queue = '', due, next, until]) => {
      if (due === '1') this.#taking.woken(queue)
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
    if (this.#taking.dropOne(this.hintOf(id), id)) return // it is over as it goes back
    for (const listener of this.#watchers.listeners) listener.cancelled(id, readJson(reason || null))
  }

  #isBack(): void {
    for (const listener of this.#watchers.listeners) listener.settled(undefined)
    for (const path of this.#watchers.byQueue.keys()) if (!this.#heldOff.has(path)) this.join(path)
    void this.watch.look()
  }
}
