import { brandSymbolOf } from './brand.ts'
import { FatalError, PermanentError, PluginTriggerError } from './errors.ts'
import { cut, errorName, guarded, isError, peek, textOf, unreadable, unreadableText } from './evidence.ts'

// Anything may be thrown, and everything that looks at a thrown value stands here: no function in this file ever throws.

/** One line that tells what was thrown: an error's message, any other value as it would be written. */
export function describeThrown(value: unknown): string {
  return textOf(value)
}

/** The name of an error, undefined for a value that is none. */
export function nameOf(value: unknown): string | undefined {
  return isError(value) ? errorName(value) : undefined
}

/** The message of an error with its lines as they are, for JSON; `describeThrown` for everything else. */
export function messageOf(value: unknown): string {
  const message = isError(value) ? peek(value, 'message') : undefined
  return typeof message === 'string' ? cut(message, longestMessage) : describeThrown(value)
}

/** The stack of an error, undefined where there is none. */
export function stackOf(value: unknown): string | undefined {
  if (!isError(value)) return undefined
  const stack = peek(value, 'stack')
  if (stack === unreadable) return unreadableText
  return typeof stack === 'string' ? stack : undefined
}

/** What an error says it was caused by, undefined for nothing. A cause that cannot be read is told as unreadable. */
export function causeOf(value: unknown): unknown {
  return peek(value, 'cause')
}

/** The errors that an `AggregateError` or its like holds, the first hundred of them. */
export function errorsOf(value: unknown): readonly unknown[] {
  const errors = isError(value) ? peek(value, 'errors') : undefined
  const length = peek(errors, 'length')
  if (!guarded(() => Array.isArray(errors), false) || typeof length !== 'number') return []
  return Array.from({ length: Math.min(length, mostErrors) }, (_, index) => peek(errors, index))
}

/** The `code` of an error: what a program can tell it by. */
export function codeOf(value: unknown): string | number | undefined {
  const code = peek(value, 'code')
  if (typeof code === 'string') return cut(code, 100)
  return typeof code === 'number' && Number.isFinite(code) ? code : undefined
}

/** How long a thrown object asks to be put off, in ms; undefined when it does not ask, or asks for nonsense. */
export function retryAfterOf(value: unknown): number | undefined {
  if ((typeof value !== 'object' || value === null) && typeof value !== 'function') return undefined
  try {
    const wait: unknown = (value as { readonly retryAfter?: unknown }).retryAfter // asked for each failure: `peek` takes longer
    return typeof wait === 'number' && Number.isFinite(wait) && wait >= 0 ? wait : undefined
  } catch {
    return undefined
  }
}

/** What an error of ours asks for by its class; undefined for all that are not ours. */
export function wishOf(value: unknown): 'plugins' | 'no retry' | 'the end' | undefined {
  if ((typeof value !== 'object' || value === null) && typeof value !== 'function') return undefined
  try {
    // In one go: nearly everything thrown is none of them.
    if ((value as Branded)[ofPluginTrigger] === true) return 'plugins'
    if ((value as Branded)[ofPermanent] === true) return 'no retry'
    return (value as Branded)[ofFatal] === true ? 'the end' : undefined
  } catch {
    return isPluginTrigger(value) ? 'plugins' : isPermanent(value) ? 'no retry' : isFatal(value) ? 'the end' : undefined
  }
}

/** Whether further attempts are useless. */
export function isPermanent(value: unknown): value is PermanentError {
  return value instanceof PermanentError
}

/** Whether the plugins are to be asked. */
export function isPluginTrigger(value: unknown): value is PluginTriggerError {
  return value instanceof PluginTriggerError
}

/** Whether a whole spider fails with it. */
export function isFatal(value: unknown): value is FatalError {
  return value instanceof FatalError
}

type Branded = Readonly<Record<symbol, unknown>>

const [ofPluginTrigger, ofPermanent, ofFatal] = [PluginTriggerError, PermanentError, FatalError].map(brandSymbolOf) as [
  symbol,
  symbol,
  symbol,
]

const longestMessage = 4000
const mostErrors = 100
