import {
  createActor,
  fromCallback,
  type ActorScope,
  type AnyActorLogic,
  type AnyActorRef,
  type AnyEventObject,
  type AnyStateMachine,
  type Snapshot,
} from 'xstate'
import type { Chart } from './chart-table.ts'
import { chartOf, compileChart } from './compiled-chart.ts'
import type { Effect } from './effect.ts'
import { allowsLightActors, LightActor, type ChartOwner } from './light-actor.ts'
import { OwnedActor } from './owned-actor.ts'
import { disown, isToldByRelay } from './owner-relay.ts'
import { isTakenOver, RestingCharts, show } from './resting-charts.ts'

export type AnyActorScope = ActorScope<Snapshot<unknown>, AnyEventObject>

/**
 * How a chart becomes actor logic. The only place that knows what runs it: XState's interpreter where somebody watches
 * each of its steps, else the chart's compiled form, which shows the same snapshots.
 */
export function toChartLogic<Context, Event extends AnyEventObject>(
  machine: unknown,
  effects: Readonly<Record<string, Effect<Context, Event>>>,
  isWatched: boolean,
): AnyActorLogic {
  return (
    (isWatched ? undefined : compileChart(machine as AnyStateMachine, effects as never)) ??
    interpreted(machine, effects)
  )
}

function interpreted<Context, Event extends AnyEventObject>(
  machine: unknown,
  effects: Readonly<Record<string, Effect<Context, Event>>>,
): AnyActorLogic {
  const actors = Object.fromEntries(
    Object.entries(effects).map(([name, effect]) => [
      name,
      fromCallback<Event, Context>(({ input, sendBack }) => {
        const ending = effect(input, { send: sendBack as (event: Event) => void })
        return ending && (() => ending.end())
      }),
    ]),
  )
  return (machine as AnyStateMachine).provide({ actors })
}

/** A running chart without children of its own, such as a job. */
export interface ChartActor<Event> {
  readonly ref: AnyActorRef
  send(event: Event): void
  /** Ends it where it stands; its owner is not told. */
  stop(): void
}

class RunningChart<Event extends AnyEventObject> implements ChartActor<Event> {
  readonly #ref: AnyActorRef
  readonly #host: Host
  readonly #owner: unknown

  constructor(host: Host, ref: AnyActorRef, owner: unknown) {
    this.#host = host
    this.#ref = ref
    this.#owner = owner
  }

  get ref(): AnyActorRef {
    return show(this.#ref)
  }

  send(event: Event): void {
    if (!isTakenOver(this.#ref, this.#owner)) this.#ref.send(event)
  }

  stop(): void {
    if (!isTakenOver(this.#ref, this.#owner)) this.#host.stopChart(this.#ref)
  }
}

const compilesNodes: unique symbol = Symbol('compilesNodes')

/** Lets the charts of nodes run compiled in this system: only the tap asks for their steps, and that is told them. */
export function compileNodesOf(system: object): void {
  ;(system as { [compilesNodes]?: boolean })[compilesNodes] = true
}

const compiled = new WeakMap<AnyStateMachine, AnyActorLogic>()

/** Nodes come and go, too: a chart of theirs is compiled once. */
function compiledOf(machine: AnyStateMachine): AnyActorLogic {
  const known = compiled.get(machine)
  if (known !== undefined) return known
  const logic = compileChart(machine, {}) ?? machine
  compiled.set(machine, logic)
  return logic
}

/** The actor of a node of the tree. Its children are detached, so that thousands of them cost the same as ten. */
export class Host<Event extends AnyEventObject = AnyEventObject> {
  readonly ref: AnyActorRef
  /** Events that the node itself sent: nobody else can make its chart tell what is not so. */
  readonly #own: AnyEventObject[] = []
  #scope: AnyActorScope | undefined
  /** By the id of a chart that runs. */
  readonly #owners = new Map<string, ChartOwner | undefined>()
  /** None where all charts are light: most nodes never start one of the others. */
  #resting: RestingCharts | undefined

  /** `onShutdown` is called when anybody sends the event `shutdown`. */
  constructor(
    machine: unknown,
    options: { readonly parent: Host; readonly id: string; readonly input: unknown } | AnyActorScope,
    onShutdown: () => void = () => {},
  ) {
    if ('self' in options) {
      this.#scope = options
      this.ref = options.self as AnyActorRef
      return
    }
    const { [compilesNodes]: isCompiled } = options.parent.ref.system as { [compilesNodes]?: boolean }
    const logic = this.#logicOf(
      isCompiled === true ? compiledOf(machine as AnyStateMachine) : (machine as AnyActorLogic),
      onShutdown,
    )
    this.ref = createActor(logic, { id: options.id, input: options.input, parent: options.parent.ref } as never)
  }

  /** The actor that runs in this scope, made by somebody else. */
  static of(scope: AnyActorScope): Host {
    return new Host(undefined, scope)
  }

  start(): void {
    ;(this.ref as { start?: () => void }).start?.()
  }

  send(event: Event): void {
    this.#own.push(event) // no WeakSet: a collector has more work with it than all restarts together
    this.ref.send(event)
  }

  /** Hands on what somebody else sent. */
  deliver(event: AnyEventObject): void {
    this.ref.send({ ...event })
  }

  /** Creates a child of any logic; it counts for the inspector as this actor's, but stands in no snapshot. */
  createChild(logic: AnyActorLogic, id: string, input: unknown): AnyActorRef & { start(): unknown } {
    return createActor(logic, { parent: this.ref, id, input } as never) as never
  }

  /** Starts a chart; its owner may be told of the output before it is given back. */
  startChart<Sent extends AnyEventObject, Output>(logic: AnyActorLogic, owner: ChartOwner<Output>): ChartActor<Sent> {
    const chart = chartOf(logic)
    if (chart?.isPlain === true && allowsLightActors(this.ref.system)) {
      const actor = new LightActor(chart, this.ref, owner)
      actor.start()
      return actor
    }
    const own = owner as ChartOwner<never>
    const ref = this.#resting?.begin(chart, own, this.ref.system) ?? this.#start(logic, own, chart)
    return new RunningChart<Sent>(this as never, ref, owner)
  }

  #start(logic: AnyActorLogic, owner: ChartOwner<never>, chart: Chart | undefined): AnyActorRef {
    const { name: id } = owner
    const input = owner.ownedInput ?? owner.input
    const ref = new OwnedActor(logic, { parent: this.ref, id, input } as never)
    this.#resting ??= new RestingCharts()
    if (isToldByRelay(this.ref.system, input)) this.#resting.mayTake(ref, owner.slot, chart)
    else this.#owners.set(id, owner as ChartOwner)
    ref.start()
    return ref
  }

  /** Ends a chart where it stands, without a word. */
  stopChart(ref: AnyActorRef): void {
    disown(ref)
    if (this.#owners.has(ref.id)) this.#owners.set(ref.id, undefined) // few ids, used again and again
    this.stopChild(ref)
  }

  stopChild(ref: AnyActorRef): void {
    this.#scope?.stopChild(ref)
  }

  /** Here and not in an observer: by now the chart is stopped, and its parent may stop as well. */
  #tellOutput(event: AnyEventObject): void {
    const id = event['actorId'] as string
    const owner = this.#owners.get(id)
    if (owner === undefined) return
    this.#owners.set(id, undefined) // few ids, used again and again
    owner.over(event['output'])
  }

  /** They are taken in the order in which they were sent. */
  #isOwn(event: AnyEventObject): boolean {
    const own = this.#own
    if (own.length === 1 && own[0] === event) return own.pop() !== undefined // nearly always
    const at = own.indexOf(event)
    if (at !== -1) own.splice(0, at + 1)
    return at !== -1
  }

  #logicOf(machine: AnyActorLogic, onShutdown: () => void): AnyActorLogic {
    const logic = Object.create(machine) as AnyActorLogic // keeps `config` and `definition`: it still draws as itself
    logic.getInitialSnapshot = (scope, input) => {
      this.#scope = scope as unknown as AnyActorScope
      return machine.getInitialSnapshot(scope, input)
    }
    logic.transition = (snapshot, event: AnyEventObject, scope) => {
      // A state node remembers every event type for ever (facts of XState 5.33), so what others send, and the ends of
      // children, stay away from it.
      const isOwn = this.#isOwn(event) || event.type === 'xstate.stop'
      const next = isOwn ? machine.transition(snapshot, event, scope) : snapshot
      if (event.type === 'shutdown') onShutdown()
      else if (!isOwn && event.type.startsWith('xstate.done.actor.')) this.#tellOutput(event)
      return next
    }
    return logic
  }
}
