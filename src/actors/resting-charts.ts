import type { AnyActorRef, AnyEventObject } from 'xstate'
import { ChartSnapshot } from './chart-snapshot.ts'
import type { ChartOwner } from './light-actor.ts'
import { owner, type OwnedInput } from './owner-relay.ts'
import { tellsSteps } from './tells-steps.ts'

/** Lets a chart that rests begin from its initial state, with what its input says now. */
export const BEGIN_AGAIN: AnyEventObject = Object.freeze({ type: 'rootcatch.begin' })

/** Where the input of an actor names the place in which it may rest. */
export const restsIn: unique symbol = Symbol('restsIn')

/** The actor of a job, by what is read of it here. */
interface Working {
  readonly options?: { readonly input?: (OwnedInput & { [restsIn]?: Place | undefined }) | null }
  readonly observers?: { readonly size: number }
  readonly logic?: unknown
  readonly system: object
}

/** Where an actor rests; made once for all of its jobs, with the step that ends one of them. */
class Place {
  own: ChartOwner<never> | undefined
  output: unknown
  readonly #refs: (AnyActorRef | undefined)[]
  readonly #ref: AnyActorRef

  constructor(refs: (AnyActorRef | undefined)[], ref: AnyActorRef) {
    this.#refs = refs
    this.#ref = ref
  }

  readonly rest = (): void => {
    const { own, output } = this
    this.own = this.output = undefined
    own?.over(output as never)
    if (own?.slot !== undefined) this.#refs[own.slot] = this.#ref
  }
}

const NONE = {}

/** So many at most are kept: those that are used over and over. */
const MOST = 1_024

/**
 * Actors of XState whose job is over, by their slots. To make, start and end one costs as much as the job itself, so the next
 * job of a slot gets the actor of the last one, through nothing but its logic: that does not say that it is done, but rests until it
 * is told to begin again. Where anybody looks on, or has subscribed, each job has an actor of its own, which ends.
 */
export class RestingCharts {
  readonly #refs: (AnyActorRef | undefined)[] = []

  /** Begins with one that runs this logic, if nobody looks on. */
  begin(logic: unknown, next: ChartOwner<never>, system: object): AnyActorRef | undefined {
    const { slot } = next
    const ref = slot === undefined || isSeen(system) ? undefined : this.#refs[slot]
    const { logic: own, options } = (ref ?? NONE) as Working
    if (ref === undefined || own !== logic || next.writeInput === undefined) return undefined
    this.#refs[slot as number] = undefined
    next.writeInput(options?.input as object)
    ref.send(BEGIN_AGAIN)
    ChartSnapshot.stayOf(ref.getSnapshot())?.begin()
    return ref
  }

  /** Of an actor that is about to start. */
  mayTake(ref: AnyActorRef, slot: number | undefined): void {
    const { options, system } = ref as Working
    const input = options?.input
    if (slot !== undefined && slot < MOST && input?.[owner] !== undefined && !isSeen(system))
      input[restsIn] = new Place(this.#refs, ref)
  }

  /** Tells the owner, and lets the actor rest; false where it has to end. */
  static rest(self: unknown, output: unknown, defer: (step: () => void) => void): boolean {
    const { options, observers, system } = self as Working
    const input = options?.input
    const [own, place] = [input?.[owner], input?.[restsIn]]
    if (own === undefined || place === undefined || isSeen(system) || observers?.size !== 0) return false
    ;(input as OwnedInput)[owner] = undefined
    place.own = own
    place.output = output
    defer(place.rest)
    return true
  }
}

/** Whether an actor that rests has somebody else's job by now. */
export function isTakenOver(ref: AnyActorRef, by: unknown): boolean {
  const input = (ref as Working).options?.input
  return input?.[restsIn] !== undefined && input[owner] !== by
}

function isSeen(system: object): boolean {
  return (system as { readonly [tellsSteps]?: boolean })[tellsSteps] === true
}
