import { parseDuration } from './duration.ts'
import { InvalidOptionError, UnknownOptionError } from './errors.ts'
import { guarded } from './evidence.ts'

/** Refuses options that are no plain object, and keys nobody knows. */
export function checkKeys(subject: string, options: unknown, known: readonly string[]): void {
  if (!isPlainObject(options)) {
    throw new InvalidOptionError(subject, 'options', options, `Write them as an object: { ${known[0] ?? ''}: … }.`)
  }
  const unknown = Object.keys(options).find((key) => !known.includes(key))
  if (unknown !== undefined) throw new UnknownOptionError(subject, unknown, known)
}

/** Milliseconds of a duration; undefined stays undefined. Infinity and zero pass only where the rule says so. */
export function readDuration(
  subject: string,
  key: string,
  value: unknown,
  rule: { readonly infinite?: boolean; readonly positive?: boolean } = {},
): number | undefined {
  if (value === undefined) return undefined
  if (value === Infinity && rule.infinite === true) return Infinity
  const ms = parseDuration(value)
  if (ms !== undefined && (ms > 0 || rule.positive !== true)) return ms
  const amount = rule.positive === true ? 'milliseconds above 0' : 'milliseconds'
  const examples = rule.infinite === true ? `'250ms', '30s', '5m', or Infinity` : `'250ms', '30s', '5m'`
  throw new InvalidOptionError(subject, key, value, `Write ${amount}, or a text like ${examples}.`)
}

/** One of some words; undefined stays undefined. */
export function readOneOf<const Word extends string>(
  subject: string,
  key: string,
  value: unknown,
  allowed: readonly Word[],
): Word | undefined {
  if (value === undefined) return undefined
  const word = allowed.find((candidate) => candidate === value)
  if (word === undefined) throw new InvalidOptionError(subject, key, value, `Use ${alternatives(allowed)}.`)
  return word
}

/** A whole number within bounds; undefined stays undefined. Infinity is none. */
export function readWholeNumber(
  subject: string,
  key: string,
  value: unknown,
  bounds: { readonly min: number; readonly max?: number },
): number | undefined {
  const { min, max = Infinity } = bounds
  if (value === undefined) return undefined
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return value
  const range = max === Infinity ? `from ${min}` : `from ${min} to ${max}`
  throw new InvalidOptionError(subject, key, value, `Use a whole number ${range}.`)
}

/** True or false; undefined stays undefined. */
export function readBoolean(subject: string, key: string, value: unknown): boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return value
  throw new InvalidOptionError(subject, key, value, 'Use true or false.')
}

/** A function, as it is typed; undefined stays undefined. */
export function readFunction<Value>(subject: string, key: string, value: Value): Value {
  if (value === undefined || typeof value === 'function') return value
  throw new InvalidOptionError(subject, key, value, 'Pass a function.')
}

/** The name of a thing that is made: of a task a word, for it names a queue too; of anything else one part of a path. */
export function readName(kind: string, value: unknown): string {
  const rule = kind === 'task' ? word : pathPart
  if (typeof value === 'string' && rule.pattern.test(value)) return value
  throw new InvalidOptionError(kind, 'name', value, rule.advice)
}

const word = { pattern: /^[A-Za-z0-9._-]+$/, advice: `Use letters, digits, '.', '_' and '-'.` }
const pathPart = { pattern: /^[^/]+$/, advice: `Use a text that is not empty and has no '/' in it.` }

function alternatives(words: readonly string[]): string {
  const quoted = words.map((one) => `'${one}'`)
  return quoted.length < 2 ? quoted.join('') : `${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}`
}

/** An object literal, also of another realm. An instance of a class is refused: its options may be getters or hidden. */
function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = guarded(() => Object.getPrototypeOf(value), value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}
