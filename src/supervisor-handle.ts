import type { Child, ChildRef, ChildStatus } from './actors/child.ts'
import { checkTasks, pathOf } from './actors/places.ts'
import type { Counts } from './actors/roster.ts'
import type { SupervisorNode, Tree } from './actors/tree.ts'
import type { RestartType } from './child.ts'
import { isDefinition } from './definition.ts'
import {
  ChildRestartingError,
  ChildRunningError,
  ChildStoppedError,
  InvalidOptionError,
  SupervisorStoppedError,
  UnknownChildError,
  UnknownPathError,
} from './errors.ts'
import { checkSignificant, type Definition } from './supervisor.ts'
import type { AnyTask } from './task.ts'

/** A child as its supervisor lists it. */
export interface ChildInfo {
  readonly name: string
  readonly path: string
  readonly status: ChildStatus
  readonly restart: RestartType
  /** Counts its incarnations from 1. */
  readonly generation: number
  readonly ref: ChildRef
}

/** What can be asked of a running supervisor. It belongs to the path: a restarted supervisor answers as well. */
export class SupervisorHandle {
  readonly path: string
  readonly #tree: Tree

  /** Throws an `UnknownPathError` if there is no supervisor at that path. */
  constructor(tree: Tree, path: string) {
    if (!tree.supervisors.has(path)) throw new UnknownPathError(path, [...tree.supervisors.keys()])
    this.path = path
    this.#tree = tree
  }

  /** Adds a static child behind the others and starts it. Rejects with the `Failure` if it does not start. */
  async startChild(definition: Definition): Promise<ChildRef> {
    const supervisor = this.#running('startChild')
    this.#check(supervisor, definition)
    const existing = supervisor.childNamed(definition.name)
    if (existing !== undefined) throw this.#standsInTheWay(existing)
    checkTasks(definition, pathOf(this.path, definition.name), this.#taskAt)
    return (await supervisor.startChild(definition)).ref
  }

  /** Stops a child for good; it is kept, and `restartChild` starts it again. A dynamic or temporary one is forgotten. */
  async stopChild(name: string): Promise<void> {
    const supervisor = this.#running('stopChild')
    await supervisor.stopChild(this.#child(supervisor, name))
  }

  /** Starts a stopped child again. Rejects with the `Failure` if it does not start; it then stays stopped. */
  async restartChild(name: string): Promise<ChildRef> {
    const supervisor = this.#running('restartChild')
    const child = this.#child(supervisor, name)
    if (child.status !== 'stopped') throw this.#standsInTheWay(child)
    return (await supervisor.startAgain(child)).ref
  }

  /** Forgets a stopped child. */
  async deleteChild(name: string): Promise<void> {
    const supervisor = this.#running('deleteChild')
    const child = this.#child(supervisor, name)
    if (child.status !== 'stopped') throw this.#standsInTheWay(child)
    supervisor.core.forget(child)
  }

  /** In start order, dynamic ones last. */
  children(): readonly ChildInfo[] {
    const core = this.#tree.supervisors.get(this.path)?.core
    return [...(core?.statics ?? []), ...(core?.dynamics ?? [])].map((child) => ({
      name: child.name,
      path: child.path,
      status: child.status,
      restart: child.policy.restart,
      generation: child.generation,
      ref: child.ref,
    }))
  }

  /** In constant time. */
  count(): Counts {
    const counts = this.#tree.supervisors.get(this.path)?.core.counts
    return counts ?? { total: 0, running: 0, restarting: 0, stopped: 0, supervisors: 0, dynamic: 0 }
  }

  /** @internal Adds a dynamic child and starts it. */
  async spawn(definition: Definition): Promise<ChildRef> {
    const supervisor = this.#running('spawn')
    this.#check(supervisor, definition)
    checkTasks(definition, `${pathOf(this.path, definition.name)}:…`, this.#taskAt)
    return (await supervisor.spawn(definition)).ref
  }

  #running(method: string): SupervisorNode {
    const supervisor = this.#tree.supervisors.get(this.path)
    if (supervisor === undefined || supervisor.core.isStopped) throw new SupervisorStoppedError(this.path, method)
    return supervisor
  }

  #check(supervisor: SupervisorNode, definition: Definition): void {
    if (!isDefinition(definition)) {
      throw new InvalidOptionError(this.path, 'child', definition, 'Pass what task(), actor() or supervisor() gave.')
    }
    checkSignificant(`supervisor "${supervisor.definition.name}"`, definition, supervisor.definition.autoShutdown)
  }

  #child(supervisor: SupervisorNode, name: string): Child {
    const child = supervisor.childNamed(name)
    if (child !== undefined) return child
    const { statics, dynamics } = supervisor.core
    throw new UnknownChildError(this.path, name, [...statics.names(100), ...dynamics.names(100)])
  }

  #standsInTheWay(child: Child): Error {
    if (child.status === 'stopped') return new ChildStoppedError(this.path, child.name)
    if (child.status !== 'restarting') return new ChildRunningError(this.path, child.name)
    const dueAt = child.round?.dueAt
    const left = dueAt === undefined ? undefined : Math.max(0, dueAt - this.#tree.clock.now())
    return new ChildRestartingError(this.path, child.name, left)
  }

  readonly #taskAt = (task: AnyTask): string | undefined => this.#tree.tasks.get(task)?.path
}
