import { validateHeaderName, validateHeaderValue } from 'node:http'
import type { Duration } from '../duration.ts'
import { InvalidOptionError } from '../errors.ts'
import { guarded } from '../evidence.ts'
import { checkKeys, readBoolean, readDuration, readOneOf, readWholeNumber } from '../options.ts'
import { copyPayload, type Json } from '../payload.ts'

/** What a request carries of its user's, as JSON keeps it. */
export type Meta = Readonly<Record<string, unknown>>

/** How a request deals with the cache, if the spider has one. */
export type CacheMode = 'use' | 'skip' | 'refresh'

export interface RequestOptions {
  /** @default 'GET' */
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  /** A form as `URLSearchParams` brings its content type along. */
  readonly body?: string | Uint8Array | URLSearchParams
  /** Smaller is earlier; kept over retries. @default 0 */
  readonly priority?: number
  /** The earliest start, from now; clones do not inherit it. @default 0 */
  readonly delay?: Duration
  /** Data of your own, as JSON; copied by `clone`, not by `follow`. @default {} */
  readonly meta?: Meta
  /** One try, from connect to the last byte, redirects included. @default the spider's, 15s */
  readonly timeout?: Duration
  /** DNS, TCP and TLS of each hop. @default the spider's, 3s */
  readonly connectTimeout?: Duration
  /** Statuses that are good besides 2xx, 404 and the spider's. */
  readonly validStatus?: number | readonly number[]
  /** All fetches, the first included. `Infinity` is no limit. @default the spider's, 10 */
  readonly networkTryLimit?: number
  /** All tries by hand, the first included. `Infinity` is no limit. @default the spider's, 10 */
  readonly taskTryLimit?: number
  /** Fetches that were made. @default 0 */
  readonly networkTryCount?: number
  /** The number of this try by hand. @default 1 */
  readonly taskTryCount?: number
  /** Whether the handler gets the first outcome, whatever it is. @default false */
  readonly raw?: boolean
  /** Whether the same request is dropped when it comes again. @default true */
  readonly dedupe?: boolean
  /** What the request is known by, instead of method, URL and body. */
  readonly uniqueKey?: string
  /** @default 'use' */
  readonly cache?: CacheMode
  /** A proxy for this request, or none at all. @default drawn from the spider's */
  readonly proxy?: string | false
  /** The charset of the page, whatever it says itself. */
  readonly encoding?: string
}

/** The options of a request as they were read. What is undefined is the spider's to say. */
export interface RequestFields {
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
}

/** Every option of a request. */
export const requestKeys: readonly (keyof RequestOptions)[] = [
  'method',
  'headers',
  'body',
  'priority',
  'delay',
  'meta',
  'timeout',
  'connectTimeout',
  'validStatus',
  'networkTryLimit',
  'taskTryLimit',
  'networkTryCount',
  'taskTryCount',
  'raw',
  'dedupe',
  'uniqueKey',
  'cache',
  'proxy',
  'encoding',
]

/** Reads the options of a request; `name` is for the sentence when one is wrong. */
export function readRequestOptions(name: string, options: RequestOptions): RequestFields {
  if (isPlainEmpty(options)) return usual
  const subject = `request ${JSON.stringify(name)}`
  checkKeys(subject, options, requestKeys)
  const body = readBody(subject, options.body)
  return {
    method: readMethod(subject, options.method) ?? 'GET',
    headers: readHeaders(subject, options.headers, options.body),
    body,
    priority: readWholeNumber(subject, 'priority', options.priority, { min: Number.MIN_SAFE_INTEGER }) ?? 0,
    delay: readDuration(subject, 'delay', options.delay) ?? 0,
    meta: readMeta(name, options.meta),
    timeout: readDuration(subject, 'timeout', options.timeout, { positive: true }),
    connectTimeout: readDuration(subject, 'connectTimeout', options.connectTimeout, { positive: true }),
    validStatus: readStatuses(subject, 'validStatus', options.validStatus) ?? none,
    networkTryLimit: readTryLimit(subject, 'networkTryLimit', options.networkTryLimit),
    taskTryLimit: readTryLimit(subject, 'taskTryLimit', options.taskTryLimit),
    networkTryCount: readWholeNumber(subject, 'networkTryCount', options.networkTryCount, { min: 0 }) ?? 0,
    taskTryCount: readWholeNumber(subject, 'taskTryCount', options.taskTryCount, { min: 1 }) ?? 1,
    raw: readBoolean(subject, 'raw', options.raw) ?? false,
    dedupe: readBoolean(subject, 'dedupe', options.dedupe) ?? true,
    uniqueKey: readText(subject, 'uniqueKey', options.uniqueKey),
    cache: readOneOf(subject, 'cache', options.cache, ['use', 'skip', 'refresh']) ?? 'use',
    proxy: readProxy(subject, 'proxy', options.proxy),
    encoding: readEncoding(subject, 'encoding', options.encoding),
  }
}

const none: readonly number[] = Object.freeze([])
const noHeaders: Readonly<Record<string, string>> = Object.freeze({})
const noMeta: Meta = Object.freeze({})

/** What most requests have: a link that is followed says nothing else. */
const usual: RequestFields = Object.freeze({
  method: 'GET',
  headers: noHeaders,
  body: undefined,
  priority: 0,
  delay: 0,
  meta: noMeta,
  timeout: undefined,
  connectTimeout: undefined,
  validStatus: none,
  networkTryLimit: undefined,
  taskTryLimit: undefined,
  networkTryCount: 0,
  taskTryCount: 1,
  raw: false,
  dedupe: true,
  uniqueKey: undefined,
  cache: 'use',
  proxy: undefined,
  encoding: undefined,
})

function isPlainEmpty(options: RequestOptions): boolean {
  if (typeof options !== 'object' || options === null || Object.getPrototypeOf(options) !== Object.prototype)
    return false
  for (const _ in options) return false
  return Object.getOwnPropertySymbols(options).length === 0
}

/** How many tries are made in all: at least one, `Infinity` for no limit; undefined stays undefined. */
export function readTryLimit(subject: string, key: string, value: unknown): number | undefined {
  if (value === Infinity) return Infinity
  if (typeof value !== 'number' || value >= 1) return readWholeNumber(subject, key, value, { min: 1 })
  throw new InvalidOptionError(
    subject,
    key,
    value,
    'It counts the first try too: use at least 1, or Infinity for no limit.',
  )
}

/** Statuses as a frozen list; undefined stays undefined. */
export function readStatuses(subject: string, key: string, value: unknown): readonly number[] | undefined {
  if (value === undefined) return undefined
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  const isStatus = (one: unknown): one is number =>
    typeof one === 'number' && Number.isInteger(one) && one >= 200 && one <= 599
  if (list.every(isStatus)) return Object.freeze([...list])
  throw new InvalidOptionError(subject, key, value, 'Write statuses from 200 to 599, as in [500, 503].')
}

/** The URL of a proxy, or false for none; undefined stays undefined. */
export function readProxy(subject: string, key: string, value: unknown): string | false | undefined {
  if (value === undefined || value === false) return value
  const url = typeof value === 'string' ? URL.parse(value) : null
  if (url !== null && (url.protocol === 'http:' || url.protocol === 'https:') && url.hostname !== '') return url.href
  const isSocks = url?.protocol.startsWith('socks') === true
  throw new InvalidOptionError(
    subject,
    key,
    value,
    isSocks
      ? `SOCKS is not spoken here: give the HTTP port of that proxy, or put one that speaks HTTP before it, such as 'http://127.0.0.1:8118' of Privoxy.`
      : `Write an http or https URL, as in 'http://user:password@host:3128'.`,
  )
}

/** A charset that can be decoded; undefined stays undefined. */
export function readEncoding(subject: string, key: string, value: unknown): string | undefined {
  if (value === undefined) return undefined
  const label = typeof value === 'string' ? guarded(() => new TextDecoder(value).encoding, undefined) : undefined
  if (label !== undefined) return label
  throw new InvalidOptionError(subject, key, value, `Use a charset of the Encoding Standard, as in 'windows-1251'.`)
}

/** Header lines with names in lower case, frozen; each is one that HTTP can carry. */
export function readHeaders(subject: string, value: unknown, body?: unknown): Readonly<Record<string, string>> {
  if (value === undefined && !(body instanceof URLSearchParams)) return noHeaders
  const headers: Record<string, string> = {}
  if (body instanceof URLSearchParams) headers['content-type'] = 'application/x-www-form-urlencoded;charset=UTF-8'
  if (value === undefined) return Object.freeze(headers)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidOptionError(subject, 'headers', value, `Write them as an object: { 'user-agent': '…' }.`)
  }
  for (const [name, line] of Object.entries(value)) {
    const lower = name.toLowerCase()
    if (ofTheConnection.has(lower)) {
      throw new InvalidOptionError(
        subject,
        `header ${JSON.stringify(name)}`,
        line,
        'Leave it out: it is set by what is sent.',
      )
    }
    const valid = guarded(() => {
      validateHeaderName(name)
      validateHeaderValue(name, line as string)
      return typeof line === 'string' && lower !== '__proto__'
    }, false)
    if (!valid) {
      throw new InvalidOptionError(
        subject,
        `header ${JSON.stringify(name)}`,
        line,
        'Use a text that HTTP can carry: no line breaks, nothing beyond Latin-1.',
      )
    }
    headers[lower] = line as string
  }
  return Object.freeze(headers)
}

/** Headers that say how a message is sent rather than what it says; a wrong one breaks the connection for others. */
const ofTheConnection: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
])

function readMethod(subject: string, value: unknown): string | undefined {
  if (value === undefined) return undefined
  const method = typeof value === 'string' ? value.toUpperCase() : ''
  if (/^[A-Z]{1,20}$/.test(method) && method !== 'CONNECT' && method !== 'TRACE') return method
  throw new InvalidOptionError(subject, 'method', value, `Use a method of HTTP, as in 'POST'.`)
}

function readBody(subject: string, value: unknown): string | Uint8Array | undefined {
  if (value === undefined || typeof value === 'string') return value
  if (value instanceof URLSearchParams) return value.toString()
  if (value instanceof Uint8Array) return new Uint8Array(value)
  throw new InvalidOptionError(
    subject,
    'body',
    value,
    'Pass a text, bytes or URLSearchParams; JSON by JSON.stringify().',
  )
}

function readText(subject: string, key: string, value: unknown): string | undefined {
  if (value === undefined || (typeof value === 'string' && value !== '')) return value
  throw new InvalidOptionError(subject, key, value, 'Use a text that is not empty.')
}

const MAX_META = 256 * 1024

function readMeta(name: string, value: unknown): Meta {
  if (value === undefined) return noMeta
  const copy = copyPayload(`meta of request ${JSON.stringify(name)}`, value, MAX_META)
  if (typeof copy === 'object' && copy !== null && !Array.isArray(copy)) return freezeAll(copy) as Meta
  throw new InvalidOptionError(`request ${JSON.stringify(name)}`, 'meta', value, 'Write it as an object: { page: 2 }.')
}

function freezeAll(value: Json): Json {
  if (typeof value !== 'object' || value === null) return value
  for (const part of Object.values(value)) freezeAll(part as Json)
  return Object.freeze(value)
}
