import type { AnyActorRef } from 'xstate'

/** What XState keeps its `systemId`s in; of these only `get` and `getAll` are part of its types. */
interface Registry {
  getAll(): Readonly<Record<string, Unstarted | undefined>>
  get(systemId: string): unknown
  _set(systemId: string, ref: AnyActorRef): void
  _unregister(ref: AnyActorRef): void
  /** Who has taken an id and was not started yet, where that is kept. */
  [unstarted]?: Set<Unstarted>
}

type Unstarted = AnyActorRef & { readonly _processingStatus?: number }

const unstarted: unique symbol = Symbol('unstarted')
const NOT_STARTED = 0

/**
 * Keeps who has taken a `systemId` and was not started yet: few, or none, where all ids of a system may be thousands to go
 * through for each failure. XState asks for an id when an actor is made, and again when it starts.
 */
export function keepUnstarted(system: object): void {
  const registry = system as Partial<Registry>
  const { _set: set, _unregister: unregister } = registry
  if (typeof set !== 'function' || typeof unregister !== 'function') return
  const waiting = new Set<Unstarted>()
  registry._set = (systemId, ref) => {
    set(systemId, ref)
    if (!waiting.delete(ref)) waiting.add(ref)
  }
  registry._unregister = (ref) => {
    unregister(ref)
    if (waiting.size > 0) waiting.delete(ref)
  }
  registry[unstarted] = waiting
}

/** A child that a failed step created was never started, but has already taken its `systemId`. */
export function freeSystemIds(self: AnyActorRef): void {
  const registry = self.system as unknown as Registry
  const kept = registry[unstarted]
  if (kept?.size === 0) return
  for (const ref of kept ?? Object.values(registry.getAll())) {
    if (ref !== undefined && ref._processingStatus === NOT_STARTED && isUnder(ref, self)) registry._unregister(ref)
  }
}

/** A stop takes away the `systemId` of a child at once, also if the step throws later and the child lives on. */
export function giveBackSystemId(child: AnyActorRef | undefined): void {
  const snapshot = child?.getSnapshot() as { status: string; children?: Record<string, AnyActorRef | undefined> }
  if (child === undefined || snapshot.status !== 'active') return
  const { systemId } = child as { systemId?: string }
  const registry = child.system as unknown as Registry
  if (systemId !== undefined && registry.get(systemId) === undefined) {
    registry._set(systemId, child)
    registry[unstarted]?.delete(child) // it runs
  }
  for (const grandchild of Object.values(snapshot.children ?? {})) giveBackSystemId(grandchild)
}

function isUnder(ref: AnyActorRef, ancestor: AnyActorRef): boolean {
  for (let above = ref._parent; above !== undefined; above = above._parent) if (above === ancestor) return true
  return false
}
