import type { AnyStateMachine } from 'xstate'
import type { ChartStay } from './chart-stay.ts'
import type { Context } from './chart-acts.ts'
import type { State } from './chart-table.ts'

type Status = 'active' | 'done' | 'stopped'

/** A snapshot as the machine has it. What is seldom asked for is made when it is. */
export class ChartSnapshot {
  readonly status: Status
  readonly value: string
  readonly context: Context
  readonly output: unknown
  #state: State
  #stay: ChartStay | undefined
  #whole: ReturnType<AnyStateMachine['resolveState']> | undefined

  private constructor(state: State, context: Context, status: Status, output: unknown, stay: ChartStay | undefined) {
    this.status = status
    this.value = state.name
    this.context = context
    this.output = output
    this.#state = state
    this.#stay = stay
  }

  static active(state: State, context: Context, stay: ChartStay | undefined): ChartSnapshot {
    return new ChartSnapshot(state, context, 'active', undefined, stay)
  }

  static over(state: State, context: Context, status: 'done' | 'stopped', output: unknown): ChartSnapshot {
    return new ChartSnapshot(state, context, status, output, undefined)
  }

  /** Of one that nobody has seen, and that is active: lets it show something else. */
  static change(snapshot: ChartSnapshot, state: State, context: Context, stay: ChartStay | undefined): void {
    const changed = snapshot as { -readonly [Key in 'value' | 'context']: ChartSnapshot[Key] }
    changed.value = state.name
    changed.context = context
    snapshot.#state = state
    snapshot.#stay = stay
    snapshot.#whole = undefined
  }

  static stateOf(snapshot: ChartSnapshot): State {
    return snapshot.#state
  }

  /** Of an actor that failed there is a plain copy, which rests on nothing. */
  static stayOf(snapshot: object): ChartStay | undefined {
    return #stay in snapshot ? snapshot.#stay : undefined
  }

  /** The same as the interpreter makes it. */
  get whole(): ReturnType<AnyStateMachine['resolveState']> {
    const { value, context, status, output } = this
    this.#whole ??= Object.assign(this.machine.resolveState({ value, context, output } as never), { status })
    return this.#whole as never
  }

  get error(): undefined {
    return undefined
  }

  get machine(): AnyStateMachine {
    return this.#state.machine
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
