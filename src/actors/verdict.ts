import type { Decision } from '../decision.ts'
import type { DecidedBy } from '../failure.ts'

/** What was answered for a failure, before it is known whether that can be carried out. */
export interface Verdict {
  readonly decision: Decision
  readonly by: DecidedBy
  readonly because?: unknown
}
