import type { AnyActorRef } from 'xstate'
import type { RestartType } from '../child.ts'
import type { DecisionName } from '../decision.ts'

/** A node below a hosted child, as the tree shows it. */
export interface HostedPart {
  readonly name: string
  readonly path: string
  readonly kind: string
  /** Where it is an actor. */
  readonly ref?: AnyActorRef
  readonly state: unknown
  readonly restart: RestartType
  readonly generation: number
  /** Of a boundary: how often it decided what about the failures it saw. */
  readonly failures?: Readonly<Record<DecisionName, number>>
  readonly children?: readonly HostedPart[]
}
