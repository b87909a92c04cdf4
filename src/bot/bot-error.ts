import { BotError, type Context } from 'grammy'
import { limitStacks } from '../stack.ts'
import { describeThrown } from '../thrown.ts'

/** Longer chains are none: somebody made a circle. */
const LONGEST_CHAIN = 10_000

/**
 * What was thrown in the first place: the value at the bottom of all `BotError`s around it, for each boundary that hands
 * an error on wraps it once more. Gives the value itself if it is no `BotError`.
 *
 * @example
 * bot.catch((err) => log(rootCause(err)))
 */
export function rootCause(error: unknown): unknown {
  let at = error
  for (let depth = 0; depth < LONGEST_CHAIN && isBotError(at); depth += 1) at = at.error
  return at
}

/** Joins what was thrown and its context, as grammY does; whatever was thrown arrives as itself. */
export function wrapError<C extends Context>(error: unknown, ctx: C): BotError<C> {
  const wrapped = construct(error, ctx)
  Object.defineProperty(wrapped, 'cause', { value: error, writable: true, configurable: true })
  return wrapped
}

function construct<C extends Context>(error: unknown, ctx: C): BotError<C> {
  if (typeof error !== 'symbol') {
    const limit = Error.stackTraceLimit
    try {
      if (error instanceof Error) limitStacks(0) // it takes the stack of that, and one of its own costs most of the rest
      return new BotError(error, ctx)
    } catch {
      // getters, or a proxy, that throw while grammY describes it
    } finally {
      limitStacks(limit)
    }
  }
  const wrapped = new BotError<C>('', ctx)
  wrapped.message = `Non-error value of type ${typeof error} thrown in middleware: ${describeThrown(error)}`
  Reflect.set(wrapped, 'error', error)
  return wrapped
}

function isBotError(value: unknown): value is BotError {
  try {
    return value instanceof BotError
  } catch {
    return false // a proxy that throws on everything
  }
}
