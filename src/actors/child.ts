import type { AnyActorRef } from 'xstate'
import type { ChildPolicy } from '../child.ts'
import type { DropReason } from '../events.ts'
import type { Failure } from '../failure.ts'
import type { Definition } from '../supervisor.ts'
import type { Incarnation } from './incarnation.ts'
import type { Round } from './round.ts'
import type { Verdict } from './verdict.ts'

export type ChildStatus = 'starting' | 'running' | 'restarting' | 'stopping' | 'stopped'

/** Somebody who waits for a start or a stop. */
export interface Waiter {
  resolve(): void
  reject(error: unknown): void
}

/** What a child asks of the supervisor it stands under. */
export interface Home {
  drop(child: Child, event: unknown, reason: DropReason): void
  current(child: Child): Child
}

/** A child of a supervisor over all its incarnations: what was defined, how it is, and its place in line. */
export class Child {
  readonly definition: Definition
  readonly name: string
  readonly path: string
  readonly isDynamic: boolean
  status: ChildStatus = 'stopped'
  generation = 0
  #incarnation: Incarnation | undefined
  #lastActor: AnyActorRef | undefined
  /** Restarts in a row. */
  tries = 0
  /** When it became ready, undefined once it failed. */
  upAt: number | undefined
  /** When its next start is due, while it waits for one. */
  nextTryAt: number | undefined
  /** The round that will start it, or has. */
  round: Round<Child> | undefined
  /** The round that waits for it to be down. */
  stopper: Round<Child> | undefined
  /** What was decided for a failure whose end is still on its way. */
  verdict: { readonly failure: Failure; readonly verdict: Verdict } | undefined
  startWaiter: Waiter | undefined
  stopWaiters: Waiter[] | undefined
  before: Child | undefined
  after: Child | undefined
  readonly ref: ChildRef
  readonly #home: Home

  constructor(
    definition: Definition,
    place: { readonly name: string; readonly path: string; readonly isDynamic: boolean },
    home: Home,
  ) {
    this.definition = definition
    this.name = place.name
    this.path = place.path
    this.isDynamic = place.isDynamic
    this.#home = home
    this.ref = new ChildRef(this)
  }

  /** The child itself, or the one that took its place when its supervisor was restarted. */
  get current(): Child {
    return this.#home.current(this)
  }

  get incarnation(): Incarnation | undefined {
    return this.#incarnation
  }

  set incarnation(incarnation: Incarnation | undefined) {
    this.#lastActor = this.lastActor
    this.#incarnation = incarnation
  }

  /** Of the latest incarnation, also when that is over. */
  get lastActor(): AnyActorRef | undefined {
    return this.#incarnation?.actor ?? this.#lastActor
  }

  get policy(): ChildPolicy {
    return this.definition.child
  }

  get isAlive(): boolean {
    return this.status === 'running' || this.status === 'starting' || this.status === 'stopping'
  }

  send(event: unknown): void {
    const taken = this.incarnation?.send(event) ?? (this.status === 'restarting' ? 'restarting' : 'stopped')
    if (taken !== true) this.drop(event, taken)
  }

  drop(event: unknown, reason: DropReason): void {
    this.#home.drop(this, event, reason)
  }
}

/** What a user holds of a child. It belongs to the child, not to one of its incarnations. */
export class ChildRef<Snapshot = unknown> {
  readonly #child: Child

  constructor(child: Child) {
    this.#child = child
  }

  get path(): string {
    return this.#child.path
  }

  /** Counts its incarnations from 1. */
  get generation(): number {
    return this.#child.current.generation
  }

  /** Of the current incarnation; of the last one while there is none. */
  getSnapshot(): Snapshot {
    return this.#child.current.lastActor?.getSnapshot() as Snapshot
  }

  /** Never throws. What cannot be delivered is counted, and is a `message.dropped` event. */
  send(event: { readonly type: string }): void {
    this.#child.current.send(event)
  }
}

/** Children in start order, with constant cost for each operation. */
export class ChildList {
  first: Child | undefined
  last: Child | undefined
  readonly #byName = new Map<string, Child>()

  get size(): number {
    return this.#byName.size
  }

  get(name: string): Child | undefined {
    return this.#byName.get(name)
  }

  names(): readonly string[] {
    return [...this.#byName.keys()]
  }

  add(child: Child): void {
    this.#byName.set(child.name, child)
    child.before = this.last
    if (this.last === undefined) this.first = child
    else this.last.after = child
    this.last = child
  }

  /** The child keeps its neighbours, so that a walk that stands on it can go on. */
  remove(child: Child): void {
    if (!this.#byName.delete(child.name)) return
    if (child.before === undefined) this.first = child.after
    else child.before.after = child.after
    if (child.after === undefined) this.last = child.before
    else child.after.before = child.before
  }

  *[Symbol.iterator](): Generator<Child, undefined> {
    for (let child = this.first; child !== undefined; child = child.after) yield child
    return undefined
  }
}
