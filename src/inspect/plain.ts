import { cut, errorName, guarded, isError, peek, typeOf, unreadable, unreadableText } from '../evidence.ts'
import { causeOf, codeOf, messageOf, stackOf } from '../thrown.ts'

/** How much of a value is shown. */
export interface Limits {
  readonly depth: number
  readonly keys: number
  readonly items: number
  readonly text: number
  readonly parts: number
  readonly frames: number
}

export const PAGE_LIMITS: Limits = { depth: 5, keys: 50, items: 50, text: 500, parts: 2_000, frames: 30 }

/** What a text, or a value under a key, is shown as. */
export interface Shown {
  text(text: string): string
  /** Whether nothing under this key is shown. */
  hides(key: string): boolean
  /** The last word on a value; `path` is its place. */
  last(path: string, value: unknown): unknown
}

export const MASKED = '[redacted]'

/** Any value as JSON can hold it, cut and without secrets. Never throws, whatever it is made of; says what it has cut. */
export function plain(value: unknown, shown: Shown, limits: Limits = PAGE_LIMITS, path = ''): unknown {
  return new Plain(shown, limits).of(value, path, 0)
}

class Plain {
  readonly #shown: Shown
  readonly #limits: Limits
  readonly #above: unknown[] = []
  #parts = 0

  constructor(shown: Shown, limits: Limits) {
    this.#shown = shown
    this.#limits = limits
  }

  of(value: unknown, path: string, depth: number): unknown {
    this.#parts += 1
    if (this.#parts > this.#limits.parts) return '…'
    if (typeof value !== 'object' || value === null) return this.#shown.last(path, this.#leaf(value))
    if (this.#above.includes(value)) return '[Circular]'
    this.#above.push(value)
    const result = guarded(() => this.#object(value, path, depth), unreadableText)
    this.#above.pop()
    return result
  }

  #leaf(value: unknown): unknown {
    switch (typeof value) {
      case 'string':
        return this.#text(value)
      case 'bigint':
        return `${cut(String(value), 100)}n`
      case 'number':
        return Number.isFinite(value) ? value : String(value)
      case 'function':
        return { type: cut(String(peek(value, 'name') || 'function'), 100) }
      case 'symbol':
        return value === unreadable ? unreadableText : cut(String(value), 100)
      default:
        return value
    }
  }

  #text(text: string): string {
    const { text: most } = this.#limits
    if (text.length <= most) return this.#shown.text(text)
    // A secret that is cut in two would not be known any more.
    return `${cut(this.#shown.text(text.slice(0, most * 2)), most)} (${text.length} characters)`
  }

  #object(value: object, path: string, depth: number): unknown {
    if (isError(value)) return this.#error(value, path, depth)
    if (value instanceof Date) return guarded(() => value.toISOString(), 'Invalid Date')
    if (value instanceof RegExp) return this.#text(String(value))
    if (ArrayBuffer.isView(value)) return `<${value.constructor.name} ${value.byteLength} B>`
    if (value instanceof ArrayBuffer) return `<ArrayBuffer ${value.byteLength} B>`
    if (value instanceof Promise) return '[Promise]'
    const size = sizeOf(value)
    if (depth >= this.#limits.depth) return Array.isArray(value) ? `[… ${size}]` : `{… ${size}}`
    if (Array.isArray(value)) return this.#items(value, value.length, path, depth)
    if (value instanceof Map) return this.#items(value.entries(), value.size, path, depth)
    if (value instanceof Set) return this.#items(value.values(), value.size, path, depth)
    if (isActor(value)) return { xstate$$type: 1, id: cut(String(peek(value, 'id')), 200) }
    return this.#entries(value, path, depth)
  }

  #items(items: Iterable<unknown>, size: number, path: string, depth: number): unknown {
    const shown: unknown[] = []
    for (const item of items) {
      if (shown.length === this.#limits.items) {
        shown.push(`… ${size - this.#limits.items} more`)
        break
      }
      shown.push(this.of(item, `${path}[${shown.length}]`, depth + 1))
    }
    return shown
  }

  #entries(value: object, path: string, depth: number): unknown {
    const result: Record<string, unknown> = {}
    const keys = Object.keys(value)
    for (const key of keys.slice(0, this.#limits.keys)) {
      const part = peek(value, key)
      if (part === undefined) continue
      const at = path === '' ? key : `${path}.${key}`
      const isHidden = this.#shown.hides(key) && part !== null && typeof part !== 'boolean'
      define(
        result,
        this.#shown.text(cut(key, 200)),
        isHidden ? this.#shown.last(at, MASKED) : this.of(part, at, depth + 1),
      )
    }
    if (keys.length > this.#limits.keys) define(result, '…', `${keys.length - this.#limits.keys} more`)
    return result
  }

  #error(error: object, path: string, depth: number): unknown {
    const stack = stackOf(error)
    const code = codeOf(error)
    const cause = causeOf(error)
    return {
      name: errorName(error),
      message: this.#text(messageOf(error)),
      ...(stack !== undefined && { stack: this.#stack(stack) }),
      ...(code !== undefined && { code }),
      ...(cause !== undefined && depth < this.#limits.depth && { cause: this.of(cause, `${path}.cause`, depth + 1) }),
    }
  }

  #stack(stack: string): string {
    const lines = this.#shown.text(stack.slice(0, 8_000)).split('\n')
    const { frames } = this.#limits
    return lines.length <= frames
      ? lines.join('\n')
      : [...lines.slice(0, frames), `    … ${lines.length - frames} more`].join('\n')
  }
}

/** Also a key that would otherwise be a setter, as `__proto__` is. */
function define(result: object, key: string, value: unknown): void {
  Object.defineProperty(result, key, { value, enumerable: true, configurable: true, writable: true })
}

function sizeOf(value: object): string {
  if (Array.isArray(value)) return `${value.length} items`
  if (value instanceof Map || value instanceof Set) return `${value.size} items`
  return `${Object.keys(value).length} keys of ${typeOf(value)}`.replace(' of object', '')
}

/** An actor in a context would bring its whole system along. */
function isActor(value: object): boolean {
  return typeof peek(value, 'send') === 'function' && typeof peek(value, 'sessionId') === 'string'
}
