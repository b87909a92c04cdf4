import type { ActorScope, AnyActorLogic, AnyEventObject, Snapshot } from 'xstate'
import type { Context } from './chart-acts.ts'
import { ChartSnapshot } from './chart-snapshot.ts'
import { ChartStay } from './chart-stay.ts'
import { chosen, type Chart, type State, type Transition } from './chart-table.ts'
import type { Stay } from './effect.ts'
import { owner, type OwnedInput } from './owner-relay.ts'
import { RestingCharts } from './resting-charts.ts'
import { tellStep } from './tells-steps.ts'

type Scope = ActorScope<Snapshot<unknown>, AnyEventObject>

/** Lets logic run a plain chart: one step an event, and nothing to do on the way but to compute the next snapshot. */
export function runPlainChart(chart: Chart, logic: AnyActorLogic): void {
  const { initial } = chart

  const enter = (state: State, context: Context, event: AnyEventObject, scope: Scope): ChartSnapshot => {
    if (state.isFinal) {
      const output = chart.outputOf(state, { context, event })
      return RestingCharts.rest(scope.self, output, scope.defer) ?? ChartSnapshot.over(state, context, 'done', output)
    }
    const { effect, effectInput } = state
    if (effect === undefined) return ChartSnapshot.active(state, context, undefined)
    const stay = new ChartStay(effect, effectInput?.({ context, event }), scope.self as unknown as Stay<AnyEventObject>)
    return ChartSnapshot.active(state, context, stay)
  }

  const take = (before: ChartSnapshot, transition: Transition, event: AnyEventObject, scope: Scope): ChartSnapshot => {
    const { target, acts } = transition
    const [state, stay] = [ChartSnapshot.stateOf(before), ChartSnapshot.stayOf(before)]
    if (target !== undefined && stay !== undefined) {
      if (stay.endsUnseen) stay.end()
      else scope.defer(() => stay.end())
    }
    let { context } = before
    for (const act of acts) {
      if (act.kind !== 'assign') continue // a plain chart has no others
      const args = { context, event, self: scope.self, system: scope.system }
      context = act.change(args, act.params(context, event))
    }
    const isSame = context === before.context
    if (target === undefined) return isSame ? before : ChartSnapshot.active(state, context, stay)
    if (target === state && stay === undefined && isSame) return before
    const after = enter(target, context, event, scope)
    const begun = ChartSnapshot.stayOf(after)
    if (begun !== undefined) scope.defer(() => begun.begin())
    return after
  }

  const begin = (scope: Scope, input: unknown): ChartSnapshot => {
    const event = { type: 'xstate.init', input }
    const known = (input as OwnedInput | undefined)?.[owner]?.firstContext as Context | undefined
    const context = known ?? chart.contextOf(input, scope.self)
    try {
      return enter(initial, context, event, scope) // what it rests on is begun by who started it
    } catch (error) {
      return { ...ChartSnapshot.active(initial, context, undefined), status: 'error', error } as never
    }
  }

  logic.getInitialSnapshot = (scope, input) => begin(scope as unknown as Scope, input)

  logic.transition = (before, event: AnyEventObject, given) => {
    const snapshot = before as ChartSnapshot
    const scope = given as unknown as Scope
    const state = ChartSnapshot.stateOf(snapshot)
    if (event.type === 'xstate.stop') {
      const stay = ChartSnapshot.stayOf(snapshot)
      if (stay !== undefined) scope.defer(() => stay.end())
      tellStep(undefined, event, scope.self as never)
      return ChartSnapshot.over(state, snapshot.context, 'stopped', undefined)
    }
    if (snapshot.status !== 'active') return snapshot
    const transition = chosen(state, { context: snapshot.context, event })
    const after = transition === undefined ? snapshot : take(snapshot, transition, event, scope)
    tellStep(transition, event, scope.self as never)
    return after
  }
}
