import { Failure } from '../failure.ts'
import type { Tree } from '../actors/tree.ts'
import { UnknownHandlerError } from './errors.ts'
import type { CrawlRequest } from './request.ts'
import { Seeds } from './seeds.ts'
import type { SpiderDefinition } from './spider-definition.ts'
import { readSitemaps } from './sitemaps.ts'
import type { StartContext } from './spider-options.ts'
import type { Numbers } from './stats.ts'
import type { Tools } from './tools.ts'

/** Requests that are not over while more of them are read from a generator, for hosts that could be asked. */
const MOST_AHEAD = 10_000

/** What reading `start` needs of its crawl. */
export interface SeededCrawl {
  readonly tree: Tree
  readonly path: string
  readonly subject: string
  readonly spider: SpiderDefinition
  readonly numbers: Numbers
  readonly isCrawling: boolean
  /** Queues what `start` gave. */
  add(requests: readonly CrawlRequest[]): void
  /** `start` gave nothing more at present. */
  seeded(): void
  /** A request of `start` has no handler. */
  refused(error: UnknownHandlerError): void
  fatal(failure: Failure): void
  maybeOver(): void
}

/** Reads `start`, no faster than the queue empties, and checks that there is a handler for each request. */
export class Seeding {
  readonly #crawl: SeededCrawl
  readonly #isEnded = new AbortController()
  #seeds: Seeds | undefined

  constructor(crawl: SeededCrawl) {
    this.#crawl = crawl
  }

  /** Whether there is nothing more to read, and nothing on its way. */
  get isOver(): boolean {
    return this.#seeds?.isOver === true && !this.#seeds.isReading
  }

  /** A list is there as a whole: what is wrong in it is said before anything is fetched. */
  checkList(): void {
    const { start } = this.#crawl.spider.settings
    if (Array.isArray(start)) for (const request of start as readonly CrawlRequest[]) this.check(request)
  }

  check({ name }: CrawlRequest): void {
    const { name: spider, handlers } = this.#crawl.spider
    if (!handlers.has(name)) throw new UnknownHandlerError(spider, name, [...handlers.keys()])
  }

  /** So many of its elements were read already. */
  begin({ fetcher, politeness }: Tools, read: number): void {
    const { tree, path, subject, spider } = this.#crawl
    const { signal } = this.#isEnded
    const sitemap = (url: string): ReturnType<StartContext['sitemap']> =>
      readSitemaps(url, { tree, path, spider, fetcher, politeness, signal })
    this.#seeds = new Seeds(subject, spider.settings.start, read, { sitemap, signal })
  }

  end(): void {
    this.#isEnded.abort()
    this.#seeds?.end()
  }

  /**
   * Nothing is due: it is read on, or all is over. What is due and waits for hosts that are full may be all there is of
   * them: others are looked for, in a list to its end, in a generator so far.
   */
  ranDry(areFull: boolean): void {
    const seeds = this.#seeds
    if (seeds === undefined) return this.#crawl.maybeOver() // another process reads it
    const { numbers, spider } = this.#crawl
    if (seeds.isOver || seeds.isReading) return this.#crawl.maybeOver()
    if (areFull && numbers.open >= MOST_AHEAD && !Array.isArray(spider.settings.start)) return
    void this.#read(seeds)
  }

  async #read(seeds: Seeds): Promise<void> {
    const crawl = this.#crawl
    try {
      const requests = await seeds.read(crawl.spider.settings.concurrency)
      if (!crawl.isCrawling) return
      for (const request of requests) this.check(request)
      crawl.numbers.seeds += requests.length
      if (requests.length > 0) return crawl.add(requests)
      crawl.seeded()
      crawl.maybeOver()
    } catch (error) {
      if (!crawl.isCrawling) return crawl.maybeOver() // it was told to stop
      if (error instanceof UnknownHandlerError) return crawl.refused(error)
      crawl.fatal(new Failure({ error, path: crawl.path, kind: 'thrown', at: crawl.tree.clock.now() }))
    }
  }
}
