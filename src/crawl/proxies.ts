import type { Clock } from '../clock.ts'
import { InvalidOptionError } from '../errors.ts'
import { readProxy } from './request-options.ts'
import type { CrawlRequest } from './request.ts'

/** URLs of proxies to draw from, or a function that names one for a request; undefined is none. */
export type ProxiesOption = readonly string[] | ((request: CrawlRequest) => string | undefined)

/** How long a proxy rests that was away. */
const BENCH = 60_000

/** The proxies of a crawl: drawn in turn, each try another one than the last, those that were away left out for a while. */
export class Proxies {
  readonly #urls: readonly string[]
  readonly #choose: ((request: CrawlRequest) => string | undefined) | undefined
  readonly #clock: Clock
  readonly #benched = new Map<string, number>()
  #next = 0

  constructor(option: ProxiesOption | undefined, clock: Clock) {
    this.#clock = clock
    this.#choose = typeof option === 'function' ? option : undefined
    this.#urls = option === undefined || typeof option === 'function' ? [] : readProxies(option)
  }

  /** The proxy for a try, undefined for none. `last` is the one that was just away, if one was. */
  draw(request: CrawlRequest, last?: string): string | undefined {
    if (request.proxy !== undefined) return request.proxy === false ? undefined : request.proxy
    if (this.#choose !== undefined) {
      const chosen = readProxy('spider', 'proxies()', this.#choose(request))
      return chosen === false ? undefined : chosen
    }
    return this.#drawNext(last) ?? this.#soonestBack()
  }

  /** Lets a proxy rest that was away. */
  bench(url: string): void {
    if (this.#urls.includes(url)) this.#benched.set(url, this.#clock.now() + BENCH)
  }

  /** Whether a try may go on with another proxy than the ones that were away. */
  hasOther(request: CrawlRequest): boolean {
    return request.proxy === undefined && this.#urls.some((url) => !this.#isBenched(url))
  }

  #drawNext(last: string | undefined): string | undefined {
    const count = this.#urls.length
    for (let step = 0; step < count; step += 1) {
      const url = this.#urls[(this.#next + step) % count] as string
      if (this.#isBenched(url) || (url === last && count > 1)) continue
      this.#next = (this.#next + step + 1) % count
      return url
    }
    return undefined
  }

  /** When all of them rest, the one that has rested longest gets a chance: to wait would be to stand still. */
  #soonestBack(): string | undefined {
    return this.#urls.toSorted((a, b) => (this.#benched.get(a) ?? 0) - (this.#benched.get(b) ?? 0))[0]
  }

  #isBenched(url: string): boolean {
    const until = this.#benched.get(url)
    if (until === undefined) return false
    if (until > this.#clock.now()) return true
    this.#benched.delete(url)
    return false
  }
}

function readProxies(list: readonly unknown[]): readonly string[] {
  const isList = Array.isArray(list) && list.length > 0
  if (!isList)
    throw new InvalidOptionError('spider', 'proxies', list, `Pass a list of URLs, or a function that gives one.`)
  return list.map((one, index) => {
    const url = readProxy('spider', `proxies[${index}]`, one)
    if (typeof url === 'string') return url
    throw new InvalidOptionError('spider', `proxies[${index}]`, one, `Write an http or https URL.`)
  })
}
