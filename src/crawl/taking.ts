import { whenever } from '../actors/answer.ts'
import { runAsNobody } from '../actors/floating.ts'
import type { HookTable } from '../actors/hook-table.ts'
import { Intake } from '../actors/intake.ts'
import type { Tree } from '../actors/tree.ts'
import { JOBS_PER_COMMIT, JOBS_PER_STEP } from '../actors/turn.ts'
import type { LeasedJob } from '../brokers/broker.ts'
import { addToTrail, Failure } from '../failure.ts'
import type { Json } from '../payload.ts'
import type { Frontier } from './frontier.ts'
import type { HeldRequests } from './held-requests.ts'
import { HostLines } from './host-lines.ts'
import type { HostNode } from './host-node.ts'
import type { PageMaker } from './page-maker.ts'
import type { PageSettlement } from './page-settlement.ts'
import { requestFromJSON, type CrawlRequest } from './request.ts'
import { RequestRun } from './request-run.ts'
import type { SpiderDefinition } from './spider-definition.ts'
import type { Numbers } from './stats.ts'
import type { Tools } from './tools.ts'

/** Requests that wait for their hosts although they were taken. Of each host few do, so that takes many hosts. */
const MOST_WAITING = 10_000
/** Of a process among others, for many hosts and for one: what it holds is not theirs, and is lost with it. */
const MOST_WAITING_OF_MANY = 512
const MOST_WAITING_OF_ONE = 32
/** How long a broker that did not answer is left alone. */
const BROKER_AWAY = 1_000

/** What taking requests needs of its crawl. */
export interface TakingCrawl {
  readonly tree: Tree
  /** Of the spider; names its queue. */
  readonly path: string
  readonly spider: SpiderDefinition
  readonly numbers: Numbers
  readonly frontier: Frontier
  readonly hooks: HookTable
  readonly held: HeldRequests
  readonly pages: PageMaker
  readonly settlement: PageSettlement
  /** Whether it takes requests at all, and whether it does at present. */
  readonly isCrawling: boolean
  readonly isPaused: boolean
  /** Whether other processes take requests as well. */
  readonly isShared: boolean
  /** Slots that nobody has. */
  readonly slots: number
  /** Nothing is due, but for what waits for hosts that are full. */
  ranDry(areFull: boolean): void
  /** Nothing of it may be on its way any more. */
  maybeOver(): void
}

/** Takes requests from the broker as slots are free, and starts those whose hosts have a turn. */
export class Taking {
  readonly #crawl: TakingCrawl
  readonly #tools: Tools
  readonly #lines: HostLines
  /** Those whose page is there already. */
  readonly #cached: RequestRun[] = []
  readonly #intake: Intake
  /** Pages that plugins let begin. */
  #room = 0
  #isLeasing = false
  #isPumpDue = false
  /** Nothing is due but what full hosts would get. */
  #isDry = false
  #unwatch: (() => void) | undefined
  #cancelRetry: (() => void) | undefined

  constructor(crawl: TakingCrawl, tools: Tools) {
    this.#crawl = crawl
    this.#tools = tools
    const { name, settings } = crawl.spider
    const { description, tags, isCaching } = settings
    const { tree, path, hooks } = crawl
    this.#intake = new Intake({ tree, path, hooks, definition: { name, description, tags } }, () => this.wake())
    this.#lines = new HostLines({
      politeness: tools.politeness,
      clock: tree.clock,
      isCaching,
      hosts: () => crawl.pages.hosts.values(),
      wake: () => this.wake(),
      hasRoom: () => (this.#isDry = false),
    })
  }

  /** Whether nothing is on its way from the broker. */
  get isIdle(): boolean {
    return !this.#isLeasing
  }

  begin(): void {
    this.#unwatch = this.#crawl.tree.broker.watch(this.#crawl.path, () => {
      this.#isDry = false
      this.wake()
    })
  }

  /** Takes none any more. */
  end(): void {
    this.#unwatch?.()
    this.#cancelRetry?.()
    this.#intake.end()
  }

  /** Those that were taken and not started, taken out. */
  takeAll(): readonly RequestRun[] {
    return [...this.#lines.takeAll(), ...this.#cached.splice(0)]
  }

  /** Others are there now: what waits here is theirs as well. */
  share(): void {
    for (const run of this.takeAll()) this.#crawl.held.giveBack(run)
    this.#isDry = false
    this.wake()
  }

  /** A turn at this host was given back. */
  freed(host: HostNode): void {
    this.#lines.freed(host)
  }

  /** It waits for its turn no longer. */
  remove(run: RequestRun): void {
    this.#lines.remove(run)
  }

  /** Looks for requests in the next turn of the event loop: not before is the connection of a page free again. */
  wake(): void {
    if (this.#isPumpDue || !this.#crawl.isCrawling) return
    this.#isPumpDue = true
    setImmediate(() => {
      this.#isPumpDue = false
      runAsNobody(() => this.#pump())
    })
  }

  #pump(): void {
    const crawl = this.#crawl
    if (!crawl.isCrawling || crawl.isPaused) return
    const mayStart = this.#cached.length > 0 || this.#lines.mayHaveTurn
    if (mayStart || !(this.#isLeasing || this.#isDry)) this.#room = this.#intake.room(crawl.slots)
    this.#startReady()
    if (this.#isLeasing) return
    if (this.#isDry) return crawl.slots > 0 ? crawl.ranDry(this.#lines.full.size > 0) : undefined
    const { broker } = crawl.tree
    const most = broker.durable ? JOBS_PER_COMMIT : JOBS_PER_STEP
    const room = Math.min(crawl.slots, this.#room, most, this.#mostWaiting - this.#lines.waiting)
    if (room <= 0) return
    this.#isLeasing = true
    this.#isDry = true // unless somebody says otherwise meanwhile
    whenever(
      () => broker.lease(crawl.path, room, this.#lines.full),
      (leases) => this.#received(leases, room),
      (error) => this.#brokerIsAway(error),
    )
  }

  /** Where others would take them, too, few wait here: of a single host those are as many as it bears, or more. */
  get #mostWaiting(): number {
    if (!this.#crawl.isShared) return MOST_WAITING
    return this.#lines.hosts > 1 ? MOST_WAITING_OF_MANY : MOST_WAITING_OF_ONE
  }

  #received(leases: readonly LeasedJob[], room: number): void {
    const crawl = this.#crawl
    if (leases.length === room) this.#isDry = false
    this.#isLeasing = false
    for (const lease of leases) this.#receive(lease)
    this.#startReady()
    if (!crawl.isCrawling) return crawl.maybeOver()
    if (this.#isDry) crawl.ranDry(this.#lines.full.size > 0)
    else this.wake()
  }

  #brokerIsAway(error: unknown): void {
    const crawl = this.#crawl
    this.#isLeasing = false
    this.#isDry = false
    crawl.tree.callbackFailed(crawl.path, 'broker.lease', error)
    if (crawl.isCrawling) this.#cancelRetry = crawl.tree.sleep(BROKER_AWAY, () => this.wake())
    else crawl.maybeOver()
  }

  #receive(lease: LeasedJob): void {
    const crawl = this.#crawl
    if (!crawl.isCrawling) return crawl.settlement.release(lease)
    const known = crawl.held.unpark(lease.id)
    if (known !== undefined) {
      const { job } = known
      if (job?.attempt === lease.attempts && job.lease.generation === lease.generation) {
        known.lease = lease
        return this.#queue(known)
      }
      crawl.held.forget(known) // another process went on with it meanwhile
    }
    const request = this.#read(lease)
    if (request !== undefined) this.#queue(new RequestRun(crawl.pages.enter(request), lease, request))
  }

  #queue(run: RequestRun): void {
    this.#crawl.held.hold(run)
    const { isCaching } = this.#crawl.spider.settings
    run.cached = isCaching ? this.#tools.fetcher.cached(run.request) : undefined
    if (run.cached === undefined) this.#lines.add(run)
    else this.#cached.push(run)
  }

  #read(lease: LeasedJob): CrawlRequest | undefined {
    const { tree, path, frontier } = this.#crawl
    const { id, input } = lease
    try {
      const request = frontier.requestOf(input) ?? requestFromJSON(input as { readonly [key: string]: Json })
      return request.counted({ id })
    } catch (error) {
      const [at, job] = [tree.clock.now(), { id, task: path, attempts: 1 }]
      const failure = new Failure({ error, path: `${path}/request:${id}`, kind: 'input', at, job })
      return void this.#refuse(lease, failure)
    }
  }

  /** What is stored of it is no request. */
  #refuse(lease: LeasedJob, failure: Failure): void {
    const { tree, path, numbers, settlement } = this.#crawl
    addToTrail(failure, { path, decision: 'stop', by: 'default' })
    tree.report(failure, 'stop')
    numbers.end('failed')
    numbers.add('failed')
    settlement.refuse(lease, failure)
  }

  #startReady(): void {
    while (this.#crawl.slots > 0 && this.#room > 0) {
      const run = this.#cached.shift() ?? this.#lines.next()
      if (run === undefined) return
      this.#room -= 1
      this.#crawl.held.start(run)
    }
  }
}
