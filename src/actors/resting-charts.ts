import type { AnyActorRef, AnyEventObject } from 'xstate'
import type { Context } from './chart-acts.ts'
import { ChartSnapshot } from './chart-snapshot.ts'
import { ChartStay } from './chart-stay.ts'
import type { Chart, State } from './chart-table.ts'
import type { Stay } from './effect.ts'
import type { ChartOwner } from './light-actor.ts'
import { owner, type OwnedInput } from './owner-relay.ts'
import { tellsSteps } from './tells-steps.ts'

/** Where the input of an actor names the place in which it may rest. */
const restsIn: unique symbol = Symbol('restsIn')

type Input = OwnedInput & { [restsIn]?: Place | undefined }

/** The actor of a job, by what is read of it here. */
interface Working {
  readonly options?: { readonly input?: Input | null }
  readonly system: object
}

const BEGIN: AnyEventObject = Object.freeze({ type: 'xstate.init', input: undefined })

/** An actor whose job is over has nothing to do with what that job still sends. */
const restOf = (initial: State): State => ({ ...initial, on: [], effect: undefined })

/** Where an actor rests; made once for all of its jobs. What those rest on sends through it. */
class Place implements Stay<AnyEventObject> {
  readonly chart: Chart
  /** Somebody was given the actor, which ends with its job then. */
  isKnown = false
  readonly ref: AnyActorRef
  readonly #slot: number
  readonly #places: (Place | undefined)[]
  readonly #input: Input
  readonly #rest: State
  /** What the actor shows from its second job on; another one once somebody may see it change. */
  readonly #snapshot: ChartSnapshot
  #isSending = false
  #isOver = false
  #output: unknown

  constructor(places: (Place | undefined)[], slot: number, ref: AnyActorRef, input: Input, chart: Chart) {
    this.#places = places
    this.#slot = slot
    this.ref = ref
    this.#input = input
    this.chart = chart
    this.#rest = restOf(chart.initial)
    this.#snapshot = ChartSnapshot.active(this.#rest, NOTHING, undefined)
  }

  /** Has the next job, which its logic begins by itself. */
  begin(next: ChartOwner<never>, context: Context): void {
    const { initial } = this.chart
    const { effect, effectInput } = initial
    const stay = effect && new ChartStay(effect, effectInput?.({ context, event: BEGIN }), this)
    this.#input[owner] = next
    ChartSnapshot.change(this.#snapshot, initial, context, stay)
    stay?.begin()
  }

  send(event: AnyEventObject): void {
    this.#isSending = true
    try {
      this.ref.send(event)
    } finally {
      this.#isSending = false
      this.#tell()
    }
  }

  /** Its job is over. Nobody is told before the actor shows that. */
  end(output: unknown, defer: (step: () => void) => void): ChartSnapshot {
    this.#isOver = true
    this.#output = output
    if (!this.#isSending) defer(() => this.#tell())
    ChartSnapshot.change(this.#snapshot, this.#rest, NOTHING, undefined)
    return this.#snapshot
  }

  #tell(): void {
    if (!this.#isOver) return
    const [own, output] = [this.#input[owner], this.#output]
    this.#isOver = false
    this.#input[owner] = this.#output = undefined
    if (own === undefined) return // stopped by what its end brought about
    this.#places[this.#slot] = this
    own.over(output as never)
  }
}

const NOTHING: Context = Object.freeze({})

/** So many at most are kept: those that are used over and over. */
const MOST = 1_024

/**
 * Actors of XState whose job is over, by their slots. To make, start and end one costs as much as the job itself, so the next
 * job of a slot gets the actor of the last one, through nothing but its logic: that does not say that it is done, but rests until it
 * begins again. Where anybody looks on, or was given the actor, it is that of one job, and ends with it.
 */
export class RestingCharts {
  readonly #places: (Place | undefined)[] = []

  /** Begins with one that runs this chart, if nobody looks on. */
  begin(chart: Chart | undefined, next: ChartOwner<never>, system: object): AnyActorRef | undefined {
    const { slot } = next
    const place = slot === undefined || isSeen(system) ? undefined : this.#places[slot]
    if (place === undefined || place.isKnown || place.chart !== chart) return undefined
    const { firstContext } = next
    if (firstContext === undefined) return undefined
    this.#places[slot as number] = undefined
    place.begin(next, firstContext as Context)
    return place.ref
  }

  /** Of an actor that is about to start. */
  mayTake(ref: AnyActorRef, slot: number | undefined, chart: Chart | undefined): void {
    const { options, system } = ref as Working
    const input = options?.input
    if (slot === undefined || slot >= MOST || chart === undefined || input?.[owner] === undefined) return
    if (!isSeen(system)) input[restsIn] = new Place(this.#places, slot, ref, input, chart)
  }

  /** Lets the actor rest and then tells the owner, and gives what it shows of itself; undefined where it has to end. */
  static rest(self: unknown, output: unknown, defer: (step: () => void) => void): ChartSnapshot | undefined {
    const { options, system } = self as Working
    const input = options?.input
    const place = input?.[restsIn]
    if (place === undefined || place.isKnown || input?.[owner] === undefined || isSeen(system)) return undefined
    return place.end(output, defer)
  }
}

/** Whether an actor that rests has somebody else's job by now. */
export function isTakenOver(ref: AnyActorRef, by: unknown): boolean {
  const input = (ref as Working).options?.input
  return input?.[restsIn] !== undefined && input[owner] !== by
}

/** From now on somebody may see it: it says what its job began with, and has no other. */
export function show(ref: AnyActorRef): AnyActorRef {
  const input = (ref as Working).options?.input
  const place = input?.[restsIn]
  if (place === undefined || place.isKnown) return ref
  place.isKnown = true
  input?.[owner]?.writeInput?.(input)
  return ref
}

function isSeen(system: object): boolean {
  return (system as { readonly [tellsSteps]?: boolean })[tellsSteps] === true
}
