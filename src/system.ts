import type { ChildRef } from './actors/child.ts'
import type { Root } from './actors/root.ts'
import type { HostedNode, TaskNode, Tree } from './actors/tree.ts'
import type { Actor } from './actor.ts'
import type { JobRecord, QueueStats } from './brokers/broker.ts'
import { DeadLetters } from './dead-letters.ts'
import { isDefinition } from './definition.ts'
import type { Duration } from './duration.ts'
import { InvalidOptionError, SystemStoppedError, UnknownTaskError } from './errors.ts'
import type { EventName, Listener } from './events.ts'
import type { InspectorHandle } from './inspection.ts'
import type { Failure } from './failure.ts'
import type { Hosted, Runnable } from './hosted.ts'
import { checkKeys, readDuration } from './options.ts'
import type { Run } from './run.ts'
import type { RunArguments, RunOptions } from './run-options.ts'
import type { Stats } from './stats.ts'
import { treeOf, type TreeNode } from './tree-node.ts'
import { SupervisorHandle } from './supervisor-handle.ts'
import type { Definition } from './supervisor.ts'
import type { AnyTask, Task } from './task.ts'
import type { AnyActorLogic, EventFromLogic, SnapshotFrom } from 'xstate'

export interface StopOptions {
  /** How long all of it may take together, whatever `shutdown` each child has. @default Infinity */
  readonly within?: Duration
}

/** A running tree. */
export class System implements AsyncDisposable {
  /** Jobs that failed for good. */
  readonly dead: DeadLetters
  readonly #tree: Tree
  readonly #root: Root

  /** @internal Made by `start`. */
  constructor(tree: Tree, root: Root) {
    this.#tree = tree
    this.#root = root
    this.dead = new DeadLetters(tree)
  }

  /** Of the root definition. */
  get name(): string {
    return this.#tree.name
  }

  /** Of `start({ inspect: inspector() })`. */
  get inspector(): InspectorHandle | undefined {
    return this.#tree.inspector as InspectorHandle | undefined
  }

  /** Resolves once the system is stopped; rejects with the failure that stopped it. */
  get done(): Promise<void> {
    return this.#root.done
  }

  /** Whether `stop()` was called, or a failure stops it. */
  get isStopped(): boolean {
    return this.#tree.isStopped
  }

  /**
   * Asks for a job. Throws at once for a task that is not in this system; an input that does not fit rejects the run.
   *
   * @example
   * const { key } = await system.run(resize, { url: 'https://example.com/cat.png' })
   */
  run<Input, Output, Progress>(
    task: Task<Input, Output, Progress>,
    ...[input, options]: RunArguments<Input>
  ): Run<Output, Progress>
  /**
   * Begins a crawl, or goes on with one that an earlier run did not finish. A spider has one crawl at a time.
   *
   * @example
   * const crawl = system.run(books)
   * for await (const book of crawl) save(book)
   */
  run<Options, Handle>(spider: Runnable<Options, Handle>, options?: Options): Handle
  run(definition: AnyTask | Hosted, input?: unknown, options?: unknown): unknown {
    if (this.#tree.isStopped) throw new SystemStoppedError(this.name, { method: 'run' })
    if (isDefinition(definition) && definition.kind === 'spider') return this.#spiderOf(definition).run?.(input)
    return this.#queueOf(definition as AnyTask).run(input, options as RunOptions | undefined)
  }

  /** What the broker knows of a job, finished ones included as long as they are kept. */
  async job(id: string): Promise<JobRecord | undefined> {
    return this.#tree.broker.job(id)
  }

  /**
   * Starts a dynamic child: named `extra:1`, `extra:2`, …, and forgotten once it is down for good. Resolves when it is
   * ready, rejects with the `Failure` if it does not start.
   */
  spawn<Logic extends AnyActorLogic>(
    definition: Actor<Logic>,
    options?: { readonly under?: string },
  ): Promise<ChildRef<SnapshotFrom<Logic>, EventFromLogic<Logic>>>
  spawn(definition: Definition, options?: { readonly under?: string }): Promise<ChildRef>
  async spawn(definition: Definition, options: { readonly under?: string } = {}): Promise<ChildRef> {
    checkKeys('spawn', options, ['under'])
    if (this.#tree.isStopped) throw new SystemStoppedError(this.name, { method: 'spawn' })
    return new SupervisorHandle(this.#tree, options.under ?? this.#root.path).spawn(definition)
  }

  /** The admin side of a supervisor. Throws an `UnknownPathError` if there is none at that path. */
  supervisor(path: string): SupervisorHandle {
    return new SupervisorHandle(this.#tree, path)
  }

  /** Takes no further jobs of a task until `unpause`; what runs, runs on. */
  pause(task: AnyTask): void {
    this.#queueOf(task).pause(true)
  }

  unpause(task: AnyTask): void {
    this.#queueOf(task).pause(false)
  }

  /** Hears events of one name, or all of them with `'*'`. A listener that throws is reported and harms nobody. */
  on<Name extends EventName | '*'>(name: Name, listener: Listener<Name>): this {
    this.#tree.events.on(name, listener)
    return this
  }

  once<Name extends EventName | '*'>(name: Name, listener: Listener<Name>): this {
    this.#tree.events.once(name, listener)
    return this
  }

  off<Name extends EventName | '*'>(name: Name, listener: Listener<Name>): this {
    this.#tree.events.off(name, listener)
    return this
  }

  /** Totals since the start, and what is now, in this process. */
  stats(): Stats {
    const { counters, supervisors, runs } = this.#tree
    let running = 0
    for (const { core } of supervisors.values()) running += core.counts.running
    let attempts = 0
    for (const queue of this.#tree.sources()) attempts += queue.jobs.running
    return { ...structuredClone(counters), running, attempts, openRuns: runs.size }
  }

  /** How many jobs wait, run and died, by task; as the broker sees it, so over all processes that share it. */
  async queues(): Promise<readonly QueueStats[]> {
    return this.#tree.broker.stats()
  }

  /** The tree as it is, from the root. */
  tree(): TreeNode {
    return treeOf(this.#tree, this.#root)
  }

  /** The latest 200 failures, each with its trail, oldest first. */
  failures(): readonly Failure[] {
    return this.#tree.failures
  }

  /**
   * Stops children in reverse start order. Always the same promise; never rejects. After `within`, what still runs is
   * cut off: jobs go back to a durable broker with no attempt spent, runs settle as `cancelled`. Asked again while it
   * stops, the earliest deadline holds, and `within: 0` cuts off at once.
   *
   * @example
   * await system.stop({ within: '30s' })
   */
  stop(options: StopOptions = {}): Promise<void> {
    checkKeys('stop()', options, ['within'])
    return this.#root.stop(readDuration('stop()', 'within', options.within, { infinite: true }))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  #spiderOf(spider: Hosted): HostedNode {
    const node = this.#tree.hosted.get(spider)
    if (node !== undefined) return node
    const known = [...this.#tree.hosted.keys()].filter(({ kind }) => kind === 'spider')
    throw UnknownTaskError.ofSpider(
      spider.name,
      known.map(({ name }) => name),
    )
  }

  #queueOf(task: AnyTask): TaskNode {
    const queue = this.#tree.tasks.get(task)
    if (queue !== undefined) return queue
    if (!isDefinition(task) || task.kind !== 'task') {
      throw new InvalidOptionError('run()', 'task', task, 'Pass what task() gave.')
    }
    throw new UnknownTaskError(
      task.name,
      [...this.#tree.tasks.keys()].map(({ name }) => name),
    )
  }
}
