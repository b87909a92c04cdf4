import type { Host } from '../actors/chart.ts'
import type { Level } from '../actors/climb.ts'
import { hookTable, type HookTable } from '../actors/hook-table.ts'
import type { JobActor } from '../actors/job.ts'
import { observedJobs, type Observed } from '../actors/tap.ts'
import type { Tree } from '../actors/tree.ts'
import { SystemStoppedError } from '../errors.ts'
import { Failure } from '../failure.ts'
import type { NewJob } from '../brokers/broker.ts'
import type { Json } from '../payload.ts'
import { CrawlChart } from './crawl-chart.ts'
import { isKept, outcomeOf, stateOf, type Ending, type SharedEnding } from './crawl-end.ts'
import type { CrawlHost, CrawlOutcome, CrawlReason } from './crawl.ts'
import { FailedElsewhereError, type UnknownHandlerError } from './errors.ts'
import { FleetPart } from './fleet-part.ts'
import { Frontier } from './frontier.ts'
import { HeldRequests, type HoldingCrawl } from './held-requests.ts'
import { relayed } from './item-relay.ts'
import { ItemRoom } from './item-room.ts'
import { ItemStream } from './items.ts'
import { PageMaker } from './page-maker.ts'
import { PageSettlement, type Settling } from './page-settlement.ts'
import type { PageOwner } from './page-source.ts'
import { Progress } from './progress.ts'
import type { CrawlRequest } from './request.ts'
import { RequestGate, type GatedCrawl } from './request-gate.ts'
import type { RequestRun } from './request-run.ts'
import { Seeding, type SeededCrawl } from './seeding.ts'
import type { SpiderDefinition } from './spider-definition.ts'
import type { CrawlState, CrawlStats, Numbers } from './stats.ts'
import type { CrawlStore } from './store.ts'
import { Taking, type TakingCrawl } from './taking.ts'
import { openTools, type HostWatcher, type Tools } from './tools.ts'
import type { Crawling } from './visit.ts'

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

/** How long the items of pages that are not settled may wait to be read, before a page is looked for that was lost. */
const ITEMS_READ_WITHIN = 10_000

type Phase = 'opening' | 'crawling' | 'draining' | 'over'

/** One crawl from its first request to its last page: when it begins, what ends it, and what its pages tell it. */
export class LiveCrawl implements PageOwner, Settling, SeededCrawl, TakingCrawl, HoldingCrawl, GatedCrawl, CrawlHost {
  readonly tree: Tree
  readonly path: string
  readonly subject: string
  readonly spider: SpiderDefinition
  readonly numbers: Numbers
  readonly items: ItemStream
  readonly frontier: Frontier
  readonly gate: RequestGate
  readonly held: HeldRequests
  readonly hooks: HookTable
  readonly pages: PageMaker
  readonly settlement: PageSettlement
  readonly chart: CrawlChart
  readonly itemRoom: ItemRoom | undefined
  taking: Taking | undefined
  readonly #place: CrawlPlace
  readonly #store: CrawlStore
  readonly #part: FleetPart | undefined
  readonly #seeding = new Seeding(this)
  #tools: Tools | undefined
  #progress: Progress | undefined
  #crawling: Crawling | undefined
  #phase: Phase = 'opening'
  #ending: Ending | undefined
  #watching = 0
  #open = 0
  #itemsTakenAt: number | undefined
  #shutdownTimer: unknown
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
    this.items = new ItemStream(() => this.itemsChanged())
    this.#part = FleetPart.of(this, store)
    const { maxItems } = spider.settings
    const isLimited = this.#part !== undefined && maxItems !== Infinity
    this.itemRoom = isLimited ? new ItemRoom(tree.broker, path, maxItems) : undefined
    this.frontier = new Frontier(tree, path, spider.settings, this.numbers, this.#part !== undefined)
    this.gate = new RequestGate(this)
    this.settlement = new PageSettlement(this)
    this.held = new HeldRequests(this)
    this.hooks = hookTable({ plugins: [] }, level)
    this.pages = new PageMaker(this, level, () => this.#crawling as Crawling)
    this.chart = new CrawlChart(
      tree,
      { path, concurrency: spider.settings.concurrency },
      { parent: place.host, id: spider.name, jobAt: (slot) => this.runAt(slot).job as JobActor },
    )
  }

  get actor(): Host['ref'] {
    return this.chart.actor
  }

  get jobs(): { readonly running: number; readonly retrying: number } {
    return { running: this.held.running, retrying: this.held.retrying }
  }

  liveJobs(): Iterable<Observed> {
    return observedJobs(this.held.jobs)
  }

  get hosts(): PageMaker['hosts'] {
    return this.pages.hosts
  }

  get isOver(): boolean {
    return this.#phase === 'over'
  }

  get isCrawling(): boolean {
    return this.#phase === 'crawling'
  }

  get isSeeded(): boolean {
    return this.#seeding.isOver || this.#part?.isSeeded === true
  }

  /** Whether it takes part without being asked here, and so has no handle. */
  get isHelper(): boolean {
    return this.#part?.isAsked === false
  }

  get isShared(): boolean {
    return this.#part?.isShared === true
  }

  /** All items there may be have their places: nothing is taken, unless a page that has some is lost. */
  get #waitsForItems(): boolean {
    if (this.itemRoom?.isTaken !== true) return false
    const now = this.tree.clock.now()
    this.#itemsTakenAt ??= now
    return now - this.#itemsTakenAt < 2 * this.tree.broker.leaseTime + ITEMS_READ_WITHIN
  }

  get isPaused(): boolean {
    return this.chart.isPaused || this.#waitsForItems
  }

  get slots(): number {
    return this.spider.settings.concurrency - this.held.running - this.#watching
  }

  ranDry(areFull: boolean): void {
    this.#seeding.ranDry(areFull)
  }

  runAt(slot: number): RequestRun {
    return this.held.at(slot)
  }

  stats(): CrawlStats {
    const { spider } = this
    const numbers = this.#store.total
    const { running } = this.held
    return {
      spider: spider.name,
      state: this.#state,
      elapsed: this.#elapsed,
      ...numbers.read(),
      queued: Math.max(0, numbers.open - running),
      running,
    }
  }

  get #state(): CrawlState {
    if (this.#phase !== 'over') return this.chart.isPaused ? 'paused' : 'crawling'
    return stateOf(this.#ending as Ending)
  }

  get #elapsed(): number {
    return this.#endedAt === undefined
      ? this.numbers.elapsed + this.tree.clock.now() - this.#startedAt
      : this.#store.total.elapsed
  }

  // Its life

  /** `isAsked`: somebody here waits for it; else it is only begun where others are at it. */
  async begin(fresh: boolean, isAsked = true): Promise<void> {
    const { tree, path, spider } = this
    const part = this.#part
    this.chart.start()
    try {
      this.#seeding.checkList()
      const open = part === undefined ? await this.#store.open(fresh) : await part.enter(fresh, isAsked)
      if (open === undefined) {
        this.#end({ kind: 'stopped', reason: 'nobody is at it' })
        return this.maybeOver()
      }
      this.#open = open
      const watcher: HostWatcher = {
        hostPaused: (host, until, because) =>
          tree.events.emit('host.paused', { path: `${path}/${host}`, until, because }),
        hostResumed: (host) => tree.events.emit('host.resumed', { path: `${path}/${host}` }),
      }
      const tools = await openTools(spider, tree, this.#store, watcher, part?.robots)
      this.#tools = tools
      await part?.begin(tools.politeness)
      if (part === undefined || part.isSeeder) this.seed()
    } catch (error) {
      if (this.#phase !== 'opening') return this.maybeOver() // ended while it opened
      return this.#end({ kind: 'refused', error })
    }
    this.taking = new Taking(this, this.#tools)
    this.#crawling = {
      tree,
      spider,
      subject: this.subject,
      numbers: this.numbers,
      ...this.#tools,
      check: (request) => this.check(request),
      endTurn: (run, outcome) => this.held.endTurn(run, outcome),
    }
    if (this.#phase !== 'opening') return this.maybeOver() // ended while it opened
    this.#phase = 'crawling'
    if (spider.settings.progress) this.#progress = new Progress(this, tree.clock)
    this.taking.begin()
    if (this.#open > 0 || this.isShared) this.chart.seeded()
    this.taking.wake()
  }

  /** Reads `start` here, from where it was left. */
  seed(): void {
    this.#seeding.begin(this.#tools as Tools, this.#store.total.seeds)
    this.taking?.wake()
  }

  /** Others are there from now on. */
  shares(): void {
    this.taking?.share()
  }

  /** Somebody here waits for it now. */
  asked(): void {
    this.#part?.asked()
  }

  cancel(reason: unknown): void {
    this.#end({ kind: 'cancelled', reason })
    this.held.cancelAll(reason)
    this.maybeOver()
  }

  /** Running pages may go on for a while; what is not over then is given back. */
  stop(within: number): void {
    this.#end({ kind: 'stopped', reason: new SystemStoppedError(this.tree.name, { job: this.path }) })
    this.#cutOffIn(within)
  }

  /** The spider fails: running pages may end, the queue is kept. */
  fatal(failure: Failure): void {
    const { shutdown } = this.spider.child
    this.#end({ kind: 'failed', failure })
    this.#cutOffIn(shutdown === 'kill' ? 0 : shutdown)
  }

  /** Nothing of it runs or is on its way. */
  quiet(): Promise<void> | undefined {
    return this.#watching === 0 ? undefined : new Promise((resolve) => (this.#isQuiet = resolve))
  }

  watch(change: 1 | -1): void {
    this.#watching += change
    if (this.#watching === 0) this.#isQuiet?.()
    this.taking?.wake()
    this.maybeOver()
  }

  maybeOver(): void {
    const isIdle = this.held.running === 0 && this.settlement.isIdle && this.#watching === 0
    if (!isIdle || this.taking?.isIdle === false) return
    if (this.#phase === 'crawling') {
      if (this.isShared) return this.#part?.idle(this.#seeding.isOver)
      if (this.#open === 0 && this.#seeding.isOver) {
        this.#end({ kind: 'done', reason: this.#limitReached() ?? 'finished' })
      }
    } else if (this.#phase === 'draining') {
      this.#phase = 'over'
      void this.#close()
    }
  }

  /** Nothing of it is left in any process. */
  allDone(): void {
    if (this.isCrawling) this.#end({ kind: 'done', reason: this.#limitReached() ?? 'finished' })
  }

  /** Another process ended it for all. */
  endElsewhere(ending: SharedEnding): void {
    const error = ending.kind === 'failed' ? new FailedElsewhereError(this.path, ending.reason) : undefined
    this.#end({ kind: 'elsewhere', ending, error })
    if (ending.kind === 'cancelled') this.held.cancelAll(ending.reason)
    const { shutdown } = this.spider.child
    if (ending.kind === 'failed') this.#cutOffIn(shutdown === 'kill' ? 0 : shutdown)
    this.maybeOver()
  }

  #end(ending: Ending): void {
    if (this.#phase === 'draining' || this.#phase === 'over') return
    this.#part?.ending(ending)
    const wasOpening = this.#phase === 'opening'
    this.#phase = 'draining'
    this.#ending = ending
    this.taking?.end()
    this.#seeding.end()
    this.chart.drain()
    for (const run of this.taking?.takeAll() ?? []) this.held.giveBack(run)
    this.held.forgetParked()
    const isDone = ending.kind === 'done' || (ending.kind === 'elsewhere' && ending.ending.kind === 'done')
    if (!isDone) this.items.abandon() // pages whose items were not read are fetched again
    if (!wasOpening || ending.kind === 'refused') this.maybeOver()
  }

  #cutOffIn(ms: number): void {
    if (this.#phase !== 'draining' || this.held.running === 0) return
    const cutOff = (): void => {
      this.held.cutOff()
      this.maybeOver()
    }
    if (ms === 0) return cutOff()
    if (ms === Infinity || this.#shutdownTimer !== undefined) return
    this.#shutdownTimer = this.tree.clock.setTimeout(cutOff, ms)
  }

  async #close(): Promise<void> {
    const ending = this.#ending as Ending
    const { tree, path } = this
    const elapsed = this.#elapsed
    this.#endedAt = tree.clock.now()
    this.numbers.elapsed = elapsed
    if (this.#shutdownTimer !== undefined) tree.clock.clearTimeout(this.#shutdownTimer)
    this.held.end()
    const isForgotten = !isKept(ending)
    try {
      if (this.#part !== undefined) await this.#part.leave(isForgotten)
      else await (isForgotten ? this.#store.forget() : this.#store.write())
      await this.#tools?.close()
    } catch (error) {
      tree.callbackFailed(path, 'crawl', error)
    }
    this.items.end()
    this.#progress?.end()
    this.chart.ended(ending)
    if (ending.kind === 'failed') this.#place.failed(ending.failure)
    this.#place.ended(outcomeOf(ending, this.stats()), !isForgotten)
  }

  #limitReached(): CrawlReason | undefined {
    return this.#store.total.get('limit') > 0 ? 'maxRequests' : undefined
  }

  // What reading `start` tells

  add(requests: readonly CrawlRequest[]): void {
    this.settlement.add(requests, () => this.seeded())
  }

  check(request: CrawlRequest): void {
    this.#seeding.check(request)
  }

  seeded(): void {
    this.chart.seeded()
  }

  refused(error: UnknownHandlerError): void {
    this.#end({ kind: 'refused', error })
  }

  // What settling needs, and what it tells

  notes(): Readonly<Record<string, Json>> {
    return this.#store.notes(this.#elapsed, this.#tools?.fetcher.cookies)
  }

  notesLost(): void {
    this.#store.notesLost()
  }

  give(items: readonly Json[]): Promise<void> | undefined {
    const written = this.#tools?.jsonl?.write(items)
    if (this.#part?.isReadElsewhere === true) return written
    const read = this.items.give(items, this.tree.broker.durable)
    if (read === undefined) return written
    return written === undefined ? read : Promise.all([written, read]).then(() => {})
  }

  relay(items: readonly Json[]): NewJob | undefined {
    return this.#part?.isReadElsewhere === true ? relayed(this.tree, this.path, items) : undefined
  }

  itemsSettled(id: string): void {
    if (this.itemRoom === undefined) return
    this.watch(1)
    this.itemRoom
      .settled(id)
      .then((isFull) => isFull && this.isCrawling && this.#end({ kind: 'done', reason: 'maxItems' }))
      .catch((error: unknown) => this.tree.callbackFailed(this.path, 'broker.swap', error))
      .finally(() => this.watch(-1))
  }

  changed(open: number): void {
    this.#open += open
    if (this.itemRoom === undefined && this.isCrawling && this.numbers.get('item') >= this.spider.settings.maxItems) {
      return this.#end({ kind: 'done', reason: 'maxItems' })
    }
    this.taking?.wake()
    this.maybeOver()
  }

  failedItems(error: unknown): void {
    this.fatal(new Failure({ error, path: this.path, kind: 'thrown', at: this.tree.clock.now() }))
  }

  /** Of this process, or of the one that reads them. */
  itemsChanged(): void {
    const { items } = this
    const isFull = items.isFull || this.#part?.isFull === true
    const hasRoom = items.hasRoom && this.#part?.isFull !== true
    const goesOn = this.isCrawling && this.chart.follow({ isFull, hasRoom, unread: items.unread })
    if (goesOn || this.itemRoom?.isTaken === true) this.taking?.wake()
  }

  // What others say

  /** Somebody in another process gave up a request that may be held here. */
  cancelLive(id: string, reason: unknown): void {
    this.held.cancel(id, reason)
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
}
