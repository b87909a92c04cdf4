import type { Failure } from '../failure.ts'
import type { CrawlOutcome, CrawlReason } from './crawl.ts'
import type { CrawlState, CrawlStats } from './stats.ts'

/** What a crawl comes to once nothing of it runs. */
export type Ending =
  | { readonly kind: 'done'; readonly reason: CrawlReason }
  | { readonly kind: 'cancelled'; readonly reason: unknown }
  | { readonly kind: 'stopped'; readonly reason: unknown }
  /** Something was wrong with `start`, or with what it is kept in; the spider itself did not fail. */
  | { readonly kind: 'refused'; readonly error: unknown }
  | { readonly kind: 'failed'; readonly failure: Failure }

/** Whether its queue is kept for the next run. */
export function isKept({ kind }: Ending): boolean {
  return kind !== 'done' && kind !== 'cancelled'
}

export function stateOf({ kind }: Ending): CrawlState {
  return kind === 'refused' ? 'failed' : kind
}

/** What who awaits the crawl is told. */
export function outcomeOf(ending: Ending, stats: CrawlStats): CrawlOutcome {
  switch (ending.kind) {
    case 'failed':
      return { status: 'failed', error: ending.failure }
    case 'refused':
      return { status: 'failed', error: ending.error }
    case 'cancelled':
    case 'stopped':
      return { status: 'cancelled', reason: ending.reason }
    case 'done': {
      const { counters, ended } = stats
      const { request: requests = 0, item: items = 0 } = counters
      return {
        status: 'done',
        value: { reason: ending.reason, requests, items, failed: ended.error + ended.failed, stats },
      }
    }
  }
}
