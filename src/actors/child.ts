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

/** An end or a failure that waits for its decision. */
export interface Undecided {
  readonly failure: Failure | undefined
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
  /** The round it is a member of, until all of that round is ready. */
  round: Round<Child> | undefined
  /** What was decided for a failure whose end is still on its way. */
  verdict: { readonly failure: Failure; readonly verdict: Verdict } | undefined
  /** It ended or failed before its supervisor was up, and nothing was decided yet. Held: it threw, and waits as it is. */
  undecided: Undecided | undefined
  /** Somebody added it, and it has not been up yet: if it does not start, nothing is kept. */
  isNew = false
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

  /** Whether there is an actor of it; one that waits for its turn to start has none. */
  get isAlive(): boolean {
    return this.#incarnation !== undefined
  }

  send(event: unknown): void {
    const taken = isEvent(event) ? (this.#incarnation?.send(event) ?? this.#whyDown()) : 'invalid'
    if (taken !== true) this.drop(event, taken)
  }

  #whyDown(): DropReason {
    return this.status === 'starting' || this.status === 'restarting' ? this.status : 'stopped'
  }

  drop(event: unknown, reason: DropReason): void {
    this.#home.drop(this, event, reason)
  }
}

/** Any event, where nothing is known of the logic that takes it. */
export interface AnyMessage {
  readonly type: string
  readonly [key: string]: unknown
}

/** What a user holds of a child. It belongs to the child, not to one of its incarnations. */
export class ChildRef<Snapshot = unknown, Event extends { readonly type: string } = AnyMessage> {
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
  send(event: Event): void {
    this.#child.current.send(event)
  }
}

/** Anything else makes XState throw, at the sender or in the middle of the actor that gets it. */
function isEvent(value: unknown): boolean {
  try {
    return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string'
  } catch {
    return false // a proxy that throws on everything
  }
}
