import { systemClock, type Clock } from '../clock.ts'
import { Cache, memoryCache, readCache, type CacheStore } from './cache.ts'
import { Connections } from './connections.ts'
import { Cookies } from './cookies.ts'
import { ProxyError } from './errors.ts'
import { FetchTry, type Outcome, type TryOptions, type TryParts } from './fetch-try.ts'
import { readFetcherOptions, type FetcherOptions } from './fetcher-options.ts'
import { guard, type Guard } from './guard.ts'
import { Proxies } from './proxies.ts'
import type { CrawlRequest } from './request.ts'
import type { Response } from './response.ts'

/** What a fetcher stands on; the runtime and tests bring their own. */
export interface FetcherParts {
  readonly clock?: Clock | undefined
  readonly guard?: Guard | undefined
  readonly cookies?: Cookies | undefined
  readonly cacheStore?: CacheStore | undefined
}

/** Fetches the pages of one crawl: it has its connections, cookies, proxies and cache. Close it when the crawl is over. */
export class Fetcher implements AsyncDisposable {
  /** The cookies of this crawl; undefined where they are turned off. */
  readonly cookies: Cookies | undefined
  readonly #proxies: Proxies
  readonly #parts: TryParts

  constructor(options: FetcherOptions = {}, parts: FetcherParts = {}) {
    const settings = readFetcherOptions('spider', options)
    const clock = parts.clock ?? systemClock
    const gate = parts.guard ?? guard(options.allowPrivate)
    const cache = readCache('spider', options.cache)
    this.cookies = settings.cookies ? (parts.cookies ?? new Cookies()) : undefined
    this.#proxies = new Proxies(options.proxies, clock)
    this.#parts = {
      settings,
      clock,
      guard: gate,
      connections: new Connections(gate, options.tls),
      cookies: this.cookies,
      cache: cache && new Cache(cache.maxAge, clock, parts.cacheStore ?? memoryCache()),
    }
  }

  /** A page from the cache: no try, and no host that waits. */
  cached(request: CrawlRequest): Response | undefined {
    return this.#parts.cache?.hit(request)
  }

  /** Makes one try. It rejects only with the reason of its signal. A proxy that is away is no try while one is left. */
  async fetch(request: CrawlRequest, options: TryOptions = {}): Promise<Outcome> {
    let last = options.lastProxy
    for (;;) {
      const proxy = this.#proxies.draw(request, last)
      const outcome = await new FetchTry(request, options, proxy, this.#parts).run()
      const isAway = outcome.kind === 'error' && outcome.error instanceof ProxyError
      if (!isAway || proxy === undefined) return outcome
      this.#proxies.bench(proxy)
      if (!this.#proxies.hasOther(request)) return outcome
      last = proxy
    }
  }

  /** Ends every connection, also those in use. */
  async close(): Promise<void> {
    await this.#parts.connections.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
