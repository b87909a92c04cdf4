import type { AnyActorRef } from 'xstate'
import { bury } from '../actors/bury.ts'
import type { Level, RootLevel } from '../actors/climb.ts'
import type { HostedPart } from '../actors/hosted-part.ts'
import type { Incarnation } from '../actors/incarnation.ts'
import { announce } from '../actors/outcome.ts'
import type { Place, Reports } from '../actors/reports.ts'
import type { Observed } from '../actors/tap.ts'
import type { HostedNode, Tree } from '../actors/tree.ts'
import type { BuriedJob } from '../brokers/broker.ts'
import { InvalidOptionError, SystemStoppedError, UnknownJobError } from '../errors.ts'
import type { DropReason } from '../events.ts'
import { addToTrail, type Failure } from '../failure.ts'
import { checkKeys, readBoolean } from '../options.ts'
import type { Plugin } from '../plugin.ts'
import { Run, type AnyRun, type RunHost, type RunOutcome } from '../run.ts'
import { Crawl, type CrawlOptions, type CrawlOutcome } from './crawl.ts'
import { CrawlRunningError, SpiderDownError } from './errors.ts'
import { Fleet } from './fleet.ts'
import { LiveCrawl } from './live-crawl.ts'
import type { SpiderDefinition } from './spider-definition.ts'
import { CrawlStore } from './store.ts'

/** How often a spider that is not asked looks whether others crawl; it is told, too, when something is queued. */
const LOOKS_EVERY = 500

/** One life of a spider: it waits for runs, and has one crawl at a time. */
export class SpiderIncarnation implements Incarnation, HostedNode, Level {
  readonly path: string
  readonly parent: Level | RootLevel
  readonly #tree: Tree
  readonly #place: Place
  readonly #reports: Reports
  readonly #spider: SpiderDefinition
  /** Of a crawl that was not finished; a broker in memory keeps only its queue. */
  #kept: CrawlStore | undefined
  #crawl: LiveCrawl | undefined
  /** A crawl of others that this process takes part in, and nobody here has asked for. */
  #helping: { readonly live: LiveCrawl; readonly outcome: Promise<CrawlOutcome> } | undefined
  /** Sees crawls of other processes. */
  #lookout: Fleet | undefined
  #isLooking = false
  #unwatch: (() => void) | undefined
  #isStopping = false
  #isDown = false
  #how: 'stopped' | 'killed' = 'stopped'

  constructor(spider: SpiderDefinition, place: Place, reports: Reports) {
    this.#spider = spider
    this.#place = place
    this.#tree = place.tree
    this.#reports = reports
    this.path = place.path
    this.parent = place.parent
  }

  // As a child of its supervisor

  get actor(): AnyActorRef | undefined {
    return this.#crawl?.actor
  }

  start(): void {
    const earlier = this.#tree.hosted.get(this.#spider)
    if (earlier instanceof SpiderIncarnation) this.#kept = earlier.#kept
    this.#tree.hosted.set(this.#spider, this)
    this.#reports.ready()
    this.#lookout = Fleet.of(this.#tree, this.path)
    if (this.#lookout === undefined) return
    const unwatch = this.#tree.broker.watch(this.path, () => void this.#help())
    const look = (): void => {
      void this.#help()
      timer = this.#tree.clock.setTimeout(look, LOOKS_EVERY)
    }
    let timer: unknown
    this.#unwatch = () => {
      unwatch()
      this.#tree.clock.clearTimeout(timer)
    }
    look()
  }

  stop(): void {
    const { shutdown } = this.#spider.child
    this.#isStopping = true
    if (shutdown === 'kill') return this.kill()
    if (this.#live === undefined) return this.#down()
    this.#live.stop(shutdown)
  }

  kill(): void {
    this.#isStopping = true
    this.#how = 'killed'
    this.#live?.stop(0)
    this.#down() // whatever the broker still has to say
  }

  send(): true | DropReason {
    return 'invalid'
  }

  decide(): void {} // it never throws on an event

  // As a level that a page's failure meets

  get plugins(): readonly Plugin[] {
    return this.#spider.plugins
  }

  get catch(): Level['catch'] {
    return this.#spider.settings.catch
  }

  get restarts(): Level['restarts'] {
    return this.#spider.settings.restarts
  }

  restartDelay(): number {
    return 0
  }

  // As what makes jobs

  get jobs(): HostedNode['jobs'] {
    return this.#live?.jobs ?? { running: 0, retrying: 0 }
  }

  liveJobs(): Iterable<Observed> {
    return this.#live?.liveJobs() ?? []
  }

  parts(): readonly HostedPart[] {
    return [...(this.#crawl?.hosts.values() ?? [])].map(({ name, path }) => ({
      name,
      path,
      kind: 'supervisor',
      state: 'running',
      restart: 'temporary',
      generation: 1,
    }))
  }

  run(given: unknown): Crawl {
    const options = (given ?? {}) as CrawlOptions
    const subject = `run of spider "${this.#spider.name}"`
    checkKeys(subject, options, ['fresh', 'signal'])
    const fresh = readBoolean(subject, 'fresh', options.fresh) ?? false
    const { signal } = options
    if (signal !== undefined && !(signal instanceof AbortSignal)) {
      throw new InvalidOptionError(subject, 'signal', signal, 'Pass the signal of an AbortController.')
    }
    if (this.#isDown || this.#isStopping) throw new SpiderDownError(this.path)
    const helping = this.#helping
    if (this.#live !== undefined && (helping?.live.isHelper !== true || fresh)) {
      throw new CrawlRunningError(this.path, this.#live.stats().counters['page'] ?? 0)
    }
    const { live, outcome } = helping ?? this.#newCrawl(fresh)
    this.#helping = undefined
    if (helping === undefined) void live.begin(fresh)
    else live.asked()
    const cancel = (): void => live.cancel(signal?.reason)
    if (signal?.aborted === true) cancel()
    else signal?.addEventListener('abort', cancel, { once: true })
    void outcome.then(() => signal?.removeEventListener('abort', cancel))
    return new Crawl(live, outcome)
  }

  /** Takes part where other processes crawl, without being asked. */
  async #help(): Promise<void> {
    if (this.#isLooking || this.#live !== undefined || this.#isStopping || this.#isDown) return
    this.#isLooking = true
    const isThere = await this.#lookout?.isThere().catch(() => false)
    this.#isLooking = false
    if (isThere !== true || this.#live !== undefined || this.#isStopping || this.#isDown) return
    this.#kept = undefined // the others know more of it
    const helping = this.#newCrawl(false)
    this.#helping = helping
    void helping.live.begin(false, false)
  }

  #newCrawl(fresh: boolean): { readonly live: LiveCrawl; readonly outcome: Promise<CrawlOutcome> } {
    const isKnown = !fresh && !this.#tree.broker.durable
    const store = (isKnown ? this.#kept : undefined) ?? new CrawlStore(this.#tree, this.path)
    this.#kept = store
    const { promise, resolve } = Promise.withResolvers<CrawlOutcome>()
    const live = new LiveCrawl(
      this.#spider,
      {
        tree: this.#tree,
        path: this.path,
        level: this,
        host: this.#place.host,
        ended: (outcome, isKept) => {
          if (!isKept) this.#kept = undefined
          this.#helping = undefined
          resolve(outcome)
          if (this.#isStopping) this.#down()
        },
        failed: (failure) => this.#failed(failure),
      },
      store,
    )
    this.#crawl = live
    this.#spider.crawls(() => live.stats())
    return { live, outcome: promise }
  }

  /** Queues a dead letter again; the crawl there is gets it, or the next one. */
  async replay(id: string, given: { readonly input: unknown } | undefined): Promise<{ readonly run: AnyRun }> {
    const { broker, runs } = this.#tree
    if (given !== undefined) {
      throw new InvalidOptionError('replay()', 'input', given.input, 'A page is asked for again as it was.')
    }
    if ((await broker.replay(id, undefined)) === undefined) throw new UnknownJobError(id)
    const run: AnyRun = new Run(this.#runHost, id)
    Run.tell.queued(run)
    runs.add(id, run)
    this.#live?.revived()
    return { run }
  }

  cancelLive(id: string, reason: unknown): void {
    this.#live?.cancelLive(id, reason)
  }

  buried(job: BuriedJob): void {
    const settle = (id: string, outcome: RunOutcome): void =>
      announce(this.#tree, `${this.path}/request:${id}`, id, outcome)
    const definition = { retry: { attempts: 1, backoff: undefined, when: undefined } }
    bury({ tree: this.#tree, definition, path: this.path, level: this, settle }, job)
    this.#live?.buried()
  }

  close(): void {
    this.#tree.runs.abandonAll()
  }

  quiet(): Promise<void> | undefined {
    return this.#crawl?.quiet()
  }

  get #runHost(): RunHost {
    const { broker, runs, name } = this.#tree
    return {
      jobPath: (id) => `${this.path}/request:${id}`,
      cancel: ({ id }, reason) => {
        this.cancelLive(id, reason)
        void Promise.resolve(broker.cancel(id, reason)).then((answer) => {
          if (answer !== 'cancelled') return
          this.#live?.changed(-1)
          runs.settle(id, { status: 'cancelled', reason, attempts: 0 })
        })
      },
      abandon: (id) =>
        runs.settle(id, { status: 'cancelled', reason: new SystemStoppedError(name, { job: id }), attempts: 0 }),
      lookAgain: () => {},
    }
  }

  get #live(): LiveCrawl | undefined {
    return this.#crawl?.isOver === false ? this.#crawl : undefined
  }

  #failed(failure: Failure): void {
    if (!this.#isStopping) {
      this.#isDown = true
      this.#unwatch?.()
      return this.#reports.failed(failure)
    }
    addToTrail(failure, { path: this.path, decision: 'stop', by: 'stopping' })
    this.#tree.report(failure, 'stop')
  }

  #down(): void {
    if (this.#isDown) return
    this.#isDown = true
    this.#unwatch?.()
    const { generation } = this.#place
    this.#tree.counters.actors[this.#how] += 1
    this.#tree.events.emit('actor.stopped', { path: this.path, generation, how: this.#how })
    this.#reports.down()
  }
}
