import type { AnyActorLogic } from 'xstate'
import { jobMachine, type JobContext, type JobEvent, type JobOutput } from '../../machines/job.ts'
import { spiderMachine } from '../../machines/spider.ts'
import { whenever } from '../actors/answer.ts'
import { Host, toChartLogic } from '../actors/chart.ts'
import type { Level } from '../actors/climb.ts'
import { runAsNobody } from '../actors/floating.ts'
import { hookTable, type HookTable } from '../actors/hook-table.ts'
import { JobActor, jobEffects, type Holder } from '../actors/job.ts'
import { Leases } from '../actors/leases.ts'
import type { Tree } from '../actors/tree.ts'
import { JOBS_PER_COMMIT, JOBS_PER_STEP } from '../actors/turn.ts'
import type { LeasedJob } from '../brokers/broker.ts'
import { LeaseLostError, SystemStoppedError } from '../errors.ts'
import { addToTrail, Failure } from '../failure.ts'
import type { Json } from '../payload.ts'
import { isKept, outcomeOf, stateOf, type Ending } from './crawl-end.ts'
import type { CrawlHost, CrawlOutcome, CrawlReason } from './crawl.ts'
import { UnknownHandlerError } from './errors.ts'
import { Frontier } from './frontier.ts'
import { HostLines } from './host-lines.ts'
import type { HostOutcome } from './host-pace.ts'
import { ItemStream } from './items.ts'
import { PageSettlement, type Settling } from './page-settlement.ts'
import { PageMaker } from './page-maker.ts'
import type { PageOwner } from './page-source.ts'
import { Progress } from './progress.ts'
import { requestFromJSON, type CrawlRequest } from './request.ts'
import { RequestRun } from './request-run.ts'
import { Seeds } from './seeds.ts'
import type { SpiderDefinition } from './spider-definition.ts'
import type { CrawlState, CrawlStats, Numbers } from './stats.ts'
import type { CrawlStore } from './store.ts'
import { openTools, type Tools } from './tools.ts'
import type { Crawling } from './visit.ts'

/** Requests that wait for their hosts although they were taken: so far others are looked for behind them. */
const MOST_WAITING = 1000
/** How long a broker that did not answer is left alone. */
const BROKER_AWAY = 1_000

/** Where a crawl stands, and who is told of its end. */
export interface CrawlPlace {
  readonly tree: Tree
  readonly path: string
  /** The spider as the level above its hosts. */
  readonly level: Level
  /** What its chart's actor is a child of. */
  readonly host: Host
  ended(outcome: CrawlOutcome, isKept: boolean): void
  /** The spider fails with it. */
  failed(failure: Failure): void
}

type Phase = 'opening' | 'crawling' | 'draining' | 'over'

/** One crawl from its first request to its last page: takes requests as slots and hosts are free. */
export class LiveCrawl implements Holder, PageOwner, Settling, CrawlHost {
  readonly threads = undefined
  readonly tree: Tree
  readonly path: string
  readonly subject: string
  readonly spider: SpiderDefinition
  readonly numbers: Numbers
  readonly items: ItemStream
  readonly frontier: Frontier
  readonly #place: CrawlPlace
  readonly #host: Host
  readonly #logic: AnyActorLogic
  readonly #store: CrawlStore
  readonly #settlement: PageSettlement
  readonly #leases: Leases<RequestRun>
  readonly #hooks: HookTable
  readonly #pages: PageMaker
  /** By their jobs' slots. */
  readonly #runs: (RequestRun | undefined)[] = []
  readonly #free: number[] = []
  /** Those whose lease is held. */
  readonly #held = new Set<RequestRun>()
  /** Those that wait in the broker for their next try. */
  readonly #parked = new Map<string, RequestRun>()
  /** Those whose page is there already. */
  readonly #cached: RequestRun[] = []
  #tools: Tools | undefined
  #lines: HostLines | undefined
  #seeds: Seeds | undefined
  #progress: Progress | undefined
  #crawling: Crawling | undefined
  #phase: Phase = 'opening'
  #ending: Ending | undefined
  #isPaused = false
  #running = 0
  #watching = 0
  #open = 0
  #leasing: 'no' | 'asked' | 'again' = 'no'
  #isPumpDue = false
  #isSeeded = false
  #shutdownTimer: unknown
  #unwatch: (() => void) | undefined
  #cancelRetry: (() => void) | undefined
  readonly #startedAt: number
  #endedAt: number | undefined
  #isQuiet: (() => void) | undefined

  constructor(spider: SpiderDefinition, place: CrawlPlace, store: CrawlStore) {
    const { tree, path, level } = place
    this.spider = spider
    this.tree = tree
    this.path = path
    this.subject = `spider "${spider.name}"`
    this.#place = place
    this.#store = store
    this.numbers = store.numbers
    this.#startedAt = tree.clock.now()
    this.items = new ItemStream(() => this.#pauseOrGoOn())
    this.frontier = new Frontier(tree, path, spider.settings, this.numbers)
    this.#settlement = new PageSettlement(this)
    this.#leases = new Leases(
      tree,
      () => [...this.#held],
      (run) => this.lost(run),
    )
    this.#hooks = hookTable({ plugins: [] }, level)
    this.#pages = new PageMaker(this, level, () => this.#crawling as Crawling)
    const input = { path, concurrency: spider.settings.concurrency }
    this.#host = new Host(spiderMachine, { parent: place.host, id: spider.name, input })
    this.#logic = toChartLogic<JobContext, JobEvent>(
      jobMachine,
      jobEffects((slot) => this.runAt(slot).job as JobActor),
      tree.isInspected,
    )
  }

  get actor(): Host['ref'] {
    return this.#host.ref
  }

  get hooks(): HookTable {
    return this.#hooks
  }

  get jobs(): { readonly running: number; readonly retrying: number } {
    return { running: this.#running, retrying: this.#parked.size }
  }

  get hosts(): PageMaker['hosts'] {
    return this.#pages.hosts
  }

  get isOver(): boolean {
    return this.#phase === 'over'
  }

  runAt(slot: number): RequestRun {
    return this.#runs[slot] as RequestRun
  }

  stats(): CrawlStats {
    const { numbers, spider } = this
    const running = this.#running
    return {
      spider: spider.name,
      state: this.#state,
      elapsed: this.#elapsed,
      ...numbers.read(),
      queued: Math.max(0, numbers.open - running),
      running,
    }
  }

  // Its life

  async begin(fresh: boolean): Promise<void> {
    const { tree, path, spider } = this
    this.#host.start()
    try {
      this.#checkList()
      this.#open = await this.#store.open(fresh)
      const tools = await openTools(spider, tree, this.#store, {
        hostPaused: (host, until, because) =>
          tree.events.emit('host.paused', { path: `${path}/${host}`, until, because }),
        hostResumed: (host) => tree.events.emit('host.resumed', { path: `${path}/${host}` }),
      })
      this.#tools = tools
      this.#seeds = new Seeds(this.subject, spider.settings.start, this.numbers.seeds)
    } catch (error) {
      if (this.#phase !== 'opening') return this.#maybeOver() // ended while it opened
      return this.#end({ kind: 'refused', error })
    }
    this.#lines = new HostLines(this.#tools.politeness, tree.clock, () => this.#wake())
    this.#crawling = {
      tree,
      spider,
      subject: this.subject,
      ...this.#tools,
      check: (request) => this.#check(request),
      endTurn: (run, outcome) => this.#endTurn(run, outcome),
    }
    if (this.#phase !== 'opening') return this.#maybeOver() // ended while it opened
    this.#phase = 'crawling'
    if (spider.settings.progress) this.#progress = new Progress(() => this.stats(), tree.clock)
    this.#unwatch = tree.broker.watch(path, () => this.#wake())
    if (this.#open > 0) this.#showSeeded()
    this.#wake()
  }

  cancel(reason: unknown): void {
    this.#end({ kind: 'cancelled', reason })
    for (const run of this.#runs) run?.job?.cancel(reason)
    this.#maybeOver()
  }

  /** Running pages may go on for a while; what is not over then is given back. */
  stop(within: number): void {
    this.#end({ kind: 'stopped', reason: this.#stopReason() })
    this.#cutOffIn(within)
  }

  /** Nothing of it runs or is on its way. */
  quiet(): Promise<void> | undefined {
    return this.#watching === 0 ? undefined : new Promise((resolve) => (this.#isQuiet = resolve))
  }

  watch(change: 1 | -1): void {
    this.#watching += change
    if (this.#watching === 0) this.#isQuiet?.()
    this.#wake()
    this.#maybeOver()
  }

  #end(ending: Ending): void {
    if (this.#phase === 'draining' || this.#phase === 'over') return
    const wasOpening = this.#phase === 'opening'
    this.#phase = 'draining'
    this.#ending = ending
    this.#unwatch?.()
    this.#cancelRetry?.()
    this.#seeds?.end()
    this.#host.send({ type: 'drain' })
    for (const run of this.#lines?.takeAll() ?? []) this.#giveBack(run)
    for (const run of this.#cached.splice(0)) this.#giveBack(run)
    for (const run of this.#parked.values()) this.#forget(run)
    this.#parked.clear()
    if (ending.kind !== 'done') this.items.abandon() // pages whose items were not read are fetched again
    if (!wasOpening || ending.kind === 'refused') this.#maybeOver()
  }

  #cutOffIn(ms: number): void {
    if (this.#phase !== 'draining' || this.#running === 0) return
    if (ms === 0) return this.#cutOff()
    if (ms === Infinity || this.#shutdownTimer !== undefined) return
    this.#shutdownTimer = this.tree.clock.setTimeout(() => this.#cutOff(), ms)
  }

  #cutOff(): void {
    for (const run of this.#runs) {
      if (run === undefined) continue
      run.job?.cutOff(this.#stopReason(run))
      this.left(run)
      this.#giveBack(run)
    }
    this.#maybeOver()
  }

  #maybeOver(): void {
    const isIdle = this.#running === 0 && this.#settlement.isIdle && this.#watching === 0 && this.#leasing === 'no'
    if (!isIdle) return
    if (this.#phase === 'crawling') {
      if (this.#open === 0 && this.#seeds?.isOver === true && !this.#seeds.isReading) {
        this.#end({ kind: 'done', reason: this.#limitReached() ?? 'finished' })
      }
    } else if (this.#phase === 'draining') {
      this.#phase = 'over'
      void this.#close()
    }
  }

  async #close(): Promise<void> {
    const ending = this.#ending as Ending
    const { tree, path } = this
    const elapsed = this.#elapsed
    this.#endedAt = tree.clock.now()
    this.numbers.elapsed = elapsed
    if (this.#shutdownTimer !== undefined) tree.clock.clearTimeout(this.#shutdownTimer)
    this.#leases.end()
    const isForgotten = !isKept(ending)
    try {
      await this.#store.close(isForgotten)
      await this.#tools?.close()
    } catch (error) {
      tree.callbackFailed(path, 'crawl', error)
    }
    this.items.end()
    this.#progress?.end()
    this.#showEnd(ending)
    if (ending.kind === 'failed') this.#place.failed(ending.failure)
    this.#place.ended(outcomeOf(ending, this.stats()), !isForgotten)
  }

  // Its chart

  get #state(): CrawlState {
    if (this.#phase !== 'over') return this.#isPaused ? 'paused' : 'crawling'
    return stateOf(this.#ending as Ending)
  }

  get #elapsed(): number {
    return this.#endedAt === undefined
      ? this.numbers.elapsed + this.tree.clock.now() - this.#startedAt
      : this.numbers.elapsed
  }

  #showSeeded(): void {
    if (this.#isSeeded) return
    this.#isSeeded = true
    this.#host.send({ type: 'seeded' })
  }

  #showEnd(ending: Ending): void {
    if (ending.kind === 'failed') return this.#host.send({ type: 'failed', failure: ending.failure })
    return this.#host.send({ type: 'drained', reason: ending.kind === 'done' ? ending.reason : ending.kind })
  }

  #pauseOrGoOn(): void {
    if (this.#phase !== 'crawling') return
    const { items, tree, path } = this
    if (!this.#isPaused && items.isFull) {
      this.#isPaused = true
      this.#host.send({ type: 'pause' })
      const { unread } = items
      tree.events.emit('crawl.paused', { path, unread })
      tree.write('warn', { path, unread }, 'The crawl waits for its items to be read.')
    } else if (this.#isPaused && items.hasRoom) {
      this.#isPaused = false
      this.#host.send({ type: 'unpause' })
      tree.events.emit('crawl.unpaused', { path })
      this.#wake()
    }
  }

  // Taking requests

  #wake(): void {
    if (this.#isPumpDue || this.#phase !== 'crawling') return
    this.#isPumpDue = true
    this.tree.turn.soon(() => {
      this.#isPumpDue = false
      runAsNobody(() => this.#pump())
    })
  }

  #pump(): void {
    if (this.#phase !== 'crawling' || this.#isPaused) return
    this.#startReady()
    if (this.#leasing !== 'no') return void (this.#leasing = 'again')
    const { broker } = this.tree
    const room = Math.min(
      this.#slots,
      broker.durable ? JOBS_PER_COMMIT : JOBS_PER_STEP,
      MOST_WAITING - (this.#lines?.waiting ?? 0),
    )
    if (room <= 0) return
    this.#leasing = 'asked'
    whenever(
      () => broker.lease(this.path, room),
      (leases) => {
        const isMoreDue = leases.length === room || this.#leasing === 'again'
        this.#leasing = 'no'
        for (const lease of leases) this.#receive(lease)
        this.#startReady()
        if (this.#phase !== 'crawling') return this.#maybeOver()
        if (isMoreDue) this.#wake()
        else this.#ranDry()
      },
      (error) => {
        this.#leasing = 'no'
        this.tree.callbackFailed(this.path, 'broker.lease', error)
        if (this.#phase === 'crawling') this.#cancelRetry = this.tree.sleep(BROKER_AWAY, () => this.#wake())
        else this.#maybeOver()
      },
    )
  }

  get #slots(): number {
    return this.spider.settings.concurrency - this.#running - this.#watching
  }

  /** Nothing is due: `start` is read on, or all is over. */
  #ranDry(): void {
    const seeds = this.#seeds as Seeds
    if (seeds.isOver || seeds.isReading) return this.#maybeOver()
    void this.#readSeeds(seeds)
  }

  async #readSeeds(seeds: Seeds): Promise<void> {
    try {
      const requests = await seeds.read(this.spider.settings.concurrency)
      if (this.#phase !== 'crawling') return
      for (const request of requests) this.#check(request)
      this.numbers.seeds += requests.length
      if (requests.length > 0) return this.#settlement.add(requests, () => this.#showSeeded())
      this.#showSeeded()
      this.#maybeOver()
    } catch (error) {
      if (error instanceof UnknownHandlerError) this.#end({ kind: 'refused', error })
      else this.#failStart(error)
    }
  }

  #failStart(error: unknown): void {
    const failure = new Failure({ error, path: this.path, kind: 'thrown', at: this.tree.clock.now() })
    this.fatal(failure)
  }

  #receive(lease: LeasedJob): void {
    if (this.#phase !== 'crawling') return this.#settlement.release(lease)
    const known = this.#parked.get(lease.id)
    this.#parked.delete(lease.id)
    if (known !== undefined) {
      const { job } = known
      if (job?.attempt === lease.attempts && job.lease.generation === lease.generation) {
        known.lease = lease
        return this.#queue(known)
      }
      this.#forget(known) // another process went on with it meanwhile
    }
    const request = this.#read(lease)
    if (request === undefined) return
    this.#queue(new RequestRun(this.#pages.enter(request), lease, request))
  }

  #queue(run: RequestRun): void {
    this.#held.add(run)
    this.#leases.begin()
    run.cached = this.spider.settings.isCaching ? this.#tools?.fetcher.cached(run.request) : undefined
    if (run.cached === undefined) this.#lines?.add(run)
    else this.#cached.push(run)
  }

  #read(lease: LeasedJob): CrawlRequest | undefined {
    const { id, input } = lease
    try {
      const request = this.frontier.requestOf(input) ?? requestFromJSON(input as { readonly [key: string]: Json })
      return request.counted({ id })
    } catch (error) {
      const [path, at] = [`${this.path}/request:${id}`, this.tree.clock.now()]
      const failure = new Failure({ error, path, kind: 'input', at, job: { id, task: this.path, attempts: 1 } })
      addToTrail(failure, { path: this.path, decision: 'stop', by: 'default' })
      this.tree.report(failure, 'stop')
      this.numbers.end('failed')
      this.numbers.add('failed')
      return void this.#settlement.refuse(lease, failure)
    }
  }

  #startReady(): void {
    while (this.#slots > 0) {
      const run = this.#cached.shift() ?? this.#lines?.next()
      if (run === undefined) return
      this.#start(run)
    }
  }

  #start(run: RequestRun): void {
    this.#running += 1
    run.host.running += 1
    if (run.isParked) {
      run.isParked = false
      return run.job?.goOn(run.lease)
    }
    const slot = this.#free.pop() ?? this.#runs.length
    const job = new JobActor(this.#pages.sourceOf(run), this, run.lease, slot, this.tree.clock.now())
    run.job = job
    this.#runs[slot] = run
    job.start(this.#host, this.#logic, `request:${slot}`)
  }

  // What its jobs say

  lend(): void {} // a page keeps its slot, whatever it waits for

  park(job: JobActor, delay: number): void {
    const run = this.runAt(job.slot)
    run.isParked = true
    this.#running -= 1
    run.host.running -= 1
    this.#held.delete(run)
    if (this.#phase === 'crawling') this.#parked.set(job.id, run)
    this.#settlement.retry(run, delay)
    if (this.#phase !== 'crawling') this.#forget(run)
    this.#wake()
  }

  over(job: JobActor, output: JobOutput): void {
    const run = this.runAt(job.slot)
    this.#endTurn(run, { kind: 'neutral' })
    this.#settlement.over(run, output)
  }

  // What settling needs

  notes(): Readonly<Record<string, Json>> {
    return this.#store.notes(this.#elapsed, this.#tools?.fetcher.cookies)
  }

  notesLost(): void {
    this.#store.notesLost()
  }

  give(items: readonly Json[]): Promise<void> | undefined {
    const written = this.#tools?.jsonl?.write(items)
    const read = this.items.give(items, this.tree.broker.durable)
    if (read === undefined) return written
    return written === undefined ? read : Promise.all([written, read]).then(() => {})
  }

  left(run: RequestRun): void {
    const { job, host } = run
    run.hasLeft = true
    if (!run.isParked) {
      this.#running -= 1
      host.running -= 1
    }
    if (job !== undefined) {
      this.#runs[job.slot] = undefined
      this.#free.push(job.slot)
    }
    this.#pages.leave(host)
  }

  settling(run: RequestRun): void {
    this.#held.delete(run)
  }

  changed(open: number): void {
    this.#open += open
    if (this.#phase === 'crawling' && this.numbers.get('item') >= this.spider.settings.maxItems) {
      return this.#end({ kind: 'done', reason: 'maxItems' })
    }
    this.#wake()
    this.#maybeOver()
  }

  lost(run: RequestRun): void {
    const { lease, job, host } = run
    const path = job?.path ?? `${host.path}/request:${lease.id}`
    if (this.#held.delete(run) && !run.hasLeft) {
      if (job === undefined) this.#lines?.remove(run)
      job?.cutOff(new LeaseLostError(path, this.tree.broker.leaseTime))
      this.#endTurn(run, { kind: 'neutral' })
      if (job === undefined) this.#pages.leave(host)
      else this.left(run)
    }
    this.tree.events.emit('job.lost', { path, id: lease.id, attempt: job?.attempt ?? 0 })
    this.#wake()
    this.#maybeOver()
  }

  /** The spider fails: running pages may end, the queue is kept. */
  fatal(failure: Failure): void {
    const { shutdown } = this.spider.child
    this.#end({ kind: 'failed', failure })
    this.#cutOffIn(shutdown === 'kill' ? 0 : shutdown)
  }

  failedItems(error: unknown): void {
    this.#failStart(error)
  }

  /** Somebody in another process gave up a request that may be held here. */
  cancelLive(id: string, reason: unknown): void {
    for (const run of this.#held) if (run.lease.id === id) run.job?.cancel(reason)
  }

  /** A dead letter is queued again. */
  revived(): void {
    this.numbers.add('request')
    this.changed(1)
  }

  /** The broker ended a request that was lost too often. */
  buried(): void {
    this.numbers.add('failed')
    this.numbers.end('failed')
    this.changed(-1)
  }

  // Letting go

  #giveBack(run: RequestRun): void {
    this.#endTurn(run, { kind: 'neutral' })
    this.#held.delete(run)
    if (run.job === undefined) this.#pages.leave(run.host)
    else if (run.isParked) this.#forget(run)
    this.#settlement.release(run.lease)
  }

  /** The broker has it; what this process knows of it goes. */
  #forget(run: RequestRun): void {
    const { job } = run
    job?.cutOff(undefined)
    this.left(run)
  }

  #endTurn(run: RequestRun, outcome: HostOutcome): void {
    const { turn } = run
    if (turn === undefined) return
    run.turn = undefined
    turn.end(outcome)
    this.#lines?.freed(run.host)
  }

  #stopReason({ job }: Partial<RequestRun> = {}): SystemStoppedError {
    return new SystemStoppedError(this.tree.name, { job: job?.path ?? this.path })
  }

  #check({ name }: CrawlRequest): void {
    const { handlers } = this.spider
    if (!handlers.has(name)) throw new UnknownHandlerError(this.spider.name, name, [...handlers.keys()])
  }

  /** A list is there as a whole: what is wrong in it is said before anything is fetched. */
  #checkList(): void {
    const { start } = this.spider.settings
    if (Array.isArray(start)) for (const request of start as readonly CrawlRequest[]) this.#check(request)
  }

  #limitReached(): CrawlReason | undefined {
    return this.numbers.get('limit') > 0 ? 'maxRequests' : undefined
  }
}
