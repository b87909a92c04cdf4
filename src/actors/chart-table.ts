import type { AnyActorLogic, AnyEventObject, AnyStateMachine } from 'xstate'
import type { Effect } from './effect.ts'

export type Context = Readonly<Record<string, unknown>>
export type AnyEffect = Effect<unknown, AnyEventObject>
export type FromState<Value> = (args: { readonly context: Context; readonly event: AnyEventObject }) => Value

export interface Transition {
  /** What the machine has for it: its place among those of its state and event. */
  readonly at: { readonly event: string; readonly index: number }
  readonly guard: FromState<boolean> | undefined
  readonly target: State | undefined
  /** Each gives what changes in the context. */
  readonly assigns: readonly FromState<Context>[]
}

/** A state of the chart, with everything that was looked up by name. */
export interface State {
  readonly name: string
  readonly id: string
  readonly on: Map<string, readonly Transition[]>
  readonly effect: AnyEffect | undefined
  readonly effectInput: FromState<unknown> | undefined
  readonly isFinal: boolean
  readonly output: unknown
}

/** A machine as a table, with everything that was looked up by name. */
export interface Chart {
  readonly machine: AnyStateMachine
  /** What XState runs it by. */
  readonly logic: AnyActorLogic
  readonly initial: State
  contextOf(input: unknown, self: unknown): Context
  /** Of the machine, in a final state. */
  outputOf(state: State, context: Context, event: AnyEventObject): unknown
}

/** What is in a chart that the table does not know, so that the interpreter has to run it. */
class Unknown extends Error {}

/** `undefined` for a chart that has something else than states that rest on one effect, guards, assigns and outputs. */
export function readTable(machine: AnyStateMachine, effects: Readonly<Record<string, AnyEffect>>): Chart | undefined {
  try {
    return chartOf(machine, statesOf(machine, effects))
  } catch (error) {
    if (error instanceof Unknown) return undefined
    throw error
  }
}

/** The transition that an event leads to. */
export function chosen(state: State, context: Context, event: AnyEventObject): Transition | undefined {
  const candidates = state.on.get(event.type)
  if (candidates === undefined) return undefined
  for (const candidate of candidates) if (candidate.guard?.({ context, event }) !== false) return candidate
  return undefined
}

function chartOf(machine: AnyStateMachine, initial: State): Chart {
  const doneType = `xstate.done.state.${machine.id}`
  const { context, output } = machine.config as { context?: unknown; output?: unknown }
  return {
    machine,
    logic: Object.create(machine) as AnyActorLogic, // keeps `config` and `definition`: it still draws as itself
    initial,
    contextOf: (input, self) =>
      typeof context === 'function' ? (context({ input, self }) as Context) : { ...(context as Context) },
    outputOf: (state, at, event) => {
      if (output === undefined) return undefined // as the interpreter has it: the output of a state is for that of the machine
      const own = valueOf(state.output, at, event)
      return valueOf(output, at, { type: doneType, output: own })
    },
  }
}

function valueOf(given: unknown, context: Context, event: AnyEventObject): unknown {
  return typeof given === 'function' ? (given as FromState<unknown>)({ context, event }) : given
}

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
