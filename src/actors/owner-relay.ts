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

/** The option by which an actor is given its owner: XState keeps the options of an actor with it. */
export const owner: unique symbol = Symbol('owner')

interface Owned {
  readonly options?: { [owner]?: ChartOwner | undefined }
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
    const found = (source as Owned | undefined)?.options?.[owner]
    if (found === undefined || !('output' in event)) return relay(source, target, event)
    if (relaying[tellsSteps] === true) relay(source, target, event)
    else relaying._sendInspectionEvent({ type: '@xstate.event', sourceRef: source, actorRef: target, event })
    found.over(event['output'])
  }
  relaying[relaysToOwners] = true
}

export function doesRelayToOwners(system: object): boolean {
  return (system as Relaying)[relaysToOwners] === true
}

/** Its owner is told nothing any more. */
export function disown(ref: AnyActorRef): void {
  const { options } = ref as Owned
  if (options !== undefined) options[owner] = undefined
}
