import type { AnyActorRef } from 'xstate'
import type { DropReason } from '../events.ts'

/** One life of a child. It tells what becomes of it by its `Reports`. */
export interface Incarnation {
  readonly actor: AnyActorRef | undefined
  start(): void
  /** Asks it to stop, and cuts it off when its time is up. */
  stop(): void
  /** Cuts it off at once. */
  kill(): void
  /** Whether the event was taken in; why not, if not. */
  send(event: unknown): true | DropReason
  /** Ends what `threw` answered `later` for. */
  decide(decision: 'resume' | 'over'): void
}
