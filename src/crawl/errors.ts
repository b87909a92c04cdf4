import { identify } from '../brand.ts'
import { formatDuration } from '../duration.ts'
import { RootcatchError } from '../errors.ts'
import { cut, evidenceOf, oneLine, textOf } from '../evidence.ts'
import { nearest } from '../nearest.ts'
import { redact } from '../secrets.ts'

/** What broke a try, in the words the stats count by. */
export type NetworkErrorCode =
  | 'connection-refused'
  | 'connection-failed'
  | 'connection-reset'
  | 'truncated'
  | 'dns'
  | 'connect-timeout'
  | 'timeout'
  | 'tls'
  | 'protocol'
  | 'encoding'
  | `http-${number}`
  | 'too-many-redirects'
  | 'bad-redirect'
  | 'proxy'
  | 'body-too-large'
  | 'blocked-address'

/** Where a try was when it broke. */
export interface TryPoint {
  /** URL of the hop, which is not the request's after a redirect. */
  readonly url: string
  /** The status, where one had come. */
  readonly status?: number | undefined
  /** The number of the try, from 1. */
  readonly tryCount?: number | undefined
}

/** A try of a request ended without a page. It is tried again until `networkTryLimit`, then its fallback is called. */
export class NetworkError extends RootcatchError<NetworkErrorCode> {
  readonly url: string
  readonly status: number | undefined
  readonly tryCount: number
  /** Whether another try is useless, so that the fallback is called at once. */
  readonly permanent: boolean = false
  static {
    identify(this, 'NetworkError', 'network')
  }

  constructor(code: NetworkErrorCode, at: TryPoint, sentence: string, options?: ErrorOptions) {
    super(`${showUrl(at.url)} ${sentence}`, options)
    Object.defineProperty(this, 'code', { value: code })
    this.url = at.url
    this.status = at.status
    this.tryCount = at.tryCount ?? 1
  }
}

/**
 * No connection came about, or it ended too soon. Costs a try.
 *
 * - Why: The server is down or overloaded, or it drops those who open too many connections.
 * - Fix: Open the URL by hand. If it answers there, lower `concurrency` of `perHost`.
 */
export class ConnectionError extends NetworkError {
  static {
    identify(this, 'ConnectionError', 'network.connection-failed')
  }

  constructor(code: ConnectionCode, at: TryPoint, cause: unknown) {
    const { happened, advice } = connectionTexts[code]
    super(code, at, `${happened}: ${textOf(cause, 200)}. ${advice}`, { cause })
  }
}

type ConnectionCode = 'connection-refused' | 'connection-failed' | 'connection-reset' | 'truncated'

const connectionTexts: Readonly<Record<ConnectionCode, { readonly happened: string; readonly advice: string }>> = {
  'connection-refused': { happened: 'refused the connection', advice: 'See whether its server runs.' },
  'connection-failed': { happened: 'could not be reached', advice: 'See whether the network has a way there.' },
  'connection-reset': { happened: 'closed the connection', advice: 'Ask it for fewer pages at once.' },
  truncated: { happened: 'ended its body too soon', advice: 'Ask it for fewer pages at once.' },
}

/**
 * The name of the host was not found. Costs a try.
 *
 * - Why: A link has a slip, a name has expired, or the resolver of this machine is away.
 * - Fix: Correct the URL where the request is made; other hosts failing too means the resolver.
 */
export class DnsError extends NetworkError {
  static {
    identify(this, 'DnsError', 'network.dns')
  }

  constructor(at: TryPoint, cause: unknown) {
    super('dns', at, `has a name that was not found: ${textOf(cause, 200)}. Look for a slip in it.`, { cause })
  }
}

/**
 * There was no connection in `connectTimeout`. Costs a try.
 *
 * - Why: The host or a firewall drops packets, or the way there is long.
 * - Fix: Try from another network; raise `connectTimeout` if it is only slow.
 */
export class ConnectTimeoutError extends NetworkError {
  static {
    identify(this, 'ConnectTimeoutError', 'network.connect-timeout')
  }

  constructor(at: TryPoint, ms: number, options?: ErrorOptions) {
    super(
      'connect-timeout',
      at,
      `was not connected after ${formatDuration(ms)}. Raise connectTimeout, or try later.`,
      options,
    )
  }
}

/**
 * The page was not complete in `timeout`, however much of it had come. Costs a try.
 *
 * - Why: The server is slow, the page is big, or it drips.
 * - Fix: Raise `timeout` of the spider or of this request, or ask for fewer pages at once.
 */
export class ResponseTimeoutError extends NetworkError {
  static {
    identify(this, 'ResponseTimeoutError', 'network.timeout')
  }

  constructor(at: TryPoint, ms: number, bytes: number) {
    const evidence = bytes === 0 ? 'nothing of the body had come' : `${bytes} bytes of the body had come`
    super('timeout', at, `was not complete after ${formatDuration(ms)}: ${evidence}. Raise timeout, or try later.`)
  }
}

/**
 * What came is no TLS, no HTTP, or not of the encoding it names. Costs a try.
 *
 * - Why: A certificate is not trusted, a port speaks something else, or an encoding is named that is not used.
 * - Fix: `tls`: give its authority in `tls`. `protocol`: look at the port. `encoding`: ask for `identity`.
 */
export class ProtocolError extends NetworkError {
  static {
    identify(this, 'ProtocolError', 'network.protocol')
  }

  constructor(code: ProtocolCode, at: TryPoint, cause: unknown) {
    const { happened, advice } = protocolTexts[code]
    super(code, at, `${happened}: ${textOf(cause, 200)}. ${advice}`, { cause })
  }
}

type ProtocolCode = 'tls' | 'protocol' | 'encoding'

const protocolTexts: Readonly<Record<ProtocolCode, { readonly happened: string; readonly advice: string }>> = {
  tls: { happened: 'broke the TLS handshake', advice: 'Look at its certificate.' },
  protocol: { happened: 'answered with something that is no HTTP', advice: 'Look at what listens there.' },
  encoding: {
    happened: 'sent a body that cannot be decoded',
    advice: `Set the header 'accept-encoding' to 'identity'.`,
  },
}

/**
 * The page has a status that is neither 2xx, 404 nor named as valid. Costs a try.
 *
 * - Why: The server refuses or is broken; a good status is 2xx or 404.
 * - Fix: Name the status in `validStatus` if its page is worth a handler; else see what the server wants.
 */
export class StatusError extends NetworkError {
  static {
    identify(this, 'StatusError', 'network.http')
  }

  constructor(at: TryPoint & { readonly status: number }) {
    super(`http-${at.status}`, at, `answered ${at.status}. Name it in validStatus if its page is worth a handler.`)
  }
}

/**
 * One hop after the other, or a circle of them. Costs a try.
 *
 * - Why: Sites that want a cookie, a session or a country send those without it in a circle.
 * - Fix: Open the URL without cookies; follow by hand with `validStatus`, or raise `maxRedirects`.
 */
export class TooManyRedirectsError extends NetworkError {
  static {
    identify(this, 'TooManyRedirectsError', 'network.too-many-redirects')
  }

  constructor(at: TryPoint, most: number) {
    super('too-many-redirects', at, `redirects once more after ${most} hops. See where it leads without cookies.`)
  }
}

/**
 * A redirect leads nowhere: it names no target, or one that is no http URL. Costs a try.
 *
 * - Why: The site is broken, or sends to an app (`tel:`, `intent:`).
 * - Fix: Name the status in `validStatus`, and read the header `location` in the handler.
 */
export class RedirectError extends NetworkError {
  static {
    identify(this, 'RedirectError', 'network.bad-redirect')
  }

  constructor(at: TryPoint, target: string | undefined) {
    const where =
      target === undefined ? 'without a target' : `to ${JSON.stringify(oneLine(redact(cut(target, 500)), 200))}`
    super('bad-redirect', at, `redirects ${where}. Name the status in validStatus to get its page.`)
  }
}

/**
 * A proxy is away or refuses us; it rests for a minute, and costs no try while another one is left.
 *
 * - Why: The proxy is down, refuses its credentials, or has no way to the host.
 * - Fix: Try it by hand, then correct `proxies`.
 */
export class ProxyError extends NetworkError {
  /** The proxy, without what signs in to it. */
  readonly proxy: string
  static {
    identify(this, 'ProxyError', 'network.proxy')
  }

  constructor(at: TryPoint, proxy: string, cause: unknown) {
    const through = `could not be reached through proxy ${showUrl(withoutCredentials(proxy))}`
    super('proxy', at, `${through}: ${textOf(cause, 200)}. See whether the proxy runs.`, { cause })
    this.proxy = withoutCredentials(proxy)
  }
}

/**
 * The body passed a limit, on the wire or decoded; what had come was let go. No further try, the fallback at once.
 *
 * - Why: A download or an endless stream stands behind a link, or a small body grows when decoded.
 * - Fix: Do not follow such links; raise `bodyLimit` if the page is wanted.
 */
export class BodyTooLargeError extends NetworkError {
  override readonly permanent: boolean = true
  static {
    identify(this, 'BodyTooLargeError', 'network.body-too-large')
  }

  constructor(at: TryPoint, limit: 'wire' | 'decoded', bytes: number) {
    const which = limit === 'wire' ? 'on the wire' : 'once decoded'
    super(
      'body-too-large',
      at,
      `has a body of more than ${bytes} bytes ${which}. Raise bodyLimit.${limit} if that is expected.`,
    )
  }
}

/**
 * The address is private or reserved; nothing was connected to. No further try, the fallback at once.
 *
 * - Why: A link, a redirect or a name leads into a private network: a slip, or an attack on it.
 * - Fix: Open what is yours by `allowPrivate: ['10.0.0.0/8']`; leave the rest closed.
 */
export class BlockedAddressError extends NetworkError {
  override readonly permanent: boolean = true
  /** The address, or the name that leads to it. */
  readonly address: string
  static {
    identify(this, 'BlockedAddressError', 'network.blocked-address')
  }

  constructor(at: TryPoint, address: string) {
    super(
      'blocked-address',
      at,
      `leads to ${address}, which is no public address. Open it by allowPrivate if it is yours.`,
    )
    this.address = address
  }
}

/**
 * A page lacks what an `extract` requires, or a selector cannot be read. It ends that page only, as any handler error.
 *
 * - Why: The site looks different from what the handler expects, or the selector has a slip.
 * - Fix: Look at the page in `url`; end a field that may be missing with `?`.
 */
export class SelectorError extends RootcatchError<'selector'> {
  readonly selector: string
  readonly url: string
  static {
    identify(this, 'SelectorError', 'selector')
  }

  /** The page has nothing the selector finds. */
  static ofMissing(url: string, selector: string, field: string): SelectorError {
    const text = `${showUrl(url)} has nothing at ${JSON.stringify(selector)} for ${field}.`
    return new SelectorError(url, selector, `${text} Correct the selector, or end it with '?' where it may be missing.`)
  }

  /** The selector is no CSS. */
  static ofSyntax(url: string, selector: string, cause: unknown): SelectorError {
    const text = `selector ${JSON.stringify(selector)} cannot be read: ${textOf(cause, 200)}. Write it as CSS.`
    return new SelectorError(url, selector, text, { cause })
  }

  constructor(url: string, selector: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.url = url
    this.selector = selector
  }
}

function withoutCredentials(proxy: string): string {
  return proxy.replace(/^([a-z]+:\/\/)[^/@]*@/i, '$1')
}

/** A URL as a text for eyes: one line, no secrets, of a bearable length. */
function showUrl(url: string): string {
  return oneLine(redact(cut(url, 2000)), 300)
}

/**
 * A handler gave its page back by `retry()`: it is tried again until `taskTryLimit`, then its fallback is called.
 *
 * - Why: The handler called `retry()`, such as for a captcha; after the last try it is `failure.error`.
 * - Fix: Let it leave the handler; give the name a `fallback` for the end.
 */
export class RetryError extends RootcatchError<'retry'> {
  readonly url: string
  /** The number of the try by hand that was given back, from 1. */
  readonly taskTryCount: number
  static {
    identify(this, 'RetryError', 'retry')
  }

  constructor(url: string, taskTryCount: number, limit: number) {
    const tries = `try ${taskTryCount} of ${limit} by hand`
    super(`${showUrl(url)} was given back by its handler: ${tries}. Let retry() leave the handler, as it throws this.`)
    this.url = url
    this.taskTryCount = taskTryCount
  }
}

/**
 * A request came with a count above its limit. It is not fetched, its fallback is called.
 *
 * - Why: A copy of a request kept a count that is above the limit of now.
 * - Fix: Make it with a smaller count, or raise the limit.
 */
export class TryLimitError extends RootcatchError<'try-limit'> {
  readonly url: string
  static {
    identify(this, 'TryLimitError', 'try-limit')
  }

  constructor(url: string, key: 'networkTryLimit' | 'taskTryLimit', count: number, limit: number) {
    const counted = key === 'networkTryLimit' ? 'networkTryCount' : 'taskTryCount'
    super(
      `${showUrl(url)} came with ${counted} ${count}: ${key} is ${limit}. Give it a smaller count, or raise ${key}.`,
    )
    this.url = url
  }
}

/**
 * A handler yielded or returned something that is no request. It ends that page only.
 *
 * - Why: An item was yielded, or a URL without `request()` around it.
 * - Fix: `emit(item)` for items; `yield request.follow(name, url)` for pages.
 */
export class YieldError extends RootcatchError<'yield'> {
  static {
    identify(this, 'YieldError', 'yield')
  }

  constructor(handler: string, value: unknown) {
    super(`handler "${handler}" gave ${evidenceOf(value)}, which is no request. Pass items to emit().`)
  }
}

/**
 * A request has a name that no handler has: in `start` the run rejects, from a page that page ends.
 *
 * - Why: A slip in the name, or a handler that is not registered yet when the crawl begins.
 * - Fix: Register it by `on(name, handler)` before `run`.
 */
export class UnknownHandlerError extends RootcatchError<'unknown-handler'> {
  static {
    identify(this, 'UnknownHandlerError', 'unknown-handler')
  }

  constructor(spider: string, name: string, known: readonly string[]) {
    const meant = nearest(name, known)
    const list = known.length === 0 ? 'it has none' : `it has: ${known.join(', ')}`
    const hint = meant === undefined ? `Give it one by on(${JSON.stringify(name)}, …); ` : `Did you mean "${meant}"? `
    super(`spider "${spider}" has no handler ${JSON.stringify(cut(name, 100))}. ${hint}${list}.`)
  }
}

/**
 * The spider crawls already; nothing was begun.
 *
 * - Why: `run()` was called while a crawl of this spider was not over.
 * - Fix: Await that crawl or cancel it; for two at a time define two spiders.
 */
export class CrawlRunningError extends RootcatchError<'crawl-running'> {
  static {
    identify(this, 'CrawlRunningError', 'crawl-running')
  }

  constructor(path: string, pages: number) {
    super(`${path} is crawling, ${pages} pages so far. Await that crawl, or cancel it first.`)
  }
}

/**
 * Another process that takes part in a crawl ended it by a failure, which is reported there; its queue is kept.
 *
 * - Why: A handler there threw a `FatalError`, or what it writes to could not be written.
 * - Fix: Look for the report of that process, mend it, and run the spider again.
 */
export class FailedElsewhereError extends RootcatchError<'failed-elsewhere'> {
  static {
    identify(this, 'FailedElsewhereError', 'failed-elsewhere')
  }

  constructor(path: string, reason: string) {
    super(
      `${path} failed in another process: ${cut(oneLine(reason), 300)}. Look for the report there, then run it again.`,
    )
  }
}

/**
 * A handler was not over in `handlerTimeout`. It ends that page only; what the handler still says is late.
 *
 * - Why: The handler awaits something that does not come.
 * - Fix: Pass `signal` to what it awaits, or raise `handlerTimeout`.
 */
export class HandlerTimeoutError extends RootcatchError<'handler-timeout'> {
  readonly url: string
  static {
    identify(this, 'HandlerTimeoutError', 'handler-timeout')
  }

  constructor(handler: string, url: string, ms: number) {
    const what = `handler "${handler}" was not over after ${formatDuration(ms)}: ${showUrl(url)}`
    super(`${what}. Pass signal to what it awaits, or raise handlerTimeout.`)
    this.url = url
  }
}

/**
 * The spider is not up: it failed or was stopped, and may be about to be started again. Nothing was begun.
 *
 * - Why: It failed or was stopped, and its supervisor has not started it again.
 * - Fix: Wait for its event `actor.started`, or call `restartChild()` of its supervisor.
 */
export class SpiderDownError extends RootcatchError<'spider-down'> {
  static {
    identify(this, 'SpiderDownError', 'spider-down')
  }

  constructor(path: string) {
    super(`${path} is down, so no crawl was begun. Wait for its event actor.started, or start it by restartChild().`)
  }
}
