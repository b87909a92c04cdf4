import type { Hosted } from '../hosted.ts'
import type { Incarnation } from './incarnation.ts'
import { plugged } from './plugged.ts'
import type { Place, Reports } from './reports.ts'

/** How a hosted definition begins one of its lives; what it makes is not started yet. */
export const incarnate: unique symbol = Symbol.for('rootcatch.incarnate')

/** A hosted definition as the supervisor it stands under needs it. */
export interface Hosting extends Hosted {
  [incarnate](place: Place, reports: Reports): Incarnation
}

/** One life of a hosted child, its plugins set up before it and torn down after it. */
export function incarnateHosted(definition: Hosted, place: Place, reports: Reports): Incarnation {
  const hosting = definition as Hosting
  return plugged(definition.plugins, undefined, place, reports, (watched) => hosting[incarnate](place, watched))
}
