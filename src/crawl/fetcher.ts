import { systemClock, type Clock } from '../clock.ts'
import { Cache, memoryCache, readCache, type CacheStore } from './cache.ts'
import { Connections } from './connections.ts'
import { Cookies } from './cookies.ts'
import { Deadlines } from './deadlines.ts'
import { acceptEncoding } from './decoding.ts'
import { FetchTry, type TryParts } from './fetch-try.ts'
import type { Fetching, FetchOptions, Outcome, TryOptions } from './fetching.ts'
import { readFetcherOptions, type FetcherOptions } from './fetcher-options.ts'
import { GiveUp } from './give-up.ts'
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
  /** How many fetches there are at once. @default as many as are asked for */
  readonly concurrency?: number | undefined
}

const accept = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'

/** Fetches the pages of one crawl: it has its connections, cookies, proxies and cache. Close it when the crawl is over. */
export class Fetcher implements AsyncDisposable {
  /** The cookies of this crawl; undefined where they are turned off. */
  readonly cookies: Cookies | undefined
  readonly #proxies: Proxies
  readonly #hasProxies: boolean
  readonly #parts: TryParts

  constructor(options: FetcherOptions = {}, parts: FetcherParts = {}) {
    const settings = readFetcherOptions('spider', options)
    const clock = parts.clock ?? systemClock
    const gate = parts.guard ?? guard(options.allowPrivate)
    const cache = readCache('spider', options.cache)
    this.cookies = settings.cookies ? (parts.cookies ?? new Cookies()) : undefined
    this.#proxies = new Proxies(options.proxies, clock)
    this.#hasProxies = options.proxies !== undefined
    this.#parts = {
      settings,
      clock,
      deadlines: new Deadlines(clock),
      guard: gate,
      connections: new Connections(gate, options.tls, parts.concurrency),
      headers: { accept, 'accept-encoding': acceptEncoding, ...settings.headers },
      cookies: this.cookies,
      cache: cache && new Cache(cache.maxAge, clock, parts.cacheStore ?? memoryCache()),
    }
  }

  /** A page from the cache: no try, and no host that waits. */
  cached(request: CrawlRequest): Response | undefined {
    return this.#parts.cache?.hit(request)
  }

  /** Makes one try. It rejects only with the reason of its signal. */
  async fetch(request: CrawlRequest, options: FetchOptions = {}): Promise<Outcome> {
    const { signal } = options
    if (signal === undefined) return await outcomeOf(this.begin(request, options))
    const giveUp = new GiveUp()
    const onAbort = (): void => giveUp.giveUp(signal.reason)
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort)
    try {
      return await outcomeOf(this.begin(request, { ...options, giveUp }))
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Begins one try. A proxy that is away is no try while one is left. */
  begin(request: CrawlRequest, options: TryOptions): Fetching {
    const isDirect = !this.#hasProxies && request.proxy === undefined
    return isDirect ? new FetchTry(request, options, undefined, this.#parts) : this.#beginByProxy(request, options)
  }

  #beginByProxy(request: CrawlRequest, options: TryOptions): Fetching {
    let tried: FetchTry
    const tryAll = async (): Promise<void> => {
      let last = options.lastProxy
      for (;;) {
        const proxy = this.#proxies.draw(request, last)
        tried = new FetchTry(request, options, proxy, this.#parts)
        await tried.over
        if (!tried.isProxyAway || proxy === undefined) return
        this.#proxies.bench(proxy)
        if (!this.#proxies.hasOther(request)) return
        last = proxy
      }
    }
    return { over: tryAll(), take: () => tried.take() }
  }

  /** Ends every connection, also those in use. */
  async close(): Promise<void> {
    this.#parts.deadlines.close()
    await this.#parts.connections.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

async function outcomeOf(fetching: Fetching): Promise<Outcome> {
  await fetching.over
  return fetching.take()
}
