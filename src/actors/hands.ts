import type { DecisionName } from '../decision.ts'
import type { Failure } from '../failure.ts'
import type { Child } from './child.ts'
import type { RoundHands } from './rounds.ts'
import type { Verdict } from './verdict.ts'

/** How a supervision ended. `started` is false if its first start did not succeed. */
export type End = { readonly failure?: undefined } | { readonly failure: Failure; readonly started: boolean }

/** What the core of a supervisor lets others do. None of these may throw. */
export interface Hands extends Omit<RoundHands, 'over' | 'step'> {
  /** Makes a new incarnation; the child has it until it was told of its end. */
  start(child: Child): void
  kill(child: Child): void
  release(child: Child, decision: 'resume' | 'over'): void
  judge(failure: Failure, child: Child): Verdict
  report(failure: Failure, decision: DecisionName): void
  started(child: Child): void
  ended(child: Child, output: unknown): void
  forgotten(child: Child): void
  mirror(
    event: 'children.ready' | 'round.began' | 'rounds.over' | 'gave up' | 'shutdown' | 'children.down',
    failure?: Failure,
  ): void
  /** All children of the definition are ready. */
  ready(): void
  over(end: End): void
}
