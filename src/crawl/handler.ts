import type { CheerioAPI } from 'cheerio'
import { logOf } from '../actors/attempt-context.ts'
import type { Tree } from '../actors/tree.ts'
import type { Duration } from '../duration.ts'
import type { Failure } from '../failure.ts'
import { readDuration } from '../options.ts'
import type { JobLog } from '../task-context.ts'
import { RetryError, type NetworkError } from './errors.ts'
import type { Extracted, Spec } from './extract.ts'
import { Page } from './page.ts'
import type { Parse } from './parser.ts'
import type { CrawlRequest } from './request.ts'
import type { Response } from './response.ts'

type Maybe<Value> = Value | undefined | null

/** What a handler may yield, and return: requests, one by one or several at once. */
export type Requests = Maybe<CrawlRequest> | Iterable<Maybe<CrawlRequest>>

/** What a handler gives. Items are given to `emit()`. */
type Given = Requests | void
export type HandlerResult =
  | Given
  | Promise<Given>
  | Generator<Requests, Given, undefined>
  | AsyncGenerator<Requests, Given, undefined>

/** Called with each good page of the requests of its name. */
export type Handler<Item> = (context: HandlerContext<Item>) => HandlerResult

/** Called once with a request whose tries are spent. */
export type Fallback<Item> = (
  request: CrawlRequest,
  failure: Failure,
  context: FallbackContext<Item>,
) => HandlerResult | Promise<unknown>

export interface FallbackContext<Item> {
  emit(item: Item): void
  readonly log: JobLog
  readonly signal: AbortSignal
}

/** What came back for a request. Of a request that is `raw` it may be any status, or an error and no status. */
export class CrawledPage extends Page {
  /** Why there is no good page; only where the request is `raw`. */
  readonly error: NetworkError | undefined

  constructor(response: Response, request: CrawlRequest, parse: Parse, error: NetworkError | undefined) {
    super(response, request, parse)
    this.error = error
  }
}

/** What a handler is given. It may be taken apart: nothing in it needs `this`, and `$` is parsed when it is first read. */
export interface HandlerContext<Item> {
  /** The page as cheerio has it. */
  readonly $: CheerioAPI
  readonly page: CrawledPage
  readonly request: CrawlRequest
  /** Absolute http URLs of what a selector finds, in page order, each once. @default 'a[href]' */
  links(selector?: string): readonly string[]
  /** Takes fields out of the page. What is required and missing is a `SelectorError`. */
  extract<const Fields extends Spec>(fields: Fields): Extracted<Fields>
  /** Gives an item to who reads the crawl; as JSON can keep it. */
  emit(item: Item): void
  /** Gives the page back: it is fetched again, and what this try collected is dropped. Throws. */
  retry(options?: { readonly delay?: Duration }): never
  /** Aborts when the page is given up. */
  readonly signal: AbortSignal
  readonly log: JobLog
}

/** What a call of a handler needs to know. */
export interface Handled {
  readonly tree: Tree
  readonly id: string
  readonly path: string
  readonly attempt: number
  readonly signal: AbortSignal
  readonly taskTryLimit: number
  emit(item: unknown): void
  /** Told how long the page wants to wait at least. */
  retries(error: RetryError, delay: number | undefined): void
}

/** The page of one attempt, for its handler. */
export class PageContext implements HandlerContext<unknown> {
  readonly page: CrawledPage
  readonly request: CrawlRequest
  readonly #handled: Handled

  constructor(page: CrawledPage, request: CrawlRequest, handled: Handled) {
    this.page = page
    this.request = request
    this.#handled = handled
  }

  get $(): CheerioAPI {
    return this.page.$
  }

  get links(): HandlerContext<unknown>['links'] {
    return (selector) => this.page.links(selector)
  }

  get extract(): HandlerContext<unknown>['extract'] {
    return (fields) => this.page.extract(fields)
  }

  get emit(): (item: unknown) => void {
    return (item) => this.#handled.emit(item)
  }

  get retry(): HandlerContext<unknown>['retry'] {
    return ({ delay } = {}) => {
      const { url, taskTryCount } = this.request
      const error = new RetryError(url, taskTryCount, this.#handled.taskTryLimit)
      this.#handled.retries(error, readDuration('retry()', 'delay', delay))
      throw error
    }
  }

  get signal(): AbortSignal {
    return this.#handled.signal
  }

  get log(): JobLog {
    return logOf(this.#handled)
  }
}
