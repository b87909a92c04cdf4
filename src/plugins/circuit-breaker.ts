import { readClock, type Clock } from '../clock.ts'
import type { Duration } from '../duration.ts'
import {
  CancelledError,
  InputError,
  LeaseLostError,
  PermanentError,
  PluginTriggerError,
  SystemStoppedError,
} from '../errors.ts'
import { checkKeys, readDuration, readFunction, readName, readOneOf, readWholeNumber } from '../options.ts'
import { plugin, type AroundEvent, type Plugin, type PluginTask } from '../plugin.ts'
import { delayOf, isBackoff, type Backoff } from '../retry.ts'
import { Circuit, type CircuitRules, type CircuitState, type TryEnd } from './circuit.ts'
import { Unreported } from './unreported.ts'

/** A circuit opened, let a probe through, or closed. */
export interface CircuitChange {
  readonly name: string
  readonly state: CircuitState
  /** Path of the task; undefined where the circuit is one for all of them. */
  readonly task: string | undefined
  readonly at: number
  /** When the first probe is let through; undefined unless it is open. */
  readonly openUntil: number | undefined
}

export interface CircuitBreakerOptions {
  /** So many counted failures open the circuit. @default 5 */
  readonly failures?: number
  /** They count if they lie within this time. @default none: they count in a row, and a success begins anew */
  readonly within?: Duration
  /** How long it stays open; `exponential()` lets that grow each time the probes fail. @default '30s' */
  readonly reset?: Duration | Backoff
  /** So many attempts may run at once when that time is over, and so many in a row have to succeed. @default 1 */
  readonly probes?: number
  /** A probe that takes longer gives its place to another. @default '1m' */
  readonly probeTime?: Duration
  /** One circuit for all tasks it is listed at, or one for each task. @default 'breaker' */
  readonly per?: 'breaker' | 'task'
  /** Whether an error says that the other side is in trouble. @default not a `PermanentError`, `PluginTriggerError`, `InputError`; all others, timeouts included */
  readonly counts?: (error: unknown, task: PluginTask) => boolean
  /** Called after each change; the place to write a line or send a word. */
  readonly onChange?: (change: CircuitChange) => unknown
  /** Give it the system's where that is not the default. @default the machine's clock */
  readonly clock?: Clock
}

/** A plugin that holds jobs back while what they need is down. */
export interface CircuitBreaker extends Plugin {
  /** Of the one circuit, or of that of a task, by its path. */
  state(task?: string): CircuitState
}

const KEYS = ['failures', 'within', 'reset', 'probes', 'probeTime', 'per', 'counts', 'onChange', 'clock']

/**
 * Holds jobs back after too many failures: while the circuit is open they wait in the queue, no body is called and no
 * attempt is charged. Then single jobs probe whether it works again. One object is one circuit, wherever in the process
 * it is listed, so list it at the tasks that use the same service.
 *
 * @example
 * const bank = circuitBreaker('bank', { failures: 3, reset: '10s' })
 * const charge = task('charge', { plugins: [bank], retry: { attempts: 5 } }, callBank)
 * const refund = task('refund', { plugins: [bank], retry: { attempts: 5 } }, callBank)
 */
export function circuitBreaker(name: string, options: CircuitBreakerOptions = {}): CircuitBreaker {
  readName('circuitBreaker()', name)
  const subject = `circuitBreaker "${name}"`
  checkKeys(subject, options, KEYS)
  const rules = readRules(subject, options)
  const per = readOneOf(subject, 'per', options.per, ['breaker', 'task']) ?? 'breaker'
  const counts = readFunction(subject, 'counts', options.counts) ?? isTrouble
  const onChange = readFunction(subject, 'onChange', options.onChange)
  const clock = readClock(subject, options.clock)
  const unreported = new Unreported()
  const circuits = new Map<string, Circuit>()

  const circuitOf = (path: string | undefined): Circuit => {
    const task = per === 'task' ? path : undefined
    const known = circuits.get(task ?? '')
    if (known !== undefined) return known
    const circuit: Circuit = new Circuit(rules, (state, at) => {
      if (onChange !== undefined)
        unreported.guard(() => onChange({ name, state, task, at, openUntil: circuit.openUntil }))
    })
    circuits.set(task ?? '', circuit)
    return circuit
  }

  const judge = (error: unknown, task: PluginTask): TryEnd => {
    try {
      return counts(error, task) ? 'failure' : 'neither'
    } catch (thrown) {
      unreported.add(thrown)
      return 'failure'
    }
  }

  const made = plugin(name, {
    ...unreported.hooks,
    take: ({ task, free, ask }) => circuitOf(task.path).ask(task.path, { free, again: ask, now: clock.now() }),
    around: (event) => {
      const circuit = circuitOf(event.task.path)
      const begun = circuit.begin(event.task.path, clock.now())
      return watch(event, (end) => circuit.end(begun, end, clock.now()), judge)
    },
  })
  return Object.freeze({ ...made, state: (task?: string) => circuitOf(task).state })
}

/** Runs the body and tells once how the attempt ended: by the body, or by whatever aborted its signal before. */
async function watch(
  { next, signal, task }: AroundEvent,
  tell: (end: TryEnd) => void,
  judge: (error: unknown, task: PluginTask) => TryEnd,
): Promise<unknown> {
  let isTold = false
  const end = (how: TryEnd): void => {
    if (isTold) return
    isTold = true
    signal.removeEventListener('abort', onAbort)
    tell(how)
  }
  const onAbort = (): void => end(saysNothing(signal.reason) ? 'neither' : judge(signal.reason, task))
  signal.addEventListener('abort', onAbort)
  try {
    const value = await next()
    end('success')
    return value
  } catch (error) {
    end(judge(error, task))
    throw error
  }
}

/** Somebody gave the attempt up, for a reason that is not the other side's. */
function saysNothing(reason: unknown): boolean {
  return reason instanceof CancelledError || reason instanceof SystemStoppedError || reason instanceof LeaseLostError
}

function isTrouble(error: unknown): boolean {
  const isOurs = error instanceof PermanentError || error instanceof PluginTriggerError || error instanceof InputError
  return !isOurs && !(error instanceof CancelledError)
}

function readRules(subject: string, options: CircuitBreakerOptions): CircuitRules {
  const { reset } = options
  const wait = isBackoff(reset) ? reset : (readDuration(subject, 'reset', reset, { positive: true }) ?? 30_000)
  return {
    failures: readWholeNumber(subject, 'failures', options.failures, { min: 1 }) ?? 5,
    within: readDuration(subject, 'within', options.within, { positive: true }),
    reset: (n) => (isBackoff(wait) ? delayOf(wait, n, Math.random) : wait),
    probes: readWholeNumber(subject, 'probes', options.probes, { min: 1 }) ?? 1,
    probeTime: readDuration(subject, 'probeTime', options.probeTime, { positive: true }) ?? 60_000,
  }
}
