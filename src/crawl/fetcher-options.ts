import type { Duration } from '../duration.ts'
import { checkKeys, readBoolean, readDuration, readFunction, readWholeNumber } from '../options.ts'
import type { CacheOption } from './cache.ts'
import type { TlsOptions } from './connections.ts'
import type { AllowPrivate } from './guard.ts'
import type { ProxiesOption } from './proxies.ts'
import { readHeaders, readStatuses } from './request-options.ts'
import type { CrawlRequest } from './request.ts'

export interface BodyLimit {
  /** Bytes on the wire. @default 16 MiB */
  readonly wire?: number
  /** Bytes once decoded. @default 64 MiB */
  readonly decoded?: number
}

export interface FetcherOptions {
  /** One try, from connect to the last byte, redirects included. @default '15s' */
  readonly timeout?: Duration
  /** DNS, TCP and TLS of each hop. @default '3s' */
  readonly connectTimeout?: Duration
  /** Statuses that are good besides 2xx and 404. */
  readonly validStatus?: number | readonly number[]
  /** Decides instead of `validStatus`. */
  readonly isValid?: (status: number, request: CrawlRequest) => boolean
  /** @default 10 */
  readonly maxRedirects?: number
  readonly bodyLimit?: BodyLimit
  /** Headers of every request; a request's own win. */
  readonly headers?: Readonly<Record<string, string>>
  /** Proxies to draw from, each try another one than the last. @default none */
  readonly proxies?: ProxiesOption
  /** Whether cookies are kept and sent. @default true */
  readonly cookies?: boolean
  /** Whether pages are kept and used again. @default false */
  readonly cache?: CacheOption
  /** What may be connected to besides public addresses. @default false */
  readonly allowPrivate?: AllowPrivate
  readonly tls?: TlsOptions
}

/** Options as they were read: defaults in, durations in ms. */
export interface FetchSettings {
  readonly timeout: number
  readonly connectTimeout: number
  readonly validStatus: readonly number[]
  readonly isValid: ((status: number, request: CrawlRequest) => boolean) | undefined
  readonly maxRedirects: number
  readonly bodyLimit: Required<BodyLimit>
  readonly headers: Readonly<Record<string, string>>
  readonly cookies: boolean
}

/** Options of a spider that its fetcher reads. */
export const FETCHER_KEYS: readonly (keyof FetcherOptions)[] = [
  'timeout',
  'connectTimeout',
  'validStatus',
  'isValid',
  'maxRedirects',
  'bodyLimit',
  'headers',
  'proxies',
  'cookies',
  'cache',
  'allowPrivate',
  'tls',
]

const MEBIBYTE = 1024 * 1024

/** Bytes of a body once decoded, where nobody says otherwise. */
export const MOST_DECODED: number = 64 * MEBIBYTE

/** Reads what a fetcher does by itself; proxies, cache and guard read their own. */
export function readFetcherOptions(subject: string, options: FetcherOptions): FetchSettings {
  checkKeys(subject, options, FETCHER_KEYS)
  const limits = options.bodyLimit ?? {}
  checkKeys(`bodyLimit of ${subject}`, limits, ['wire', 'decoded'])
  return {
    timeout: readDuration(subject, 'timeout', options.timeout, { positive: true }) ?? 15_000,
    connectTimeout: readDuration(subject, 'connectTimeout', options.connectTimeout, { positive: true }) ?? 3000,
    validStatus: readStatuses(subject, 'validStatus', options.validStatus) ?? [],
    isValid: readFunction(subject, 'isValid', options.isValid),
    maxRedirects: readWholeNumber(subject, 'maxRedirects', options.maxRedirects, { min: 0, max: 100 }) ?? 10,
    bodyLimit: {
      wire: readWholeNumber(subject, 'bodyLimit.wire', limits.wire, { min: 1 }) ?? 16 * MEBIBYTE,
      decoded: readWholeNumber(subject, 'bodyLimit.decoded', limits.decoded, { min: 1 }) ?? MOST_DECODED,
    },
    headers: readHeaders(subject, options.headers),
    cookies: readBoolean(subject, 'cookies', options.cookies) ?? true,
  }
}
