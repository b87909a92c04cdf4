import { createActor, fromTransition, type AnyActorLogic, type InspectionEvent, type Observer } from 'xstate'
import { listNoActors } from './actor-list.ts'
import { compileNodesOf, Host, type AnyActorScope } from './chart.ts'
import { allowLightActors } from './light-actor.ts'
import { MachineTimers } from './machine-timers.ts'
import { keepUnstarted } from './system-ids.ts'
import { relayToOwners } from './owner-relay.ts'
import { bookSessionsAhead } from './session-ids.ts'
import type { Tree } from './tree.ts'

/** Watches XState's inspection events. */
export type Inspect = Observer<InspectionEvent> | ((event: InspectionEvent) => void)

/** The topmost actor of a system of XState that is only ours, and the way to stop it. */
export interface OwnSystem {
  readonly host: Host
  stop(): void
}

/** Starts one. What XState does in a way that does not fit thousands of actors is replaced in it. */
export function startOwnSystem(tree: Tree, inspect: Inspect | undefined): OwnSystem {
  tree.isInspected = inspect !== undefined
  const timers = new MachineTimers(tree.clock)
  let scope: AnyActorScope | undefined
  const logic = rootLogic((given) => (scope = given))
  const actor = createActor(logic, {
    id: 'root catch',
    clock: timers.clock as never,
    ...(inspect && { inspect: guardObserver(tree, inspect) as never }),
  })
  timers.attach(actor.system)
  tree.tap.attach(actor.system as never)
  listNoActors(actor.system as never)
  bookSessionsAhead(actor.system)
  keepUnstarted(actor.system)
  if (inspect === undefined) {
    compileNodesOf(actor.system)
    relayToOwners(actor.system)
    allowLightActors(actor.system)
  } // else everything is shown by XState itself
  actor.subscribe({ error: () => {} })
  actor.start()
  return { host: Host.of(scope as unknown as AnyActorScope), stop: () => void actor.stop() }
}

/** It does nothing: ends of detached children are none of its business. */
function rootLogic(begun: (scope: AnyActorScope) => void): AnyActorLogic {
  const inner = fromTransition((state: object) => state, {}) as AnyActorLogic
  const logic = Object.create(inner) as AnyActorLogic
  logic.getInitialSnapshot = (scope, input) => {
    begun(scope as unknown as AnyActorScope)
    return inner.getInitialSnapshot(scope, input)
  }
  logic.transition = (snapshot, { type }) => (type === 'xstate.stop' ? { ...snapshot, status: 'stopped' } : snapshot)
  return logic
}

const PATIENCE = 3

/** An observer that throws would put the actor it watches into an error; after three throws it is not called again. */
function guardObserver(tree: Tree, inspect: Inspect): (event: InspectionEvent) => void {
  const next = typeof inspect === 'function' ? inspect : (event: InspectionEvent) => inspect.next?.(event)
  let throws = 0
  return (event) => {
    if (throws === PATIENCE) return
    try {
      next(event)
    } catch (error) {
      throws += 1
      const rest = throws === PATIENCE ? ', for the third time; it is not called again' : ''
      tree.callbackFailed('', `inspection observer${rest}`, error)
    }
  }
}
