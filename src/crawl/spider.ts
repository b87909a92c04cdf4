import { incarnate } from '../actors/hosted.ts'
import type { Incarnation } from '../actors/incarnation.ts'
import type { Place, Reports } from '../actors/reports.ts'
import type { ChildPolicy } from '../child.ts'
import { definitionBrand } from '../definition.ts'
import { InvalidOptionError } from '../errors.ts'
import type { Runnable } from '../hosted.ts'
import { readFunction, readName } from '../options.ts'
import type { Plugin } from '../plugin.ts'
import type { Crawl, CrawlOptions } from './crawl.ts'
import type { Fallback, Handler } from './handler.ts'
import { SpiderIncarnation } from './incarnation.ts'
import { readSpiderOptions, type SpiderOptions, type SpiderSettings } from './spider-options.ts'
import { renderStats, type CrawlStats } from './stats.ts'

/** What makes a spider a definition; its keys are symbols, which a class cannot declare by itself. */
// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- its static block defines them
export interface Spider<Item = unknown> extends Runnable<CrawlOptions, Crawl<Item>> {}

/** A crawler as data: where it begins, how it fetches, and what it does with pages. `system.run(spider)` begins a crawl. */
export class Spider<Item = unknown> {
  static {
    const life = function (this: Spider, place: Place, reports: Reports): Incarnation {
      return new SpiderIncarnation(this, place, reports)
    }
    Object.defineProperty(this.prototype, definitionBrand, { value: 'spider' })
    Object.defineProperty(this.prototype, incarnate, { value: life })
  }

  readonly kind = 'spider'
  readonly name: string
  readonly plugins: readonly Plugin[]
  readonly child: ChildPolicy
  /** @internal */
  readonly settings: SpiderSettings
  /** @internal In Maps: a request may be called `constructor`. */
  readonly handlers: ReadonlyMap<string, Handler<Item>>
  /** @internal */
  readonly fallbacks: ReadonlyMap<string, Fallback<Item>>
  readonly #handlers = new Map<string, Handler<Item>>()
  readonly #fallbacks = new Map<string, Fallback<Item>>()
  #latest: (() => CrawlStats) | undefined

  /** @internal Made by `spider()`. */
  constructor(name: string, settings: SpiderSettings) {
    this.name = name
    this.settings = settings
    this.plugins = settings.plugins
    this.child = settings.child
    this.handlers = this.#handlers
    this.fallbacks = this.#fallbacks
    Object.freeze(this)
  }

  /**
   * Says what to do with the good pages of the requests of this name. What the handler yields or returns is fetched
   * next; what it throws ends that page only.
   *
   * @example
   * books.on('list', function* ({ links, request }) {
   *   for (const url of links('h3 a')) yield request.follow('book', url)
   * })
   */
  on(name: string, handler: Handler<Item>): this {
    return this.#add(this.#handlers, 'on', name, handler)
  }

  /** Says what to do with a request of this name whose tries are spent. Called once for it. */
  fallback(name: string, fallback: Fallback<Item>): this {
    return this.#add(this.#fallbacks, 'fallback', name, fallback)
  }

  /** The numbers of the latest crawl of this spider as a text. */
  renderStats(): string {
    return renderStats(this.#latest?.() ?? { ...NOTHING, spider: this.name })
  }

  /** @internal A crawl begins. */
  crawls(stats: () => CrawlStats): void {
    this.#latest = stats
  }

  #add<Part>(parts: Map<string, Part>, method: string, name: string, part: Part): this {
    const subject = `${method}() of spider "${this.name}"`
    readName('request', name)
    if (readFunction(subject, 'handler', part) === undefined) {
      throw new InvalidOptionError(subject, 'handler', part, 'Pass a function.')
    }
    if (parts.has(name)) {
      throw new InvalidOptionError(subject, 'name', name, 'It has one already; give this one another name.')
    }
    parts.set(name, part)
    return this
  }
}

const NOTHING: Omit<CrawlStats, 'spider'> = {
  state: 'waiting',
  elapsed: 0,
  counters: {},
  lists: {},
  ended: { ok: 0, error: 0, fallback: 0, failed: 0 },
  download: { wire: 0, decoded: 0 },
  queued: 0,
  running: 0,
}

/**
 * Defines a spider. Under a supervisor, or given to `start`, it waits for `system.run(spider)`.
 *
 * @example
 * const books = spider('books', { start: [request('list', 'https://books.example/')], concurrency: 16 })
 */
export function spider<Item = unknown>(name: string, options: SpiderOptions = {}): Spider<Item> {
  readName('spider', name)
  return new Spider<Item>(name, readSpiderOptions(`spider "${name}"`, options))
}
