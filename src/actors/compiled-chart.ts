import type { AnyActorLogic, AnyEventObject, AnyStateMachine } from 'xstate'
import { ChartSnapshot } from './chart-snapshot.ts'
import { ChartStay } from './chart-stay.ts'
import {
  chosen,
  readTable,
  type AnyEffect,
  type Chart,
  type Context,
  type State,
  type Transition,
} from './chart-table.ts'
import type { Stay } from './effect.ts'
import { tellsSteps } from './tells-steps.ts'

const chartKey: unique symbol = Symbol('chart')

/** Logic that runs a table. */
type CompiledLogic = AnyActorLogic & { readonly [chartKey]: Chart }

/**
 * A flat chart as a table of its states, made from the machine itself: the same snapshots as the interpreter, at a small
 * part of its cost (facts of XState 5.33). What a state rests on is then no actor of its own. `undefined` for a chart that
 * the table does not know.
 */
export function compileChart(
  machine: AnyStateMachine,
  effects: Readonly<Record<string, AnyEffect>>,
): AnyActorLogic | undefined {
  const chart = readTable(machine, effects)
  return chart && logicOf(chart)
}

/** The table that logic runs; undefined for other logic. */
export function chartOf(logic: AnyActorLogic): Chart | undefined {
  return (logic as Partial<CompiledLogic>)[chartKey]
}

function logicOf(chart: Chart): AnyActorLogic {
  const { machine, initial, logic } = chart
  Object.defineProperty(logic, chartKey, { value: chart })
  logic.getInitialSnapshot = (scope, input) => {
    const made = chart.contextOf(input, scope.self)
    const event = { type: 'xstate.init', input }
    if (initial.isFinal) {
      return ChartSnapshot.over(machine, initial, made, 'done', chart.outputOf(initial, made, event))
    }
    return ChartSnapshot.active(machine, initial, made, stayOf(initial, made, event, scope))
  }
  logic.start = (snapshot) => ChartSnapshot.stayOf(snapshot)?.begin()
  logic.transition = (before, event: AnyEventObject, scope) => {
    const snapshot = before as ChartSnapshot
    const state = ChartSnapshot.stateOf(snapshot)
    const stay = ChartSnapshot.stayOf(snapshot)
    if (event.type === 'xstate.stop') {
      if (stay !== undefined) scope.defer(() => stay.end())
      return ChartSnapshot.over(machine, state, snapshot.context, 'stopped', undefined)
    }
    if (snapshot.status !== 'active') return snapshot
    const transition = chosen(state, snapshot.context, event)
    if (transition === undefined) return snapshot
    let after = snapshot.context
    for (const assign of transition.assigns) after = { ...after, ...assign({ context: after, event }) }
    const { target } = transition
    tellStep(chart, state, transition, event, scope.self as never)
    if (target === undefined) return ChartSnapshot.active(machine, state, after, stay)
    if (stay !== undefined) scope.defer(() => stay.end())
    if (target.isFinal) {
      return ChartSnapshot.over(machine, target, after, 'done', chart.outputOf(target, after, event))
    }
    const next = stayOf(target, after, event, scope)
    if (next !== undefined) scope.defer(() => next.begin())
    return ChartSnapshot.active(machine, target, after, next)
  }
  logic.getPersistedSnapshot = (snapshot, options) =>
    machine.getPersistedSnapshot((snapshot as ChartSnapshot).whole as never, options) as never
  return logic
}

function stayOf(state: State, context: Context, event: AnyEventObject, scope: unknown): ChartStay | undefined {
  if (state.effect === undefined) return undefined
  const { self } = scope as { readonly self: Stay<AnyEventObject> }
  return new ChartStay(state.effect, state.effectInput?.({ context, event }), self)
}

/** What the interpreter tells an inspector of a step; where nobody looks on it is not even made. */
export function tellStep(
  { machine }: Chart,
  state: State,
  { at }: Transition,
  event: AnyEventObject,
  actorRef: { readonly system: unknown },
): void {
  const system = actorRef.system as {
    readonly [tellsSteps]?: boolean
    _sendInspectionEvent?(event: object): void
  }
  if (system[tellsSteps] !== true) return
  const definition = machine.root.states[state.name]?.transitions.get(at.event)?.[at.index]
  const step = { type: '@xstate.microstep', actorRef, event, _transitions: definition ? [definition] : [] }
  system._sendInspectionEvent?.(step)
}
