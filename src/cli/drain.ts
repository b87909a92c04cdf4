import { constants } from 'node:os'
import { formatDuration } from '../duration.ts'
import { stopOnSignals, type StopSignal } from '../stop-on-signals.ts'
import type { System } from '../system.ts'

/** What signals have done to a system so far. */
export interface Drain {
  /** Milliseconds of the deadline that are left; undefined before the first signal. */
  readonly left: () => number | undefined
  /** The exit code of who was cut off: 128 and the number of the first signal. Undefined if all could end. */
  readonly cutOffCode: () => number | undefined
}

/** Lets signals stop a system; `say` is told of each. */
export function drainOnSignals(system: System, within: number, say: (text: string) => void): Drain {
  let first: { readonly signal: StopSignal; readonly at: number } | undefined
  let isCutOff = false
  const { path: root } = system.tree()
  // A timer may be a little early, so the clock alone does not tell that the deadline has cut something off.
  system.on('actor.stopped', ({ path, how }) => (isCutOff ||= path === root && how === 'killed'))
  stopOnSignals(system, {
    within,
    onSignal: (signal, how) => {
      first ??= { signal, at: performance.now() }
      isCutOff ||= how === 'cut off'
      const drains = `no more jobs are taken; what runs has ${formatDuration(within)}. Once more cuts it off`
      say(`${signal}: ${how === 'drain' ? drains : 'cut off'}`)
    },
  })
  const left = (): number | undefined => first && Math.max(0, within - (performance.now() - first.at))
  return {
    left,
    cutOffCode: () => (first && (isCutOff || left() === 0) ? 128 + constants.signals[first.signal] : undefined),
  }
}
