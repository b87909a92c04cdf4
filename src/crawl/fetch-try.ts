import type { Clock } from '../clock.ts'
import type { Cache } from './cache.ts'
import type { Connections, Route } from './connections.ts'
import type { Cookies } from './cookies.ts'
import type { Deadline, Deadlines } from './deadlines.ts'
import { decodeBody, DecodingCut } from './decoding.ts'
import {
  BlockedAddressError,
  NetworkError,
  ProxyError,
  RedirectError,
  StatusError,
  TooManyRedirectsError,
  type TryPoint,
} from './errors.ts'
import { Exchange, ExchangeEnded, ExchangeError, type Answer, type Progress } from './exchange.ts'
import type { FetchSettings } from './fetcher-options.ts'
import type { GiveUp } from './give-up.ts'
import type { Guard } from './guard.ts'
import { classify } from './network-errors.ts'
import type { Fetching, Outcome, TryOptions } from './fetching.ts'
import { isRedirect, nextHop, type Hop } from './redirects.ts'
import type { CrawlRequest } from './request.ts'
import { headerOf, listHeaderOf, type Response } from './response.ts'
import { parseRetryAfter } from './retry-after.ts'
import { meaningOf, type StatusMeaning } from './status.ts'
import { ProxyAway } from './tunnel.ts'
import { hostnameOf } from './url-parts.ts'

/** What a fetcher lends to its tries. */
export interface TryParts {
  readonly settings: FetchSettings
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly guard: Guard
  readonly connections: Connections
  readonly cookies: Cookies | undefined
  readonly cache: Cache | undefined
  /** Headers of every request, but for what a request has itself. */
  readonly headers: Readonly<Record<string, string>>
}

const notYet: Progress = { connected: false, status: undefined, bytes: 0 }
const noRedirects: readonly string[] = Object.freeze([])
const nothing = Buffer.alloc(0)

/** One try of one request: its hops, one after the other, until there is a page or a reason why there is none. */
export class FetchTry implements Fetching {
  readonly over: Promise<void>
  readonly #request: CrawlRequest
  readonly #options: TryOptions
  readonly #giveUp: GiveUp | undefined
  readonly #proxy: string | undefined
  readonly #parts: TryParts
  readonly #timeout: number
  readonly #connectTimeout: number
  readonly #deadline: Deadline
  #redirects: string[] | undefined
  #hop: Hop
  #exchange: Exchange | undefined
  /** Ends the decoding that is under way. */
  #cutDecoding: (() => void) | undefined
  #isExpired = false
  #status: number | undefined
  #wireBytes = 0
  #outcome: Outcome | undefined

  constructor(request: CrawlRequest, options: TryOptions, proxy: string | undefined, parts: TryParts) {
    const { settings, deadlines } = parts
    const { giveUp } = options
    this.#request = request
    this.#options = options
    this.#giveUp = giveUp
    this.#proxy = proxy
    this.#parts = parts
    this.#timeout = request.timeout ?? settings.timeout
    this.#connectTimeout = request.connectTimeout ?? settings.connectTimeout
    this.#hop = request
    this.#deadline = deadlines.begin(this.#timeout, () => this.#expire())
    giveUp?.tell(() => this.#stop('cancelled'))
    this.over = this.#ask()
  }

  /** Once it is over: whether it came no further than to its proxy. */
  get isProxyAway(): boolean {
    return this.#outcome?.kind === 'error' && this.#outcome.error instanceof ProxyError
  }

  take(): Outcome {
    const outcome = this.#outcome as Outcome
    this.#outcome = undefined
    return outcome
  }

  #expire(): void {
    this.#isExpired = true
    this.#stop('timeout')
  }

  #stop(why: 'cancelled' | 'timeout'): void {
    this.#exchange?.end(why)
    this.#cutDecoding?.()
  }

  #ask(): Promise<void> {
    try {
      const exchange = this.#begin(this.#hop)
      this.#exchange = exchange
      return exchange.over.then(() => this.#answered(exchange))
    } catch (thrown) {
      return new Promise((resolve) => resolve(this.#broke(thrown)))
    }
  }

  #begin(hop: Hop): Exchange {
    const { guard, connections, settings, deadlines } = this.#parts
    this.#status = undefined
    this.#giveUp?.throwIfGivenUp()
    if (this.#isExpired) throw new ExchangeEnded('timeout')
    const hostname = hostnameOf(hop.url)
    if (!guard.allowsHost(hostname)) throw new BlockedAddressError(this.#at(), hostname)
    const route = connections.route(hop.url, this.#proxy, this.#connectTimeout)
    const { method, body } = hop
    const limits = { deadlines, connectTimeout: this.#connectTimeout, mostBytes: settings.bodyLimit.wire }
    return new Exchange({ method, body, headers: this.#headersOf(hop, route) }, route, limits)
  }

  #answered(exchange: Exchange): void | Promise<void> {
    try {
      const answer = exchange.take()
      this.#take(answer)
      const meaning = this.#meaningOf(answer)
      if (isRedirect(answer.status) && meaning !== 'good') {
        return this.#follow(answer).catch((thrown: unknown) => this.#broke(thrown))
      }
      return this.#conclude(answer, meaning)?.catch((thrown: unknown) => this.#broke(thrown))
    } catch (thrown) {
      return this.#broke(thrown)
    }
  }

  #end(outcome: Outcome): void {
    this.#deadline.end()
    this.#outcome = outcome
  }

  #take({ status, headers, wire }: Answer): void {
    this.#exchange = undefined
    this.#status = status
    this.#wireBytes += wire.length
    if (status === 407 && this.#proxy !== undefined) throw new ProxyAway('it wants to know who asks')
    const set = headers['set-cookie']
    if (set !== undefined) this.#parts.cookies?.keep(set, this.#hop.url, this.#proxy)
  }

  async #follow(answer: Answer): Promise<void> {
    const { maxRedirects } = this.#parts.settings
    this.#redirects ??= []
    this.#redirects.push(this.#hop.url)
    if (this.#redirects.length > maxRedirects) throw new TooManyRedirectsError(this.#at(), maxRedirects)
    const next = nextHop(this.#hop, answer.status, headerOf(answer.headers, 'location'))
    if ('bad' in next) throw new RedirectError(this.#at(), next.bad)
    if ((await this.#options.allows?.(next.hop.url)) === false) {
      return this.#end({ kind: 'refused', url: next.hop.url })
    }
    this.#hop = next.hop
    return await this.#ask()
  }

  #broke(thrown: unknown): void {
    this.#exchange = this.#cutDecoding = undefined
    this.#deadline.end()
    this.#giveUp?.throwIfGivenUp()
    this.#outcome = { kind: 'error', error: this.#errorOf(thrown), proxy: this.#proxy }
  }

  #headersOf(hop: Hop, route: Route): Readonly<Record<string, string>> {
    const { headers, cookies, cache } = this.#parts
    const jar = cookies?.headerFor(hop.url, this.#proxy)
    const all: Record<string, string> = { ...headers }
    if (cache !== undefined) Object.assign(all, cache.validators(this.#request, hop.url))
    Object.assign(all, hop.headers)
    if (jar !== undefined) {
      const own = hop.headers['cookie']
      all['cookie'] = own === undefined ? jar : `${own}; ${jar}`
    }
    return route.headers === undefined ? all : Object.assign(all, route.headers)
  }

  /** A promise only where the body takes a while to decode. */
  #conclude(answer: Answer, meaning: StatusMeaning): Promise<void> | undefined {
    const { cache, settings } = this.#parts
    const { status, headers, wire } = answer
    const confirmed = this.#isConfirmed(answer) ? cache?.confirm(this.#request) : undefined
    if (confirmed !== undefined) return void this.#end({ kind: 'page', response: confirmed })
    const isEmpty = this.#hop.method === 'HEAD' || status === 204 || status === 205 || status === 304
    const encoding = listHeaderOf(headers, 'content-encoding')
    const body = isEmpty ? nothing : decodeBody(wire, encoding, settings.bodyLimit.decoded, this.#decodes)
    if (!(body instanceof Promise)) return void this.#end(this.#outcomeOf(answer, meaning, body))
    return body.then((decoded) => {
      this.#cutDecoding = undefined
      this.#end(this.#outcomeOf(answer, meaning, decoded))
    })
  }

  readonly #decodes = (cut: () => void): void => {
    this.#cutDecoding = cut
    if (this.#isExpired || this.#giveUp?.isGivenUp === true) cut()
  }

  #outcomeOf({ status, headers }: Answer, meaning: StatusMeaning, body: Buffer): Outcome {
    const { cache, clock } = this.#parts
    const response: Response = {
      url: this.#hop.url,
      status,
      headers,
      body,
      redirects: this.#redirects ?? noRedirects,
      fromCache: false,
      proxy: this.#proxy,
      wireBytes: this.#wireBytes,
    }
    if (meaning === 'good') {
      cache?.keep(this.#request, response)
      return { kind: 'page', response }
    }
    if (meaning === 'throttled') {
      const retryAfter = parseRetryAfter(headerOf(headers, 'retry-after'), clock.now())
      return { kind: 'throttled', response, retryAfter }
    }
    const error = new StatusError({ ...this.#at(), status })
    return { kind: 'error', error, response, proxy: this.#proxy }
  }

  /** Whether a 304 answers what the cache asked; one that a header of the user's asked for is none of its business. */
  #isConfirmed(answer: Answer): boolean {
    if (answer.status !== 304) return false
    const asked = Object.keys(this.#parts.cache?.validators(this.#request, this.#hop.url) ?? {})
    return asked.length > 0 && asked.every((name) => this.#hop.headers[name] === undefined)
  }

  #meaningOf({ status, headers }: Answer): StatusMeaning {
    const { isValid, validStatus } = this.#parts.settings
    const named = validStatus.includes(status) || this.#request.validStatus.includes(status)
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
