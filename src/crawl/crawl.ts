import { CancelledError } from '../errors.ts'
import type { ItemStream } from './items.ts'
import { renderStats, type CrawlStats } from './stats.ts'

export interface CrawlOptions {
  /** Forgets what an earlier run left, and begins anew. @default false */
  readonly fresh?: boolean
  /** Cancels the crawl when it aborts. */
  readonly signal?: AbortSignal
}

/** Why a crawl was over: nothing was left to fetch, or one of its limits was reached. */
export type CrawlReason = 'finished' | 'maxRequests' | 'maxItems'

export interface CrawlResult {
  readonly reason: CrawlReason
  /** Requests that were accepted. */
  readonly requests: number
  readonly items: number
  /** Requests whose page ended by an error, or that were never got, and no fallback helped. */
  readonly failed: number
  readonly stats: CrawlStats
}

/** How a crawl ended. */
export type CrawlOutcome =
  | { readonly status: 'done'; readonly value: CrawlResult }
  /** The `Failure` of the spider, or what was wrong with `start`. */
  | { readonly status: 'failed'; readonly error: unknown }
  | { readonly status: 'cancelled'; readonly reason: unknown }

/** What a crawl's handle needs of it. */
export interface CrawlHost {
  readonly path: string
  stats(): CrawlStats
  cancel(reason: unknown): void
  readonly items: ItemStream
}

/**
 * The handle of a crawl. Await it for its result, or the failure; iterate it for its items, which leaves none out and
 * ends with the crawl. A crawl that nobody awaits never becomes an unhandled rejection.
 */
export class Crawl<Item = unknown> implements PromiseLike<CrawlResult>, AsyncIterable<Item> {
  readonly #host: CrawlHost
  readonly #settled: Promise<CrawlOutcome>

  /** @internal Made by `system.run(spider)`. */
  constructor(host: CrawlHost, settled: Promise<CrawlOutcome>) {
    this.#host = host
    this.#settled = settled
  }

  get path(): string {
    return this.#host.path
  }

  /** The numbers as they are now; they always add up. */
  stats(): CrawlStats {
    return this.#host.stats()
  }

  /** The same as a text. */
  renderStats(): string {
    return renderStats(this.stats())
  }

  /** Gives the crawl up: running pages are told, the queue is forgotten. */
  cancel(reason?: unknown): void {
    this.#host.cancel(reason)
  }

  /** Never rejects. */
  settled(): Promise<CrawlOutcome> {
    return this.#settled
  }

  // oxlint-disable-next-line unicorn/no-thenable -- a crawl is awaited like a run
  then<Result = CrawlResult, Otherwise = never>(
    onValue?: ((value: CrawlResult) => Result | PromiseLike<Result>) | null,
    onError?: ((error: unknown) => Otherwise | PromiseLike<Otherwise>) | null,
  ): Promise<Result | Otherwise> {
    return this.#result().then(onValue, onError)
  }

  catch<Otherwise = never>(
    onError?: ((error: unknown) => Otherwise | PromiseLike<Otherwise>) | null,
  ): Promise<CrawlResult | Otherwise> {
    return this.#result().catch(onError)
  }

  finally(onEnd?: (() => void) | null): Promise<CrawlResult> {
    return this.#result().finally(onEnd)
  }

  /** The items from now on. Leaving the loop cancels the crawl. */
  [Symbol.asyncIterator](): AsyncGenerator<Item, void, undefined> {
    return this.#host.items.read(() => this.cancel('its reader left')) as AsyncGenerator<Item, void, undefined>
  }

  async #result(): Promise<CrawlResult> {
    const outcome = await this.#settled
    if (outcome.status === 'done') return outcome.value
    if (outcome.status === 'failed') throw outcome.error
    throw new CancelledError(this.path, outcome.reason)
  }
}
