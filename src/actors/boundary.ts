import type { AnyActorLogic, AnyActorRef, AnyEventObject } from 'xstate'
import { replaceScope } from './actor-scope.ts'
import type { AnyActorScope } from './chart.ts'
import { activeFrom, newestFirst, stopOrphans, type AnySnapshot } from './inner-actors.ts'
import { freeSystemIds, giveBackSystemId } from './system-ids.ts'

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

const DECIDED = 'rootcatch.decided'

/**
 * Stands around a user's logic: a step that throws has no effect at all, its owner decides what it means, and whatever
 * ends the actor takes its own children along, newest first.
 */
export class Boundary {
  readonly #inner: AnyActorLogic
  readonly #owner: BoundaryOwner
  #scope: AnyActorScope | undefined
  /** What XState's own scope does. */
  #deferNow: AnyActorScope['defer'] | undefined
  #stopNow: AnyActorScope['stopChild'] | undefined
  #isInStep = false
  /** Effects of the step under way; outside of one they are handed on at once. */
  #effects: (() => void)[] | undefined
  /** Set while nobody can decide yet. */
  #held: { readonly error: unknown; readonly events: AnyEventObject[] } | undefined
  #isStopping = false
  #cleanupErrors: Map<string, unknown> | undefined

  constructor(inner: AnyActorLogic, owner: BoundaryOwner) {
    this.#inner = inner
    this.#owner = owner
  }

  /** The logic for one actor. */
  get logic(): AnyActorLogic {
    return new (boundOf(this.#inner))(this)
  }

  /** Ends what `threw` answered `later` for. */
  decide(self: AnyActorRef, decision: 'resume' | 'over'): void {
    self.send({ type: DECIDED, decision })
  }

  /** What an actor that failed has left behind: its children, newest first, and whatever a callback is to dispose of. */
  cleanUp(snapshot: AnySnapshot): void {
    const scope = this.#scope
    if (scope === undefined) return
    freeSystemIds(scope.self as AnyActorRef)
    this.#stopChildren(snapshot)
    if (this.#inner.start === undefined || snapshot.children !== undefined) return
    try {
      this.#inner.transition(snapshot, { type: 'xstate.stop' }, scope as never)
    } catch (error) {
      this.#owner.cleanupThrew(error)
    }
  }

  // What XState calls

  init(input: unknown, scope: AnyActorScope): AnySnapshot {
    return this.#inner.getInitialSnapshot(this.#guard(scope) as never, input) as AnySnapshot
  }

  start(snapshot: AnySnapshot, scope: AnyActorScope): void {
    this.#inner.start?.(snapshot, this.#guard(scope) as never)
  }

  transition(snapshot: AnySnapshot, event: AnyEventObject, scope: AnyActorScope): AnySnapshot {
    if (event.type === 'xstate.stop') return this.#stop(snapshot, event)
    if (event.type === DECIDED) return this.#endHold(snapshot, event, scope)
    if (this.#held !== undefined) {
      this.#held.events.push(event)
      return snapshot
    }
    this.#owner.took(event)
    if (this.#isOfCleanup(event)) return snapshot
    if (event.type.startsWith('xstate.error.actor.')) stopOrphans(snapshot.children?.[event['actorId'] as string])
    return this.#step(snapshot, event, scope)
  }

  #step(snapshot: AnySnapshot, event: AnyEventObject, scope: AnyActorScope): AnySnapshot {
    let next: AnySnapshot
    this.#isInStep = true
    try {
      next = this.#inner.transition(snapshot, event, this.#guard(scope) as never) as AnySnapshot
    } catch (error) {
      this.#takeEffects()
      return this.#threw(error, snapshot, scope)
    }
    const effects = this.#takeEffects()
    // XState stops the children of a machine that fails oldest first; those that are stopped by then it leaves alone.
    if (next.status === 'error') this.#stopChildren(snapshot)
    for (const effect of effects) scope.defer(effect)
    return next
  }

  #takeEffects(): readonly (() => void)[] {
    const effects = this.#effects
    this.#isInStep = false
    this.#effects = undefined
    return effects ?? noEffects
  }

  #threw(error: unknown, snapshot: AnySnapshot, scope: AnyActorScope): AnySnapshot {
    freeSystemIds(scope.self as AnyActorRef)
    if (snapshot.children !== undefined) for (const child of Object.values(snapshot.children)) giveBackSystemId(child)
    const answer = this.#owner.threw(error)
    if (answer === 'over') return asFailed(snapshot, error)
    if (answer === 'later') this.#held = { error, events: [] }
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

  /**
   * The scope of the actor, but for effects, which are held back until the step is known not to throw. A copy: an object
   * that others inherit from gets a hidden class of its own, and that keeps the whole actor alive for long.
   */
  #guard(scope: AnyActorScope): AnyActorScope {
    if (this.#scope !== undefined) return this.#scope
    this.#deferNow = scope.defer
    this.#stopNow = scope.stopChild
    this.#scope = {
      ...scope,
      defer: (effect) => this.#defer(effect),
      stopChild: (child) => this.#stopChild(child),
    }
    replaceScope(scope, this.#scope)
    return this.#scope
  }

  #defer(effect: () => void): void {
    if (!this.#isInStep) return this.#deferNow?.(effect)
    this.#effects ??= []
    this.#effects.push(effect)
  }

  #stopChildren({ children }: AnySnapshot): void {
    if (children === undefined) return
    for (const child of newestFirst(children)) this.#stopChild(child)
  }

  #stopChild(child: AnyActorRef): void {
    const stopping = [...activeFrom(child)]
    this.#stopNow?.(child)
    stopOrphans(child)
    for (const ref of stopping) {
      const { status, error } = ref.getSnapshot() as { status: string; error?: unknown }
      if (status !== 'error') continue
      // Its error is on its way to this actor as an event and would kill it; it is only a cleanup that threw.
      if (ref === child && !this.#isStopping) {
        this.#cleanupErrors ??= new Map()
        this.#cleanupErrors.set(`xstate.error.actor.${child.id}`, error)
      }
      this.#owner.cleanupThrew(error)
    }
  }

  #isOfCleanup(event: AnyEventObject): boolean {
    const errors = this.#cleanupErrors
    if (errors === undefined || !errors.has(event.type)) return false
    const isSame = Object.is(errors.get(event.type), event['error'])
    if (isSame) errors.delete(event.type)
    return isSame
  }
}

const noEffects: readonly never[] = Object.freeze([])

const boundaryKey: unique symbol = Symbol('boundary')

/** A user's logic as one actor runs it. */
type Bounded = AnyActorLogic & { [boundaryKey]: Boundary }

/** Makes the logic of one actor. Whatever else is asked of it, such as how it draws, the user's logic answers. */
type Bound = new (boundary: Boundary) => Bounded

const bounds = new WeakMap<AnyActorLogic, Bound>()

/** All actors of one logic share what can be shared. */
function boundOf(inner: AnyActorLogic): Bound {
  const known = bounds.get(inner)
  if (known !== undefined) return known
  const methods: Pick<AnyActorLogic, 'getInitialSnapshot' | 'start' | 'transition'> & ThisType<Bounded> = {
    getInitialSnapshot(scope, input) {
      return this[boundaryKey].init(input, scope as never)
    },
    ...(inner.start !== undefined && {
      start(snapshot, scope) {
        this[boundaryKey].start(snapshot, scope as never)
      },
    }),
    transition(snapshot, event: AnyEventObject, scope) {
      return this[boundaryKey].transition(snapshot, event, scope as never)
    },
  }
  const bound = function (this: Bounded, boundary: Boundary): void {
    this[boundaryKey] = boundary
  } as unknown as Bound
  // Defined, not assigned: the user's may be frozen.
  bound.prototype = Object.create(inner, Object.getOwnPropertyDescriptors(methods)) as AnyActorLogic
  bounds.set(inner, bound)
  return bound
}

function asFailed(snapshot: AnySnapshot, error: unknown): AnySnapshot {
  return { ...snapshot, status: 'error', output: undefined, error }
}
