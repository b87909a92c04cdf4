import { SystemStoppedError } from '../errors.ts'
import { addToTrail, Failure } from '../failure.ts'
import type { Plugin } from '../plugin.ts'
import { supervisor, type Definition, type Supervisor } from '../supervisor.ts'
import type { Host } from './chart.ts'
import { claimBroker, releaseBroker } from './claimed-brokers.ts'
import type { Climber, JobDecision, RootLevel } from './climb.ts'
import { watchFloating } from './floating.ts'
import type { Incarnation } from './incarnation.ts'
import { Lives } from './lives.ts'
import type { Wait } from './next-turn.ts'
import { startOwnSystem, type Inspect } from './own-system.ts'
import { placesOf } from './places.ts'
import { plugged } from './plugged.ts'
import type { Reports } from './reports.ts'
import { RootVerdicts, type RootCatch } from './root-verdicts.ts'
import { SupervisorIncarnation } from './supervisor.ts'
import type { Tree } from './tree.ts'

/** The level above the root supervisor: decides what nobody below has decided, and ends the system. */
export class Root implements RootLevel {
  readonly isRoot = true
  readonly done: Promise<void>
  readonly #tree: Tree
  readonly #definition: Supervisor
  readonly #catch: RootVerdicts
  readonly #lives: Lives
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
    this.#catch = new RootVerdicts(tree, rootCatch)
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
    const own = startOwnSystem(this.#tree, inspect)
    this.#ownActor = own
    await this.start(own.host)
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
    return this.#catch.judgeJob(failure, climber, note)
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
    if (this.#catch.judgeRoot(failure) === 'stop') return void this.#stopBecause(failure)
    if (this.#isStopping) return // somebody who heard of it has stopped the system
    this.#wait = this.#tree.wait(0, () => {
      this.#wait = undefined
      this.#incarnate()
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
    releaseBroker(tree.broker)
    this.#unwatch?.()
    tree.close()
    this.#ownActor?.stop()
  }
}

/** A system may be one task or one actor; it then stands under a supervisor without a name. */
function asSupervisor(definition: Definition): Supervisor {
  if (definition.kind === 'supervisor') return definition
  return Object.freeze({ ...supervisor('root', [definition]), name: '' })
}
