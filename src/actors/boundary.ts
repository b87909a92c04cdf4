import type { AnyActorLogic, AnyActorRef, AnyEventObject, Snapshot } from 'xstate'
import type { AnyActorScope } from './chart.ts'

/** What the owner of an incarnation is told while its logic runs. */
export interface BoundaryOwner {
  /**
   * The logic threw on an event. `resume`: go on as if the event had never come; `over`: it has failed; `later`: nobody
   * can decide now, so hold everything until `decide` is called.
   */
  threw(error: unknown): 'resume' | 'over' | 'later'
  /** An event left the mailbox. */
  took(event: AnyEventObject): void
  /** A dispose function threw. */
  cleanupThrew(error: unknown): void
}

type AnySnapshot = Snapshot<unknown> & { readonly children?: Readonly<Record<string, AnyActorRef | undefined>> }

const DECIDED = 'rootcatch.decided'

/**
 * Stands around a user's logic: a step that throws has no effect at all, its owner decides what it means, and whatever
 * ends the actor takes its own children along, newest first.
 */
export class Boundary {
  readonly logic: AnyActorLogic
  readonly #inner: AnyActorLogic
  readonly #owner: BoundaryOwner
  #scope: AnyActorScope | undefined
  /** Effects of the step under way; null outside of one, when they are handed on at once. */
  #effects: (() => void)[] | null = null
  /** Set while nobody can decide yet. */
  #held: { readonly error: unknown; readonly events: AnyEventObject[] } | undefined
  #isStopping = false
  readonly #cleanupErrors = new Map<string, unknown>()

  constructor(inner: AnyActorLogic, owner: BoundaryOwner) {
    this.#inner = inner
    this.#owner = owner
    const logic = Object.create(inner) as AnyActorLogic
    logic.getInitialSnapshot = (scope, input) => inner.getInitialSnapshot(this.#guard(scope as never) as never, input)
    const { start } = inner
    if (start !== undefined)
      logic.start = (snapshot, scope) => start.call(inner, snapshot, this.#guard(scope as never) as never)
    logic.transition = (snapshot, event: AnyEventObject, scope) =>
      event.type === 'xstate.stop'
        ? this.#stop(snapshot, event)
        : this.#step(snapshot, event, scope as unknown as AnyActorScope)
    this.logic = logic
  }

  /** Ends what `threw` answered `later` for. */
  decide(self: AnyActorRef, decision: 'resume' | 'over'): void {
    self.send({ type: DECIDED, decision })
  }

  /** The children an actor that is over has left behind, newest first. */
  stopChildren(snapshot: AnySnapshot): void {
    for (const child of newestFirst(snapshot.children)) this.#stopChild(child)
  }

  #step(snapshot: AnySnapshot, event: AnyEventObject, scope: AnyActorScope): AnySnapshot {
    if (event.type === DECIDED) return this.#endHold(snapshot, event, scope)
    if (this.#held !== undefined) {
      this.#held.events.push(event)
      return snapshot
    }
    this.#owner.took(event)
    if (this.#isOfCleanup(event)) return snapshot
    const effects: (() => void)[] = []
    this.#effects = effects
    let thrown: { readonly error: unknown } | undefined
    let next: AnySnapshot = snapshot
    try {
      next = this.#inner.transition(snapshot, event, this.#guard(scope) as never) as AnySnapshot
    } catch (error) {
      thrown = { error }
    }
    this.#effects = null
    if (thrown === undefined) {
      for (const effect of effects) scope.defer(effect)
      return next
    }
    this.#freeSystemIds(snapshot, scope)
    const answer = this.#owner.threw(thrown.error)
    if (answer === 'over') return asFailed(snapshot, thrown.error)
    if (answer === 'later') this.#held = { error: thrown.error, events: [] }
    return snapshot
  }

  #endHold(snapshot: AnySnapshot, event: AnyEventObject, scope: AnyActorScope): AnySnapshot {
    const held = this.#held
    this.#held = undefined
    if (held === undefined) return snapshot
    if (event['decision'] === 'over') return asFailed(snapshot, held.error)
    for (const missed of held.events) scope.defer(() => (scope.self as AnyActorRef).send(missed))
    return snapshot
  }

  #stop(snapshot: AnySnapshot, event: AnyEventObject): AnySnapshot {
    this.#isStopping = true
    this.stopChildren(snapshot)
    try {
      return this.#inner.transition(snapshot, event, this.#scope as never) as AnySnapshot
    } catch (error) {
      this.#owner.cleanupThrew(error)
      return { ...snapshot, status: 'stopped', output: undefined, error: undefined }
    }
  }

  /** The scope of the actor, but for effects, which are held back until the step is known not to throw. */
  #guard(scope: AnyActorScope): AnyActorScope {
    this.#scope ??= Object.assign(Object.create(scope) as AnyActorScope, {
      defer: (effect: () => void) => (this.#effects === null ? scope.defer(effect) : void this.#effects.push(effect)),
      stopChild: (child: AnyActorRef) => this.#stopChild(child),
    })
    return this.#scope
  }

  #stopChild(child: AnyActorRef): void {
    const scope = this.#scope && (Object.getPrototypeOf(this.#scope) as AnyActorScope)
    const wasActive = child.getSnapshot().status === 'active'
    scope?.stopChild(child)
    const after = child.getSnapshot() as { status: string; error?: unknown }
    if (!wasActive || after.status !== 'error') return
    // The child's error is on its way to this actor as an event and would kill it; it is only a cleanup that threw.
    if (!this.#isStopping) this.#cleanupErrors.set(`xstate.error.actor.${child.id}`, after.error)
    this.#owner.cleanupThrew(after.error)
  }

  #isOfCleanup(event: AnyEventObject): boolean {
    if (this.#cleanupErrors.size === 0 || !this.#cleanupErrors.has(event.type)) return false
    const isSame = Object.is(this.#cleanupErrors.get(event.type), event['error'])
    if (isSame) this.#cleanupErrors.delete(event.type)
    return isSame
  }

  /** A child that a failed step created was never started, but has already taken its `systemId`. */
  #freeSystemIds(snapshot: AnySnapshot, scope: AnyActorScope): void {
    const known = new Set(Object.values(snapshot.children ?? {}))
    for (const ref of Object.values(scope.system.getAll() as Record<string, AnyActorRef | undefined>)) {
      if (ref === undefined || known.has(ref) || ref._parent !== (scope.self as unknown)) continue
      const { _unregister: unregister } = scope.system as { _unregister?: (ref: AnyActorRef) => void }
      unregister?.(ref)
    }
  }
}

function asFailed(snapshot: AnySnapshot, error: unknown): AnySnapshot {
  return { ...snapshot, status: 'error', output: undefined, error }
}

/** By session id, which counts up; the order of keys puts ids that look like numbers first. */
function newestFirst(children: AnySnapshot['children']): readonly AnyActorRef[] {
  const born = (ref: AnyActorRef): number => Number(ref.sessionId.slice(ref.sessionId.indexOf(':') + 1))
  return Object.values(children ?? {})
    .filter((child) => child !== undefined)
    .sort((a, b) => born(b) - born(a))
}
