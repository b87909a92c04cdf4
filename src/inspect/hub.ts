import type { Observed, Sink } from '../actors/tap.ts'
import { guarded } from '../evidence.ts'
import type { AnyEvent } from '../events.ts'
import type { Failure } from '../failure.ts'
import type { Inspected } from '../inspection.ts'
import { Book } from './book.ts'
import { Charts } from './charts.ts'
import type { Entry } from './entry.ts'
import { FailureRows } from './failure-rows.ts'
import type { InspectorPolicy } from './options.ts'
import { Queues } from './queues.ts'
import { Ring, type Happened } from './ring.ts'
import { Samples } from './samples.ts'
import type { Showing } from './showing.ts'

/** Who is told what the hub has seen. */
export interface Listener {
  /** `changed` nodes, since the last time. */
  tick(changed: ReadonlySet<Entry>, failures: readonly Failure[]): void
}

/** What is followed closely, for somebody looks at it. */
interface Close {
  listeners: number
  readonly fired: Set<string>
  last: Happened | undefined
}

type JobHeard = Extract<AnyEvent, { readonly type: `job.${string}` }>

const EVENTS_KEPT = 2_000
const SHORTEST = 100
const LONGEST = 1_000

/** Hears all of a system while somebody looks, and tells them in ticks. */
export class Hub implements Sink {
  readonly inspected: Inspected
  readonly showing: Showing
  readonly book: Book
  readonly ring: Ring = new Ring(EVENTS_KEPT)
  readonly samples: Samples
  readonly charts: Charts
  readonly failures: FailureRows
  since: number = Date.now()
  /** Other processes that send what they inspect. */
  readonly remotes: Set<{ fill(): void }> = new Set()
  /** Whether there is a bridge to Stately's viewer. */
  readonly hasBridge: boolean
  readonly #failed: (error: unknown) => void
  readonly #listeners = new Set<Listener>()
  readonly #opened = new Map<Listener, ReadonlySet<string>>()
  readonly #close = new Map<Entry, Close>()
  readonly #queues: Queues
  #newFailures: Failure[] = []
  #end: (() => void) | undefined
  #interval = SHORTEST
  #nextSample = 0
  #timer: NodeJS.Timeout | undefined

  constructor(inspected: Inspected, policy: InspectorPolicy, showing: Showing, failed: (error: unknown) => void) {
    this.inspected = inspected
    this.showing = showing
    this.#failed = failed
    const { only, stately } = policy
    this.hasBridge = stately !== undefined
    const isShown = (path: string): boolean => only === undefined || guarded(() => only(path) === true, false)
    this.book = new Book(inspected, isShown)
    this.samples = new Samples(inspected)
    this.#queues = new Queues(this.book)
    this.charts = new Charts(showing)
    this.failures = new FailureRows(showing, (path) => this.book.entries.get(path))
  }

  get isObserving(): boolean {
    return this.#end !== undefined
  }

  join(listener: Listener): void {
    this.#listeners.add(listener)
    if (this.#end === undefined) this.#begin()
  }

  /** The last one who leaves takes the observer along, in this turn. */
  leave(listener: Listener): void {
    if (!this.#listeners.delete(listener)) return
    this.#opened.delete(listener)
    if (this.#listeners.size > 0) this.#openAll()
    else this.#stop()
  }

  /** Nodes whose jobs this one wants to see. */
  open(listener: Listener, ids: ReadonlySet<string>): void {
    if (!this.#listeners.has(listener)) return
    this.#opened.set(listener, ids)
    this.#openAll()
  }

  /** Follows a node closely, from now on or no longer. */
  follow(entry: Entry, change: 1 | -1): void {
    const close = this.#close.get(entry) ?? { listeners: 0, fired: new Set(), last: undefined }
    close.listeners += change
    if (close.listeners === 0) this.#close.delete(entry)
    else this.#close.set(entry, close)
  }

  /** Edges that were taken since it was last asked, for all who follow it. */
  firedOf(entry: Entry): ReadonlySet<string> {
    return this.#close.get(entry)?.fired ?? new Set()
  }

  /** Tells everybody what there is, at once. */
  flush(): void {
    const begun = spent()
    this.book.settle()
    const { dirty } = this.book
    this.book.dirty = new Set()
    const failures = this.#newFailures
    this.#newFailures = []
    this.#sampleIfDue()
    for (const listener of this.#listeners) {
      try {
        listener.tick(dirty, failures)
      } catch (error) {
        this.#failed(error)
      }
    }
    for (const { fired } of this.#close.values()) fired.clear()
    for (const entry of dirty) if (entry.isOver && !entry.isGone) this.book.remove(entry)
    const took = spent() - begun
    if (took > 5) this.#interval = Math.min(LONGEST, this.#interval * 2)
    else if (took < 2.5) this.#interval = Math.max(SHORTEST, this.#interval / 2)
  }

  // What the tap tells

  appeared(actor: Observed): void {
    if (this.book.showsAlone(actor)) this.book.of(actor)
  }

  took(actor: Observed, event: { readonly type: string }, from: Observed | undefined): void {
    const to = this.book.of(actor)
    this.samples.count()
    if (to === undefined) return
    to.events += 1
    this.book.dirty.add(to)
    const close = this.#close.get(to)
    const happened = this.ring.add({
      at: Date.now(),
      type: event.type,
      kind: 'message',
      from: from !== undefined && this.book.showsAlone(from) ? this.book.entries.get(from.path) : undefined,
      to,
      path: actor.path,
      data: event,
    })
    if (close === undefined) return
    if (to.actor === actor && actor.config !== undefined && !event.type.startsWith('xstate.')) happened.handled = false
    close.last = happened
  }

  moved(actor: Observed): void {
    if (!this.book.showsAlone(actor)) return
    const entry = this.book.of(actor)
    if (entry === undefined) return
    this.book.dirty.add(entry)
    if (actor.own === 'supervisor') this.book.refresh(entry.path)
    if (entry.actor === actor && entry.phase === undefined && actor.snapshot()?.status !== 'active') entry.isOver = true
  }

  stepped(actor: Observed, edges: () => readonly string[]): void {
    if (this.#close.size === 0) return
    const entry = this.book.of(actor)
    const close = entry && this.#close.get(entry)
    if (close === undefined || entry?.actor !== actor) return
    const taken = edges()
    if (close.last !== undefined && taken.length > 0) close.last.handled = true
    for (const edge of taken) close.fired.add(edge)
  }

  readonly #hear = (event: AnyEvent): void => {
    this.samples.hear(event)
    if (event.type.startsWith('job.')) this.#hearJob(event as JobHeard)
    else this.#hearOther(event)
  }

  /** There are thousands of them a second. */
  #hearJob(event: JobHeard): void {
    const { at, type, path } = event
    if (this.book.isShown(path))
      this.ring.add({ at, type, kind: 'event', from: undefined, to: this.#entryAt, path, data: event })
  }

  #hearOther(event: AnyEvent): void {
    const { path } = event as { readonly path?: string }
    const to = this.#nodeOf(event)
    const isShown = to !== undefined || path === undefined || this.book.isShown(path)
    if (event.type === 'failure.decided') {
      const { failure } = event
      if (!this.book.isShown(failure.path)) return
      this.#newFailures.push(failure)
      this.book.countFailure(failure)
    }
    if (event.type === 'message.dropped' && to !== undefined) to.dropped += 1
    if (!isShown) return
    const { at, type } = event
    const where = path ?? (event.type === 'failure.decided' ? event.failure.path : '')
    this.ring.add({ at, type, kind: 'event', from: undefined, to, path: where, data: event })
  }

  #nodeOf(event: AnyEvent): Entry | undefined {
    switch (event.type) {
      case 'actor.started':
      case 'actor.ended':
      case 'actor.stopped':
      case 'message.dropped':
        return this.book.refresh(event.path)
      case 'supervisor.restarting':
        for (const name of event.children) this.book.refresh(event.path === '' ? name : `${event.path}/${name}`)
        return this.book.refresh(event.path)
      case 'failure.decided':
        return this.book.entries.get(event.failure.path)
      default:
        return 'path' in event ? this.#entryAt(event.path ?? '') : undefined
    }
  }

  /** The node there, or that of the task of a job there. */
  readonly #entryAt = (path: string): Entry | undefined =>
    this.book.entries.get(path) ?? this.book.entries.get(path.slice(0, Math.max(0, path.lastIndexOf('/'))))

  #openAll(): void {
    const all = new Set<string>()
    for (const ids of this.#opened.values()) for (const id of ids) all.add(id)
    this.book.open(all)
  }

  #begin(): void {
    this.since = Date.now()
    this.#interval = SHORTEST
    this.book.fill()
    this.samples.begin()
    this.#nextSample = Date.now() + 1_000
    const end = this.inspected.observe(this)
    this.inspected.system.on('*', this.#hear)
    for (const remote of this.remotes) remote.fill()
    this.#end = () => {
      end()
      this.inspected.system.off('*', this.#hear)
    }
    this.#schedule()
  }

  #stop(): void {
    this.#end?.()
    this.#end = undefined
    clearTimeout(this.#timer)
    this.#close.clear()
    this.#queues.clear()
    this.#opened.clear()
    this.book.open(new Set())
    this.book.clear()
    this.ring.clear()
    this.samples.end()
    this.charts.clear()
    this.#newFailures = []
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      try {
        this.flush()
      } catch (error) {
        this.#failed(error)
      }
      if (this.#end !== undefined) this.#schedule()
    }, this.#interval)
    this.#timer.unref()
  }

  #sampleIfDue(): void {
    const now = Date.now()
    if (now < this.#nextSample) return
    this.#nextSample = now + 1_000
    this.book.audit()
    void this.#sample()
  }

  async #sample(): Promise<void> {
    const queues = await this.inspected.system.queues().catch(() => undefined)
    if (this.#end !== undefined) this.samples.take(this.#queues.take(queues))
  }
}

/** Time this thread has worked, in ms: on a busy machine a flush may take long and cost little. */
function spent(): number {
  const { user, system } = process.threadCpuUsage?.() ?? process.cpuUsage()
  return (user + system) / 1_000
}
