import { exponential, resume, start, supervisor, type System } from 'rootcatch'
import { spider, type Crawl, type CrawlOutcome, type Spider, type SpiderOptions } from 'rootcatch/crawl'

/** A clock on which waits are over soon: real sockets need real time, and pauses of minutes need not be real. */
export function hurriedClock(factor = 100): NonNullable<Parameters<typeof start>[1]>['clock'] & object {
  const [origin, began] = [1_700_000_000_000, performance.now()]
  return {
    now: () => origin + (performance.now() - began) * factor,
    setTimeout: (callback, ms) => setTimeout(callback, Math.min(ms / factor, 2 ** 31 - 1)),
    clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout),
  }
}

const defaults: SpiderOptions = {
  allowPrivate: ['127.0.0.1'],
  robots: false,
  timeout: '1h',
  connectTimeout: '1h',
  handlerTimeout: '1h',
  backoff: exponential({ from: 0, to: 0 }),
}

/** A spider for sites of this machine, for a hurried clock. */
export function localSpider(name: string, options: SpiderOptions = {}): Spider {
  return spider(name, { ...defaults, ...options })
}

/** A system whose root catch lets failed pages be. */
export function startQuietly(books: Spider, options: Parameters<typeof start>[1] = {}): Promise<System> {
  return start(supervisor('app', [books]), { catch: () => resume, clock: hurriedClock(), ...options })
}

/** One crawl of a spider in a system of its own. */
export async function crawlOnce(
  books: Spider,
  options: Parameters<typeof start>[1] = {},
): Promise<{
  readonly crawl: Crawl
  readonly outcome: CrawlOutcome
  readonly counters: Readonly<Record<string, number>>
}> {
  await using system = await startQuietly(books, options)
  const crawl = system.run(books)
  const outcome = await crawl.settled()
  return { crawl, outcome, counters: crawl.stats().counters }
}
