import '../node-version.ts'

// Spiders
export { spider, type Spider } from './spider.ts'
export type { DomainOptions, SpiderOptions, Start, StartContext } from './spider-options.ts'
export type { SitemapEntry } from './sitemap-text.ts'
export { request, type CrawlRequest } from './request.ts'
export type { CacheMode, Meta, RequestOptions } from './request-options.ts'
export type {
  CrawledPage,
  Fallback,
  FallbackContext,
  Handler,
  HandlerContext,
  HandlerResult,
  Requests,
} from './handler.ts'
export type { Extracted, Field, FieldSpec, Spec } from './extract.ts'

// Crawls
export type { Crawl, CrawlOptions, CrawlOutcome, CrawlReason, CrawlResult } from './crawl.ts'
export type { CrawlState, CrawlStats, EndKind, ListName } from './stats.ts'

// How pages are fetched
export type { BodyLimit, FetcherOptions } from './fetcher-options.ts'
export type { CacheOption } from './cache.ts'
export type { TlsOptions } from './connections.ts'
export type { DomainTable } from './domains.ts'
export type { ResponseHeaders } from './exchange.ts'
export type { AllowPrivate } from './guard.ts'
export type { ParserKind } from './parser.ts'
export type { DomainPace, PerHostOptions } from './politeness-options.ts'
export type { ProxiesOption } from './proxies.ts'
export type { BadUrl } from './url-identity.ts'

// Errors
export {
  BlockedAddressError,
  BodyTooLargeError,
  ConnectionError,
  ConnectTimeoutError,
  CrawlRunningError,
  DnsError,
  HandlerTimeoutError,
  NetworkError,
  ProtocolError,
  ProxyError,
  RedirectError,
  ResponseTimeoutError,
  RetryError,
  SelectorError,
  SpiderDownError,
  StatusError,
  TooManyRedirectsError,
  TryLimitError,
  UnknownHandlerError,
  YieldError,
  type NetworkErrorCode,
  type TryPoint,
} from './errors.ts'
