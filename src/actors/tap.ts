import type { ActorSystem, AnyActorRef, AnyEventObject, AnyStateMachine, InspectionEvent } from 'xstate'
import { jobMachine } from '../../machines/job.ts'
import { supervisorMachine } from '../../machines/supervisor.ts'
import { workerMachine } from '../../machines/worker.ts'
import { readChart, edgeOf, type ChartData } from './chart-data.ts'
import { tellsSteps } from './tells-steps.ts'

/** An actor as those see it who look on. There is one object for each, whatever runs it. */
export class Observed {
  /** Which of our own charts it runs, if any. */
  readonly own: 'supervisor' | 'worker' | 'job' | undefined
  readonly #ref: AnyActorRef
  #parent: Observed | undefined
  #path: string | undefined

  constructor(ref: AnyActorRef) {
    this.#ref = ref
    const config = (ref as Partial<RunningRef>).logic?.config
    this.own = config === undefined ? undefined : ownCharts.get(config)
  }

  /** Of this actor alone: the next incarnation has another one. */
  get session(): string {
    return this.#ref.sessionId
  }

  get name(): string {
    return this.#ref.id
  }

  get parent(): Observed | undefined {
    const above = this.#ref._parent
    if (above !== undefined) this.#parent ??= observedOf(above)
    return this.#parent
  }

  /** Where it stands: our own nodes know it, and what a user's actor has made stands below that one. */
  get path(): string {
    this.#path ??= this.#findPath()
    return this.#path
  }

  get isNode(): boolean {
    return this.own !== undefined
  }

  get isRoot(): boolean {
    return this.#ref._parent === undefined
  }

  /** Reading it may run the user's code: whoever cuts it for others guards that. */
  snapshot(): ObservedSnapshot | undefined {
    return this.#ref.getSnapshot() as ObservedSnapshot | undefined
  }

  /** Those that it lists itself; children of our own nodes are found by the tree. */
  children(): readonly Observed[] {
    const children = (this.snapshot()?.children ?? {}) as Readonly<Record<string, AnyActorRef | undefined>>
    return Object.values(children).flatMap((child) => (child === undefined ? [] : [observedOf(child)]))
  }

  get input(): unknown {
    return (this.#ref as Partial<RunningRef>).options?.input
  }

  /** The config of its machine; undefined for logic without one. */
  get config(): object | undefined {
    return (this.#ref as Partial<RunningRef>).logic?.config
  }

  /** Its statechart as data; undefined for logic without one. Read once for each definition. */
  get chart(): ChartData | undefined {
    const { logic } = this.#ref as Partial<RunningRef>
    if (logic?.config === undefined || !('states' in logic)) return undefined
    return readChart(logic)
  }

  #findPath(): string {
    const own = this.isRoot || this.isNode ? (this.input as { path?: unknown } | undefined)?.path : undefined
    if (typeof own === 'string') return own
    const above = this.parent
    if (above === undefined) return ''
    return above.path === '' ? this.name : `${above.path}/${this.name}`
  }
}

/** What is read of any snapshot. Logic that is no machine has no value and no children. */
export interface ObservedSnapshot {
  readonly status?: 'active' | 'done' | 'error' | 'stopped'
  readonly value?: unknown
  readonly context?: unknown
  readonly children?: object
  readonly historyValue?: unknown
  readonly tags?: ReadonlySet<string>
  readonly input?: unknown
  readonly output?: unknown
  readonly error?: unknown
}

/** Hears all that the actors of a system do. What it does with it must be quick: actors wait meanwhile. */
export interface Sink {
  appeared(actor: Observed): void
  took(actor: Observed, event: AnyEventObject, from: Observed | undefined): void
  /** Its snapshot is another one now; `event` led to it. */
  moved(actor: Observed, event: AnyEventObject): void
  /** `edges` names the transitions that were taken, as its chart does. */
  stepped(actor: Observed, edges: () => readonly string[]): void
}

/** Where others may look on. While nobody does, it is connected to nothing. */
export class Tap {
  readonly #threw: (error: unknown, isLast: boolean) => void
  #system: Observable | undefined
  readonly #sinks = new Map<Sink, (() => void) | undefined>()

  /** `threw` is told when a sink throws; after the third time the sink is removed. */
  constructor(threw: (error: unknown, isLast: boolean) => void) {
    this.#threw = threw
  }

  /** Before this there is nothing to see. */
  attach(system: ActorSystem<never>): void {
    this.#system = system as unknown as Observable
    for (const sink of this.#sinks.keys()) this.#connect(sink)
  }

  /** How many look on. */
  get observers(): number {
    return this.#sinks.size
  }

  /** From now on `sink` hears all; gives the way to end that, within the turn. */
  observe(sink: Sink): () => void {
    this.#sinks.set(sink, undefined)
    this.#connect(sink)
    return () => this.#disconnect(sink)
  }

  #connect(sink: Sink): void {
    if (this.#system === undefined) return
    let throws = 0
    const observer = (event: InspectionEvent): void => {
      if (throws === PATIENCE) return
      try {
        tell(sink, event)
      } catch (error) {
        throws += 1
        this.#threw(error, throws === PATIENCE)
        if (throws === PATIENCE) this.#disconnect(sink)
      }
    }
    const { unsubscribe } = this.#system.inspect(observer)
    this.#sinks.set(sink, unsubscribe)
    this.#system[tellsSteps] = true
  }

  #disconnect(sink: Sink): void {
    this.#sinks.get(sink)?.()
    this.#sinks.delete(sink)
    if (this.#sinks.size === 0 && this.#system !== undefined) this.#system[tellsSteps] = false
  }
}

const PATIENCE = 3

function tell(sink: Sink, event: InspectionEvent): void {
  const actor = observedOf(event.actorRef as AnyActorRef)
  switch (event.type) {
    case '@xstate.actor':
      return sink.appeared(actor)
    case '@xstate.event':
      return sink.took(actor, event.event, event.sourceRef && observedOf(event.sourceRef as AnyActorRef))
    case '@xstate.snapshot':
      return sink.moved(actor, event.event)
    case '@xstate.microstep':
      return sink.stepped(actor, () => event._transitions.map(edgeOf))
  }
}

/** On the actor itself: in a `WeakMap`, jobs that come and go cost the collector more than all the rest. */
const observedKey: unique symbol = Symbol('observed')

export function observedOf(ref: AnyActorRef & { [observedKey]?: Observed }): Observed {
  ref[observedKey] ??= new Observed(ref)
  return ref[observedKey]
}

/** The actors of those that have one already. */
export function* observedJobs(
  jobs: Iterable<{ readonly actor: AnyActorRef | undefined } | undefined>,
): Generator<Observed, undefined> {
  for (const job of jobs) if (job?.actor !== undefined) yield observedOf(job.actor)
  return undefined
}

const ownCharts: ReadonlyMap<object, 'supervisor' | 'worker' | 'job'> = new Map<
  object,
  'supervisor' | 'worker' | 'job'
>([
  [supervisorMachine.config, 'supervisor'],
  [workerMachine.config, 'worker'],
  [jobMachine.config, 'job'],
])

/** What an actor of XState has beside its ref. */
interface RunningRef {
  readonly logic: AnyStateMachine
  readonly options: { readonly input?: unknown }
}

interface Observable {
  inspect(observer: (event: InspectionEvent) => void): { unsubscribe(): void }
  [tellsSteps]?: boolean
}
