import type { AnyActorLogic, AnyEventObject, AnyStateMachine, AnyStateNode, AnyTransitionDefinition } from 'xstate'
import { actsOf, guardOf, type Act, type Args, type Context, type Guard } from './chart-acts.ts'
import type { Effect } from './effect.ts'
import { Unknown } from './unknown-chart.ts'

export type AnyEffect = Effect<unknown, AnyEventObject>
type FromState<Value> = (args: Args) => Value

export interface Transition {
  /** What the machine has for it. */
  readonly definition: AnyTransitionDefinition
  readonly guard: Guard | undefined
  /** The state it leads to; undefined where its own state is not left. */
  readonly target: State | undefined
  readonly acts: readonly Act[]
}

/** A state of the chart, with everything that was looked up by name. */
export interface State {
  readonly machine: AnyStateMachine
  readonly name: string
  /** A list, for they are few: to look into a Map costs as much as to take the transition. */
  readonly on: { readonly type: string; readonly transitions: readonly Transition[] }[]
  /** Of events that are described with a wildcard, the longest description first. */
  readonly wild: (readonly [descriptor: string, transitions: readonly Transition[]])[]
  readonly always: Transition[]
  readonly entry: readonly Act[]
  readonly exit: readonly Act[]
  readonly effect: AnyEffect | undefined
  readonly effectInput: FromState<unknown> | undefined
  readonly isFinal: boolean
  readonly output: unknown
}

/** A machine as a table. */
export interface Chart {
  readonly machine: AnyStateMachine
  /** What XState runs it by. */
  readonly logic: AnyActorLogic
  readonly initial: State
  /** It has nothing but guards, assigns and effects: one step an event, and nothing to do on the way. */
  readonly isPlain: boolean
  contextOf(input: unknown, self: unknown): Context
  /** Of the machine, in a final state. */
  outputOf(state: State, args: Args): unknown
}

/** `undefined` for a chart that is not flat, or has something that this file does not know. */
export function readTable(machine: AnyStateMachine, effects: Readonly<Record<string, AnyEffect>>): Chart | undefined {
  try {
    const states = statesOf(machine, effects)
    const initial = states.get(machine.root.initial?.target[0] as AnyStateNode)
    if (initial === undefined || machine.root.initial?.actions.length !== 0) throw new Unknown('its first state')
    return chartOf(machine, initial, [...states.values()].every(isPlain))
  } catch (error) {
    if (error instanceof Unknown) return undefined
    throw error
  }
}

/** The transition that an event leads to. */
export function chosen(state: State, args: Args): Transition | undefined {
  const { type } = args.event
  for (const known of state.on) {
    if (known.type !== type) continue
    for (const candidate of known.transitions) if (holds(candidate, args)) return candidate
    break
  }
  for (const [descriptor, transitions] of state.wild) {
    if (!matches(type, descriptor)) continue
    for (const candidate of transitions) if (holds(candidate, args)) return candidate
  }
  return undefined
}

/** Whether the guard of a transition lets an event pass. */
export function holds({ guard }: Transition, args: Args): boolean {
  return guard === undefined || Boolean(guard(args))
}

function chartOf(machine: AnyStateMachine, initial: State, isPlainChart: boolean): Chart {
  const doneType = `xstate.done.state.${machine.id}`
  const { context, output } = machine.config as { context?: unknown; output?: unknown }
  return {
    machine,
    logic: Object.create(machine) as AnyActorLogic, // keeps `config` and `definition`: it still draws as itself
    initial,
    isPlain: isPlainChart,
    // A copy even of one that was made for it: where many of a literal live long, V8 makes all that follow in its old space.
    contextOf: (input, self) => ({
      ...((typeof context === 'function' ? context({ input, self }) : context) as Context),
    }),
    outputOf: (state, args) => {
      if (output === undefined) return undefined // as the interpreter has it: the output of a state is for that of the machine
      const event = { type: doneType, output: valueOf(state.output, args) }
      return valueOf(output, { context: args.context, event })
    },
  }
}

function valueOf(given: unknown, args: Args): unknown {
  return typeof given === 'function' ? (given as FromState<unknown>)(args) : given
}

const isPlain = ({ wild, always, entry, exit, on }: State): boolean =>
  wild.length + always.length + entry.length + exit.length === 0 &&
  on.every(({ transitions }) => transitions.every(({ acts }) => acts.every(({ kind }) => kind === 'assign')))

/** `on` describes events with the parts of their names, of which the last may be `*`. */
function matches(type: string, descriptor: string): boolean {
  if (descriptor === '*') return true
  const [parts, wanted] = [type.split('.'), descriptor.split('.')]
  const wildcard = wanted.indexOf('*')
  if (wildcard !== wanted.length - 1) return false
  return wanted.slice(0, wildcard).every((part, index) => part === parts[index])
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
const KNOWN_OF_STATE = [
  'description',
  'type',
  'invoke',
  'on',
  'always',
  'after',
  'entry',
  'exit',
  'output',
  'tags',
  'meta',
]
const KNOWN_OF_INVOKE = ['src', 'id', 'input']

type Keyed = Readonly<Record<string, unknown>>

function statesOf(
  machine: AnyStateMachine,
  effects: Readonly<Record<string, AnyEffect>>,
): ReadonlyMap<AnyStateNode, State> {
  checkKeys(machine.config as Keyed, KNOWN_OF_MACHINE)
  const nodes = Object.values(machine.root.states)
  const states = new Map(nodes.map((node) => [node, stateOf(machine, node, effects)]))
  for (const [node, state] of states) {
    const read = (definition: AnyTransitionDefinition): Transition => transitionOf(machine, definition, node, states)
    for (const [descriptor, definitions] of node.transitions) {
      const transitions = definitions.map(read)
      if (descriptor.includes('*')) state.wild.push([descriptor, transitions])
      else state.on.push({ type: descriptor, transitions })
    }
    state.wild.sort(([one], [other]) => other.length - one.length)
    state.always.push(...(node.always ?? []).map(read))
  }
  return states
}

function stateOf(machine: AnyStateMachine, node: AnyStateNode, effects: Readonly<Record<string, AnyEffect>>): State {
  const config = node.config as Keyed
  checkKeys(config, KNOWN_OF_STATE)
  if (node.type !== 'atomic' && node.type !== 'final') throw new Unknown('the type of a state')
  const [invoke, ...more] = node.invoke.length === 0 ? [] : [config['invoke']].flat()
  const { src, input } = (invoke ?? {}) as { src?: string; input?: FromState<unknown> }
  if (invoke !== undefined) {
    checkKeys(invoke as Keyed, KNOWN_OF_INVOKE)
    if (more.length > 0 || typeof src !== 'string' || !Object.hasOwn(effects, src))
      throw new Unknown('what it rests on')
    if (node.type === 'final' || (input !== undefined && typeof input !== 'function')) throw new Unknown('an input')
  }
  return {
    machine,
    name: node.key,
    on: [],
    wild: [],
    always: [],
    entry: actsOf(machine, node.entry),
    exit: actsOf(machine, node.exit),
    effect: src === undefined ? undefined : effects[src],
    effectInput: input,
    isFinal: node.type === 'final',
    output: config['output'],
  }
}

function transitionOf(
  machine: AnyStateMachine,
  definition: AnyTransitionDefinition,
  source: AnyStateNode,
  states: ReadonlyMap<AnyStateNode, State>,
): Transition {
  const { target: [node, ...more] = [], guard, actions, reenter } = definition
  const target = node && states.get(node)
  if (more.length > 0 || (node !== undefined && target === undefined)) throw new Unknown('a target')
  return {
    definition,
    guard: guard === undefined ? undefined : guardOf(machine, guard),
    target: node === source && reenter !== true ? undefined : target,
    acts: actsOf(machine, actions),
  }
}

function checkKeys(config: Keyed, known: readonly string[]): void {
  for (const key of Object.keys(config)) if (!known.includes(key)) throw new Unknown(key)
}
