import type { NodeView } from './actors/registry.ts'
import type { Sink, Observed } from './actors/tap.ts'
import type { JobRecord, QueueStats } from './brokers/broker.ts'
import type { DeadLetters } from './dead-letters.ts'
import type { EventData, Listener } from './events.ts'
import type { Failure } from './failure.ts'
import type { Stats } from './stats.ts'

export const inspectorBrand: unique symbol = Symbol.for('rootcatch.inspector')

/** What `inspector()` of `rootcatch/inspect` gives: data, which may serve many starts. */
export interface Inspector {
  /** Whether it may act, and not only watch. */
  readonly control: boolean
  /** @internal Opens it for one system. It never rejects: a system runs without its inspector as well. */
  readonly [inspectorBrand]: (inspected: Inspected) => Promise<OpenInspector>
}

/** The handle of an open inspector: `system.inspector`. */
export interface InspectorHandle {
  /** Where it listens, without a token; '' if it could not. */
  readonly url: string
  /** A new link; it works once. */
  link(): string
  /** How many look on now. */
  readonly viewers: number
  /** Whether it hears what actors do: only while somebody looks. */
  readonly observing: boolean
  /** Where other processes send what they inspect; undefined without `accept`. */
  readonly acceptUrl: string | undefined
}

export interface OpenInspector extends InspectorHandle {
  close(): Promise<void>
}

/** A running system as an inspector sees it. */
export interface Inspected {
  readonly name: string
  readonly system: InspectedSystem
  readonly dead: Pick<DeadLetters, 'list' | 'show'>
  /** Hears all that actors do; gives the way to end that. */
  observe(sink: Sink): () => void
  nodes(): Iterable<NodeView>
  /** How many nodes have left the tree so far. */
  left(): number
  node(path: string): NodeView | undefined
  /** Jobs that a task, a bot or a spider holds now. */
  jobs(path: string): Iterable<Observed>
  tell<Name extends InspectorEvent>(name: Name, data: Omit<EventData[Name], 'path'>): void
  /** What a user's code could do; undefined without `control`. */
  readonly act: InspectorActions | undefined
}

/** What is read of a system through its public methods. */
export interface InspectedSystem {
  stats(): Stats
  queues(): Promise<readonly QueueStats[]>
  job(id: string): Promise<JobRecord | undefined>
  failures(): readonly Failure[]
  on(name: '*', listener: Listener<'*'>): unknown
  off(name: '*', listener: Listener<'*'>): unknown
}

export type InspectorEvent = 'inspector.started' | 'inspector.viewed' | 'inspector.used' | 'inspector.failed'

/** Public methods of the system, by the words of the page. */
export interface InspectorActions {
  replay(id: string): Promise<unknown>
  discard(id: string): Promise<boolean>
  startChild(path: string): Promise<unknown>
  stopChild(path: string): Promise<unknown>
  restartChild(path: string): Promise<unknown>
}

/** Whether a value is an inspector, also of a second copy of the package. */
export function isInspector(value: unknown): value is Inspector {
  return typeof value === 'object' && value !== null && inspectorBrand in value
}
