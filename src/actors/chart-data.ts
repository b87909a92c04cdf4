import type { AnyStateMachine, AnyStateNode, AnyTransitionDefinition } from 'xstate'

/** A state of a chart, with its transitions; everything is a name. */
export interface StateData {
  readonly key: string
  /** With its ancestors, separated by dots; '' for the chart itself. */
  readonly path: string
  readonly type: 'atomic' | 'compound' | 'parallel' | 'final' | 'history'
  readonly initial?: string
  readonly description?: string
  readonly invoke?: readonly string[]
  readonly entry?: readonly string[]
  readonly exit?: readonly string[]
  readonly tags?: readonly string[]
  readonly edges: readonly EdgeData[]
  readonly states: readonly StateData[]
}

/** A transition. `to` is empty for one that stays. */
export interface EdgeData {
  /** The same as `Sink.stepped` tells. */
  readonly id: string
  readonly event: string
  readonly to: readonly string[]
  readonly guard?: string
  readonly actions?: readonly string[]
  readonly description?: string
  readonly reenter?: true
}

export interface ChartData {
  readonly id: string
  readonly description?: string
  readonly root: StateData
}

const read = new WeakMap<object, ChartData>()

/** A machine's chart as plain data, in document order. The same object for the same definition. */
export function readChart(machine: AnyStateMachine): ChartData {
  const key = machine.config as object
  let chart = read.get(key)
  if (chart === undefined) {
    const { root, id } = machine
    chart = { id, ...given('description', root.description), root: stateOf(root) }
    read.set(key, chart)
  }
  return chart
}

/** The name of a transition: its state, its event, and which of those it is. */
export function edgeOf(transition: Pick<AnyTransitionDefinition, 'source' | 'eventType'>): string {
  const all = transition.source.transitions.get(transition.eventType) as readonly unknown[] | undefined
  const index = all?.indexOf(transition) ?? -1
  if (index >= 0) return nameOf(transition.source, transition.eventType, index)
  const { always = [] } = transition.source
  return nameOf(transition.source, '', Math.max(0, (always as readonly unknown[]).indexOf(transition)))
}

function nameOf(source: AnyStateNode, event: string, index: number): string {
  return `${source.path.join('.')}|${event}|${index}`
}

function stateOf(node: AnyStateNode): StateData {
  const states = Object.values(node.states).toSorted((one, other) => one.order - other.order)
  const always = (node.always ?? []) as readonly AnyTransitionDefinition[]
  const edges = [...[...node.transitions.values()].flat(), ...always]
  return {
    key: node.key,
    path: node.path.join('.'),
    type: node.type,
    ...given('initial', node.type === 'compound' ? node.initial?.target[0]?.key : undefined),
    ...given('description', node.description),
    ...list(
      'invoke',
      node.invoke.map(({ id, src }) => (typeof src === 'string' ? src : id)),
    ),
    ...list('entry', node.entry.map(typeName).filter(isOwn)),
    ...list('exit', node.exit.map(typeName).filter(isOwn)),
    ...list('tags', node.tags),
    edges: edges.map(edgeData),
    states: states.map(stateOf),
  }
}

function edgeData(transition: AnyTransitionDefinition): EdgeData {
  const { eventType, guard, actions, target, description, reenter } = transition
  return {
    id: edgeOf(transition),
    event: eventType,
    to: (target ?? []).map((node) => node.path.join('.')),
    ...given('guard', guard === undefined ? undefined : typeName(guard)),
    ...list('actions', actions.map(typeName)),
    ...given('description', description),
    ...(reenter === true && { reenter: true as const }),
  }
}

/** XState makes these of each `after`: they say no more than its transition. */
const isOwn = (action: string): boolean => action !== 'xstate.raise' && action !== 'xstate.cancel'

/** A guard or action by its name; one that was written in place has at most that of its function. */
function typeName(part: unknown): string {
  if (typeof part === 'string') return part
  if (typeof part === 'function') {
    const { type, name } = part as { type?: unknown; name: string }
    return typeof type === 'string' ? type : name || '(inline)'
  }
  return String((part as { type?: unknown } | null)?.type ?? '(inline)')
}

function given<Key extends string, Value>(key: Key, value: Value | undefined): { readonly [K in Key]?: Value } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [K in Key]: Value })
}

function list<Key extends string>(key: Key, value: readonly string[]): { readonly [K in Key]?: readonly string[] } {
  return value.length === 0 ? {} : ({ [key]: value } as { readonly [K in Key]: readonly string[] })
}
