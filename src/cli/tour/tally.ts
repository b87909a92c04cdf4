import type { DecisionName, System, TreeNode } from 'rootcatch'

/** How the jobs below one node ended so far. */
export interface Tally {
  readonly done: number
  readonly fallback: number
  readonly failed: number
  readonly cancelled: number
}

const none: Tally = { done: 0, fallback: 0, failed: 0, cancelled: 0 }

/** Counts outcomes by the node of the tree that the jobs belong to. */
export class Tallies {
  readonly #tallies = new Map<string, Tally>()

  constructor(system: System) {
    system.on('job.done', ({ path }) => this.#count(path, 'done'))
    system.on('job.fellBack', ({ path }) => this.#count(path, 'fallback'))
    system.on('job.failed', ({ path }) => this.#count(path, 'failed'))
    system.on('job.cancelled', ({ path }) => this.#count(path, 'cancelled'))
  }

  of({ path }: TreeNode): Tally {
    return this.#tallies.get(path) ?? none
  }

  /** A job of a task is called `<task>/job:1`, a page `<spider>/<host>/request:1`. */
  #count(path: string, outcome: keyof Tally): void {
    const [tour = '', room = '', task = ''] = path.split('/')
    const node = task.includes(':') || room === 'books' ? `${tour}/${room}` : `${tour}/${room}/${task}`
    const before = this.#tallies.get(node) ?? none
    this.#tallies.set(node, { ...before, [outcome]: before[outcome] + 1 })
  }
}

/** How often anybody decided what, each level that a failure climbed through. */
export type Decided = Readonly<Record<DecisionName, number>>

export function countDecisions(system: System): Decided {
  const counts = { resume: 0, restart: 0, stop: 0, escalate: 0 }
  system.on('failure.decided', ({ failure }) => {
    for (const { decision } of failure.trail) counts[decision] += 1
  })
  return counts
}
