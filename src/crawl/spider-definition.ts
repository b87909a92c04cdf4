import type { Hosted } from '../hosted.ts'
import type { Fallback, Handler } from './handler.ts'
import type { SpiderSettings } from './spider-options.ts'
import type { CrawlStats } from './stats.ts'

/** A spider as its crawls know it. */
export interface SpiderDefinition extends Hosted<'spider'> {
  readonly settings: SpiderSettings
  /** In Maps: a request may be called `constructor`. */
  readonly handlers: ReadonlyMap<string, Handler<never>>
  readonly fallbacks: ReadonlyMap<string, Fallback<never>>
  /** A crawl begins. */
  crawls(stats: () => CrawlStats): void
}
