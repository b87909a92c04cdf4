import type { ChartData } from '../actors/chart-data.ts'
import type { ObservedSnapshot } from '../actors/tap.ts'

/** What is read of an actor, be it one of ours or one that another process tells of. */
export interface Seen {
  readonly chart: ChartData | undefined
  readonly input: unknown
  snapshot(): ObservedSnapshot | undefined
}
