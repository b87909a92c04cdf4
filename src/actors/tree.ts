import type { Broker, BuriedJob } from '../brokers/broker.ts'
import type { Clock } from '../clock.ts'
import type { DecisionName } from '../decision.ts'
import { Events } from '../events.ts'
import type { Failure } from '../failure.ts'
import type { Hosted } from '../hosted.ts'
import type { Plugin, PluginSystem } from '../plugin.ts'
import type { AnyRun } from '../run.ts'
import type { TaskContext } from '../task-context.ts'
import type { Definition, Supervisor } from '../supervisor.ts'
import type { RunOptions } from '../run-options.ts'
import type { AnyTask } from '../task.ts'
import type { AnyActorRef } from 'xstate'
import type { Child } from './child.ts'
import { createCounters, type Counters } from './counters.ts'
import type { HostedPart } from './hosted-part.ts'
import { NextTurn, type Wait } from './next-turn.ts'
import { LookAgain } from './look-again.ts'
import { Runs } from './runs.ts'
import type { Supervision } from './supervision.ts'
import { Tap, type Observed } from './tap.ts'
import { Turn } from './turn.ts'

/** A logger as pino and its like have it: the data first. */
export type Logger = { readonly [Level in keyof TaskContext['log']]: (data: object, message: string) => void }

/** A supervisor as others see it, by its path. */
export interface SupervisorNode {
  readonly definition: Supervisor
  readonly core: Supervision
  readonly actor: AnyActorRef
  childNamed(name: string): Child | undefined
  startChild(definition: Definition): Promise<Child>
  spawn(definition: Definition): Promise<Child>
  startAgain(child: Child): Promise<Child>
  stopChild(child: Child): Promise<void>
}

/** A job that asks for another one. */
export interface Asker {
  readonly id: string
  readonly path: string
  /** Path of its task. */
  readonly queue: string
  readonly lane: string | undefined
}

/** What makes jobs, and may get jobs of its own from the broker, as others see it. */
export interface SourceNode {
  /** Names the queue, too. */
  readonly path: string
  readonly jobs: { readonly running: number; readonly retrying: number }
  /** The actors of jobs that this process holds. */
  liveJobs(): Iterable<Observed>
  replay(id: string, given: { readonly input: unknown } | undefined): Promise<{ readonly run: AnyRun }>
  cancelLive(id: string, reason: unknown): void
  buried(job: BuriedJob): void
  close(): void
  /** Resolves once none of its hooks is under way. */
  quiet(): Promise<void> | undefined
}

/** The way into a task, as others see it. */
export interface TaskNode extends SourceNode {
  run(input: unknown, options?: RunOptions, by?: Asker & { readonly waits: boolean }): AnyRun
  pause(isPaused: boolean): void
  readonly nextTick: number | undefined
  /** Its definition is no part of the tree any more. */
  leave(): void
}

/** What a bot or a spider that is live shows of itself. */
export interface HostedNode extends SourceNode {
  /** What stands below it. */
  parts(): readonly HostedPart[]
  /** Of a spider: begins a crawl, or goes on with one. */
  run?(options: unknown): unknown
}

const KEPT_FAILURES = 200

export interface TreeOptions {
  readonly name: string
  readonly clock: Clock
  readonly random: () => number
  readonly broker: Broker
  readonly log: Logger | undefined
  readonly plugins: readonly Plugin[]
}

/** What all nodes of one running system share. */
export class Tree {
  readonly name: string
  readonly clock: Clock
  readonly random: () => number
  readonly broker: Broker
  readonly log: Logger | undefined
  readonly plugins: readonly Plugin[]
  readonly events: Events
  /** What it keeps of times it counts from then: small whole numbers need no objects of their own. */
  readonly startedAt: number
  readonly counters: Counters = createCounters()
  readonly supervisors: Map<string, SupervisorNode> = new Map()
  /** Where each task stands, also while its worker is down. */
  readonly tasks: Map<AnyTask, TaskNode> = new Map()
  /** The latest life of each bot and spider. */
  readonly hosted: Map<Hosted, HostedNode> = new Map()
  readonly runs: Runs = new Runs()
  readonly lookAgain: LookAgain = new LookAgain(this)
  readonly turn: Turn = new Turn()
  readonly #nextTurn = new NextTurn()
  /** Where others may look on. */
  readonly tap: Tap = new Tap((error, isLast) => {
    const rest = isLast ? ', for the third time; it is removed' : ''
    this.callbackFailed('', `observer${rest}`, error)
  })
  isStopped = false
  /** Somebody watches all that XState does. Set before anything starts. */
  isInspected = false
  /** It was made to do one job, and ends with it. */
  isForOneJob = false
  /** The handle of all this, for plugins. Set by `start`. */
  system: PluginSystem | undefined
  /** Counts what left the tree, of which no event tells. */
  left = 0
  /** Open for whoever looks on; closed last. Set by `start`. */
  inspector: { close(): Promise<void> } | undefined
  /** Stops the system, and lets `done` reject with the failure. Set by the root. */
  stopBecause: (failure: Failure) => void = () => {}
  /** Stops the system, as whoever started it would. Set by the root. */
  stopSystem: () => Promise<void> = () => Promise.resolve()
  /** The latest ones: a ring, full once there were so many. */
  readonly #failures: Failure[] = []
  #oldest = 0
  readonly #sleeps = new Set<unknown>()
  #isClosed = false

  constructor(options: TreeOptions) {
    this.name = options.name
    this.clock = options.clock
    this.startedAt = options.clock.now()
    this.random = options.random
    this.broker = options.broker
    this.log = options.log
    this.plugins = options.plugins
    this.events = new Events(
      () => this.clock.now(),
      (path, callback, error) => this.callbackFailed(path, callback, error),
    )
  }

  /** The latest failures, oldest first. */
  get failures(): readonly Failure[] {
    return [...this.#failures.slice(this.#oldest), ...this.#failures.slice(0, this.#oldest)]
  }

  /** All that makes jobs. */
  *sources(): Generator<SourceNode, undefined> {
    yield* this.tasks.values()
    yield* this.hosted.values()
    return undefined
  }

  /** What left the tree: its tasks may stand somewhere else from now on, its paths are none. */
  forget(definition: Definition, path: string): void {
    this.left += 1
    if (definition.kind === 'task') {
      // A tree that stops lets go of children as well, and their schedules are kept for the next start.
      if (!this.isStopped) this.tasks.get(definition)?.leave()
      this.tasks.delete(definition)
    }
    if (definition.kind === 'bot' || definition.kind === 'spider') this.hosted.delete(definition)
    if (definition.kind !== 'supervisor') return
    const incarnation = this.supervisors.get(path)
    this.supervisors.delete(path)
    if (incarnation === undefined) return
    for (const child of [...incarnation.core.statics, ...incarnation.core.dynamics])
      this.forget(child.definition, child.path)
  }

  /** The one place where a failure becomes known. */
  report(failure: Failure, decision: DecisionName): void {
    this.#keep(failure)
    if (decision !== 'escalate') this.counters.failures[decision] += 1
    this.events.emit('failure.decided', { failure, decision })
  }

  #keep(failure: Failure): void {
    if (this.#failures.length < KEPT_FAILURES) return void this.#failures.push(failure)
    this.#failures[this.#oldest] = failure
    this.#oldest = (this.#oldest + 1) % KEPT_FAILURES
  }

  callbackFailed(path: string, callback: string, error: unknown): void {
    this.events.emit('callback.failed', { path, callback, error })
    this.write('warn', { path, err: error }, `${callback} threw`)
  }

  /** A line for the logger of the user's, whose throw harms nobody. */
  write(level: keyof Logger, data: object, message: string): void {
    if (this.log === undefined) return
    try {
      this.log[level](data, message)
    } catch (error) {
      this.events.emit('callback.failed', { path: '', callback: `log.${level}`, error })
    }
  }

  /** Calls back after `ms`, but never before timers and I/O had their turn. */
  wait(ms: number, callback: () => void): Wait {
    if (ms === 0) return this.#nextTurn.add(callback)
    const timer = this.clock.setTimeout(callback, ms)
    return { cancel: () => this.clock.clearTimeout(timer) }
  }

  /** A wait of a user's function; all of them end with the system, and none begins after it. Gives the way to end one. */
  sleep(ms: number, callback: () => void): () => void {
    if (this.#isClosed) return () => {}
    const timer = this.clock.setTimeout(() => {
      this.#sleeps.delete(timer)
      callback()
    }, ms)
    this.#sleeps.add(timer)
    return () => {
      this.#sleeps.delete(timer)
      this.clock.clearTimeout(timer)
    }
  }

  /** Leaves no timer and nobody waiting behind. */
  close(): void {
    this.#isClosed = true
    this.runs.abandonAll()
    for (const timer of this.#sleeps) this.clock.clearTimeout(timer)
    this.#sleeps.clear()
    this.turn.close()
  }
}
