import { Fetcher } from '../../src/crawl/fetcher.ts'
import type { FetcherOptions } from '../../src/crawl/fetcher-options.ts'
import type { FetcherParts } from '../../src/crawl/fetcher.ts'
import type { Outcome, FetchOptions } from '../../src/crawl/fetching.ts'
import type { NetworkError } from '../../src/crawl/errors.ts'
import { request } from '../../src/crawl/request.ts'
import type { RequestOptions } from '../../src/crawl/request-options.ts'
import type { Response } from '../../src/crawl/response.ts'

/** A fetcher that may talk to this machine. */
export function localFetcher(options: FetcherOptions = {}, parts: FetcherParts = {}): Fetcher {
  return new Fetcher({ allowPrivate: ['127.0.0.1', 'localhost'], ...options }, parts)
}

/** One try of a request, by a fetcher of its own where none is given. */
export async function fetchOnce(
  url: string,
  options: RequestOptions = {},
  { fetcher, ...tries }: FetchOptions & { readonly fetcher?: Fetcher } = {},
): Promise<Outcome> {
  if (fetcher !== undefined) return await fetcher.fetch(request('page', url, options), tries)
  await using own = localFetcher()
  return await own.fetch(request('page', url, options), tries)
}

/** The response of an outcome that must be a page. */
export function pageOf(outcome: Outcome): Response {
  if (outcome.kind === 'page') return outcome.response
  throw new Error(`expected a page, got ${outcome.kind === 'error' ? outcome.error.message : outcome.kind}`)
}

/** The error of an outcome that must have one. */
export function errorOf(outcome: Outcome): NetworkError {
  if (outcome.kind === 'error') return outcome.error
  throw new Error(`expected an error, got ${outcome.kind}`)
}
