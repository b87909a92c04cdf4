import type { ActorScope, AnyActorLogic, AnyEventObject, AnyStateMachine, Snapshot } from 'xstate'
import { perform, type Args, type Context } from './chart-acts.ts'
import { ChartSnapshot } from './chart-snapshot.ts'
import { ChartStay } from './chart-stay.ts'
import { chosen, holds, readTable, type AnyEffect, type Chart, type State, type Transition } from './chart-table.ts'
import type { Stay } from './effect.ts'
import { runPlainChart } from './plain-chart.ts'
import { tellStep } from './tells-steps.ts'

const chartKey: unique symbol = Symbol('chart')

/** Logic that runs a table. */
type CompiledLogic = AnyActorLogic & { readonly [chartKey]: Chart }

type Scope = ActorScope<Snapshot<unknown>, AnyEventObject>

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
  const { machine, logic } = chart
  Object.defineProperty(logic, chartKey, { value: chart })
  logic.start = (snapshot) => ChartSnapshot.stayOf(snapshot)?.begin()
  logic.getPersistedSnapshot = (snapshot, options) =>
    machine.getPersistedSnapshot((snapshot as ChartSnapshot).whole as never, options) as never
  if (chart.isPlain) runPlainChart(chart, logic)
  else runAnyChart(chart, logic)
  return logic
}

function runAnyChart(chart: Chart, logic: AnyActorLogic): void {
  logic.getInitialSnapshot = (scope, input) => {
    const event = { type: 'xstate.init', input }
    const step = new Step(chart, scope as unknown as Scope, event)
    step.context = chart.contextOf(input, scope.self)
    try {
      step.enter(chart.initial)
      step.settle()
      return step.snapshot()
    } catch (error) {
      return { ...step.snapshot(), status: 'error', error } as never
    }
  }
  logic.transition = (before, event: AnyEventObject, scope) => {
    const snapshot = before as ChartSnapshot
    const step = new Step(chart, scope as unknown as Scope, event)
    step.state = ChartSnapshot.stateOf(snapshot)
    step.stay = ChartSnapshot.stayOf(snapshot)
    step.context = snapshot.context
    if (event.type === 'xstate.stop') return step.stop()
    if (snapshot.status !== 'active') return snapshot
    const transition = chosen(step.state, { context: step.context, event })
    if (transition === undefined) tellStep(undefined, event, scope.self as never)
    else step.take(transition)
    step.settle()
    return step.isChanged ? step.snapshot() : snapshot
  }
}

/** What one event leads to, until the chart rests again. */
class Step {
  state: State
  context: Context = NO_CONTEXT
  stay: ChartStay | undefined
  isChanged = false
  readonly #chart: Chart
  readonly #scope: Scope
  /** What is being reacted to: the event, or one that was raised on the way. */
  #event: AnyEventObject
  readonly #queue: AnyEventObject[] = []
  #isOver = false
  #output: unknown

  constructor(chart: Chart, scope: Scope, event: AnyEventObject) {
    this.#chart = chart
    this.#scope = scope
    this.#event = event
    this.state = chart.initial
  }

  take(transition: Transition): void {
    const { acts, target } = transition
    if (target !== undefined) this.#leave()
    this.#perform(acts)
    if (target !== undefined) this.enter(target)
    tellStep(transition, this.#event, this.#scope.self as never)
  }

  enter(state: State): void {
    const { effect, effectInput, entry, exit, isFinal } = state
    if (state !== this.state || effect !== undefined) this.isChanged = true
    this.state = state
    this.#perform(entry)
    if (effect !== undefined) {
      const input = effectInput?.(this.#args())
      const stay = new ChartStay(effect, input, this.#scope.self as unknown as Stay<AnyEventObject>)
      this.#scope.defer(() => stay.begin())
      this.stay = stay
    }
    if (!isFinal) return
    this.#isOver = true
    this.#output = this.#chart.outputOf(state, this.#args())
    this.#perform(exit)
  }

  /** Follows what needs no event, and what was raised, as the interpreter does. */
  settle(): void {
    let mayGoOn = true
    for (let count = 0; !this.#isOver; count += 1) {
      if (count > MOST_STEPS) throw new Error(`${this.#chart.machine.id} does not come to rest`)
      const own = mayGoOn ? this.state.always.find((each) => holds(each, this.#args())) : undefined
      if (own !== undefined) {
        mayGoOn = this.#isMovedBy(own)
        continue
      }
      const next = this.#queue.shift()
      if (next === undefined) return
      this.#event = next
      const transition = chosen(this.state, this.#args())
      if (transition === undefined) tellStep(undefined, next, this.#scope.self as never)
      else this.take(transition)
      mayGoOn = true
    }
  }

  stop(): ChartSnapshot {
    const { stay } = this
    if (stay !== undefined) this.#scope.defer(() => stay.end())
    tellStep(undefined, this.#event, this.#scope.self as never)
    return ChartSnapshot.over(this.state, this.context, 'stopped', undefined)
  }

  snapshot(): ChartSnapshot {
    const { state, context, stay } = this
    if (this.#isOver) return ChartSnapshot.over(state, context, 'done', this.#output)
    return ChartSnapshot.active(state, context, stay)
  }

  /** Whether it changed anything; otherwise it would be taken again and again. */
  #isMovedBy(transition: Transition): boolean {
    const before = this.isChanged
    this.isChanged = false
    this.take(transition)
    const isMoved = this.isChanged
    this.isChanged ||= before
    return isMoved
  }

  #args(): Args {
    return { context: this.context, event: this.#event }
  }

  #leave(): void {
    const { state, stay } = this
    this.#perform(state.exit)
    this.stay = undefined
    if (stay === undefined) return
    this.isChanged = true
    if (stay.endsUnseen) stay.end()
    else this.#scope.defer(() => stay.end())
  }

  #perform(acts: Transition['acts']): void {
    if (acts.length === 0) return
    const { machine } = this.#chart
    const context = perform(acts, this.context, this.#event, { machine, scope: this.#scope, queue: this.#queue })
    if (context === this.context) return
    this.context = context
    this.isChanged = true
  }
}

const NO_CONTEXT: Context = Object.freeze({})
const MOST_STEPS = 100_000
