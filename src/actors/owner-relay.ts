import type { AnyActorRef, AnyEventObject } from 'xstate'
import type { ChartOwner } from './light-actor.ts'
import { tellsSteps } from './tells-steps.ts'

/** What is used here of XState's systems without being told that it may. */
interface Relaying {
  _relay(source: AnyActorRef | undefined, target: AnyActorRef, event: AnyEventObject): void
  _sendInspectionEvent(event: object): void
  readonly [tellsSteps]?: boolean
  [relaysToOwners]?: boolean
}

const relaysToOwners: unique symbol = Symbol('relaysToOwners')

/** Where the input of a chart names its owner: XState keeps the input of an actor with it, and no chart reads this. */
export const owner: unique symbol = Symbol('owner')

/** The input of a chart that tells its owner itself. */
export interface OwnedInput {
  [owner]?: ChartOwner<never> | undefined
}

interface Owned {
  readonly options?: { readonly input?: OwnedInput | null }
}

/**
 * Gives the output of an actor to its owner at once. Its parent makes nothing of that event, which would go through its
 * mailbox and its logic first; whoever looks on is told of it as before. Not part of XState's documented surface (5.33),
 * so where it is not found as expected, nothing is changed, and the parent is told.
 */
export function relayToOwners(system: object): void {
  const relaying = system as Relaying
  const { _relay: relay, _sendInspectionEvent: tell } = relaying as Partial<Relaying>
  if (typeof relay !== 'function' || relay.length !== 3 || typeof tell !== 'function') return
  relaying._relay = (source, target, event) => {
    const found = (source as Owned | undefined)?.options?.input?.[owner]
    if (found === undefined || !('output' in event)) return relay(source, target, event)
    if (relaying[tellsSteps] === true) relay(source, target, event)
    else relaying._sendInspectionEvent({ type: '@xstate.event', sourceRef: source, actorRef: target, event })
    found.over(event['output'] as never)
  }
  relaying[relaysToOwners] = true
}

/** Whether an actor with this input tells its owner by itself. */
export function isToldByRelay(system: object, input: unknown): boolean {
  return (system as Relaying)[relaysToOwners] === true && (input as OwnedInput | undefined)?.[owner] !== undefined
}

/** Its owner is told nothing any more. */
export function disown(ref: AnyActorRef): void {
  const input = (ref as Owned).options?.input
  if (input?.[owner] !== undefined) input[owner] = undefined
}
