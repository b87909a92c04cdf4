import type { AnyEventObject } from 'xstate'
import type { Transition } from './chart-table.ts'

/** Set on a system of XState whose steps somebody wants to hear of, so that compiled charts tell theirs. */
export const tellsSteps: unique symbol = Symbol('tellsSteps')

/** What the interpreter tells an inspector of a step; where nobody looks on it is not even made. */
export function tellStep(
  transition: Transition | undefined,
  event: AnyEventObject,
  actorRef: { readonly system: unknown },
): void {
  const system = actorRef.system as {
    readonly [tellsSteps]?: boolean
    _sendInspectionEvent?(event: object): void
  }
  if (system[tellsSteps] !== true) return
  const _transitions = transition === undefined ? [] : [transition.definition]
  system._sendInspectionEvent?.({ type: '@xstate.microstep', actorRef, event, _transitions })
}
