import type { JobTerms, NewJob } from '../brokers/broker.ts'
import { InvalidOptionError, PayloadError } from '../errors.ts'
import { checkKeys, readDuration } from '../options.ts'
import { copyPayload, type Json } from '../payload.ts'
import type { RunOptions } from '../run-options.ts'
import { readDedupe, readKey, readPriority, type AnyTask, type FromInput } from '../task.ts'
import { describeThrown } from '../thrown.ts'

const RUN_OPTIONS = ['priority', 'delay', 'lane', 'dedupe', 'signal']

/** Of a run that was asked for without any. */
export const NO_OPTIONS: RunOptions = Object.freeze({})

/** Refuses options of a run that no job could be queued with. */
export function checkRunOptions(task: AnyTask, options: RunOptions): void {
  if (options === NO_OPTIONS) return
  const subject = `run of task "${task.name}"`
  checkKeys(subject, options, RUN_OPTIONS)
  const { priority, delay, lane, dedupe, signal } = options
  if (priority !== undefined) readValue(subject, 'priority', readPriority(subject, priority))
  readDuration(subject, 'delay', delay)
  readValue(subject, 'lane', readKey(subject, 'lane', lane))
  readValue(subject, 'dedupe', readDedupe(subject, dedupe))
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new InvalidOptionError(subject, 'signal', signal, 'Pass the signal of an AbortController.')
  }
}

/** The terms of every job of a task that is asked for without options; undefined if they depend on its input. */
export function usualTerms(task: AnyTask): JobTerms | undefined {
  const { priority, delay, lane, dedupe } = task
  const isFixed = ![priority, delay, lane, dedupe].some((option) => typeof option === 'function')
  return isFixed ? termsOf(task, undefined, NO_OPTIONS) : undefined
}

/** The terms of one job; `parsed` is what the schema made of its input. */
export function termsOf(task: AnyTask, parsed: unknown, options: RunOptions): JobTerms {
  const subject = `task "${task.name}"`
  const priority = readPriority(subject, fromInput(options.priority ?? task.priority, parsed))
  const delay = readDuration(subject, 'delay', fromInput(options.delay ?? task.delay, parsed))
  const lane = readKey(subject, 'lane', fromInput(options.lane ?? task.lane, parsed))
  return {
    priority: readValue(subject, 'priority', priority),
    delay: delay ?? 0,
    lane: readValue(subject, 'lane', lane),
    dedupe: heldKey(subject, fromInput(options.dedupe ?? task.dedupe, parsed)),
  }
}

/** A copy of an input that a broker can keep. */
export function keepInput(of: { readonly subject: string; readonly definition: AnyTask }, input: unknown): Json {
  try {
    return copyPayload('input of ', input, of.definition.maxPayload, of)
  } catch (error) {
    if (error instanceof PayloadError) throw error
    // Reading a hostile value may throw anything; what is wrong with it is that it cannot be kept.
    throw new PayloadError(`input of ${of.subject} cannot be read: ${describeThrown(error)}. Pass a plain object.`)
  }
}

function heldKey(subject: string, given: unknown): NewJob['dedupe'] {
  const dedupe = readValue(subject, 'dedupe', readDedupe(subject, given))
  if (typeof dedupe !== 'object') return dedupe === undefined ? undefined : { key: dedupe, for: undefined }
  return { key: dedupe.key, for: dedupe.for as number | undefined }
}

function fromInput<Value>(option: FromInput<never, Value>, input: unknown): Value {
  return typeof option === 'function' ? (option as (input: unknown) => Value)(input) : option
}

/** Where a value is wanted, a function was given or came out of one. */
function readValue<Value>(subject: string, key: string, value: FromInput<never, Value>): Value {
  if (typeof value !== 'function') return value
  throw new InvalidOptionError(
    subject,
    key,
    value,
    'Give a value; only an option of task() may be a function of the input.',
  )
}
