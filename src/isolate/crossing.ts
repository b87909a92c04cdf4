import { brandOf, classOf } from '../brand.ts'
import { errorName, guarded, inherits, isError, peek } from '../evidence.ts'
import { causeOf, codeOf, describeThrown, errorsOf, messageOf, retryAfterOf, stackOf } from '../thrown.ts'

/** A value on its way between threads: as it is, with its parts packed, as an error, or as the text that is left of it. */
export type Packed =
  | { readonly value: unknown }
  | { readonly list: readonly Packed[] }
  | { readonly record: readonly (readonly [key: string, value: Packed])[] }
  | { readonly error: PackedError }

interface PackedError {
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
  /** Of one of our classes, or the name of one of the language's. */
  readonly of: string | undefined
  readonly own: readonly (readonly [key: string, value: Packed])[]
  /** Here too, for a class may have them as getters. */
  readonly code: string | number | undefined
  readonly retryAfter: number | undefined
  readonly cause: Packed | undefined
  readonly errors: readonly Packed[] | undefined
}

const DEEPEST = 20

/** Makes anything fit for the way to another thread. Never throws: what cannot go becomes a text. */
export function pack(value: unknown, above: readonly unknown[] = []): Packed {
  if (typeof value === 'function' || typeof value === 'symbol') return { value: describeThrown(value) }
  if (typeof value !== 'object' || value === null) return { value }
  if (above.length === DEEPEST || above.includes(value)) return { value: describeThrown(value) }
  const inside = [...above, value]
  if (isError(value)) return { error: packError(value, inside) }
  if (guarded(() => Array.isArray(value), false)) {
    const list = guarded(() => [...(value as readonly unknown[])], undefined)
    return list === undefined ? { value: describeThrown(value) } : { list: list.map((part) => pack(part, inside)) }
  }
  if (isPlain(value)) return { record: packOwn(value, inside) }
  return { value: guarded(() => structuredClone(value), describeThrown(value)) }
}

/** The value that was packed, or what of it came over. */
export function unpack(packed: Packed): unknown {
  if ('value' in packed) return packed.value
  if ('list' in packed) return packed.list.map(unpack)
  if ('error' in packed) return unpackError(packed.error)
  const record: Record<string, unknown> = {}
  for (const [key, value] of packed.record) put(record, key, unpack(value), true)
  return record
}

function packError(error: object, inside: readonly unknown[]): PackedError {
  const cause = causeOf(error)
  const errors = errorsOf(error)
  return {
    name: errorName(error),
    message: messageOf(error),
    stack: stackOf(error),
    of: brandOf(error) ?? Object.keys(NATIVE).find((name) => inherits(error, (NATIVE[name] as ErrorClass).prototype)),
    own: packOwn(error, inside).filter(([key]) => !TOLD.includes(key)),
    code: codeOf(error),
    retryAfter: retryAfterOf(error),
    cause: cause === undefined ? undefined : pack(cause, inside),
    errors: errors.length === 0 ? undefined : errors.map((one) => pack(one, inside)),
  }
}

function unpackError({ name, message, stack, of, own, code, retryAfter, cause, errors }: PackedError): unknown {
  const Class = (of === undefined ? undefined : (classOf(of) ?? NATIVE[of])) ?? Error
  // Without the class's own constructor, which makes a text of what it is given.
  const error = Reflect.construct(Error, [message], Class as ErrorClass) as Error
  for (const [key, value] of own) {
    const there = unpack(value)
    put(error, key, of === TRIGGER && key === 'details' ? Object.freeze(there) : there, true)
  }
  if (code !== undefined && codeOf(error) !== code) put(error, 'code', code, true)
  if (retryAfter !== undefined && retryAfterOf(error) !== retryAfter) put(error, 'retryAfter', retryAfter, true)
  if (error.name !== name) put(error, 'name', name, false)
  if (stack !== undefined) put(error, 'stack', stack, false)
  if (cause !== undefined) put(error, 'cause', unpack(cause), false)
  if (errors !== undefined) put(error, 'errors', errors.map(unpack), false)
  return error
}

const TRIGGER = 'rootcatch.error.plugin-trigger'
const TOLD = ['name', 'message', 'stack', 'cause', 'errors']

type ErrorClass = new (...args: never[]) => object

/** Classes of the language that `instanceof` knows on the other side, too. */
const NATIVE: Readonly<Record<string, ErrorClass>> = {
  TypeError,
  RangeError,
  SyntaxError,
  ReferenceError,
  URIError,
  EvalError,
  AggregateError,
}

function packOwn(value: object, inside: readonly unknown[]): [string, Packed][] {
  return guarded(() => Object.keys(value), []).map((key) => [key, pack(readOf(value, key), inside)])
}

/** A part whose getter throws is told as unreadable. */
function readOf(value: object, key: string): unknown {
  const part = peek(value, key)
  return typeof part === 'symbol' ? describeThrown(part) : part
}

/** Defined, not assigned: a key may be `__proto__`. */
function put(target: object, key: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(target, key, { value, enumerable, writable: true, configurable: true })
}

function isPlain(value: object): boolean {
  const prototype = guarded((): unknown => Object.getPrototypeOf(value), undefined)
  return prototype === null || prototype === Object.prototype
}
