import type { NodeView } from '../actors/registry.ts'
import type { Seen } from './seen.ts'

/** A node as the inspector keeps it while somebody looks: references and counts, nothing that is made of them. */
export class Entry {
  readonly id: string
  readonly path: string
  readonly name: string
  kind: string
  readonly parent: Entry | undefined
  /** Its latest actor; undefined where none has started yet. */
  actor: Seen | undefined
  /** What the tree says of it; undefined for what is no child of a supervisor. */
  phase: string | undefined
  /** Of what has no actor of its own. */
  state: unknown
  generation = 1
  failures = 0
  events = 0
  dropped = 0
  /** Of a task: what its broker says waits in front of it. */
  waiting: number | undefined
  jobs: NodeView['jobs']
  /** Children that are there, jobs apart. */
  below = 0
  /** Children that are no longer there. */
  ended = 0
  readonly since: number
  isGone = false
  /** It ended, and stays only until that was told. */
  isOver = false

  constructor(
    id: string,
    given: { path: string; name: string; kind: string; parent: Entry | undefined; since: number },
  ) {
    this.id = id
    this.path = given.path
    this.name = given.name
    this.kind = given.kind
    this.parent = given.parent
    this.since = given.since
  }
}

export function isJob({ kind }: Pick<Entry, 'kind'>): boolean {
  return kind === 'job' || kind === 'update' || kind === 'request'
}

/** Whether it is what makes jobs. */
export function hasJobs({ kind }: Pick<Entry, 'kind'>): boolean {
  return kind === 'task' || kind === 'bot' || kind === 'spider'
}
