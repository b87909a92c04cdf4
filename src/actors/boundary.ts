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

  /** What an actor that failed has left behind: its children, newest first, and whatever a callback is to dispose of. */
  cleanUp(snapshot: AnySnapshot): void {
    this.#freeSystemIds()
    this.#stopChildren(snapshot)
    if (this.#inner.start === undefined || snapshot.children !== undefined || this.#scope === undefined) return
    try {
      this.#inner.transition(snapshot, { type: 'xstate.stop' }, this.#scope as never)
    } catch (error) {
      this.#owner.cleanupThrew(error)
    }
  }

  #step(snapshot: AnySnapshot, event: AnyEventObject, scope: AnyActorScope): AnySnapshot {
    if (event.type === DECIDED) return this.#endHold(snapshot, event, scope)
    if (this.#held !== undefined) {
      this.#held.events.push(event)
      return snapshot
    }
    this.#owner.took(event)
    if (this.#isOfCleanup(event)) return snapshot
    if (event.type.startsWith('xstate.error.actor.')) this.#stopOrphans(snapshot.children?.[event['actorId'] as string])
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
      // XState stops the children of a machine that fails oldest first; those that are stopped by then it leaves alone.
      if (next.status === 'error') this.#stopChildren(snapshot)
      for (const effect of effects) scope.defer(effect)
      return next
    }
    this.#freeSystemIds()
    for (const child of Object.values(snapshot.children ?? {})) this.#giveBackSystemId(child)
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
    this.#stopChildren(snapshot)
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

  #stopChildren(snapshot: AnySnapshot): void {
    for (const child of newestFirst(snapshot.children)) this.#stopChild(child)
  }

  #stopChild(child: AnyActorRef): void {
    const scope = this.#scope && (Object.getPrototypeOf(this.#scope) as AnyActorScope)
    const stopping = [...activeFrom(child)]
    scope?.stopChild(child)
    this.#stopOrphans(child)
    for (const ref of stopping) {
      const { status, error } = ref.getSnapshot() as { status: string; error?: unknown }
      if (status !== 'error') continue
      // Its error is on its way to this actor as an event and would kill it; it is only a cleanup that threw.
      if (ref === child && !this.#isStopping) this.#cleanupErrors.set(`xstate.error.actor.${child.id}`, error)
      this.#owner.cleanupThrew(error)
    }
  }

  /** A machine inside this one that failed leaves its children running, timers included (facts of XState 5.33). */
  #stopOrphans(failed: AnyActorRef | undefined): void {
    const snapshot = failed?.getSnapshot() as AnySnapshot | undefined
    if (snapshot?.status !== 'error') return
    for (const orphan of newestFirst(snapshot.children)) {
      this.#stopOrphans(orphan)
      ;(orphan as { _stop?: () => void })._stop?.() // only its parent may stop it by the front door, and that one is over
    }
  }

  #isOfCleanup(event: AnyEventObject): boolean {
    if (this.#cleanupErrors.size === 0 || !this.#cleanupErrors.has(event.type)) return false
    const isSame = Object.is(this.#cleanupErrors.get(event.type), event['error'])
    if (isSame) this.#cleanupErrors.delete(event.type)
    return isSame
  }

  /** A child that a failed step created was never started, but has already taken its `systemId`. */
  #freeSystemIds(): void {
    if (this.#scope === undefined) return
    const { self, system } = this.#scope as unknown as { self: AnyActorRef; system: Registry }
    for (const ref of Object.values(system.getAll())) {
      if (ref !== undefined && ref._processingStatus === NOT_STARTED && isUnder(ref, self)) system._unregister(ref)
    }
  }

  /** A stop takes away the `systemId` of a child at once, also if the step throws later and the child lives on. */
  #giveBackSystemId(child: AnyActorRef | undefined): void {
    if (child === undefined || child.getSnapshot().status !== 'active') return
    const { systemId } = child as { systemId?: string }
    const { system } = this.#scope as unknown as { system: Registry }
    if (systemId !== undefined && system.get(systemId) === undefined) system._set(systemId, child)
    const { children } = child.getSnapshot() as AnySnapshot
    for (const grandchild of Object.values(children ?? {})) this.#giveBackSystemId(grandchild)
  }
}

/** An actor and all below it, as far as they are live. */
function* activeFrom(ref: AnyActorRef | undefined): Generator<AnyActorRef, undefined> {
  const snapshot = ref?.getSnapshot() as AnySnapshot | undefined
  if (ref === undefined || snapshot?.status !== 'active') return
  yield ref
  for (const child of Object.values(snapshot.children ?? {})) yield* activeFrom(child)
}

/** What XState keeps its `systemId`s in; these four are not part of its types. */
interface Registry {
  getAll(): Readonly<Record<string, (AnyActorRef & { readonly _processingStatus?: number }) | undefined>>
  get(systemId: string): unknown
  _set(systemId: string, ref: AnyActorRef): void
  _unregister(ref: AnyActorRef): void
}

const NOT_STARTED = 0

function isUnder(ref: AnyActorRef, ancestor: AnyActorRef): boolean {
  for (let above = ref._parent; above !== undefined; above = above._parent) if (above === ancestor) return true
  return false
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
