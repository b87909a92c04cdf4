import type { AnyActorLogic, AnyActorRef, AnyEventObject, AnyStateMachine } from 'xstate'
import type { Effect } from './effect.ts'
import { tellsSteps } from './tells-steps.ts'

type Context = Readonly<Record<string, unknown>>
type AnyEffect = Effect<unknown, AnyEventObject>
type FromState<Value> = (args: { readonly context: Context; readonly event: AnyEventObject }) => Value

interface Transition {
  /** What the machine has for it: its place among those of its state and event. */
  readonly at: { readonly event: string; readonly index: number }
  readonly guard: FromState<boolean> | undefined
  readonly target: State | undefined
  /** Each gives what changes in the context. */
  readonly assigns: readonly FromState<Context>[]
}

/** A state of the chart, with everything that was looked up by name. */
interface State {
  readonly name: string
  readonly id: string
  readonly on: Map<string, readonly Transition[]>
  readonly effect: AnyEffect | undefined
  readonly effectInput: FromState<unknown> | undefined
  readonly isFinal: boolean
  readonly output: unknown
}

/** What is in the chart that this file does not know, so that the interpreter has to run it. */
class Unknown extends Error {}

/**
 * A flat chart as a table of its states, made from the machine itself: the same snapshots as the interpreter, at a small
 * part of its cost (facts of XState 5.33). What a state rests on is then no actor of its own. `undefined` for a chart that
 * has something else than states that rest on one effect, guards, assigns and outputs.
 */
export function compileChart(
  machine: AnyStateMachine,
  effects: Readonly<Record<string, AnyEffect>>,
): AnyActorLogic | undefined {
  try {
    return logicOf(machine, statesOf(machine, effects))
  } catch (error) {
    if (error instanceof Unknown) return undefined
    throw error
  }
}

function logicOf(machine: AnyStateMachine, initial: State): AnyActorLogic {
  const { context, output } = machine.config as { context?: unknown; output?: unknown }
  const outputOf = (state: State, at: Context, event: AnyEventObject): unknown => {
    if (output === undefined) return undefined // as the interpreter has it: the output of a state is for that of the machine
    const own = valueOf(state.output, at, event)
    return valueOf(output, at, { type: `xstate.done.state.${machine.id}`, output: own })
  }
  const logic = Object.create(machine) as AnyActorLogic // keeps `config` and `definition`: it still draws as itself
  logic.getInitialSnapshot = (scope, input) => {
    const made =
      typeof context === 'function' ? (context({ input, self: scope.self }) as Context) : { ...(context as Context) }
    if (!initial.isFinal)
      return ChartSnapshot.active(machine, initial, made, restOf(initial, made, initEvent(input), scope))
    return ChartSnapshot.over(machine, initial, made, 'done', outputOf(initial, made, initEvent(input)))
  }
  logic.start = (snapshot) => ChartSnapshot.restOf(snapshot)?.begin()
  logic.transition = (before, event: AnyEventObject, scope) => {
    const snapshot = before as ChartSnapshot
    const state = ChartSnapshot.stateOf(snapshot)
    const rest = ChartSnapshot.restOf(snapshot)
    if (event.type === 'xstate.stop') {
      if (rest !== undefined) scope.defer(() => rest.end())
      return ChartSnapshot.over(machine, state, snapshot.context, 'stopped', undefined)
    }
    if (snapshot.status !== 'active') return snapshot
    const transition = chosen(state, snapshot.context, event)
    if (transition === undefined) return snapshot
    let after = snapshot.context
    for (const assign of transition.assigns) after = { ...after, ...assign({ context: after, event }) }
    const { target } = transition
    if ((scope.system as TellingSystem)[tellsSteps] === true) tellStep(machine, state, transition, event, scope)
    if (target === undefined) return ChartSnapshot.active(machine, state, after, rest)
    if (rest !== undefined) scope.defer(() => rest.end())
    if (target.isFinal) return ChartSnapshot.over(machine, target, after, 'done', outputOf(target, after, event))
    const next = restOf(target, after, event, scope)
    if (next !== undefined) scope.defer(() => next.begin())
    return ChartSnapshot.active(machine, target, after, next)
  }
  logic.getPersistedSnapshot = (snapshot, options) =>
    machine.getPersistedSnapshot((snapshot as ChartSnapshot).whole as never, options) as never
  return logic
}

/** What the interpreter tells an inspector of a step; where nobody looks on it is not even made. */
function tellStep(
  machine: AnyStateMachine,
  state: State,
  { at }: Transition,
  event: AnyEventObject,
  scope: { readonly self: unknown; readonly system: unknown },
): void {
  const definition = machine.root.states[state.name]?.transitions.get(at.event)?.[at.index]
  const step = { type: '@xstate.microstep', actorRef: scope.self, event, _transitions: definition ? [definition] : [] }
  ;(scope.system as TellingSystem)._sendInspectionEvent?.(step)
}

interface TellingSystem {
  readonly [tellsSteps]?: boolean
  _sendInspectionEvent?(event: object): void
}

const initEvent = (input: unknown): AnyEventObject => ({ type: 'xstate.init', input })

function chosen(state: State, context: Context, event: AnyEventObject): Transition | undefined {
  const candidates = state.on.get(event.type)
  if (candidates === undefined) return undefined
  for (const candidate of candidates) if (candidate.guard?.({ context, event }) !== false) return candidate
  return undefined
}

function valueOf(given: unknown, context: Context, event: AnyEventObject): unknown {
  return typeof given === 'function' ? (given as FromState<unknown>)({ context, event }) : given
}

function restOf(state: State, context: Context, event: AnyEventObject, scope: unknown): Rest | undefined {
  if (state.effect === undefined) return undefined
  return new Rest(state.effect, state.effectInput?.({ context, event }), (scope as { readonly self: AnyActorRef }).self)
}

/** What one stay in a state rests on. */
class Rest {
  readonly #effect: AnyEffect
  readonly #input: unknown
  readonly #self: AnyActorRef
  #isOver = false
  #end: (() => void) | undefined

  constructor(effect: AnyEffect, input: unknown, self: AnyActorRef) {
    this.#effect = effect
    this.#input = input
    this.#self = self
  }

  begin(): void {
    if (this.#isOver) return
    this.#end = this.#effect(this.#input, (event) => {
      if (!this.#isOver) this.#self.send(event)
    })
  }

  /** What it sends afterwards reaches nobody; what it sends meanwhile does, as with the interpreter. */
  end(): void {
    try {
      this.#end?.()
    } finally {
      this.#isOver = true
      this.#end = undefined
    }
  }
}

type Status = 'active' | 'done' | 'stopped'

/** A snapshot as the machine has it. What is seldom asked for is made when it is. */
class ChartSnapshot {
  readonly status: Status
  readonly value: string
  readonly context: Context
  readonly output: unknown
  readonly error: undefined = undefined
  readonly #machine: AnyStateMachine
  readonly #state: State
  readonly #rest: Rest | undefined
  #whole: ReturnType<AnyStateMachine['resolveState']> | undefined

  private constructor(
    machine: AnyStateMachine,
    state: State,
    context: Context,
    status: Status,
    more: { readonly output?: unknown; readonly rest?: Rest | undefined },
  ) {
    this.status = status
    this.value = state.name
    this.context = context
    this.output = more.output
    this.#machine = machine
    this.#state = state
    this.#rest = more.rest
  }

  static active(machine: AnyStateMachine, state: State, context: Context, rest: Rest | undefined): ChartSnapshot {
    return new ChartSnapshot(machine, state, context, 'active', { rest })
  }

  static over(
    machine: AnyStateMachine,
    state: State,
    context: Context,
    status: 'done' | 'stopped',
    output: unknown,
  ): ChartSnapshot {
    return new ChartSnapshot(machine, state, context, status, { output })
  }

  static stateOf(snapshot: ChartSnapshot): State {
    return snapshot.#state
  }

  /** Of an actor that failed there is a plain copy, which rests on nothing. */
  static restOf(snapshot: object): Rest | undefined {
    return #rest in snapshot ? snapshot.#rest : undefined
  }

  /** The same as the interpreter makes it. */
  get whole(): ReturnType<AnyStateMachine['resolveState']> {
    const { value, context, status, output } = this
    this.#whole ??= Object.assign(this.#machine.resolveState({ value, context, output } as never), { status })
    return this.#whole as never
  }

  get machine(): AnyStateMachine {
    return this.#machine
  }

  get _nodes(): unknown {
    return (this.whole as unknown as { _nodes: unknown })._nodes
  }

  get tags(): ReadonlySet<string> {
    return this.whole.tags
  }

  get children(): object {
    return this.whole.children
  }

  get historyValue(): object {
    return this.whole.historyValue
  }

  matches(value: never): boolean {
    return this.whole.matches(value)
  }

  hasTag(tag: never): boolean {
    return this.whole.hasTag(tag)
  }

  can(event: never): boolean {
    return this.whole.can(event)
  }

  getMeta(): object {
    return this.whole.getMeta()
  }

  toJSON(): unknown {
    return this.whole.toJSON()
  }
}

// From the machine to the table

const KNOWN_OF_MACHINE = [
  'id',
  'description',
  'context',
  'initial',
  'states',
  'output',
  'types',
  'schemas',
  'version',
  'meta',
]
const KNOWN_OF_STATE = ['description', 'type', 'invoke', 'on', 'output', 'tags', 'meta']
const KNOWN_OF_INVOKE = ['src', 'id', 'input']
const KNOWN_OF_TRANSITION = ['guard', 'target', 'actions', 'description', 'meta']

type Keyed = Readonly<Record<string, unknown>>

/** Gives the state that the chart begins in; the others are reached from there. */
function statesOf(machine: AnyStateMachine, effects: Readonly<Record<string, AnyEffect>>): State {
  const config = machine.config as Keyed
  checkKeys(config, KNOWN_OF_MACHINE)
  const { states: configs = {}, initial } = config as { states?: Readonly<Record<string, Keyed>>; initial?: unknown }
  const states = new Map<unknown, State>()
  for (const [name, state] of Object.entries(configs)) states.set(name, stateOf(machine, name, state, effects))
  for (const [name, { on = {} }] of Object.entries(configs)) {
    const table = (states.get(name) as State).on
    for (const [type, given] of Object.entries(on as Keyed)) {
      if (type.includes('*')) throw new Unknown('a wildcard')
      const list = Array.isArray(given) ? given : [given]
      table.set(
        type,
        list.map((each: unknown, index) => transitionOf(machine, name, each, states, { event: type, index })),
      )
    }
  }
  return states.get(initial) ?? fail('its first state')
}

function stateOf(
  machine: AnyStateMachine,
  name: string,
  config: Keyed,
  effects: Readonly<Record<string, AnyEffect>>,
): State {
  checkKeys(config, KNOWN_OF_STATE)
  const { type, invoke, output } = config
  const isFinal = type === 'final'
  if ((type !== undefined && !isFinal) || (isFinal && invoke !== undefined)) throw new Unknown('the type of a state')
  const { src, input } = (invoke ?? {}) as { src?: string; input?: FromState<unknown> }
  if (invoke !== undefined) {
    checkKeys(invoke as Keyed, KNOWN_OF_INVOKE)
    if (typeof src !== 'string' || !Object.hasOwn(effects, src)) throw new Unknown('what a state rests on')
    if (input !== undefined && typeof input !== 'function') throw new Unknown('a fixed input')
  }
  const effect = src === undefined ? undefined : effects[src]
  return { name, id: `${machine.id}.${name}`, on: new Map(), effect, effectInput: input, isFinal, output }
}

function transitionOf(
  machine: AnyStateMachine,
  from: string,
  given: unknown,
  states: ReadonlyMap<unknown, State>,
  at: Transition['at'],
): Transition {
  if (typeof given === 'string') return transitionOf(machine, from, { target: given }, states, at)
  const config = (given ?? fail('a transition that forbids')) as Keyed
  checkKeys(config, KNOWN_OF_TRANSITION)
  const { guard, target, actions = [] } = config
  if (target === from) throw new Unknown('a transition to the same state')
  return {
    at,
    guard: guard === undefined ? undefined : guardOf(machine, guard),
    target: target === undefined ? undefined : (states.get(target) ?? fail('a target')),
    assigns: (Array.isArray(actions) ? actions : [actions]).map((action: unknown) => assignOf(machine, action)),
  }
}

function guardOf(machine: AnyStateMachine, given: unknown): FromState<boolean> {
  const guard: unknown = typeof given === 'string' ? machine.implementations.guards[given] : given
  if (typeof guard !== 'function' || 'check' in guard) throw new Unknown('a guard')
  return (args) => Boolean((guard as FromState<unknown>)(args))
}

/** What `assign()` keeps of its argument is no documented part of XState: where it is not found, the interpreter runs. */
function assignOf(machine: AnyStateMachine, given: unknown): FromState<Context> {
  const action = (typeof given === 'string' ? machine.implementations.actions[given] : given) as {
    readonly type?: unknown
    readonly assignment?: unknown
  }
  if (action?.type !== 'xstate.assign') throw new Unknown('an action')
  const { assignment } = action
  if (typeof assignment === 'function') return assignment as FromState<Context>
  if (typeof assignment !== 'object' || assignment === null) throw new Unknown('an assignment')
  const entries = Object.entries(assignment)
  return ({ context, event }) => {
    const changed: Record<string, unknown> = {}
    for (const [key, value] of entries) changed[key] = valueOf(value, context, event)
    return changed
  }
}

function checkKeys(config: Keyed, known: readonly string[]): void {
  for (const key of Object.keys(config)) if (!known.includes(key)) throw new Unknown(key)
}

function fail(what: string): never {
  throw new Unknown(what)
}
