import type { AnyActorLogic, AnyActorRef, AnyEventObject, Snapshot } from 'xstate'
import type { Args, Context } from './chart-acts.ts'
import { ChartSnapshot } from './chart-snapshot.ts'
import { chosen, type AnyEffect, type Chart, type State, type Transition } from './chart-table.ts'
import type { Ending, Stay } from './effect.ts'
import { tellsSteps, tellStep } from './tells-steps.ts'

/**
 * What this file uses of XState's systems without being told that it may: ids of sessions, and the way to those who look
 * on. It is asked whether they are there before any light actor is made; where they are not, XState's own actors are.
 */
interface Internals {
  _bookId(): string
  _relay(source: unknown, target: unknown, event: AnyEventObject): void
  _sendInspectionEvent(event: object): void
  readonly [tellsSteps]?: boolean
  [mayBeLight]?: boolean
}

const mayBeLight: unique symbol = Symbol('mayBeLight')

/** `ROOTCATCH_ACTORS=xstate` leaves all of it to XState's own actors: the tests run that way, too. */
const isOff = process.env['ROOTCATCH_ACTORS'] === 'xstate'

/** Lets charts of this system run on light actors. Of a system that is not ours, nobody knows who looks on. */
export function allowLightActors(system: object): void {
  const { _bookId, _relay, _sendInspectionEvent } = system as Partial<Internals>
  const isKnown = [_bookId, _relay, _sendInspectionEvent].every((part) => typeof part === 'function')
  if (isKnown && !isOff) (system as Internals)[mayBeLight] = true
}

export function allowsLightActors(system: object): boolean {
  return (system as Internals)[mayBeLight] === true
}

/** Who hears of the output of a chart. */
export interface ChartOwner<Output = unknown> {
  /** What its actor is called. */
  readonly name: string
  /** What it was started with, for whoever looks at it. */
  readonly input: unknown
  /** The same, naming this owner to whoever relays the output of an actor. */
  readonly ownedInput?: unknown
  /** Of those that come and go by slots. */
  readonly slot?: number
  /** Writes what it begins with over the input of an actor that had another job before. */
  writeInput?(input: object): void
  /** What its chart makes of the input, if that is known without asking the chart. */
  readonly firstContext?: object
  /** It has reached a final state. */
  over(output: Output): void
}

type Status = 'active' | 'done' | 'error' | 'stopped'

/** One stay of a light actor in a state. */
class LightStay implements Stay<AnyEventObject> {
  /** None once it is over. */
  #actor: LightActor | undefined
  /** What it begins with, then what has to be ended. */
  #held: unknown

  constructor(actor: LightActor, input: unknown) {
    this.#actor = actor
    this.#held = input
  }

  begin(effect: AnyEffect): void {
    const input = this.#held
    this.#held = undefined
    this.#held = effect(input, this)
  }

  send(event: AnyEventObject): void {
    this.#actor?.send(event)
  }

  /** What it sends afterwards reaches nobody; what it sends meanwhile does, as with the interpreter. */
  end(): void {
    try {
      ;(this.#held as Ending | undefined)?.end()
    } finally {
      this.#actor = this.#held = undefined
    }
  }
}

const INIT = Object.freeze({ type: 'xstate.init', input: undefined })
const STOP: AnyEventObject = { type: 'xstate.stop' }

/**
 * An actor for a compiled chart: what XState's `Actor` does for it, in the same order, with what jobs never need left out.
 * It has no observers and makes its snapshot when somebody asks for it. An `Actor` costs 1.3 KB and more time than all
 * the rest of a job (facts of XState 5.33).
 */
export class LightActor {
  readonly _parent: AnyActorRef
  readonly #chart: Chart
  readonly #owner: ChartOwner<never>
  #state: State
  #context: Context | undefined
  #status: Status = 'active'
  /** While it is active, the stay it is in, if its state rests on something; then the output, or the error. */
  #rest: unknown
  /** What was made for those who look at it. */
  #seen: { sessionId?: string; snapshot?: Snapshot<unknown> | undefined } | undefined
  /** Whether it works, and what came meanwhile: seldom more than one event. */
  #work: 'rests' | 'works' | AnyEventObject | AnyEventObject[] = 'works'

  constructor(chart: Chart, parent: AnyActorRef, owner: ChartOwner<never>) {
    this._parent = parent
    this.#chart = chart
    this.#state = chart.initial
    this.#owner = owner
  }

  get id(): string {
    return this.#owner.name
  }

  get ref(): AnyActorRef {
    return this as unknown as AnyActorRef
  }

  get logic(): AnyActorLogic {
    return this.#chart.logic
  }

  get system(): Internals {
    return this._parent.system as unknown as Internals
  }

  get sessionId(): string {
    this.#seen ??= {}
    this.#seen.sessionId ??= this.system._bookId()
    return this.#seen.sessionId
  }

  get options(): { readonly input: unknown } {
    return { input: this.#owner.input }
  }

  getSnapshot(): Snapshot<unknown> {
    this.#seen ??= {}
    this.#seen.snapshot ??= this.#makeSnapshot()
    return this.#seen.snapshot
  }

  start(): void {
    const { firstContext } = this.#owner
    // Where it is known, nobody reads the input but those who look on.
    const input = firstContext === undefined || this.#isSeen() ? this.#owner.input : undefined
    const event = input === undefined ? INIT : { type: 'xstate.init', input }
    if (this.#isSeen()) this.#tell({ type: '@xstate.actor' })
    let thrown: { readonly error: unknown } | undefined
    try {
      this.#enter(this.#state, {
        context: (firstContext as Context | undefined) ?? this.#chart.contextOf(input, this),
        event,
      })
    } catch (error) {
      thrown = { error }
    }
    if (this.#isSeen()) this.#tell({ type: '@xstate.event', sourceRef: this._parent, event })
    if (thrown !== undefined) return this.#fail(thrown.error)
    try {
      this.#begin()
    } catch (error) {
      return this.#fail(error)
    }
    this.#show(event)
    this.#workOff()
  }

  send(event: AnyEventObject): void {
    if (this.#isSeen()) this.#tell({ type: '@xstate.event', sourceRef: undefined, event })
    if (this.#status !== 'active') return
    const work = this.#work
    if (work === 'works') this.#work = event
    else if (Array.isArray(work)) work.push(event)
    else if (work !== 'rests') this.#work = [work, event]
    if (work !== 'rests') return
    this.#work = 'works'
    this.#take(event)
    this.#workOff()
  }

  /** Ends it where it stands; its owner hears nothing. */
  stop(): void {
    if (this.#status !== 'active') return
    if (this.#work === 'rests') this.#end()
    else this.#work = STOP
  }

  #workOff(): void {
    while (typeof this.#work === 'object' && this.#status === 'active') {
      const event = this.#taken(this.#work)
      if (event === STOP) this.#end()
      else this.#take(event)
    }
    this.#work = 'rests'
  }

  /** The first of what came meanwhile. */
  #taken(work: AnyEventObject | AnyEventObject[]): AnyEventObject {
    if (Array.isArray(work) && work.length > 1) return work.shift() as AnyEventObject
    this.#work = 'works'
    return Array.isArray(work) ? (work[0] as AnyEventObject) : work
  }

  #take(event: AnyEventObject): void {
    const [state, stay] = [this.#state, this.#rest as LightStay | undefined]
    try {
      const args = { context: this.#context as Context, event }
      const transition = chosen(state, args)
      if (transition !== undefined) this.#follow(transition, args)
      else if (this.#isSeen()) tellStep(undefined, event, this)
    } catch (error) {
      return this.#fail(error)
    }
    if (stay === this.#rest && state === this.#state) return this.#show(event)
    const shown = this.#isSeen() ? this.getSnapshot() : undefined
    try {
      stay?.end()
      this.#begin()
    } catch (error) {
      this.#fail(error)
    }
    this.#show(event, shown)
  }

  #follow(transition: Transition, before: Args): void {
    const { event } = before
    let args = before
    for (const act of transition.acts) {
      if (act.kind !== 'assign') continue // a plain chart has no others
      args = { context: act.change(args, act.params(args.context, event)), event }
    }
    if (transition.target !== undefined) this.#enter(transition.target, args)
    else if (args !== before) {
      this.#context = args.context
      this.#forgetSnapshot()
    }
    if (this.#isSeen()) tellStep(transition, event, this)
  }

  /** What the chart computes may throw, and then it has not moved. */
  #enter(state: State, args: Args): void {
    const { effect, isFinal } = state
    const result = isFinal ? this.#chart.outputOf(state, args) : undefined
    const input = effect && state.effectInput?.(args)
    this.#state = state
    this.#context = args.context
    this.#rest = isFinal ? result : effect && new LightStay(this, input)
    this.#forgetSnapshot()
    if (!isFinal) return
    this.#status = 'done'
  }

  /** Begins what the state it is in rests on. */
  #begin(): void {
    const { effect } = this.#state
    if (effect !== undefined && this.#status === 'active') (this.#rest as LightStay).begin(effect)
  }

  /** Gives its output to whoever waits for that, and shows where it stands. */
  #show(event: AnyEventObject, shown?: Snapshot<unknown>): void {
    const isSeen = this.#isSeen()
    if (this.#status === 'done') {
      const output = this.#rest
      if (isSeen) {
        const done = { type: `xstate.done.actor.${this.id}`, output, actorId: this.id }
        this.system._relay(this, this._parent, done)
      }
      this.#owner.over(output as never)
    }
    if (isSeen) this.#tell({ type: '@xstate.snapshot', event, snapshot: shown ?? this.getSnapshot() })
  }

  #end(): void {
    const stay = this.#rest as LightStay | undefined
    this.#status = 'stopped'
    this.#rest = undefined
    this.#forgetSnapshot()
    const isSeen = this.#isSeen()
    if (isSeen) tellStep(undefined, STOP, this)
    const shown = isSeen ? this.getSnapshot() : undefined
    try {
      stay?.end()
    } catch (error) {
      this.#fail(error)
    }
    if (shown !== undefined) this.#tell({ type: '@xstate.snapshot', event: STOP, snapshot: shown })
  }

  #fail(error: unknown): void {
    this.#status = 'error'
    this.#rest = error
    this.#forgetSnapshot()
    if (!this.#isSeen()) return
    this.system._relay(this, this._parent, { type: `xstate.error.actor.${this.id}`, error, actorId: this.id })
  }

  #forgetSnapshot(): void {
    if (this.#seen !== undefined) this.#seen.snapshot = undefined
  }

  #makeSnapshot(): Snapshot<unknown> {
    const [state, context, status] = [this.#state, this.#context, this.#status]
    if (context === undefined) return { status: 'error', output: undefined, error: this.#rest }
    if (status === 'done' || status === 'stopped') {
      const output = status === 'done' ? this.#rest : undefined
      return ChartSnapshot.over(state, context, status, output) as never
    }
    const active = ChartSnapshot.active(state, context, undefined)
    return (status === 'active' ? active : { ...active, status, error: this.#rest }) as never
  }

  /** No getter: V8 looks up a private one each time. */
  #isSeen(): boolean {
    return this.system[tellsSteps] === true
  }

  #tell(event: object): void {
    this.system._sendInspectionEvent({ ...event, actorRef: this })
  }
}
