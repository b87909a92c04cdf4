import { thrownJson } from '../causes.ts'
import { copyJson, copyPayload, type Json } from '../payload.ts'

/** How many of its failed attempts a job remembers. */
export const KEPT_HISTORY = 100

/** A payload as text; undefined, which a task may take or give, is nothing. */
export function writeJson(value: unknown): string | null {
  return JSON.stringify(value) ?? null
}

/** The reason of a cancel may be anything: what JSON cannot keep is kept as its description. */
export function writeReason(reason: unknown): string | null {
  try {
    return writeJson(copyPayload('reason', reason, 64 * 1024))
  } catch {
    return writeJson(thrownJson(reason))
  }
}

/** A key `__proto__` at any depth is dropped. It may also be written with escapes. */
export function readJson(text: string | null): Json | undefined {
  if (text === null) return undefined
  const value = JSON.parse(text) as Json
  return text.includes('__proto__') || text.includes('\\u') ? copyJson(value) : value
}

/** How often which supervisor restarted a job. A path may be called `constructor`. */
export function readRestarts(text: string | null): Readonly<Record<string, number>> {
  return text === null ? NO_RESTARTS : withoutPrototype(text)
}

function withoutPrototype(text: string | null): Readonly<Record<string, number>> {
  return Object.assign(Object.create(null) as Record<string, number>, readJson(text))
}

const NO_RESTARTS: Readonly<Record<string, number>> = Object.freeze(withoutPrototype(null))
