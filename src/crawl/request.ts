import { brandClass, isBranded } from '../brand.ts'
import { InvalidOptionError } from '../errors.ts'
import { cut } from '../evidence.ts'
import { readName } from '../options.ts'
import type { Json } from '../payload.ts'
import { redact } from '../secrets.ts'
import { signsIn, withoutHeaders } from './redirects.ts'
import {
  readRequestOptions,
  requestKeys,
  type CacheMode,
  type Meta,
  type RequestFields,
  type RequestOptions,
} from './request-options.ts'
import { identityOf, isWhole, readUrl, withoutFragment, type BadUrl } from './url-identity.ts'
import { originOf } from './url-parts.ts'

const brand = Symbol.for('rootcatch.request')

/** Where a request stands in its crawl; the runtime counts, the user reads. */
export interface RequestPlace {
  readonly id?: string | undefined
  /** How many `follow`s lie between the start and this request. */
  readonly depth?: number
}

/** What a copy of a request has of its own. */
interface Change {
  readonly networkTryCount?: number
  readonly taskTryCount?: number
  readonly cache?: CacheMode
  readonly headers?: Readonly<Record<string, string>>
}

/** The page a request was answered with, as far as `follow` needs it. */
export interface PageBase {
  /** The final URL, after redirects. */
  readonly url: string
  /** What relative links are read against: `<base href>`, else the final URL. */
  readonly base: string
}

/** What to fetch: data, frozen. Made by `request()`, by `follow` and by `clone`. */
export class CrawlRequest implements RequestFields {
  static {
    brandClass(this, brand)
  }

  readonly name: string
  /** As WHATWG writes it, without what signs in. A URL that cannot be fetched stays as it was given. */
  readonly url: string
  /** Why the URL cannot be fetched; undefined when it can. Such a request is listed and never tried. */
  readonly badUrl: BadUrl | undefined
  readonly id: string | undefined
  readonly depth: number
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array | undefined
  readonly priority: number
  readonly delay: number
  readonly meta: Meta
  readonly timeout: number | undefined
  readonly connectTimeout: number | undefined
  readonly validStatus: readonly number[]
  readonly networkTryLimit: number | undefined
  readonly taskTryLimit: number | undefined
  readonly networkTryCount: number
  readonly taskTryCount: number
  readonly raw: boolean
  readonly dedupe: boolean
  readonly uniqueKey: string | undefined
  readonly cache: CacheMode
  readonly proxy: string | false | undefined
  readonly encoding: string | undefined
  readonly #page: PageBase | undefined
  #identity: string | undefined

  /** @internal `request()` checks what stands here. */
  constructor(target: Target, fields: RequestFields, place: RequestPlace = {}, page?: PageBase, change: Change = {}) {
    this.name = target.name
    this.url = target.url
    this.badUrl = target.badUrl
    this.id = place.id
    this.depth = place.depth ?? 0
    this.method = fields.method
    this.headers = change.headers ?? fields.headers
    this.body = fields.body
    this.priority = fields.priority
    this.delay = fields.delay
    this.meta = fields.meta
    this.timeout = fields.timeout
    this.connectTimeout = fields.connectTimeout
    this.validStatus = fields.validStatus
    this.networkTryLimit = fields.networkTryLimit
    this.taskTryLimit = fields.taskTryLimit
    this.networkTryCount = change.networkTryCount ?? fields.networkTryCount
    this.taskTryCount = change.taskTryCount ?? fields.taskTryCount
    this.raw = fields.raw
    this.dedupe = fields.dedupe
    this.uniqueKey = fields.uniqueKey
    this.cache = change.cache ?? fields.cache
    this.proxy = fields.proxy
    this.encoding = fields.encoding
    this.#page = page
    Object.freeze(this)
  }

  /** What the same request is known by when it comes again. */
  get identity(): string {
    this.#identity ??= identityOf(this)
    return this.#identity
  }

  /** A request that this one's page leads to. Relative URLs are read as a browser reads them, and `Referer` is set. */
  follow(name: string, url: string, options: RequestOptions = {}): CrawlRequest {
    // Where a page stands is looked up in its text, and a whole URL needs it not.
    const target = readTarget(name, url, isWhole(url) ? undefined : (this.#page?.base ?? this.url))
    const fields = readRequestOptions(target.name, options)
    const isRead = target.badUrl === undefined && (this.badUrl === undefined || this.#page !== undefined)
    const referer = isRead ? refererOf(this.#page?.url ?? this.url, target.url) : undefined
    const headers = referer === undefined ? fields.headers : { referer, ...fields.headers }
    return new CrawlRequest(target, withHeaders(fields, headers, target), { depth: this.depth + 1 })
  }

  /**
   * The same request once more, changed as the options say. Sent to the same place it counts as the next try by hand,
   * so that it is not taken for the one that was.
   */
  clone(options: RequestOptions & { readonly name?: string; readonly url?: string } = {}): CrawlRequest {
    const { name = this.name, url, ...rest } = options
    const target = url === undefined ? { ...this.#target(), name: checkName(name) } : readTarget(name, url, this.url)
    const given = readRequestOptions(target.name, rest)
    const merged: Record<string, unknown> = { ...this.#fields(), delay: 0, networkTryCount: 0, taskTryCount: 1 }
    for (const key of Object.keys(rest) as (keyof RequestOptions)[]) {
      if (rest[key] !== undefined) merged[key] = given[key]
    }
    const fields = merged as unknown as RequestFields
    const same = this.#isSameWork(target, fields)
    const taskTryCount = same ? Math.max(fields.taskTryCount, this.taskTryCount + 1) : fields.taskTryCount
    const sameSite = URL.parse(target.url)?.origin === URL.parse(this.url)?.origin
    const headers = sameSite || rest.headers !== undefined ? fields.headers : withoutSecrets(fields.headers)
    return new CrawlRequest(target, withHeaders({ ...fields, taskTryCount }, headers, target), { depth: this.depth })
  }

  /** @internal This request on its page: what `follow` is relative to. */
  on(page: PageBase): CrawlRequest {
    return new CrawlRequest(this, this, this, page)
  }

  /** @internal This request with other counts, or with the id it was stored under. */
  counted(change: RequestPlace & Change): CrawlRequest {
    const { id = this.id, depth = this.depth } = change
    return new CrawlRequest(this, this, { id, depth }, this.#page, change)
  }

  /** What is stored: what differs from the defaults, as JSON. */
  toJSON(): { readonly [key: string]: Json } {
    const json: Record<string, Json> = { name: this.name, url: this.url }
    for (const [key, usual] of stored) {
      const value = this[key]
      if (value === usual || value === undefined || isEmpty(value)) continue
      json[key] = (value === Infinity ? null : value) as Json
    }
    if (this.body instanceof Uint8Array) {
      delete json['body']
      json['bytes'] = Buffer.from(this.body).toString('base64')
    }
    return json
  }

  #target(): Target {
    return { name: this.name, url: this.url, badUrl: this.badUrl, authorization: undefined }
  }

  #fields(): RequestFields {
    return Object.fromEntries(requestKeys.map((key) => [key, this[key]])) as unknown as RequestFields
  }

  #isSameWork(target: Target, fields: RequestFields): boolean {
    const plain = { uniqueKey: undefined, taskTryCount: 1 }
    const other = identityOf({ ...target, method: fields.method, body: fields.body, ...plain })
    return other === identityOf({ ...this.#target(), method: this.method, body: this.body, ...plain })
  }
}

/**
 * A request for a spider: `name` says which handler gets the page. A bad URL is no mistake of the caller but data: it
 * is counted and listed by the crawl. An unknown option is one.
 *
 * @example
 * const list = request('list', 'https://books.example/', { priority: -1 })
 */
export function request(name: string, url: string, options: RequestOptions = {}): CrawlRequest {
  const target = readTarget(name, url)
  const fields = readRequestOptions(target.name, options)
  return new CrawlRequest(target, withHeaders(fields, fields.headers, target))
}

/** The request that `toJSON` wrote. */
export function requestFromJSON(json: { readonly [key: string]: unknown }): CrawlRequest {
  const { name, url, id, depth, bytes, networkTryLimit, taskTryLimit, ...rest } = json
  const options = { ...rest, networkTryLimit: toLimit(networkTryLimit), taskTryLimit: toLimit(taskTryLimit) }
  const body = typeof bytes === 'string' ? { body: new Uint8Array(Buffer.from(bytes, 'base64')) } : {}
  const target = readTarget(name, url)
  const fields = readRequestOptions(target.name, { ...options, ...body } as RequestOptions)
  const place = { id: typeof id === 'string' ? id : undefined, depth: typeof depth === 'number' ? depth : 0 }
  return new CrawlRequest(target, withHeaders(fields, fields.headers, target), place)
}

/** Whether a value is a request, of this or a second copy of the package. */
export function isRequest(value: unknown): value is CrawlRequest {
  return isBranded(value, brand)
}

interface Target {
  readonly name: string
  readonly url: string
  readonly badUrl: BadUrl | undefined
  /** What stood in its URL to sign in. */
  readonly authorization?: string | undefined
}

/** A bad URL that is kept to be looked at is data of somebody else's: it is cut, and has no secrets. */
const LONGEST_BAD_URL = 1000

function readTarget(name: unknown, url: unknown, base?: string): Target {
  const checked = checkName(name)
  const text = url instanceof URL ? url.href : url
  if (typeof text !== 'string') {
    throw new InvalidOptionError(`request ${JSON.stringify(checked)}`, 'url', url, 'Pass a text or a URL.')
  }
  const read = readUrl(text, base)
  if ('bad' in read) {
    return { name: checked, url: redact(cut(text, LONGEST_BAD_URL)), badUrl: read.bad, authorization: undefined }
  }
  return { name: checked, url: read.url.href, badUrl: undefined, authorization: read.authorization }
}

const checkName = (name: unknown): string => readName('request', name)

function withHeaders(fields: RequestFields, headers: Readonly<Record<string, string>>, target: Target): RequestFields {
  const { authorization } = target
  const all = authorization === undefined ? headers : { authorization, ...headers }
  return all === fields.headers ? fields : { ...fields, headers: Object.freeze(all) }
}

/** What browsers tell by default: the page to its own site, the site to others, nothing to who listens unencrypted. */
function refererOf(from: string, to: string): string | undefined {
  const [page, target] = [originOf(from), originOf(to)]
  if (page === target) return withoutFragment(from)
  return page.startsWith('https:') && target.startsWith('http:') ? undefined : `${page}/`
}

const defaults: Readonly<Record<string, unknown>> = {
  method: 'GET',
  priority: 0,
  delay: 0,
  networkTryCount: 0,
  taskTryCount: 1,
  raw: false,
  dedupe: true,
  cache: 'use',
  depth: 0,
}

/** What is stored, beside what it is if nobody says anything else. */
const stored = [...requestKeys, 'id' as const, 'depth' as const].map((key) => [key, defaults[key]] as const)

function isEmpty(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  for (const _ in value) return false // the fastest way to ask for any key
  return true
}

/** JSON has no `Infinity`; nothing else of a request is null. */
const toLimit = (value: unknown): unknown => (value === null ? Infinity : value)

/** Headers for another site: what signs in at this one is none of its business. */
function withoutSecrets(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.freeze(withoutHeaders(headers, signsIn))
}
