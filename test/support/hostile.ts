import { runInNewContext } from 'node:vm'

/** Everything a body may throw that a careless reader trips over: a name for the row, and a way to make a fresh one. */
export const hostileValues: readonly (readonly [name: string, make: () => unknown])[] = [
  ['undefined', () => undefined],
  ['null', () => null],
  ['zero', () => 0],
  ['minus zero', () => -0],
  ['NaN', () => Number.NaN],
  ['an empty text', () => ''],
  ['a text with control characters', () => 'a\n\u001B[2Jb\u2028c\u202Ed'],
  ['half a character', () => '\uD83D'],
  ['a megabyte of text', () => 'x'.repeat(1_000_000)],
  ['a bigint', () => 10n],
  ['a symbol', () => Symbol('why')],
  ['a function', () => () => 1],
  ['a class', () => class Thrown {}],
  ['a frozen error', () => Object.freeze(new Error('frozen'))],
  ['a sealed object', () => Object.seal({ sealed: true })],
  ['an object without prototype', () => Object.assign(Object.create(null) as object, { bare: 1 })],
  ['a date that is none', () => new Date(Number.NaN)],
  ['a map', () => new Map([[{}, 1]])],
  ['an array of itself', () => cyclicArray()],
  ['a promise', () => Promise.resolve(1)],
  // oxlint-disable-next-line unicorn/no-thenable -- a body may throw one
  ['a thenable', () => ({ then: () => undefined })],
  ['an error without message', () => new Error()],
  ['an error with a message of many lines', () => new Error('one\n    at forged (file.ts:1:1)\nthree')],
  ['an error with a huge message', () => new Error('x'.repeat(1_000_000))],
  [
    'an error whose parts are of other types',
    () => Object.assign(new Error(), { message: 1, name: {}, stack: [], code: 1n }),
  ],
  ['an error without stack', () => Object.assign(new Error('no stack'), { stack: undefined })],
  ['an error of another realm', () => runInNewContext(`new TypeError('from elsewhere')`) as unknown],
  ['an error by prototype only', () => Object.create(Error.prototype) as unknown],
  ['a DOMException', () => new DOMException('aborted', 'AbortError')],
  ['a cause that is its own cause', () => ownCause()],
  ['two errors that cause each other', () => mutualCauses()],
  ['a chain of a thousand causes', () => chain(1000)],
  ['a cause that is new at each look', () => freshCauses()],
  ['an AggregateError', () => new AggregateError([new Error('a'), 'b', undefined], 'both')],
  ['an AggregateError of itself', () => ownAggregate()],
  ['a tree of new errors', () => freshAggregate()],
  ['errors that are no list', () => Object.assign(new Error('odd'), { errors: { length: 3 } })],
  ...[
    'message',
    'stack',
    'cause',
    'name',
    'code',
    'errors',
    'toJSON',
    'retryAfter',
    'then',
    'constructor',
    'details',
  ].map((key) => [`an error whose ${key} throws`, () => withThrowingGetter(new Error('getter'), key)] as const),
  ['an object whose every getter throws', () => withThrowingGetter(withThrowingGetter({}, 'message'), 'name')],
  ['an object whose tag throws', () => withThrowingGetter(new Error('tag'), Symbol.toStringTag)],
  ['an object whose text throws', () => ({ toString: refuse, valueOf: refuse, [Symbol.toPrimitive]: refuse })],
  [
    'an object that throws when printed',
    () => ({ [Symbol.for('nodejs.util.inspect.custom')]: refuse, toJSON: refuse }),
  ],
  ['a proxy that throws on everything', () => throwingProxy({})],
  ['a proxy of an error that throws on everything', () => throwingProxy(new Error('inside'))],
  ['a proxy of a function that throws on everything', () => throwingProxy(() => 1)],
  ['a proxy that says yes to everything', () => new Proxy({}, { get: () => true, has: () => true })],
  ['a proxy that is its own prototype', () => ownPrototype()],
  ['a revoked proxy', () => revoked({})],
  ['a revoked proxy of an array', () => revoked([])],
  ['a throwing proxy as cause', () => new Error('cause', { cause: throwingProxy({}) })],
  ['throwing proxies in an AggregateError', () => new AggregateError([throwingProxy({}), revoked([])], 'proxies')],
]

function refuse(): never {
  throw new Error('do not look')
}

function withThrowingGetter(target: object, key: PropertyKey): object {
  return Object.defineProperty(target, key, { get: refuse, enumerable: true, configurable: true })
}

function throwingProxy(target: object): object {
  const traps = Object.getOwnPropertyNames(Reflect).map((trap) => [trap, refuse])
  return new Proxy(target, Object.fromEntries(traps) as ProxyHandler<object>)
}

function revoked(target: object): object {
  const { proxy, revoke } = Proxy.revocable(target, {})
  revoke()
  return proxy
}

function ownPrototype(): object {
  const proxy: object = new Proxy({}, { getPrototypeOf: () => proxy })
  return proxy
}

function cyclicArray(): unknown[] {
  const array: unknown[] = []
  array.push(array)
  return array
}

function ownCause(): Error {
  const error = new Error('own')
  error.cause = error
  return error
}

function mutualCauses(): Error {
  const first = new Error('first')
  first.cause = new Error('second', { cause: first })
  return first
}

function chain(length: number): Error {
  let error = new Error('cause 1')
  for (let n = 2; n <= length; n++) error = new Error(`cause ${n}`, { cause: error })
  return error
}

function freshCauses(): Error {
  return Object.defineProperty(new Error('fresh'), 'cause', { get: freshCauses })
}

function ownAggregate(): AggregateError {
  const error = new AggregateError([], 'own')
  error.errors.push(error)
  return error
}

function freshAggregate(): AggregateError {
  const errors = { get: () => Array.from({ length: 10 }, freshAggregate) }
  return Object.defineProperty(new AggregateError([], 'fresh'), 'errors', errors)
}
