import type { ActorSystem, AnyActorRef } from 'xstate'

/** What XState lists the actors of a system with; not part of its types. */
interface ActorList {
  _register(sessionId: string, ref: AnyActorRef): string
  _unregister(ref: AnyActorRef): void
}

/**
 * Keeps XState from listing each actor of a system by its session. Nobody reads that list (XState 5.33), but a `Map` into
 * which every job goes and out of which it comes again keeps what jobs leave behind until the next full collection: half
 * of what a job costs. Not part of XState's documented surface, so where it is not found as expected, nothing is changed.
 */
export function listNoActors(system: ActorSystem<never>): void {
  const list = system as unknown as Partial<ActorList>
  const { _register: register, _unregister: unregister } = list
  if (typeof register !== 'function' || register.length !== 2) return
  list._register = (sessionId) => sessionId
  if (typeof unregister !== 'function' || unregister.length !== 1) return
  list._unregister = (ref) => {
    if ((ref as { systemId?: string }).systemId !== undefined) unregister(ref) // the others stand nowhere
  }
}
