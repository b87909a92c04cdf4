import type { Duration } from './duration.ts'
import { InvalidOptionError } from './errors.ts'
import { checkKeys, readDuration, readFunction } from './options.ts'
import type { System } from './system.ts'
import { describeThrown } from './thrown.ts'

/** A signal that asks a process to end, as Node names it. */
export type StopSignal = 'SIGTERM' | 'SIGINT' | 'SIGHUP' | 'SIGQUIT' | 'SIGBREAK'

export interface StopOnSignalsOptions {
  /** How long what runs may take to end after the first signal. @default '30s' */
  readonly within?: Duration
  /** @default ['SIGTERM', 'SIGINT'] */
  readonly signals?: readonly StopSignal[]
  /** Told of each signal and what it does: the first lets work end, the second cuts it off. */
  readonly onSignal?: (signal: StopSignal, how: 'drain' | 'cut off') => void
}

const SIGNALS: readonly StopSignal[] = ['SIGTERM', 'SIGINT']
const KNOWN: readonly string[] = [...SIGNALS, 'SIGHUP', 'SIGQUIT', 'SIGBREAK']

/** npm passes on a signal that the terminal has already given to everybody: within so many ms the same one is an echo. */
const ECHO = 500

/**
 * Stops a system when the process is told to end: the first signal drains it with a deadline, the second cuts off what
 * still runs, a third ends the process as if nobody listened. Gives the way to take the listeners off; once the system
 * is down none is left. The process then ends by itself if nothing else keeps it.
 *
 * @example
 * stopOnSignals(system, { within: '10s' })
 */
export function stopOnSignals(system: System, options: StopOnSignalsOptions = {}): () => void {
  const subject = 'stopOnSignals()'
  checkKeys(subject, options, ['within', 'signals', 'onSignal'])
  const within = readDuration(subject, 'within', options.within, { infinite: true }) ?? 30_000
  const signals = readSignals(subject, options.signals)
  const onSignal = readFunction(subject, 'onSignal', options.onSignal)
  let first: { readonly signal: StopSignal; readonly at: number } | undefined

  const listener = (signal: NodeJS.Signals): void => {
    const now = performance.now()
    if (first?.signal === signal && now - first.at < ECHO) return
    const isSecond = first !== undefined
    first ??= { signal: signal as StopSignal, at: now }
    if (isSecond) takeOff()
    void system.stop({ within: isSecond ? 0 : within })
    try {
      onSignal?.(signal as StopSignal, isSecond ? 'cut off' : 'drain')
    } catch (error) {
      process.emitWarning(`onSignal of ${subject} threw: ${describeThrown(error)}. The system stops all the same.`)
    }
  }
  const takeOff = (): void => {
    for (const signal of signals) process.off(signal, listener)
  }
  for (const signal of signals) process.on(signal, listener)
  system.done.then(takeOff, takeOff)
  return takeOff
}

function readSignals(subject: string, signals: unknown): readonly StopSignal[] {
  if (signals === undefined) return SIGNALS
  const isList = Array.isArray(signals) && signals.length > 0 && signals.every((signal) => KNOWN.includes(signal))
  if (isList) return [...new Set(signals as readonly StopSignal[])]
  throw new InvalidOptionError(subject, 'signals', signals, `List some of ${KNOWN.join(', ')}.`)
}
