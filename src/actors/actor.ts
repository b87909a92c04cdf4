import type { AnyActorRef, AnyEventObject, Snapshot } from 'xstate'
import type { Actor } from '../actor.ts'
import { TimeoutError } from '../errors.ts'
import type { DropReason } from '../events.ts'
import { addToTrail, Failure, type FailureKind } from '../failure.ts'
import { Boundary, type BoundaryOwner } from './boundary.ts'
import type { Host } from './chart.ts'
import type { Child } from './child.ts'
import type { Incarnation } from './incarnation.ts'
import type { Reports } from './reports.ts'
import type { Tree } from './tree.ts'

type Phase = 'starting' | 'up' | 'asked' | 'cut' | 'over'

/** One life of a user's XState logic. */
export class ActorIncarnation implements Incarnation, BoundaryOwner {
  readonly #tree: Tree
  readonly #host: Host
  readonly #child: Child
  readonly #definition: Actor
  readonly #reports: Reports
  readonly #boundary: Boundary
  readonly #generation: number
  #actor: (AnyActorRef & { start(): unknown }) | undefined
  #phase: Phase = 'starting'
  #timer: unknown
  #how: 'stopped' | 'killed' = 'stopped'
  /** What was sent and not yet taken. */
  #inbox: unknown[] | undefined
  /** How many of these it has taken since the inbox was last empty: shifting each would cost as much as there wait. */
  #taken = 0
  #thrown: Failure | undefined

  constructor(tree: Tree, host: Host, child: Child, reports: Reports) {
    this.#tree = tree
    this.#host = host
    this.#child = child
    this.#definition = child.definition as Actor
    this.#reports = reports
    this.#generation = child.generation
    this.#boundary = new Boundary(this.#definition.logic, this)
  }

  get actor(): AnyActorRef | undefined {
    return this.#actor
  }

  start(): void {
    const { child, input } = this.#definition
    const actor = this.#host.createChild(this.#boundary.logic, this.#child.name, input)
    this.#actor = actor
    actor.subscribe(new ActorEnd(this))
    if (child.ready !== undefined) actor.subscribe({ next: () => this.#checkReady(), error: () => {} })
    if (child.ready !== undefined && child.startTimeout !== Infinity) {
      const fail = (): void => this.#failStart(TimeoutError.ofStart(this.#child.path, child.startTimeout))
      this.#timer = this.#tree.clock.setTimeout(fail, child.startTimeout)
    }
    actor.start()
    this.#checkReady()
  }

  stop(): void {
    const { shutdown } = this.#definition.child
    if (shutdown === 'kill') return this.kill()
    if (this.#phase === 'over' || this.#phase === 'cut') return
    if (!this.#canShutDown()) return this.#cut('stopped')
    this.#phase = 'asked'
    this.#clearTimer()
    if (shutdown !== Infinity) this.#timer = this.#tree.clock.setTimeout(() => this.#cut('killed'), shutdown)
    this.#actor?.send({ type: 'shutdown' })
  }

  kill(): void {
    this.#cut('killed')
  }

  send(event: unknown): true | DropReason {
    if (this.#phase === 'over' || this.#phase === 'cut') return 'stopped'
    if (this.#inbox === undefined) this.#inbox = [event]
    else this.#inbox.push(event)
    this.#actor?.send(event as AnyEventObject)
    return true
  }

  decide(decision: 'resume' | 'over'): void {
    if (this.#actor !== undefined) this.#boundary.decide(this.#actor, decision)
  }

  // What the boundary says

  threw(error: unknown): 'resume' | 'over' | 'later' {
    this.#thrown = this.#failure(error, 'thrown')
    if (this.#phase !== 'up') return 'over'
    return this.#reports.threw(this.#thrown)
  }

  took(event: AnyEventObject): void {
    const inbox = this.#inbox
    if (inbox === undefined || inbox[this.#taken] !== event) return
    this.#taken += 1
    if (this.#taken === inbox.length) this.#emptyInbox()
  }

  cleanupThrew(error: unknown): void {
    const failure = this.#failure(error, 'stop')
    addToTrail(failure, { path: this.#reports.path, decision: 'stop', by: 'stopping' })
    this.#tree.report(failure, 'stop')
  }

  // What XState says

  failed(error: unknown): void {
    const phase = this.#phase
    if (phase === 'over') return
    this.#boundary.cleanUp(this.#actor?.getSnapshot() as Snapshot<unknown>)
    this.#isOver('failed')
    if (phase === 'starting') return this.#reports.didNotStart(this.#failure(error, 'start'))
    const thrown = this.#thrown
    const failure = thrown !== undefined && Object.is(thrown.error, error) ? thrown : this.#failure(error, 'thrown')
    this.#reports.failed(failure)
  }

  completed(): void {
    const phase = this.#phase
    if (phase === 'over') return
    if (phase === 'cut') {
      this.#isOver('stopped')
      return this.#reportStopped()
    }
    this.#isOver('ended')
    if (phase === 'asked') return this.#reportStopped()
    this.#reports.ended((this.#actor?.getSnapshot() as { output?: unknown } | undefined)?.output)
  }

  #reportStopped(): void {
    this.#tree.counters.actors[this.#how] += 1
    this.#tree.events.emit('actor.stopped', { path: this.#child.path, generation: this.#generation, how: this.#how })
    this.#reports.down()
  }

  #checkReady(): void {
    if (this.#phase !== 'starting' || this.#actor === undefined) return
    const { ready } = this.#definition.child
    if (ready !== undefined) {
      let isReady: boolean
      try {
        isReady = ready(this.#actor.getSnapshot()) === true
      } catch (error) {
        return this.#failStart(error)
      }
      if (!isReady) return
    }
    this.#phase = 'up'
    this.#clearTimer()
    this.#reports.ready()
  }

  #failStart(error: unknown): void {
    if (this.#phase !== 'starting' || this.#actor === undefined) return
    this.#phase = 'over'
    this.#clearTimer()
    this.#host.stopChild(this.#actor)
    this.#dropInbox('failed')
    this.#reports.didNotStart(this.#failure(error, 'start'))
  }

  #canShutDown(): boolean {
    const snapshot = this.#actor?.getSnapshot() as { can?: (event: { type: string }) => boolean } | undefined
    if (typeof snapshot?.can !== 'function') return false
    try {
      return snapshot.can({ type: 'shutdown' })
    } catch (error) {
      this.#tree.callbackFailed(this.#child.path, 'guard of shutdown', error)
      return false
    }
  }

  /** XState ends it at once, or, in the middle of an event of its own, right after that; then it completes. */
  #cut(how: 'stopped' | 'killed'): void {
    if (this.#phase === 'over' || this.#phase === 'cut') return
    this.#phase = 'cut'
    this.#how = how
    this.#clearTimer()
    if (this.#actor !== undefined) this.#host.stopChild(this.#actor)
  }

  #isOver(reason: DropReason): void {
    this.#phase = 'over'
    this.#clearTimer()
    this.#dropInbox(reason)
  }

  #dropInbox(reason: DropReason): void {
    const waiting = this.#inbox?.slice(this.#taken)
    if (waiting === undefined) return
    this.#emptyInbox()
    for (const event of waiting) this.#child.drop(event, reason)
  }

  #emptyInbox(): void {
    this.#inbox = undefined
    this.#taken = 0
  }

  #clearTimer(): void {
    if (this.#timer !== undefined) this.#tree.clock.clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #failure(error: unknown, kind: FailureKind): Failure {
    const { path } = this.#child
    return new Failure({ error, path, kind, at: this.#tree.clock.now(), generation: this.#generation })
  }
}

/**
 * Hears how an actor ends. It lets go of the incarnation then: V8 makes what XState keeps of an observer an old object
 * from the start where many live for long, and a dead one would keep all of this life until the next full collection.
 */
class ActorEnd {
  #incarnation: ActorIncarnation | undefined

  constructor(incarnation: ActorIncarnation) {
    this.#incarnation = incarnation
  }

  error(error: unknown): void {
    const incarnation = this.#incarnation
    this.#incarnation = undefined
    incarnation?.failed(error)
  }

  complete(): void {
    const incarnation = this.#incarnation
    this.#incarnation = undefined
    incarnation?.completed()
  }
}
