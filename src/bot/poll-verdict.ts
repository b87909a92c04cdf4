import { peek } from '../evidence.ts'
import { delayOf, type Backoff } from '../retry.ts'
import { StalledError } from './errors.ts'
import { codeOf, toldWait } from './told-wait.ts'

/** What follows a call that failed. */
export type Verdict = { readonly wait: number; readonly isFailure: boolean } | 'give up'

/** What came before it in a row, this one included. */
export interface Streak {
  /** Calls that came to nothing. */
  readonly failures: number
  /** Calls that Telegram refused, or batches that could not be kept. */
  readonly refusals: number
}

/** Where Telegram says none. */
const UNTOLD_WAIT = 3_000

const MOST_REFUSALS = 3

/** Whether another process polls with the same token. */
export const isConflict = (error: unknown): boolean => codeOf(error) === 409

/** Whether trying again cannot help: the token is wrong, or another process polls with it. */
export const isFatal = (error: unknown): boolean => codeOf(error) === 401 || isConflict(error)

/** Whether Telegram answered, and did not like the call. */
export function isRefusal(error: unknown): boolean {
  const code = codeOf(error)
  return code !== undefined && code >= 400 && code < 500 && code !== 429
}

/** After a call of `connecting`: what Telegram refuses then, it will refuse again. */
export function judgeConnecting(error: unknown, streak: Streak, backoff: Backoff, random: () => number): Verdict {
  const code = codeOf(error)
  if (code === 429) return waitAsTold(error)
  const isNetwork = peek(error, 'name') === 'HttpError' || error instanceof StalledError
  const isPassing = code === undefined ? isNetwork : code >= 500
  return isPassing ? { wait: delayOf(backoff, streak.failures, random), isFailure: true } : 'give up'
}

/** After a poll, or after a batch that could not be kept. */
export function judgePolling(error: unknown, streak: Streak, backoff: Backoff, random: () => number): Verdict {
  if (isFatal(error)) return 'give up'
  if (codeOf(error) === 429) return waitAsTold(error)
  if (streak.refusals >= MOST_REFUSALS) return 'give up'
  return { wait: delayOf(backoff, streak.failures, random), isFailure: true }
}

function waitAsTold(error: unknown): Verdict {
  return { wait: toldWait(error) ?? UNTOLD_WAIT, isFailure: false }
}
