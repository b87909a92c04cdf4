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
import { LiveCrawl } from './live-crawl.ts'
import type { SpiderDefinition } from './spider-definition.ts'
import { CrawlStore } from './store.ts'

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
    if (this.#live !== undefined) throw new CrawlRunningError(this.path, this.#live.numbers.get('page'))
    const store = (fresh ? undefined : this.#kept) ?? new CrawlStore(this.#tree, this.path)
    this.#kept = store
    const { promise, resolve } = Promise.withResolvers<CrawlOutcome>()
    const cancel = (): void => live.cancel(signal?.reason)
    const live = new LiveCrawl(
      this.#spider,
      {
        tree: this.#tree,
        path: this.path,
        level: this,
        host: this.#place.host,
        ended: (outcome, isKept) => {
          signal?.removeEventListener('abort', cancel)
          if (!isKept) this.#kept = undefined
          resolve(outcome)
          if (this.#isStopping) this.#down()
        },
        failed: (failure) => this.#failed(failure),
      },
      store,
    )
    this.#crawl = live
    this.#spider.crawls(() => live.stats())
    void live.begin(fresh)
    if (signal?.aborted === true) cancel()
    else signal?.addEventListener('abort', cancel, { once: true })
    return new Crawl(live, promise)
  }

  /** Queues a dead letter again; the crawl there is gets it, or the next one. */
  async replay(id: string, given: { readonly input: unknown } | undefined): Promise<{ readonly run: AnyRun }> {
    const { broker, runs } = this.#tree
    if (given !== undefined) {
      throw new InvalidOptionError('replay()', 'input', given.input, 'A page is asked for again as it was.')
    }
    if ((await broker.replay(id, undefined)) === undefined) throw new UnknownJobError(id)
    const path = `${this.path}/request:${id}`
    const run: AnyRun = new Run(this.#runHost, id, path)
    Run.tell.queued(run, { id, duplicate: false }, path)
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
      return this.#reports.failed(failure)
    }
    addToTrail(failure, { path: this.path, decision: 'stop', by: 'stopping' })
    this.#tree.report(failure, 'stop')
  }

  #down(): void {
    if (this.#isDown) return
    this.#isDown = true
    const { generation } = this.#place
    this.#tree.counters.actors[this.#how] += 1
    this.#tree.events.emit('actor.stopped', { path: this.path, generation, how: this.#how })
    this.#reports.down()
  }
}
