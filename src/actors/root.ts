import { fromTransition, createActor, type AnyActorLogic, type InspectionEvent, type Observer } from 'xstate'
import type { Broker } from '../brokers/broker.ts'
import { escalate, resume, stop, type RootDecision } from '../decision.ts'
import { InvalidDecisionError, InvalidOptionError, RestartLimitError, SystemStoppedError } from '../errors.ts'
import { addToTrail, Failure, noteOnFailure } from '../failure.ts'
import type { Plugin } from '../plugin.ts'
import { allows, charge, createSlidingWindow } from '../sliding-window.ts'
import { supervisor, type Definition, type Supervisor } from '../supervisor.ts'
import { listNoActors } from './actor-list.ts'
import { allowLightActors } from './light-actor.ts'
import { Host, type AnyActorScope } from './chart.ts'
import { askCatch, type Climber, type JobDecision, type RootLevel } from './climb.ts'
import { watchFloating } from './floating.ts'
import { Lives } from './lives.ts'
import { MachineTimers } from './machine-timers.ts'
import type { Incarnation } from './incarnation.ts'
import type { Wait } from './next-turn.ts'
import { placesOf } from './places.ts'
import { plugged } from './plugged.ts'
import type { Reports } from './reports.ts'
import { SupervisorIncarnation } from './supervisor.ts'
import { keepUnstarted } from './system-ids.ts'
import type { Tree } from './tree.ts'
import type { Verdict } from './verdict.ts'

/** How often the root catch may restart the root, and one job. */
const LIMIT = 3
const WITHIN = 5_000

export type RootCatch = (failure: Failure) => RootDecision

/** Watches XState's inspection events. */
export type Inspect = Observer<InspectionEvent> | ((event: InspectionEvent) => void)

/** The level above the root supervisor: decides what nobody below has decided, and ends the system. */
export class Root implements RootLevel {
  readonly isRoot = true
  readonly done: Promise<void>
  readonly #tree: Tree
  readonly #definition: Supervisor
  readonly #catch: RootCatch | undefined
  readonly #lives: Lives
  readonly #window = createSlidingWindow(LIMIT, WITHIN)
  #host: Host | undefined
  #ownActor: { stop(): void } | undefined
  #incarnation: SupervisorIncarnation | undefined
  /** The same, with what its plugins do before and after it. */
  #life: Incarnation | undefined
  #generation = 0
  #start: { resolve(): void; reject(failure: unknown): void } | undefined
  #isStopping = false
  #isClosed = false
  readonly #deadlines = new Set<unknown>()
  readonly #isCutOff = Promise.withResolvers<void>()
  #stopped: Promise<void> | undefined
  #failure: Failure | undefined
  #wait: Wait | undefined
  #unwatch: (() => void) | undefined
  #unlisten: (() => void) | undefined
  #settleDone: { resolve(): void; reject(failure: unknown): void } = { resolve: () => {}, reject: () => {} }
  #isDown: () => void = () => {}

  constructor(tree: Tree, definition: Definition, rootCatch: RootCatch | undefined) {
    this.#tree = tree
    this.#definition = asSupervisor(definition)
    this.#catch = rootCatch
    placesOf(this.#definition, this.#definition.name)
    this.#lives = new Lives(tree, '', tree.plugins)
    claimBroker(tree)
    tree.stopSystem = () => this.stop()
    tree.stopBecause = (failure) => void this.#stopBecause(failure)
    this.done = new Promise((resolve, reject) => (this.#settleDone = { resolve, reject }))
    this.done.catch(() => {}) // whoever does not ask how it ended is not told by a crash
  }

  /** Before the start: there will be one job, and none that a schedule makes. */
  doOneJob(): void {
    this.#tree.isForOneJob = true
  }

  get plugins(): readonly Plugin[] {
    return this.#tree.plugins
  }

  get path(): string {
    return this.#definition.name
  }

  /** Starts as the root of an XState system of its own. */
  async startAlone(inspect: Inspect | undefined): Promise<void> {
    const tree = this.#tree
    tree.isInspected = inspect !== undefined
    const logic = fromTransition((state: object) => state, {}) as AnyActorLogic
    const started = Object.create(logic) as AnyActorLogic
    let scope: AnyActorScope | undefined
    started.getInitialSnapshot = (given, input) => {
      scope = given as unknown as AnyActorScope
      return logic.getInitialSnapshot(given, input)
    }
    // Ends of detached children are none of its business.
    started.transition = (snapshot, { type }) =>
      type === 'xstate.stop' ? { ...snapshot, status: 'stopped' } : snapshot
    const timers = new MachineTimers(tree.clock)
    const actor = createActor(started, {
      id: 'root catch',
      clock: timers.clock as never,
      ...(inspect && { inspect: guardObserver(tree, inspect) as never }),
    })
    timers.attach(actor.system)
    tree.tap.attach(actor.system as never)
    listNoActors(actor.system as never)
    keepUnstarted(actor.system)
    if (inspect === undefined) allowLightActors(actor.system) // else everything is shown by XState itself
    actor.subscribe({ error: () => {} })
    actor.start()
    this.#ownActor = actor
    await this.start(Host.of(scope as AnyActorScope))
  }

  /** Starts under an actor that is there. Rejects with the failure, once all that had started is stopped again. */
  async start(host: Host): Promise<void> {
    this.#host = host
    try {
      await this.#tree.broker.open(this.#tree.clock)
      if (this.#isStopping) throw this.#stoppedTooSoon()
      this.#unwatch = watchFloating()
      this.#unlisten = this.#listenElsewhere()
      await this.#setUp()
      if (this.#isStopping) throw this.#stoppedTooSoon()
      await new Promise<void>((resolve, reject) => {
        this.#start = { resolve, reject }
        this.#incarnate()
      })
    } catch (failure) {
      await (this.#stopped ?? this.#close())
      await this.#tree.inspector?.close()
      throw failure
    }
    this.#tree.events.emit('system.started', { path: this.path })
  }

  /** The root as one child, for whoever looks at the tree. */
  get incarnation(): SupervisorIncarnation | undefined {
    return this.#incarnation
  }

  get definition(): Supervisor {
    return this.#definition
  }

  get generation(): number {
    return this.#generation
  }

  /** After `within` ms, what still runs is cut off. Of several deadlines the earliest holds; 0 asks nobody. */
  stop(within: number = Infinity): Promise<void> {
    const stopped = this.#stopOnce(within === 0)
    if (within === 0) this.#cutOff()
    else if (within !== Infinity && !this.#isClosed) this.#cutOffIn(within)
    return stopped
  }

  /** Stops without asking anybody. */
  kill(): void {
    void this.stop(0)
  }

  judgeJob(failure: Failure, climber: Climber, note: string): JobDecision {
    const verdict = this.#ask(failure)
    const decision = this.#jobDecision(failure, climber, verdict)
    if (verdict.by === 'default') {
      noteOnFailure(failure, note)
      print(failure)
    }
    return decision
  }

  #jobDecision(failure: Failure, climber: Climber, verdict: Verdict): JobDecision {
    const { decision } = verdict
    if (decision.decision === 'resume') {
      this.#enter(failure, verdict, 'resume')
      if ('hasValue' in decision && decision.hasValue) return { decision: 'value', value: decision.value }
      return { decision: 'stay', stopsSystem: false, name: 'resume' }
    }
    if (decision.decision === 'restart') {
      const count = climber.restarts[''] ?? 0
      if (count < LIMIT) {
        this.#enter(failure, verdict, 'restart')
        return { decision: 'restart', delay: 0, by: '', count: count + 1 }
      }
      const because = RestartLimitError.ofJob('the root catch', LIMIT)
      addToTrail(failure, { path: '', decision: 'resume', by: 'limit', asked: 'restart', because })
      return { decision: 'stay', stopsSystem: false, name: 'resume' }
    }
    this.#enter(failure, verdict, 'stop')
    return { decision: 'stay', stopsSystem: true, name: 'stop' }
  }

  #incarnate(): void {
    this.#generation += 1
    const generation = this.#generation
    const isCurrent = (): boolean => generation === this.#generation
    const reports: Reports = {
      path: '',
      ready: () => {},
      ended: () => isCurrent() && this.#ended(generation),
      failed: (failure) => isCurrent() && this.#failed(failure),
      didNotStart: (failure) => isCurrent() && this.#didNotStart(failure),
      down: () => isCurrent() && this.#wentDown(),
      threw: () => 'over',
    }
    const place = { tree: this.#tree, path: this.path, generation, host: this.#host as Host, parent: this }
    const ready = (): void => {
      if (!isCurrent()) return
      this.#tree.counters.actors.started += 1
      this.#tree.events.emit('actor.started', { path: this.path, generation })
      this.#start?.resolve()
      this.#start = undefined
    }
    this.#life = plugged(this.#definition.plugins, undefined, place, { ...reports, ready }, (watched) => {
      this.#incarnation = new SupervisorIncarnation(this.#definition, place, watched)
      return this.#incarnation
    })
    this.#life.start()
  }

  /** The root ended by itself, as by auto-shutdown: the system is over, and nothing failed. */
  #ended(generation: number): void {
    this.#tree.counters.actors.ended += 1
    this.#tree.events.emit('actor.ended', { path: this.path, generation, output: undefined })
    this.#incarnation = this.#life = undefined
    void this.stop()
    this.#isDown()
  }

  #didNotStart(failure: Failure): void {
    const waiting = this.#start
    this.#start = undefined
    if (waiting === undefined) return this.#failed(failure)
    this.#incarnation = this.#life = undefined
    waiting.reject(failure)
    this.#isDown()
  }

  /** Stopped, as asked. */
  #wentDown(): void {
    this.#start?.reject(this.#stoppedTooSoon())
    this.#start = undefined
    this.#isDown()
  }

  #stoppedTooSoon(): SystemStoppedError {
    return new SystemStoppedError(this.#tree.name, { method: 'start' })
  }

  #failed(failure: Failure): void {
    this.#incarnation = this.#life = undefined
    if (this.#isStopping) {
      addToTrail(failure, { path: '', decision: 'stop', by: 'stopping' })
      this.#tree.report(failure, 'stop')
      return this.#isDown()
    }
    const verdict = this.#ask(failure)
    const now = this.#tree.clock.now()
    if (verdict.decision.decision === 'restart') {
      if (allows(this.#window, now)) {
        charge(this.#window, now)
        this.#enter(failure, verdict, 'restart')
        this.#tree.report(failure, 'restart')
        this.#wait = this.#tree.wait(0, () => {
          this.#wait = undefined
          this.#incarnate()
        })
        return
      }
      const because = new RestartLimitError('the root catch', LIMIT, WITHIN)
      addToTrail(failure, { path: '', decision: 'stop', by: 'limit', asked: 'restart', because })
    } else {
      this.#enter(failure, verdict, 'stop')
    }
    if (verdict.by === 'default') print(failure)
    this.#tree.report(failure, 'stop')
    void this.#stopBecause(failure)
  }

  /** Without a root catch a job stays failed, and an actor stops the system. Nonsense stops it too. */
  #ask(failure: Failure): Verdict {
    if (this.#catch === undefined) return { decision: failure.job === undefined ? stop : resume, by: 'default' }
    const verdict = askCatch(this.#catch, failure, '', undefined)
    if (verdict.decision.decision !== 'escalate') return verdict
    const because = 'because' in verdict ? verdict.because : new InvalidDecisionError('', escalate)
    return { decision: stop, by: 'catch', because }
  }

  #enter(failure: Failure, verdict: Verdict, decision: 'resume' | 'restart' | 'stop'): void {
    const asked = verdict.decision.decision
    addToTrail(failure, {
      path: '',
      decision,
      by: verdict.by,
      ...(asked !== decision && { asked }),
      ...('because' in verdict && { because: verdict.because }),
    })
  }

  async #stopBecause(failure: Failure): Promise<void> {
    this.#failure ??= failure
    await this.stop()
  }

  /** The promise is there before anything stops: a listener or a dispose function may ask to stop as well. */
  #stopOnce(isKill: boolean): Promise<void> {
    if (this.#stopped !== undefined) return this.#stopped
    let begin = (): void => {}
    this.#stopped = new Promise((resolve) => (begin = () => resolve(this.#stopAll(isKill))))
    begin()
    return this.#stopped
  }

  #cutOffIn(ms: number): void {
    const { clock } = this.#tree
    const timer = clock.setTimeout(() => {
      this.#deadlines.delete(timer)
      this.#cutOff()
    }, ms)
    this.#deadlines.add(timer)
  }

  /** Nobody is waited for any more. */
  #cutOff(): void {
    this.#isCutOff.resolve()
    this.#life?.kill()
  }

  async #stopAll(isKill: boolean): Promise<void> {
    this.#isStopping = true
    this.#tree.isStopped = true
    this.#wait?.cancel()
    const life = this.#life
    if (life !== undefined) {
      await new Promise<void>((resolve) => {
        this.#isDown = resolve
        if (isKill) life.kill()
        else life.stop()
      })
    }
    await this.#close()
    const failure = this.#failure
    this.#tree.events.emit('system.stopped', { path: this.path, ...(failure && { failure }) })
    await this.#tree.inspector?.close()
    if (failure === undefined) this.#settleDone.resolve()
    else this.#settleDone.reject(failure)
  }

  async #setUp(): Promise<void> {
    try {
      await this.#lives.setUp()
    } catch (error) {
      throw new Failure({ error, path: this.path || this.#tree.name, kind: 'start', at: this.#tree.clock.now() })
    }
  }

  /** What other processes do to the jobs of a store that they share. */
  #listenElsewhere(): (() => void) | undefined {
    const tree = this.#tree
    const { broker, runs } = tree
    return broker.listen?.({
      buried: (job) => {
        for (const queue of tree.sources()) if (queue.path === job.queue) queue.buried(job)
      },
      settled: (id) => runs.lookAgain(id),
      cancelled: (id, reason) => {
        for (const queue of tree.sources()) queue.cancelLive(id, reason)
      },
    })
  }

  async #hooksOver(): Promise<void> {
    for (const queue of this.#tree.sources()) await queue.quiet()
    await this.#lives.tearDown()
  }

  async #close(): Promise<void> {
    const tree = this.#tree
    for (const queue of tree.sources()) queue.close()
    await Promise.race([this.#hooksOver(), this.#isCutOff.promise])
    for (const timer of this.#deadlines) tree.clock.clearTimeout(timer)
    this.#isClosed = true
    this.#unlisten?.()
    try {
      await tree.broker.close()
    } catch (error) {
      tree.callbackFailed('', 'broker.close', error) // what is down stays down, and a stop never rejects
    }
    brokersInUse.delete(tree.broker)
    this.#unwatch?.()
    tree.close()
    this.#ownActor?.stop()
  }
}

/** Brokers of live systems. A broker has one clock and ends with its system, so it cannot serve two of them. */
const brokersInUse = new WeakSet<Broker>()

function claimBroker({ name, broker }: Tree): void {
  if (brokersInUse.has(broker)) {
    const advice = 'It serves a system that is live; make a broker for each, or stop that one first.'
    throw new InvalidOptionError(`system "${name}"`, 'broker', broker.name, advice)
  }
  brokersInUse.add(broker)
}

/** A system may be one task or one actor; it then stands under a supervisor without a name. */
function asSupervisor(definition: Definition): Supervisor {
  if (definition.kind === 'supervisor') return definition
  return Object.freeze({ ...supervisor('root', [definition]), name: '' })
}

/** Where nobody else listens: the library prints this, and nothing else. */
function print(failure: Failure): void {
  // oxlint-disable-next-line no-console -- a failure that nobody below has decided must not pass in silence
  console.error(failure.report())
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
