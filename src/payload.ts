import { PayloadError } from './errors.ts'

/** What every broker can keep. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined }

/**
 * A copy of `value` that shares nothing with it, or a `PayloadError` that names the part JSON cannot keep.
 *
 * `what` names it for whoever reads the error, followed by the `subject` of what it belongs to, which is not asked for it
 * before that. Copied rather than checked, so that what a body does to its input reaches neither the next attempt nor the caller.
 */
export function copyPayload(what: string, value: unknown, maxBytes: number, of?: { readonly subject: string }): Json {
  if (value === undefined) return undefined as unknown as Json // a task may take or give nothing
  if (typeof value === 'number' && Number.isFinite(value) && maxBytes >= LONGEST_NUMBER) return value === 0 ? 0 : value
  const size = { bytesAtMost: 0 }
  let copy = copyPlain(value, size, 0)
  if (copy === ODD) {
    const reader = new PayloadReader(what + (of?.subject ?? ''))
    copy = reader.copy(value, '')
    size.bytesAtMost = reader.bytesAtMost
  }
  if (size.bytesAtMost > maxBytes) checkSize(what + (of?.subject ?? ''), copy as Json, maxBytes)
  return copy as Json
}

/** A copy of what `copyPayload` gave before, or of what a store kept: there a key `__proto__` is dropped. */
export function copyJson(value: Json): Json {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(copyJson)
  const copy = { ...value } as Record<string, Json> // all at once: most records have nothing inside that has to be copied
  for (const key in copy) {
    const part = copy[key]
    if (key === '__proto__') delete copy[key]
    else if (typeof part === 'object' && part !== null && isOwn.call(copy, key)) copy[key] = copyJson(part)
  }
  return copy
}

/** In a `for` over keys it costs nothing, where `Object.keys` makes an array for each record. */
const isOwn = Object.prototype.hasOwnProperty

function checkSize(what: string, copy: Json, maxBytes: number): void {
  const bytes = Buffer.byteLength(JSON.stringify(copy))
  if (bytes <= maxBytes) return
  throw new PayloadError(
    `${what} has ${kilobytes(bytes)}, ${kilobytes(maxBytes)} are allowed. Store it elsewhere and pass a reference, or raise maxPayload.`,
  )
}

const kilobytes = (bytes: number): string => (bytes < 1024 ? `${bytes} B` : `${Math.ceil(bytes / 1024)} KB`)

/** What needs a closer look, to be refused by its name. */
const ODD: unique symbol = Symbol('odd')
const SHALLOW = 16
/** In JSON. */
const LONGEST_NUMBER = 25

/** The same as the reader below for nearly all there is, without keeping track of where it is. */
function copyPlain(value: unknown, size: { bytesAtMost: number }, depth: number): Json | typeof ODD {
  switch (typeof value) {
    case 'string':
      size.bytesAtMost += 6 * value.length + 2
      return value
    case 'number':
      size.bytesAtMost += LONGEST_NUMBER
      return value === 0 ? 0 : Number.isFinite(value) ? value : ODD
    case 'boolean':
      size.bytesAtMost += 5
      return value
    case 'object':
      size.bytesAtMost += 4
      if (value === null) return null
      if (depth === SHALLOW) return ODD
      return Array.isArray(value) ? copyPlainList(value, size, depth + 1) : copyPlainRecord(value, size, depth + 1)
    default:
      return ODD
  }
}

function copyPlainList(list: readonly unknown[], size: { bytesAtMost: number }, depth: number): Json | typeof ODD {
  const copy: Json[] = []
  for (let index = 0; index < list.length; index += 1) {
    const part = copyPlain(list[index], size, depth)
    if (part === ODD) return ODD
    copy.push(part)
  }
  size.bytesAtMost += list.length
  return copy
}

function copyPlainRecord(record: object, size: { bytesAtMost: number }, depth: number): Json | typeof ODD {
  // Asked for its constructor first: V8 then knows what it looks at, and need not call out of compiled code for the prototype.
  if (record.constructor !== Object || Object.getPrototypeOf(record) !== Object.prototype) return ODD
  const copy: Record<string, Json> = {}
  for (const key in record) {
    if (!isOwn.call(record, key)) continue
    if (key === '__proto__') return ODD
    const value = (record as Record<string, unknown>)[key]
    if (value === undefined) continue
    const part = copyPlain(value, size, depth)
    if (part === ODD) return ODD
    size.bytesAtMost += 6 * key.length + 4
    copy[key] = part
  }
  return copy
}

const DEEPEST = 1_000

class PayloadReader {
  /** An upper bound of the JSON's size in bytes, so that the text itself is only made near the limit. */
  bytesAtMost = 0
  readonly #what: string
  readonly #open = new Set<object>()

  constructor(what: string) {
    this.#what = what
  }

  copy(value: unknown, path: string): Json {
    switch (typeof value) {
      case 'string':
        this.bytesAtMost += 6 * value.length + 2 // one UTF-16 unit is at most an escape of six characters
        return value
      case 'number':
        if (!Number.isFinite(value)) return this.#refuse(path, `is ${value}`, 'Pass null, or a text')
        this.bytesAtMost += LONGEST_NUMBER
        return Object.is(value, -0) ? 0 : value
      case 'boolean':
        this.bytesAtMost += 5
        return value
      case 'object':
        this.bytesAtMost += 4
        return value === null ? null : this.#copyObject(value, path)
      case 'undefined':
        if (path === '') return undefined as unknown as Json // a task may take or give nothing
        return this.#refuse(path, 'is undefined', 'Pass null')
      case 'bigint':
        return this.#refuse(path, 'is a bigint', 'Pass a text')
      default:
        return this.#refuse(path, `is a ${typeof value}`, 'Leave it out')
    }
  }

  #copyObject(value: object, path: string): Json {
    if (this.#open.has(value)) return this.#refuse(path, 'contains itself', 'Pass ids instead of objects')
    if (this.#open.size > DEEPEST) return this.#refuse(path, `is deeper than ${DEEPEST} levels`, 'Pass a flatter value')
    this.#open.add(value)
    const copy = Array.isArray(value) ? this.#copyList(value, path) : this.#copyRecord(value, path)
    this.#open.delete(value)
    return copy
  }

  #copyList(value: readonly unknown[], path: string): Json {
    const copy: Json[] = []
    for (let index = 0; index < value.length; index += 1) copy.push(this.copy(value[index], `${path}[${index}]`))
    this.bytesAtMost += value.length
    return copy
  }

  #copyRecord(value: object, path: string): Json {
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype !== null && prototype !== Object.prototype && !isPlainOfAnotherRealm(prototype)) {
      return this.#refuse(path, `is ${withArticle(className(value))}`, wayOut(value))
    }
    const copy: Record<string, Json> = {}
    for (const key of Object.keys(value)) {
      if (key === '__proto__') return this.#refuse(`${path}.__proto__`, 'is an own key', 'Rename it')
      const part = (value as Record<string, unknown>)[key]
      if (part === undefined) continue
      this.bytesAtMost += 6 * key.length + 4
      copy[key] = this.copy(part, path === '' ? `.${key}` : `${path}.${key}`)
    }
    return copy
  }

  #refuse(path: string, problem: string, advice: string): never {
    throw new PayloadError(`${this.#at(path)} ${problem}, which JSON cannot keep. ${advice}.`)
  }

  /** `input of task "resize"` with path `.user.born` reads `input.user.born of task "resize"`. */
  #at(path: string): string {
    const [head = '', ...rest] = this.#what.split(' ')
    return [`${head}${path}`, ...rest].join(' ')
  }
}

function isPlainOfAnotherRealm(prototype: unknown): boolean {
  return (
    Object.getPrototypeOf(prototype) === null &&
    typeof (prototype as { constructor?: unknown }).constructor === 'function' &&
    (prototype as { constructor: { name: string } }).constructor.name === 'Object'
  )
}

function className(value: object): string {
  const name: unknown = value.constructor?.name
  return typeof name === 'string' && name !== '' ? name : 'object of a class'
}

const withArticle = (noun: string): string => `${/^[aeiou]/i.test(noun) ? 'an' : 'a'} ${noun}`

function wayOut(value: object): string {
  if (value instanceof Date) return 'Pass toISOString()'
  if (value instanceof Map) return 'Pass Object.fromEntries(…)'
  if (value instanceof Set) return 'Pass [...set]'
  if (ArrayBuffer.isView(value)) return 'Pass a text, or store it elsewhere and pass a reference'
  return 'Pass a plain object'
}
