import type { Clock } from '../clock.ts'
import type { Duration } from '../duration.ts'
import { checkKeys, readDuration } from '../options.ts'
import type { CrawlRequest } from './request.ts'
import { headerOf, listHeaderOf, type Response } from './response.ts'
import { withoutFragment } from './url-identity.ts'

/** `true` keeps a page as long as its server says; `maxAge` as long as you say. */
export type CacheOption = boolean | { readonly maxAge: Duration }

/** A page that is kept. */
export interface CacheEntry {
  readonly response: Response
  /** When it came, or was last confirmed, by the clock. */
  readonly at: number
  /** The request's headers that the page depends on. */
  readonly vary: Readonly<Record<string, string | undefined>>
}

/** Where pages are kept. */
export interface CacheStore {
  get(key: string): CacheEntry | undefined
  set(key: string, entry: CacheEntry): void
}

/** The cache of a crawl: which pages may be used again, which must be asked for, and how. */
export class Cache {
  readonly #store: CacheStore
  readonly #clock: Clock
  readonly #maxAge: number | undefined

  constructor(maxAge: number | undefined, clock: Clock, store: CacheStore) {
    this.#maxAge = maxAge
    this.#clock = clock
    this.#store = store
  }

  /** A page that needs no fetch. */
  hit(request: CrawlRequest): Response | undefined {
    const entry = request.cache === 'use' ? this.#entryOf(request) : undefined
    return entry !== undefined && this.#isFresh(entry) ? fromCache(entry) : undefined
  }

  /** What asks a server whether the page we have is still the page. */
  validators(request: CrawlRequest, url: string): Readonly<Record<string, string>> {
    const entry = request.cache === 'use' ? this.#entryOf(request) : undefined
    if (entry === undefined || withoutFragment(entry.response.url) !== withoutFragment(url)) return {}
    const etag = headerOf(entry.response.headers, 'etag')
    const modified = headerOf(entry.response.headers, 'last-modified')
    if (etag !== undefined) return { 'if-none-match': etag }
    return modified === undefined ? {} : { 'if-modified-since': modified }
  }

  /** The page a 304 confirmed, which is good from now on again. */
  confirm(request: CrawlRequest): Response | undefined {
    const entry = this.#entryOf(request)
    if (entry === undefined) return undefined
    this.#store.set(keyOf(request), { ...entry, at: this.#clock.now() })
    return fromCache(entry)
  }

  /** Keeps a good page, where it may be kept. */
  keep(request: CrawlRequest, response: Response): void {
    if (request.method !== 'GET' || request.cache === 'skip') return
    if (this.#maxAge === undefined && /\bno-store\b/i.test(cacheControl(response))) return
    const vary = listHeaderOf(response.headers, 'vary') ?? ''
    if (vary.includes('*') || vary.length > 1000) return
    const names = vary.split(',').map((name) => name.trim().toLowerCase())
    const seen = Object.fromEntries(names.filter((name) => name !== '').map((name) => [name, request.headers[name]]))
    this.#store.set(keyOf(request), { response, at: this.#clock.now(), vary: seen })
  }

  #entryOf(request: CrawlRequest): CacheEntry | undefined {
    if (request.method !== 'GET') return undefined
    const entry = this.#store.get(keyOf(request))
    const fits =
      entry !== undefined && Object.entries(entry.vary).every(([name, value]) => request.headers[name] === value)
    return fits ? entry : undefined
  }

  #isFresh({ response, at }: CacheEntry): boolean {
    const age = this.#clock.now() - at
    return age < (this.#maxAge ?? lifetimeOf(response, at))
  }
}

/** Reads the option; undefined is no cache. */
export function readCache(
  subject: string,
  value: CacheOption | undefined,
): { readonly maxAge: number | undefined } | undefined {
  if (value === undefined || value === false) return undefined
  if (value === true) return { maxAge: undefined }
  checkKeys(`cache of ${subject}`, value, ['maxAge'])
  return { maxAge: readDuration(`cache of ${subject}`, 'maxAge', value.maxAge, { infinite: true }) }
}

/** Keeps pages in memory, the ones used last, up to so many bytes. */
export function memoryCache(mostBytes: number = 64 * 1024 * 1024): CacheStore {
  const entries = new Map<string, CacheEntry>()
  let bytes = 0

  const drop = (key: string): void => {
    bytes -= sizeOf(entries.get(key))
    entries.delete(key)
  }
  return {
    get: (key) => {
      const entry = entries.get(key)
      if (entry === undefined) return undefined
      entries.delete(key) // a Map keeps the order of insertion: now it is the last one
      entries.set(key, entry)
      return entry
    },
    set: (key, entry) => {
      drop(key)
      if (sizeOf(entry) > mostBytes) return
      entries.set(key, entry)
      bytes += sizeOf(entry)
      for (const oldest of entries.keys()) {
        if (bytes <= mostBytes) return
        drop(oldest)
      }
    },
  }
}

/** What an entry weighs besides its body, roughly: its headers and URLs. */
const OVERHEAD = 2048

const sizeOf = (entry: CacheEntry | undefined): number =>
  entry === undefined ? 0 : entry.response.body.length + OVERHEAD
const keyOf = (request: CrawlRequest): string => withoutFragment(request.url)
const fromCache = ({ response }: CacheEntry): Response => ({ ...response, fromCache: true, wireBytes: 0 })
const cacheControl = (response: Response): string => listHeaderOf(response.headers, 'cache-control') ?? ''

/** How long a page is good for, by what its server said. */
function lifetimeOf(response: Response, at: number): number {
  const control = cacheControl(response)
  if (/\bno-cache\b/i.test(control)) return 0
  const seconds = /\bmax-age\s*=\s*"?(\d{1,10})/i.exec(control)?.[1]
  if (seconds !== undefined) return Number(seconds) * 1000
  const expires = Date.parse(headerOf(response.headers, 'expires') ?? '')
  return Number.isNaN(expires) ? 0 : Math.max(0, expires - at)
}
