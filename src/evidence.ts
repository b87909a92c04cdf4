/** Stands for a part of somebody else's value whose getter or trap threw. Texts say `[unreadable]` for it. */
export const unreadable: unique symbol = Symbol('unreadable')

/** The result of `read`, or `otherwise` when it throws. The one guard around values that are not ours. */
export function guarded<T, Otherwise>(read: () => T, otherwise: Otherwise): T | Otherwise {
  try {
    return read()
  } catch {
    return otherwise
  }
}

/** A property of a value that is not ours: undefined on what has none, `unreadable` where reading it throws. */
export function peek(value: unknown, key: PropertyKey): unknown {
  if (!isObject(value)) return undefined
  try {
    return value[key]
  } catch {
    return unreadable
  }
}

/** Whether a value is an error, also of another realm. What cannot be asked is none. */
export function isError(value: unknown): boolean {
  return (
    guarded(() => Object.prototype.toString.call(value) === '[object Error]', false) || inherits(value, Error.prototype)
  )
}

/** Whether a prototype stands above a value. Bounded, because `instanceof` never ends on a proxy that is its own one. */
export function inherits(value: unknown, prototype: object): boolean {
  let above: unknown = value
  for (let level = 0; level < mostPrototypes && isObject(above); level++) {
    const below = above
    above = guarded(() => Object.getPrototypeOf(below), undefined)
    if (above === prototype) return true
  }
  return false
}

/** The name to call an error by: its `name`, and its class where nobody set one. */
export function errorName(error: unknown): string {
  const name = peek(error, 'name')
  if (name === unreadable) return unreadableText
  if (typeof name === 'string' && name !== '' && name !== 'Error') return oneLine(name, mostName)
  return className(error) ?? 'Error'
}

/** One line that tells a value: an error's message, a text as it is, anything else as it would be written. */
export function textOf(value: unknown, most = 500): string {
  if (typeof value === 'string' && value !== '') return oneLine(value, most)
  if (!isError(value)) return oneLine(show(value, 2), most)
  const message = peek(value, 'message')
  if (message === unreadable) return unreadableText
  return typeof message === 'string' && message !== '' ? oneLine(message, most) : errorName(value)
}

/** A value as an error shows what it was given, with its type: `"30 sec" (string)`, `-1 (number)`, `undefined`. */
export function evidenceOf(value: unknown, most = 60): string {
  const text = oneLine(show(typeof value === 'string' ? cut(value, most - 2) : value, 1, most), most)
  const saysItsType = value === undefined || value === null || value === unreadable || typeof value === 'function'
  return saysItsType ? text : `${text} (${typeOf(value)})`
}

/** The type of a value in one word: what `typeof` says, but `null` and `array`. */
export function typeOf(value: unknown): string {
  if (value === null) return 'null'
  return guarded(() => Array.isArray(value), false) ? 'array' : typeof value
}

/** A text on one line and at most `most` long: what would break, reverse or forge a line is escaped. */
export function oneLine(text: string, most = 500): string {
  const short = cut(text, most)
  return ascii.test(short) ? short : cut(short.replaceAll(breaking, escapeCharacter), most)
}

/** A text of at most `most` characters; an ellipsis says that there was more. */
export function cut(text: string, most: number): string {
  if (text.length <= most) return text
  const kept = text.slice(0, most - 1)
  return `${/[\uD800-\uDBFF]$/.test(kept) ? kept.slice(0, -1) : kept}…` // half a character is none
}

/** What stands in a text for a part that cannot be read. */
export const unreadableText = '[unreadable]'

const mostName = 100
const mostParts = 10
const mostPrototypes = 1000

/** What nearly all texts are: nothing in it has to be escaped. */
const ascii = /^[\x20-\x7E]*$/
/** Control characters, line separators, and the marks that turn the direction of what follows. */
const breaking = /[\p{Cc}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069]/gu
const shortEscapes: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

function escapeCharacter(character: string): string {
  return shortEscapes[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

function isObject(value: unknown): value is Record<PropertyKey, unknown> {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
}

function show(value: unknown, depth: number, mostText = 100): string {
  if (value === unreadable) return unreadableText
  if (typeof value === 'string') return JSON.stringify(cut(value, mostText))
  if (typeof value === 'bigint') return `${value}n`
  return isObject(value) ? guarded(() => showObject(value, depth), unreadableText) : String(value)
}

function showObject(value: Record<PropertyKey, unknown>, depth: number): string {
  if (typeof value === 'function') return showFunction(value)
  if (isError(value)) return `[${errorName(value)}: ${textOf(value, 100)}]`
  if (Array.isArray(value)) return depth === 0 ? '[…]' : showArray(value, depth)
  if (!isPlain(value)) return `[${className(value) ?? 'object'}]`
  return depth === 0 ? '{…}' : showPlain(value, depth)
}

function showFunction(value: unknown): string {
  const name = peek(value, 'name')
  return typeof name === 'string' && name !== '' ? `[function ${cut(name, mostName)}]` : '[function]'
}

function showArray(value: readonly unknown[], depth: number): string {
  const shown = Math.min(value.length, mostParts)
  const parts = Array.from({ length: shown }, (_, index) => show(peek(value, index), depth - 1))
  return `[${[...parts, ...(value.length > shown ? ['…'] : [])].join(', ')}]`
}

function showPlain(value: Record<PropertyKey, unknown>, depth: number): string {
  const keys = Object.keys(value)
  if (keys.length === 0) return '{}'
  const parts = keys.slice(0, mostParts).map((key) => `${showKey(key)}: ${show(peek(value, key), depth - 1)}`)
  return `{ ${[...parts, ...(keys.length > mostParts ? ['…'] : [])].join(', ')} }`
}

function showKey(key: string): string {
  return /^[\w$]+$/.test(key) ? key : JSON.stringify(cut(key, 100))
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

function className(value: unknown): string | undefined {
  const name = peek(peek(value, 'constructor'), 'name')
  return typeof name === 'string' && name !== '' ? oneLine(name, mostName) : undefined
}
