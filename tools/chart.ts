import type { AnyStateMachine, AnyStateNode, AnyTransitionDefinition } from 'xstate'

/** A flat chart as data: what its picture and its page show. States and transitions stand in the chart's own order. */
export type Chart = {
  readonly name: string
  readonly description: string
  readonly initial: string
  readonly states: readonly ChartState[]
  readonly transitions: readonly ChartTransition[]
}

export type ChartState = {
  readonly name: string
  readonly description: string
  readonly isFinal: boolean
  /** Names of what runs while the chart is in this state. */
  readonly invokes: readonly string[]
}

export type ChartTransition = {
  readonly event: string
  /** `else` for the one that is taken when all guards of its event say no; '' where the event alone decides. */
  readonly guard: string
  readonly from: string
  /** The same as `from` when it has no target. */
  readonly to: string
  readonly description: string
}

/** Reads the states and transitions that XState made of a machine's config. Throws at a chart that is not flat. */
export function readChart(machine: Pick<AnyStateMachine, 'id' | 'root'>): Chart {
  const { root } = machine
  const states: AnyStateNode[] = Object.values(root.states).toSorted((a, b) => a.order - b.order)
  return {
    name: machine.id,
    description: root.description ?? '',
    initial: root.initial.target[0]?.key ?? '',
    states: states.map(readState),
    transitions: states.flatMap((state) => [...state.transitions.values()].flatMap(readTransitions)),
  }
}

function readState({ id, key, type, description, invoke }: AnyStateNode): ChartState {
  if (type !== 'atomic' && type !== 'final') {
    throw new Error(`State ${id} is ${type}, and only flat charts can be drawn. Teach tools/chart.ts to read it.`)
  }
  const invokes = invoke.map(({ src }) => String(src))
  return { name: key, description: description ?? '', isFinal: type === 'final', invokes }
}

/** All transitions of one event out of one state, in the order in which their guards are asked. */
function readTransitions(transitions: readonly AnyTransitionDefinition[]): ChartTransition[] {
  return transitions.map(({ eventType, guard, source, target, description }) => ({
    event: eventType,
    guard: guard === undefined ? (transitions.length > 1 ? 'else' : '') : nameOfGuard(guard),
    from: source.key,
    to: target?.[0]?.key ?? source.key,
    description: description ?? '',
  }))
}

function nameOfGuard(guard: NonNullable<AnyTransitionDefinition['guard']>): string {
  if (typeof guard === 'string') return guard
  return typeof guard === 'function' ? guard.name : guard.type
}
