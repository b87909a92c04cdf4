import type { AnyActorRef, AnyEventObject } from 'xstate'
import { supervisorMachine } from '../../machines/supervisor.ts'
import { restart, stop, type Decision } from '../decision.ts'
import { TimeoutError } from '../errors.ts'
import type { DropReason } from '../events.ts'
import { Failure } from '../failure.ts'
import type { Plugin } from '../plugin.ts'
import { delayOf } from '../retry.ts'
import type { AnyActor } from '../actor.ts'
import type { Definition, Supervisor } from '../supervisor.ts'
import { ActorIncarnation } from './actor.ts'
import { Host } from './chart.ts'
import { Child, type Home, type Waiter } from './child.ts'
import { ChildReports } from './child-reports.ts'
import { askCatch, type Level, type RootLevel } from './climb.ts'
import { incarnateHosted } from './hosted.ts'
import type { Incarnation } from './incarnation.ts'
import { plugged } from './plugged.ts'
import type { Place, Reports } from './reports.ts'
import { pathOf } from './places.ts'
import type { End, Hands } from './hands.ts'
import { Supervision } from './supervision.ts'
import type { SupervisorNode, Tree } from './tree.ts'
import type { Verdict } from './verdict.ts'
import { WorkerIncarnation } from './worker.ts'

/** One life of a supervisor: the hands of its core, and the actor that shows its chart. */
export class SupervisorIncarnation implements Incarnation, Level, SupervisorNode {
  readonly path: string
  readonly parent: Level | RootLevel
  readonly definition: Supervisor
  readonly core: Supervision
  readonly #tree: Tree
  readonly #generation: number
  readonly #reports: Reports
  readonly #host: Host
  readonly #lastNumber = new Map<string, number>()
  readonly #home: Home = {
    drop: ({ path, generation }, event, reason) => {
      this.#tree.counters.droppedMessages += 1
      this.#tree.events.emit('message.dropped', { path, generation, event, reason })
    },
    current: (child) => {
      if (child.isDynamic) return child // the next supervisor knows nothing of it, also if a name is the same
      return this.#tree.supervisors.get(this.path)?.core.statics.get(child.name) ?? child
    },
  }
  #isAsked = false
  #how: 'stopped' | 'killed' = 'stopped'
  #timer: unknown

  constructor(definition: Supervisor, place: Place, reports: Reports) {
    this.definition = definition
    this.path = place.path
    this.parent = place.parent
    this.#tree = place.tree
    this.#generation = place.generation
    this.#reports = reports
    this.core = new Supervision(this.path, definition, this.#hands())
    const input = { path: this.path, strategy: definition.strategy }
    this.#host = new Host(supervisorMachine, { parent: place.host, id: definition.name || 'root', input }, () =>
      this.core.stop(),
    )
  }

  get actor(): AnyActorRef {
    return this.#host.ref
  }

  start(): void {
    const earlier = this.#tree.supervisors.get(this.path)?.core
    this.#tree.supervisors.set(this.path, this)
    this.#host.start()
    for (const child of this.definition.children) this.core.add(this.#newChild(child, child.name, false))
    if (earlier !== undefined) this.#succeed(earlier)
    const { startTimeout } = this.definition.child
    if (startTimeout !== Infinity) {
      this.#timer = this.#tree.clock.setTimeout(() => this.#failStart(startTimeout), startTimeout)
    }
    this.core.begin()
  }

  /** Children of the definition go on counting; those that were added to an earlier incarnation are gone. */
  #succeed(earlier: Supervision): void {
    for (const { name, definition, path, generation } of earlier.statics) {
      const child = this.core.statics.get(name)
      if (child?.definition === definition) child.generation = generation
      else this.#tree.forget(definition, path)
    }
  }

  stop(): void {
    const { shutdown } = this.definition.child
    if (shutdown === 'kill') return this.kill()
    this.#isAsked = true
    this.#clearTimer()
    if (shutdown !== Infinity) this.#timer = this.#tree.clock.setTimeout(() => this.kill(), shutdown)
    this.core.stop()
  }

  kill(): void {
    this.#isAsked = true
    this.#how = 'killed'
    this.core.kill()
  }

  send(event: unknown): true | DropReason {
    if (this.core.isStopped) return 'stopped'
    this.#host.deliver(event as AnyEventObject)
    return true
  }

  /** It never waits for a decision: a supervisor that failed is over. */
  decide(): void {}

  // As a level that a job's failure meets

  get plugins(): readonly Plugin[] {
    return this.definition.plugins
  }

  get catch(): ((failure: Failure) => Decision) | undefined {
    return this.definition.catch
  }

  get restarts(): Supervisor['restarts'] {
    return this.definition.restarts
  }

  restartDelay(n: number): number {
    const { backoff } = this.definition
    return backoff === undefined ? 0 : delayOf(backoff, n, this.#tree.random)
  }

  // Children added while it runs

  childNamed(name: string): Child | undefined {
    return this.core.statics.get(name) ?? this.core.dynamics.get(name)
  }

  /** Adds a static child, behind the others, and starts it. */
  startChild(definition: Definition): Promise<Child> {
    return this.#adopt(this.#newChild(definition, definition.name, false))
  }

  /** Adds a dynamic child and starts it. */
  spawn(definition: Definition): Promise<Child> {
    return this.#adopt(this.#newChild(definition, this.#nextName(definition.name), true))
  }

  startAgain(child: Child): Promise<Child> {
    return new Promise((resolve, reject) => {
      this.core.startFor(child, { resolve: () => resolve(child), reject })
    })
  }

  stopChild(child: Child): Promise<void> {
    return new Promise((resolve, reject) => this.core.stopChild(child, { resolve, reject } satisfies Waiter))
  }

  #adopt(child: Child): Promise<Child> {
    child.isNew = true
    this.core.add(child)
    return this.startAgain(child)
  }

  #nextName(name: string): string {
    for (;;) {
      const number = (this.#lastNumber.get(name) ?? 0) + 1
      this.#lastNumber.set(name, number)
      const candidate = `${name}:${number}`
      if (this.core.statics.get(candidate) === undefined) return candidate
    }
  }

  #newChild(definition: Definition, name: string, isDynamic: boolean): Child {
    return new Child(definition, { name, path: pathOf(this.path, name), isDynamic }, this.#home)
  }

  #hands(): Hands {
    return {
      now: () => this.#tree.clock.now(),
      random: () => this.#tree.random(),
      start: (child) => this.#start(child),
      stop: (child) => child.incarnation?.stop(),
      kill: (child) => child.incarnation?.kill(),
      release: (child, decision) => child.incarnation?.decide(decision),
      wait: (ms, callback) => this.#tree.wait(ms, callback),
      judge: (failure, child) => this.#judge(failure, child),
      report: (failure, decision) => this.#tree.report(failure, decision),
      started: ({ path, generation }) => {
        this.#tree.counters.actors.started += 1
        this.#tree.events.emit('actor.started', { path, generation })
      },
      ended: ({ path, generation }, output) => {
        this.#tree.counters.actors.ended += 1
        this.#tree.events.emit('actor.ended', { path, generation, output })
      },
      began: (round) => {
        this.#tree.counters.restarts += 1
        if (!this.#tree.events.hears('supervisor.restarting')) return
        const children = round.members.map(({ name }) => name)
        const { path, delay } = { path: this.path, delay: round.delay }
        this.#tree.events.emit('supervisor.restarting', { path, generation: this.#generation, children, delay })
      },
      mirror: (type, failure) => this.#host.send({ type, failure }),
      ready: () => {
        this.#clearTimer()
        this.#reports.ready()
      },
      forgotten: (child) => this.#tree.forget(child.definition, child.path),
      over: (end) => this.#over(end),
    }
  }

  #start(child: Child): void {
    const incarnation = this.#incarnate(child, new ChildReports(this.core, child))
    child.incarnation = incarnation
    incarnation.start()
  }

  #incarnate(child: Child, reports: Reports): Incarnation {
    const { definition, generation, path } = child
    if (definition.kind === 'actor') return new ActorIncarnation(this.#tree, this.#host, child, reports)
    return incarnate(definition, { tree: this.#tree, path, generation, host: this.#host, parent: this }, reports)
  }

  #judge(failure: Failure, child: Child): Verdict {
    const { catch: ask } = this.definition
    if (ask === undefined) {
      return { decision: child.policy.restart === 'temporary' ? stop : restart, by: 'restart type' }
    }
    return askCatch(ask, failure, this.path, 'isRoot' in this.parent ? '' : this.parent.path)
  }

  #failStart(ms: number): void {
    const { path } = this
    const error = TimeoutError.ofStart(path, ms)
    this.core.failStart(new Failure({ error, path, kind: 'start', at: this.#tree.clock.now() }))
  }

  #over(end: End): void {
    this.#clearTimer()
    if (end.failure !== undefined) {
      return end.started ? this.#reports.failed(end.failure) : this.#reports.didNotStart(end.failure)
    }
    if (!this.#isAsked) return this.#reports.ended(undefined)
    this.#tree.counters.actors[this.#how] += 1
    this.#tree.events.emit('actor.stopped', { path: this.path, generation: this.#generation, how: this.#how })
    this.#reports.down()
  }

  #clearTimer(): void {
    if (this.#timer !== undefined) this.#tree.clock.clearTimeout(this.#timer)
    this.#timer = undefined
  }
}

function incarnate(definition: Exclude<Definition, AnyActor>, place: Place, reports: Reports): Incarnation {
  switch (definition.kind) {
    case 'supervisor':
      return plugged(
        definition.plugins,
        undefined,
        place,
        reports,
        (watched) => new SupervisorIncarnation(definition, place, watched),
      )
    case 'bot':
    case 'spider':
      return incarnateHosted(definition, place, reports)
    case 'task':
      return plugged(
        definition.plugins,
        definition.hookTimeout,
        place,
        reports,
        (watched) => new WorkerIncarnation(definition, place, watched),
      )
  }
}
