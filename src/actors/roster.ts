import { ChildRunningError, UnknownChildError } from '../errors.ts'
import type { Child, ChildStatus } from './child.ts'
import { ChildList } from './child-list.ts'

/** How many children there are, and what they do. */
export interface Counts {
  readonly total: number
  readonly running: number
  readonly restarting: number
  readonly stopped: number
  readonly supervisors: number
  readonly dynamic: number
}

/** The children of one supervisor, counted while their status changes so that asking is free. */
export class Roster {
  readonly statics: ChildList = new ChildList()
  readonly dynamics: ChildList = new ChildList()
  #running = 0
  #restarting = 0
  #stopped = 0
  #supervisors = 0
  /** Significant children that are not down for good. */
  significant = 0

  get counts(): Counts {
    return {
      total: this.statics.size + this.dynamics.size,
      running: this.#running,
      restarting: this.#restarting,
      stopped: this.#stopped,
      supervisors: this.#supervisors,
      dynamic: this.dynamics.size,
    }
  }

  /** In start order, dynamic ones last; a copy, so that they may leave meanwhile. */
  all(): readonly Child[] {
    return [...this.statics, ...this.dynamics]
  }

  add(child: Child): void {
    this.#count(child.status, 1)
    if (child.definition.kind === 'supervisor') this.#supervisors += 1
    this.#listOf(child).add(child)
  }

  /** Whether it was there. */
  remove(child: Child): boolean {
    if (!this.#listOf(child).remove(child)) return false
    this.#count(child.status, -1)
    if (child.definition.kind === 'supervisor') this.#supervisors -= 1
    return true
  }

  /** Why it cannot be started: meanwhile somebody else has, or has deleted it. */
  whyNoStart(child: Child, path: string): Error | undefined {
    const list = this.#listOf(child)
    if (list.get(child.name) !== child) return new UnknownChildError(path, child.name, list.names(100))
    return child.status === 'stopped' ? undefined : new ChildRunningError(path, child.name)
  }

  set(child: Child, status: ChildStatus): void {
    if (child.status === status) return
    if (child.policy.significant) {
      if (child.status === 'stopped') this.significant += 1
      else if (status === 'stopped') this.significant -= 1
    }
    this.#count(child.status, -1)
    this.#count(status, 1)
    child.status = status
  }

  /** By name, not by key: that would cost as much as all else a change of status does. */
  #count(status: ChildStatus, by: 1 | -1): void {
    if (status === 'running') this.#running += by
    else if (status === 'restarting') this.#restarting += by
    else if (status === 'stopped') this.#stopped += by
  }

  #listOf(child: Child): ChildList {
    return child.isDynamic ? this.dynamics : this.statics
  }
}
