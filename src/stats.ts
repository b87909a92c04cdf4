import type { Counters } from './actors/counters.ts'

/** What `system.stats()` gives: totals since the start, and what is now. */
export interface Stats extends Readonly<Counters> {
  /** Children of all supervisors that run now; a worker counts as one. */
  readonly running: number
  /** Attempts that run now. */
  readonly attempts: number
  /** Runs this process waits for. */
  readonly openRuns: number
}
