import type { Failure } from '../failure.ts'
import type { CrawlOutcome, CrawlReason } from './crawl.ts'
import type { FailedElsewhereError } from './errors.ts'
import type { CrawlState, CrawlStats } from './stats.ts'

/** How a crawl ended for all who take part. */
export interface SharedEnding {
  readonly kind: 'done' | 'cancelled' | 'failed'
  readonly reason: string
}

/** What a crawl comes to once nothing of it runs. */
export type Ending =
  | { readonly kind: 'done'; readonly reason: CrawlReason }
  | { readonly kind: 'cancelled'; readonly reason: unknown }
  | { readonly kind: 'stopped'; readonly reason: unknown }
  /** Something was wrong with `start`, or with what it is kept in; the spider itself did not fail. */
  | { readonly kind: 'refused'; readonly error: unknown }
  | { readonly kind: 'failed'; readonly failure: Failure }
  /** Another process that takes part ended it for all. */
  | { readonly kind: 'elsewhere'; readonly ending: SharedEnding; readonly error: FailedElsewhereError | undefined }

/** Whether its queue is kept for the next run. */
export function isKept(ending: Ending): boolean {
  const { kind } = ending.kind === 'elsewhere' ? ending.ending : ending
  return kind !== 'done' && kind !== 'cancelled'
}

export function stateOf(ending: Ending): CrawlState {
  if (ending.kind === 'elsewhere') return ending.ending.kind
  return ending.kind === 'refused' ? 'failed' : ending.kind
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
    case 'done':
      return done(ending.reason, stats)
    case 'elsewhere': {
      const { kind, reason } = ending.ending
      if (kind === 'done') return done(reason as CrawlReason, stats)
      return kind === 'failed' ? { status: 'failed', error: ending.error } : { status: 'cancelled', reason }
    }
  }
}

function done(reason: CrawlReason, stats: CrawlStats): CrawlOutcome {
  const { counters, ended } = stats
  const { request: requests = 0, item: items = 0 } = counters
  return { status: 'done', value: { reason, requests, items, failed: ended.error + ended.failed, stats } }
}

/** What an ending is for the others; undefined: theirs goes on. */
export function sharedEnding(ending: Ending): SharedEnding | undefined {
  switch (ending.kind) {
    case 'done':
      return { kind: 'done', reason: ending.reason }
    case 'cancelled':
      return { kind: 'cancelled', reason: String(ending.reason) }
    case 'failed':
      return { kind: 'failed', reason: ending.failure.message }
    case 'refused':
      return { kind: 'failed', reason: String(ending.error) }
    case 'elsewhere':
    case 'stopped':
      return undefined
  }
}
