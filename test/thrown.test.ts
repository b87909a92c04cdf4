import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { FatalError, PermanentError, PluginTriggerError } from '../src/errors.ts'
import * as thrown from '../src/thrown.ts'
import { hostileValues } from './support/hostile.ts'

const {
  causeOf,
  codeOf,
  describeThrown,
  errorsOf,
  isFatal,
  isPermanent,
  isPluginTrigger,
  nameOf,
  retryAfterOf,
  stackOf,
  wishOf,
} = thrown

afterEach(() => vi.resetModules())

describe('every function', () => {
  const functions = Object.entries(thrown).filter((entry) => typeof entry[1] === 'function')

  test.each(functions)('%s never throws and ends, whatever it is given', (_name, read) => {
    for (const [, make] of hostileValues) read(make())
    fc.assert(
      fc.property(
        fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true }),
        (value) => void read(value),
      ),
    )
    expect.assertions(0)
  })
})

describe('describeThrown', () => {
  test.each<[string, unknown, string]>([
    ['an error', new TypeError('x is undefined'), 'x is undefined'],
    ['an error without message', new TypeError(), 'TypeError'],
    ['an error of another realm', runInNewContext(`new RangeError('far')`), 'far'],
    ['a text', 'boom', 'boom'],
    ['an empty text', '', '""'],
    ['undefined', undefined, 'undefined'],
    ['null', null, 'null'],
    ['a number', 0, '0'],
    ['a bigint', 10n, '10n'],
    ['a symbol', Symbol('why'), 'Symbol(why)'],
    ['a function', function give() {}, '[function give]'],
    ['a promise', Promise.resolve(1), '[Promise]'],
    ['an empty object', {}, '{}'],
    [
      'a plain object',
      { code: 'quota', 'a-b': [1, null], deep: { deeper: { deepest: 1 } } },
      '{ code: "quota", "a-b": [1, null], deep: { deeper: {…} } }',
    ],
    ['an object with an error', { inner: new TypeError('x') }, '{ inner: [TypeError: x] }'],
    ['a long list', Array.from({ length: 12 }, (_, n) => n), '[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …]'],
    ['control characters', 'a\nb\tc\u001B[2J\u2028\u202E', String.raw`a\nb\tc\u001b[2J\u2028\u202e`],
    [
      'a getter that throws',
      {
        get a() {
          throw new Error('no')
        },
        b: 1,
      },
      '{ a: [unreadable], b: 1 }',
    ],
    [
      'a message that throws',
      Object.defineProperty(new Error('x'), 'message', { get: () => expect.fail('no') }),
      '[unreadable]',
    ],
    ['a revoked proxy', revoked(), '[unreadable]'],
  ])('tells %s', (_what, value, text) => {
    expect(describeThrown(value)).toBe(text)
  })

  test('is one line of at most 500 characters, and never empty', () => {
    const values = fc.oneof(
      fc.anything(),
      fc.string({ unit: 'binary', maxLength: 2000 }),
      fc.string({ unit: 'binary' }).map((text) => new Error(text)),
    )
    const isFine = (value: unknown): void => {
      const text = describeThrown(value)
      expect(text).toMatch(/^[^\p{Cc}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069]+$/u)
      expect(text.length).toBeLessThanOrEqual(500)
    }
    fc.assert(fc.property(values, isFine))
    for (const [, make] of hostileValues) isFine(make())
  })

  test('cuts between characters', () => {
    expect(describeThrown(`${'x'.repeat(498)}😀😀`)).toBe(`${'x'.repeat(498)}…`)
  })
})

describe('nameOf', () => {
  class SocketError extends Error {}
  test.each<[string, unknown, string | undefined]>([
    ['a class that set no name', new SocketError('x'), 'SocketError'],
    ['a name that was set', Object.assign(new Error('x'), { name: 'MyError' }), 'MyError'],
    ['a DOMException', new DOMException('x', 'AbortError'), 'AbortError'],
    ['a name that is no text', Object.assign(new TypeError('x'), { name: 7 }), 'TypeError'],
    ['one of ours', new PermanentError('x'), 'PermanentError'],
    ['no error', { name: 'x', message: 'y' }, undefined],
  ])('of %s', (_what, value, name) => {
    expect(nameOf(value)).toBe(name)
  })
})

describe('stackOf, causeOf, errorsOf, codeOf', () => {
  test('give the parts of an error', () => {
    const inner = new Error('inner')
    const error = Object.assign(new AggregateError([inner, 2], 'x', { cause: inner }), { code: 'E_X' })
    expect(stackOf(error)).toBe(error.stack)
    expect(causeOf(error)).toBe(inner)
    expect(errorsOf(error)).toEqual([inner, 2])
    expect(codeOf(error)).toBe('E_X')
  })

  test('give nothing where there is nothing', () => {
    for (const value of [undefined, 'text', {}, new Error('x'), Object.assign(new Error('x'), { errors: 'text' })]) {
      expect([causeOf(value), errorsOf(value), codeOf(value)]).toEqual([undefined, [], undefined])
    }
    expect(stackOf({ stack: 'not an error' })).toBeUndefined()
  })
})

describe('retryAfterOf', () => {
  class Throttled extends Error {
    get retryAfter(): number {
      return 5000
    }
  }
  test.each<[string, unknown, number | undefined]>([
    ['its own', { retryAfter: 5000 }, 5000],
    ['zero', { retryAfter: 0 }, 0],
    ['an inherited one', new Throttled(), 5000],
    ['a negative one (J7)', { retryAfter: -1 }, undefined],
    ['NaN (J7)', { retryAfter: Number.NaN }, undefined],
    ['Infinity', { retryAfter: Infinity }, undefined],
    ['a text (J7)', { retryAfter: '5s' }, undefined],
    ['none', new Error('x'), undefined],
    ['a text thrown', 'retryAfter', undefined],
  ])('reads %s', (_what, value, wait) => {
    expect(retryAfterOf(value)).toBe(wait)
  })
})

describe.each([
  ['isPermanent', isPermanent, PermanentError],
  ['isFatal', isFatal, FatalError],
  ['isPluginTrigger', isPluginTrigger, PluginTriggerError],
] as const)('%s', (_name, is, of) => {
  test('knows the class, its subclasses, and the class of a second copy (J12)', async () => {
    vi.resetModules()
    const copy = await import('../src/errors.ts')
    const theirs = copy[of.prototype.name as 'PermanentError']
    expect(theirs).not.toBe(of)
    expect(is(new of('x'))).toBe(true)
    expect(is(new (class extends of {})('x'))).toBe(true)
    expect(is(new theirs('x'))).toBe(true)
  })

  test('does not know an error that only has one as its cause', () => {
    expect(is(new Error('x', { cause: new of('y') }))).toBe(false)
    expect(is({ name: of.prototype.name, message: 'y' })).toBe(false)
  })
})

describe('wishOf', () => {
  test.each([
    ['plugins', PluginTriggerError],
    ['no retry', PermanentError],
    ['the end', FatalError],
  ] as const)('%s', async (wish, of) => {
    vi.resetModules()
    const { [of.prototype.name as 'FatalError']: theirs } = await import('../src/errors.ts')
    expect([new of('x'), new (class extends of {})('x'), new theirs('x')].map(wishOf)).toEqual([wish, wish, wish])
    expect([new Error('x', { cause: new of('y') }), of, undefined, of.prototype.name].map(wishOf)).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ])
  })

  test('hears a wish where the answer to another one throws', () => {
    const noRetry = Symbol.for('rootcatch.error.permanent')
    const value = new Proxy(new Error('x'), {
      get: (_, key) => {
        if (key === noRetry) return true
        throw new Error('not that')
      },
    })
    expect(wishOf(value)).toBe('no retry')
  })
})

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}
