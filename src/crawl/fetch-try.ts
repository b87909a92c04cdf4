import type { Clock } from '../clock.ts'
import type { Cache } from './cache.ts'
import type { Connections } from './connections.ts'
import type { Cookies } from './cookies.ts'
import { acceptEncoding, decodeBody, DecodingCut } from './decoding.ts'
import {
  BlockedAddressError,
  NetworkError,
  RedirectError,
  StatusError,
  TooManyRedirectsError,
  type TryPoint,
} from './errors.ts'
import { exchange, ExchangeEnded, ExchangeError, type Answer, type Progress } from './exchange.ts'
import type { FetchSettings } from './fetcher-options.ts'
import type { Guard } from './guard.ts'
import { classify } from './network-errors.ts'
import { isRedirect, nextHop, type Hop } from './redirects.ts'
import type { CrawlRequest } from './request.ts'
import { headerOf, listHeaderOf, type Response } from './response.ts'
import { parseRetryAfter } from './retry-after.ts'
import { meaningOf, type StatusMeaning } from './status.ts'
import { ProxyAway } from './tunnel.ts'

/** How one try is made. */
export interface TryOptions {
  readonly signal?: AbortSignal | undefined
  /** The number of the try, for errors. @default request.networkTryCount + 1 */
  readonly tryCount?: number
  /** The proxy of the try before, so that another one is drawn. */
  readonly lastProxy?: string | undefined
  /** Asked before a redirect is followed; false ends the try as `refused`. */
  readonly allows?: (url: string) => boolean | Promise<boolean>
}

/** What a try came to. Only an `error` costs one of the request's tries. */
export type Outcome =
  | { readonly kind: 'page'; readonly response: Response }
  /** The host asks for patience: for `retryAfter` ms, or it did not say for how long. */
  | { readonly kind: 'throttled'; readonly response: Response; readonly retryAfter: number | undefined }
  /** A status that is not good has its response along, for who wants to see it raw. */
  | {
      readonly kind: 'error'
      readonly error: NetworkError
      readonly response?: Response
      readonly proxy: string | undefined
    }
  /** A redirect led to what may not be fetched. */
  | { readonly kind: 'refused'; readonly url: string }

/** What a fetcher lends to its tries. */
export interface TryParts {
  readonly settings: FetchSettings
  readonly clock: Clock
  readonly guard: Guard
  readonly connections: Connections
  readonly cookies: Cookies | undefined
  readonly cache: Cache | undefined
}

const notYet: Progress = { connected: false, status: undefined, bytes: 0 }

/** One try of one request: its hops, one after the other, until there is a page or a reason why there is none. */
export class FetchTry {
  readonly #request: CrawlRequest
  readonly #options: TryOptions
  readonly #proxy: string | undefined
  readonly #parts: TryParts
  readonly #timeout: number
  readonly #connectTimeout: number
  readonly #deadline: number
  readonly #redirects: string[] = []
  #hop: Hop
  #status: number | undefined
  #wireBytes = 0

  constructor(request: CrawlRequest, options: TryOptions, proxy: string | undefined, parts: TryParts) {
    const { settings, clock } = parts
    this.#request = request
    this.#options = options
    this.#proxy = proxy
    this.#parts = parts
    this.#timeout = request.timeout ?? settings.timeout
    this.#connectTimeout = request.connectTimeout ?? settings.connectTimeout
    this.#deadline = clock.now() + this.#timeout
    this.#hop = { url: request.url, method: request.method, headers: request.headers, body: request.body }
  }

  /** Rejects only with the reason of its signal. */
  async run(): Promise<Outcome> {
    try {
      return await this.#followHops()
    } catch (thrown) {
      this.#options.signal?.throwIfAborted()
      return { kind: 'error', error: this.#errorOf(thrown), proxy: this.#proxy }
    }
  }

  async #followHops(): Promise<Outcome> {
    for (;;) {
      const answer = await this.#ask(this.#hop)
      const meaning = this.#meaningOf(answer)
      if (!isRedirect(answer.status) || meaning === 'good') return await this.#conclude(answer, meaning)
      this.#redirects.push(this.#hop.url)
      if (this.#redirects.length > this.#parts.settings.maxRedirects) {
        throw new TooManyRedirectsError(this.#at(), this.#parts.settings.maxRedirects)
      }
      const next = nextHop(this.#hop, answer.status, headerOf(answer.headers, 'location'))
      if ('bad' in next) throw new RedirectError(this.#at(), next.bad)
      if ((await this.#options.allows?.(next.hop.url)) === false) return { kind: 'refused', url: next.hop.url }
      this.#hop = next.hop
    }
  }

  async #ask(hop: Hop): Promise<Answer> {
    const { clock, guard, connections, settings, cookies } = this.#parts
    const url = new URL(hop.url)
    this.#status = undefined
    if (!guard.allowsHost(url.hostname)) throw new BlockedAddressError(this.#at(), url.hostname)
    const answer = await exchange(
      { ...hop, headers: this.#headersOf(hop) },
      connections.route(url, this.#proxy, this.#connectTimeout),
      {
        clock,
        connectTimeout: this.#connectTimeout,
        deadline: this.#deadline,
        mostBytes: settings.bodyLimit.wire,
        signal: this.#options.signal,
      },
    )
    this.#status = answer.status
    this.#wireBytes += answer.wire.length
    if (answer.status === 407 && this.#proxy !== undefined) throw new ProxyAway('it wants to know who asks')
    cookies?.keep(answer.headers['set-cookie'], hop.url, this.#proxy)
    return answer
  }

  #headersOf(hop: Hop): Readonly<Record<string, string>> {
    const { settings, cookies, cache } = this.#parts
    const jar = cookies?.headerFor(hop.url, this.#proxy)
    const own = hop.headers['cookie']
    const cookie = jar === undefined || own === undefined ? (jar ?? own) : `${own}; ${jar}`
    return {
      accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
      'accept-encoding': acceptEncoding,
      ...settings.headers,
      ...cache?.validators(this.#request, hop.url),
      ...hop.headers,
      ...(cookie === undefined ? {} : { cookie }),
    }
  }

  async #conclude(answer: Answer, meaning: StatusMeaning): Promise<Outcome> {
    const { cache, clock } = this.#parts
    const confirmed = this.#isConfirmed(answer) ? cache?.confirm(this.#request) : undefined
    if (confirmed !== undefined) return { kind: 'page', response: confirmed }
    const response = await this.#responseOf(answer)
    if (meaning === 'good') {
      cache?.keep(this.#request, response)
      return { kind: 'page', response }
    }
    if (meaning === 'throttled') {
      const retryAfter = parseRetryAfter(headerOf(answer.headers, 'retry-after'), clock.now())
      return { kind: 'throttled', response, retryAfter }
    }
    const error = new StatusError({ ...this.#at(), status: answer.status })
    return { kind: 'error', error, response, proxy: this.#proxy }
  }

  /** Whether a 304 answers what the cache asked; one that a header of the user's asked for is none of its business. */
  #isConfirmed(answer: Answer): boolean {
    if (answer.status !== 304) return false
    const asked = Object.keys(this.#parts.cache?.validators(this.#request, this.#hop.url) ?? {})
    return asked.length > 0 && asked.every((name) => this.#hop.headers[name] === undefined)
  }

  async #responseOf(answer: Answer): Promise<Response> {
    const { status, headers, wire } = answer
    const isEmpty = this.#hop.method === 'HEAD' || status === 204 || status === 205 || status === 304
    const encoding = listHeaderOf(headers, 'content-encoding')
    const body = isEmpty
      ? Buffer.alloc(0)
      : await decodeBody(wire, encoding, {
          clock: this.#parts.clock,
          deadline: this.#deadline,
          most: this.#parts.settings.bodyLimit.decoded,
          signal: this.#options.signal,
        })
    return {
      url: this.#hop.url,
      status,
      headers,
      body,
      redirects: this.#redirects,
      fromCache: false,
      proxy: this.#proxy,
      wireBytes: this.#wireBytes,
    }
  }

  #meaningOf({ status, headers }: Answer): StatusMeaning {
    const { isValid, validStatus } = this.#parts.settings
    const named = [...validStatus, ...this.#request.validStatus].includes(status)
    const decided = isValid === undefined || isRedirect(status) ? undefined : isValid(status, this.#request)
    return meaningOf(status, headerOf(headers, 'retry-after') !== undefined, named ? true : decided)
  }

  #errorOf(thrown: unknown): NetworkError {
    if (thrown instanceof NetworkError) return thrown
    const broken = this.#brokenBy(thrown)
    return classify(broken?.cause ?? thrown, {
      at: { ...this.#at(), status: broken?.progress.status ?? this.#status },
      progress: broken?.progress ?? notYet,
      proxy: this.#proxy,
      timeout: this.#timeout,
      connectTimeout: this.#connectTimeout,
      bodyLimit: this.#parts.settings.bodyLimit,
    })
  }

  #brokenBy(thrown: unknown): ExchangeError | undefined {
    if (thrown instanceof ExchangeError) return thrown
    if (!(thrown instanceof DecodingCut)) return undefined
    return new ExchangeError(new ExchangeEnded('timeout'), {
      connected: true,
      status: this.#status,
      bytes: this.#wireBytes,
    })
  }

  #at(): TryPoint {
    return {
      url: this.#hop.url,
      status: this.#status,
      tryCount: this.#options.tryCount ?? this.#request.networkTryCount + 1,
    }
  }
}
