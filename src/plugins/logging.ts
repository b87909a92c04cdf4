import { thrownJson } from '../causes.ts'
import { readClock, type Clock } from '../clock.ts'
import { formatDuration } from '../duration.ts'
import { InvalidOptionError } from '../errors.ts'
import { oneLine, peek, textOf } from '../evidence.ts'
import type { Failure } from '../failure.ts'
import { checkKeys, readFunction, readOneOf } from '../options.ts'
import {
  plugin,
  type JobHookEvent,
  type Plugin,
  type PluginTask,
  type RetryingEvent,
  type SettledEvent,
} from '../plugin.ts'
import { redact } from '../secrets.ts'
import { PerJob } from './per-job.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** A logger that takes the data first, as pino and bunyan do. */
export type DataFirstLogger = { readonly [Level in LogLevel]: (data: object, message: string) => void }

/** A logger that takes the message first, as `console` and winston do. */
export type MessageFirstLogger = { readonly [Level in LogLevel]: (message: string, data: object) => void }

/** What a line can be about. */
export type LoggedMoment = 'retrying' | 'done' | 'fallback' | 'failed' | 'cancelled'

export interface LoggingOptions {
  /**
   * The level of each kind of line, false for none.
   *
   * @default { done: 'debug', cancelled: 'info', retrying: 'warn', fallback: 'warn', failed: 'error' }
   */
  readonly levels?: { readonly [Moment in LoggedMoment]?: LogLevel | false }
  /** Which argument of the logger comes first. @default 'message' for a console, 'data' for all others */
  readonly first?: 'data' | 'message'
  /** Puts the input into the line: as it is stored, or what a function makes of it. @default false */
  readonly input?: boolean | ((input: unknown, task: PluginTask) => unknown)
  /** Takes secrets out of a text, be it message, stack or reason. @default hides common forms of passwords, tokens and keys */
  readonly redact?: (text: string) => string
  /** Times the attempts; give it the system's where that is not the default. @default the machine's clock */
  readonly clock?: Clock
}

const subject = 'logging()'
const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']
const MOMENTS: readonly LoggedMoment[] = ['retrying', 'done', 'fallback', 'failed', 'cancelled']

const usual: { readonly [Moment in LoggedMoment]: LogLevel } = {
  retrying: 'warn',
  done: 'debug',
  fallback: 'warn',
  failed: 'error',
  cancelled: 'info',
}

/**
 * One line per retry and per outcome of a job, with `path`, `id`, `task`, `attempt` and `duration` as data. Inputs and
 * results are never logged unless asked for; errors are under `err`, as pino shows them.
 *
 * @example
 * const system = await start(root, { plugins: [logging(console)] })
 */
export function logging(logger: DataFirstLogger | MessageFirstLogger, options: LoggingOptions = {}): Plugin {
  const write = readLogger(logger, readFirst(options))
  const levels = readLevels(options.levels)
  const pick = readInput(options.input)
  const hide = readFunction(subject, 'redact', options.redact) ?? redact
  const clock = readClock(subject, options.clock)
  const began = new PerJob<number>()

  const say = (moment: LoggedMoment, event: JobHookEvent, text: string, more: object): void => {
    const since = began.take(event)
    const level = levels[moment]
    if (level === false) return
    const { run, task } = event
    const data = {
      path: run.path,
      id: run.id,
      task: task.name,
      ...more,
      ...(since === undefined ? {} : { duration: clock.now() - since }),
      ...(pick === undefined ? {} : { input: pick(run.input, task) }),
    }
    write(level, data, oneLine(hide(text), 1000))
  }
  const settled = (event: SettledEvent, text: string, more: object = {}): void =>
    say(event.status, event, text, { attempt: event.attempts, status: event.status, ...more })

  return plugin('logging', {
    before: (event) => began.set(event, clock.now()),
    retrying: (event) =>
      say('retrying', event, sayRetry(event), {
        attempt: attemptOf(event),
        delay: event.delay,
        ...problem(event.failure, hide),
      }),
    done: (event) => settled(event, `${event.run.path} done`),
    fallback: (event) =>
      settled(event, `${event.run.path} fell back: ${lastError(event.failure)}`, problem(event.failure, hide)),
    failed: (event) =>
      settled(event, event.failure?.message ?? `${event.run.path} failed`, problem(event.failure, hide)),
    cancelled: (event) => settled(event, `${event.run.path} was cancelled${sayReason(event.reason)}`),
  })
}

function attemptOf({ failure, run }: RetryingEvent): number {
  return failure.attempt ?? run.attempt
}

function sayRetry(event: RetryingEvent): string {
  const { run, failure, delay } = event
  const of = failure.job === undefined ? '' : ` of ${failure.job.attempts}`
  return `${run.path} tries again in ${formatDuration(delay)}, attempt ${attemptOf(event)}${of} failed: ${lastError(failure)}`
}

function lastError(failure: Failure | undefined): string {
  return textOf(failure?.error)
}

function sayReason(reason: unknown): string {
  return reason === undefined ? '' : `: ${textOf(reason, 200)}`
}

/** What failed, in the form pino gives to errors. */
function problem(failure: Failure | undefined, hide: (text: string) => string): object {
  if (failure === undefined) return {}
  const thrown = thrownJson(failure.error)
  const err =
    'thrown' in thrown
      ? { type: thrown.type, message: hide(thrown.thrown) }
      : {
          type: thrown.name,
          message: hide(thrown.message),
          ...(thrown.code === undefined ? {} : { code: thrown.code }),
          ...(thrown.stack === undefined ? {} : { stack: hide(thrown.stack) }),
        }
  return { kind: failure.kind, err }
}

type Write = (level: LogLevel, data: object, message: string) => void

function readLogger(logger: unknown, first: 'data' | 'message' | undefined): Write {
  const missing = LEVELS.find((level) => typeof peek(logger, level) !== 'function')
  if (missing !== undefined) {
    throw new InvalidOptionError(
      subject,
      `logger.${missing}`,
      peek(logger, missing),
      'Pass a logger like pino(), or console.',
    )
  }
  const isMessageFirst = first === undefined ? isConsole(logger) : first === 'message'
  if (isMessageFirst) return (level, data, message) => (logger as MessageFirstLogger)[level](message, data)
  return (level, data, message) => (logger as DataFirstLogger)[level](data, message)
}

/** Also one that somebody made with `new Console(…)`, or wrapped. */
function isConsole(logger: unknown): boolean {
  return typeof peek(logger, 'table') === 'function' && typeof peek(logger, 'group') === 'function'
}

function readFirst(options: LoggingOptions): 'data' | 'message' | undefined {
  checkKeys(subject, options, ['levels', 'first', 'input', 'redact', 'clock'])
  return readOneOf(subject, 'first', options.first, ['data', 'message'])
}

function readLevels(given: LoggingOptions['levels']): { readonly [Moment in LoggedMoment]: LogLevel | false } {
  if (given === undefined) return usual
  checkKeys(`${subject} levels`, given, MOMENTS)
  const levels: { [Moment in LoggedMoment]: LogLevel | false } = { ...usual }
  for (const moment of MOMENTS) {
    const level = given[moment]
    levels[moment] = level === false ? false : (readOneOf(`${subject} levels`, moment, level, LEVELS) ?? usual[moment])
  }
  return levels
}

function readInput(given: unknown): ((input: unknown, task: PluginTask) => unknown) | undefined {
  if (given === undefined || given === false) return undefined
  if (given === true) return (input) => input
  if (typeof given === 'function') return given as (input: unknown, task: PluginTask) => unknown
  throw new InvalidOptionError(subject, 'input', given, 'Use true, false, or a function that picks what may be logged.')
}
