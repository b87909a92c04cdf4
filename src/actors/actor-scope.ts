import type { AnyActorScope } from './chart.ts'

/**
 * Lets an actor of XState hand another scope to its logic from now on, and empties the one it made. Where many actors live
 * for long, V8 makes that one an old object from the start; one that is dead then keeps its actor, and all it has made,
 * until the next full collection: beside 100,000 others a restart cost twice as much. Not part of XState's documented
 * surface (5.33), so where it is not found as expected, nothing is changed.
 */
export function replaceScope(made: AnyActorScope, other: AnyActorScope): void {
  const actor = made.self as { _actorScope?: unknown }
  if (actor._actorScope !== made) return
  actor._actorScope = other
  for (const key of Object.keys(made)) (made as unknown as Record<string, undefined>)[key] = undefined
}
