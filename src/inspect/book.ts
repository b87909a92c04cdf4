import type { NodeView } from '../actors/registry.ts'
import type { Observed } from '../actors/tap.ts'
import type { Failure } from '../failure.ts'
import type { Inspected } from '../inspection.ts'
import { PassingMap } from '../passing-map.ts'
import { Entry, hasJobs, isJob } from './entry.ts'

/** All nodes while somebody looks, by their paths. */
export class Book {
  readonly entries: PassingMap<Entry> = new PassingMap()
  readonly byId: PassingMap<Entry> = new PassingMap()
  /** Changed since they were last asked for. */
  dirty: Set<Entry> = new Set()
  /** Ids of nodes whose jobs somebody wants to see, each by itself; of the others they are counts. */
  #opened: ReadonlySet<string> = new Set()
  readonly #tasks = new Set<Entry>()
  /** On their way from one phase to another: the event that tells of it may come before the tree has it. */
  readonly #between = new Set<Entry>()
  #left = 0
  #last = 0
  readonly #inspected: Inspected
  /** Whether nodes at this path are shown. */
  readonly isShown: (path: string) => boolean

  constructor(inspected: Inspected, isShown: (path: string) => boolean) {
    this.#inspected = inspected
    this.isShown = isShown
  }

  /** Everything there is now. */
  fill(): void {
    this.#left = this.#inspected.left()
    for (const view of this.#inspected.nodes()) this.#fillFrom(view)
    for (const failure of this.#inspected.system.failures()) this.countFailure(failure)
  }

  /** A job's failure is one of its task, too: the job will be gone. */
  countFailure({ path, job }: Failure): void {
    for (const at of job === undefined ? [path] : [path, job.task]) {
      const entry = this.entries.get(at)
      if (entry === undefined) continue
      entry.failures += 1
      this.dirty.add(entry)
    }
  }

  /** From now on jobs of these nodes are nodes, too; those of the others are no longer. */
  open(ids: ReadonlySet<string>): void {
    const before = this.#opened
    this.#opened = ids
    for (const id of ids) {
      const entry = before.has(id) ? undefined : this.byId.get(id)
      if (entry !== undefined && hasJobs(entry))
        for (const job of this.#inspected.jobs(entry.path)) this.#fillBelow(job)
    }
    if ([...before].every((id) => ids.has(id))) return
    for (const entry of this.entries.values()) if (isJob(entry) && !this.#keepsJobs(entry.parent)) this.remove(entry)
  }

  /** Looks again at what was on its way. */
  settle(): void {
    for (const entry of this.#between) this.refresh(entry.path)
  }

  /** What changes without a word: how many jobs a task has, and what was taken out of the tree. */
  audit(): void {
    for (const entry of this.#tasks) this.refresh(entry.path)
    const left = this.#inspected.left()
    if (left !== this.#left) this.#compare()
    this.#left = left
  }

  #compare(): void {
    const seen = new Set<string>()
    for (const view of this.#inspected.nodes()) {
      seen.add(view.path)
      const entry = this.entries.get(view.path)
      if (entry === undefined) this.#fillFrom(view)
      else if (this.#take(entry, view)) this.dirty.add(entry)
    }
    for (const entry of this.entries.values()) if (isOfTree(entry) && !seen.has(entry.path)) this.remove(entry)
  }

  /** The node at a path, as the tree has it now; undefined if it is none, or not shown. */
  refresh(path: string): Entry | undefined {
    const view = this.#inspected.node(path)
    const known = this.entries.get(path)
    if (view === undefined) {
      if (known?.phase !== undefined) this.remove(known)
      return known
    }
    if (known === undefined) return this.#fillFrom(view)
    if (this.#take(known, view)) this.dirty.add(known)
    return known
  }

  /**
   * The entry of an actor that was heard of: of a job whose task nobody has opened, that of its task. Undefined where it
   * is not shown, or an older incarnation.
   */
  of(actor: Observed): Entry | undefined {
    if (actor.isRoot) return undefined
    if (!this.showsAlone(actor)) return this.#ofTask(actor)
    const entry = this.entries.get(actor.path)
    if (entry === undefined) return this.#add(actor)
    if (entry.actor === actor) return entry
    const latest = entry.actor as Observed | undefined // of our own actors there are only such
    return latest === undefined || isNewer(actor, latest) ? this.#succeed(entry, actor) : undefined
  }

  /** Whether it may have an entry of its own: jobs have none where nobody has opened a task. */
  showsAlone(actor: Observed): boolean {
    return actor.own !== 'job' ? !actor.isRoot : this.#opened.size > 0
  }

  remove(entry: Entry): void {
    if (entry.isGone) return
    entry.isGone = true
    if (this.entries.get(entry.path) === entry) this.entries.delete(entry.path)
    this.byId.delete(entry.id)
    this.#tasks.delete(entry)
    this.#between.delete(entry)
    this.dirty.add(entry)
    if (entry.parent !== undefined) {
      if (!isJob(entry)) entry.parent.below -= 1
      entry.parent.ended += 1
      this.dirty.add(entry.parent)
    }
  }

  clear(): void {
    this.entries.clear()
    this.byId.clear()
    this.#tasks.clear()
    this.#between.clear()
    this.dirty.clear()
  }

  #fillFrom(view: NodeView): Entry | undefined {
    if (!this.isShown(view.path)) return undefined
    const parent = view.parent === undefined ? undefined : this.#nearest(view.parent)
    const entry = this.entries.get(view.path) ?? this.put(view.path, view.name, view.kind, parent)
    this.#take(entry, view)
    if (hasJobs(view)) this.#tasks.add(entry)
    for (const child of view.actor?.children() ?? []) this.#fillBelow(child)
    return entry
  }

  #fillBelow(actor: Observed): void {
    this.of(actor)
    for (const child of actor.children()) this.#fillBelow(child)
  }

  #take(entry: Entry, view: NodeView): boolean {
    const isSame =
      entry.phase === view.phase &&
      entry.generation === view.generation &&
      entry.state === view.state &&
      entry.jobs?.running === view.jobs?.running &&
      entry.jobs?.retrying === view.jobs?.retrying
    entry.kind = view.kind
    entry.phase = view.phase
    if (isBetween(view)) this.#between.add(entry)
    else this.#between.delete(entry)
    entry.generation = Math.max(1, view.generation)
    entry.actor = view.actor ?? (view.state === undefined ? undefined : entry.actor)
    entry.state = view.state
    entry.jobs = view.jobs
    return !isSame
  }

  #add(actor: Observed): Entry | undefined {
    const { path } = actor
    if (!this.isShown(path)) return undefined
    const { own } = actor
    // A supervisor or a worker that has just been made: the tree knows more of it.
    if (own === 'supervisor' || own === 'worker') {
      const known = this.refresh(path)
      if (known !== undefined) known.actor = actor
      return known
    }
    const parent = actor.parent === undefined ? undefined : this.#nearest(actor.parent.path)
    if (own === 'job' && !this.#keepsJobs(parent)) return parent
    const kind = own === 'job' ? jobKind(path) : 'actor'
    const entry = this.put(path, actor.name, kind, parent)
    entry.actor = actor
    if (own !== 'job') {
      const view = this.#inspected.node(path)
      if (view !== undefined) {
        this.#take(entry, view)
        entry.actor = actor
      }
    }
    return entry
  }

  #ofTask(actor: Observed): Entry | undefined {
    if (actor.parent === undefined || !this.isShown(actor.path)) return undefined
    return this.entries.get(actor.parent.path)
  }

  #keepsJobs(parent: Entry | undefined): boolean {
    return parent !== undefined && this.#opened.has(parent.id)
  }

  #succeed(entry: Entry, actor: Observed): Entry {
    entry.actor = actor
    entry.isOver = false
    this.dirty.add(entry)
    return entry
  }

  /** A node that was not there. */
  put(path: string, name: string, kind: string, parent: Entry | undefined): Entry {
    this.#last += 1
    const own = isJob({ kind }) ? path.slice(path.lastIndexOf('/') + 1) : name
    const entry = new Entry(`n${this.#last}`, { path, name: own, kind, parent, since: Date.now() })
    this.entries.set(path, entry)
    this.byId.set(entry.id, entry)
    this.dirty.add(entry)
    if (parent === undefined) return entry
    if (!isJob(entry)) parent.below += 1
    this.dirty.add(parent)
    return entry
  }

  /** The entry at a path, or of what stands above it: what is between may not be shown. */
  #nearest(path: string): Entry | undefined {
    for (let at = path; at !== ''; at = at.slice(0, Math.max(0, at.lastIndexOf('/')))) {
      const entry = this.entries.get(at)
      if (entry !== undefined) return entry
    }
    return undefined
  }
}

const isBetween = ({ phase }: NodeView): boolean =>
  phase === 'starting' || phase === 'restarting' || phase === 'stopping'

/** Jobs of bots and spiders have names of their own. */
function jobKind(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1)
  return name.startsWith('update:') ? 'update' : name.startsWith('request:') ? 'request' : 'job'
}

/** By session, which counts up. */
function isNewer(one: Observed, other: Observed): boolean {
  const born = ({ session }: Observed): number => Number(session.slice(session.indexOf(':') + 1))
  return born(one) > born(other)
}

/** What another process tells of has places of its own. */
const isOfTree = ({ phase, path }: Entry): boolean => phase !== undefined && !/^remote:\d+(?:\/|$)/.test(path)
