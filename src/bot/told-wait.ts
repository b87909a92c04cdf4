import { peek } from '../evidence.ts'

/** The code of an answer `ok: false`, by which grammY's `GrammyError` is known, also one of another copy. */
export function codeOf(error: unknown): number | undefined {
  const code = peek(error, 'error_code')
  return typeof code === 'number' ? code : undefined
}

/** How long a 429 of Telegram says to wait, in ms; undefined if it says nothing, or nonsense. */
export function toldWait(error: unknown): number | undefined {
  if (codeOf(error) !== 429) return undefined
  const seconds = peek(peek(error, 'parameters'), 'retry_after')
  const wait = typeof seconds === 'number' ? 1_000 * seconds : -1
  return wait >= 0 && wait < Infinity ? wait : undefined
}
