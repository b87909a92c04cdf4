import { runInNewContext } from 'node:vm'
import { describe, expect, expectTypeOf, test } from 'vitest'
import { InvalidOptionError, UnknownOptionError } from '../src/errors.ts'
import {
  checkKeys,
  readBoolean,
  readDuration,
  readFunction,
  readName,
  readOneOf,
  readWholeNumber,
} from '../src/options.ts'
import { hostileValues } from './support/hostile.ts'

const shop = 'supervisor "shop"'

/** The message of the `InvalidOptionError` that `read` throws. */
function refusalOf(read: () => unknown): string {
  try {
    return `nothing was refused: ${String(read())}`
  } catch (error) {
    if (error instanceof InvalidOptionError) return error.message
    throw error
  }
}

describe('checkKeys', () => {
  test.each([
    ['no keys', {}],
    ['known keys', { strategy: 1, backoff: undefined }],
    ['no prototype', Object.create(null)],
    ['another realm', runInNewContext('({ strategy: 1 })')],
  ])('takes an object with %s', (_what, options) => {
    expect(() => checkKeys(shop, options, ['strategy', 'backoff'])).not.toThrow()
  })

  test('refuses a key nobody knows, with the nearest one', () => {
    const check = (): void => checkKeys(shop, { stratgy: 'one-for-one' }, ['strategy', 'backoff'])
    expect(check).toThrow(UnknownOptionError)
    expect(check).toThrow('supervisor "shop" got an unknown option "stratgy". Did you mean "strategy"?')
  })

  test.each([
    [undefined, 'supervisor "shop" got options undefined. Write them as an object: { strategy: … }.'],
    [null, 'supervisor "shop" got options null. Write them as an object: { strategy: … }.'],
    [[1, 2], 'supervisor "shop" got options [1, 2] (array). Write them as an object: { strategy: … }.'],
    [new Map(), 'supervisor "shop" got options [Map] (object). Write them as an object: { strategy: … }.'],
    [check, 'supervisor "shop" got options [function check]. Write them as an object: { strategy: … }.'],
  ])('refuses %o', (options, message) => {
    expect(refusalOf(() => checkKeys(shop, options, ['strategy']))).toBe(message)
  })
})

function check(): void {}

describe('readDuration', () => {
  test('gives milliseconds, and undefined for undefined', () => {
    expect(readDuration(shop, 'timeout', '30s')).toBe(30_000)
    expect(readDuration(shop, 'timeout', 0)).toBe(0)
    expect(readDuration(shop, 'timeout', undefined, { positive: true })).toBeUndefined()
    expect(readDuration(shop, 'timeout', Infinity, { infinite: true })).toBe(Infinity)
  })

  test.each([
    ['30 sec', {}, `got timeout "30 sec" (string). Write milliseconds, or a text like '250ms', '30s', '5m'.`],
    [Infinity, {}, `got timeout Infinity (number). Write milliseconds, or a text like '250ms', '30s', '5m'.`],
    [null, {}, `got timeout null. Write milliseconds, or a text like '250ms', '30s', '5m'.`],
    [0, { positive: true }, `got timeout 0 (number). Write milliseconds above 0, or a text like '250ms', '30s', '5m'.`],
    [
      -1,
      { infinite: true },
      `got timeout -1 (number). Write milliseconds, or a text like '250ms', '30s', '5m', or Infinity.`,
    ],
  ])('refuses %j with the rule %j', (value, rule, message) => {
    expect(refusalOf(() => readDuration(shop, 'timeout', value, rule))).toBe(`${shop} ${message}`)
  })
})

describe('readOneOf', () => {
  const strategies = ['one-for-one', 'one-for-all', 'rest-for-one'] as const

  test('gives the word in its own type', () => {
    const word = readOneOf(shop, 'strategy', 'one-for-all' as unknown, strategies)
    expectTypeOf(word).toEqualTypeOf<'one-for-one' | 'one-for-all' | 'rest-for-one' | undefined>()
    expect(word).toBe('one-for-all')
    expect(readOneOf(shop, 'strategy', undefined, strategies)).toBeUndefined()
  })

  test.each([
    ['one', '"one" (string)'],
    [['one-for-all'], '["one-for-all"] (array)'],
    [1, '1 (number)'],
  ])('refuses %j', (value, evidence) => {
    expect(refusalOf(() => readOneOf(shop, 'strategy', value, strategies))).toBe(
      `supervisor "shop" got strategy ${evidence}. Use 'one-for-one', 'one-for-all' or 'rest-for-one'.`,
    )
  })
})

describe('readWholeNumber', () => {
  test.each([
    [0, { min: 0 }],
    [-5, { min: -10, max: 10 }],
    [undefined, { min: 0 }],
  ])('takes %j with %j', (value, bounds) => {
    expect(readWholeNumber(shop, 'limit', value, bounds)).toBe(value)
  })

  test.each([
    [-1, { min: 0 }, '-1 (number). Use a whole number from 0.'],
    [1.5, { min: 0 }, '1.5 (number). Use a whole number from 0.'],
    [Infinity, { min: 0 }, 'Infinity (number). Use a whole number from 0.'],
    [Number.NaN, { min: 0 }, 'NaN (number). Use a whole number from 0.'],
    [11, { min: 1, max: 10 }, '11 (number). Use a whole number from 1 to 10.'],
    ['3', { min: 0 }, '"3" (string). Use a whole number from 0.'],
    [3n, { min: 0 }, '3n (bigint). Use a whole number from 0.'],
  ])('refuses %s with %j', (value, bounds, message) => {
    expect(refusalOf(() => readWholeNumber(shop, 'limit', value, bounds))).toBe(`${shop} got limit ${message}`)
  })
})

describe('readBoolean and readFunction', () => {
  test('take what they are named for, and undefined', () => {
    expect(readBoolean(shop, 'significant', true)).toBe(true)
    expect(readBoolean(shop, 'significant', false)).toBe(false)
    expect(readBoolean(shop, 'significant', undefined)).toBeUndefined()
    expect(readFunction(shop, 'catch', check)).toBe(check)
    expect(readFunction(shop, 'catch', undefined)).toBeUndefined()
  })

  test('refuse anything else', () => {
    expect(refusalOf(() => readBoolean(shop, 'significant', 'yes'))).toBe(
      'supervisor "shop" got significant "yes" (string). Use true or false.',
    )
    expect(refusalOf(() => readFunction(shop, 'catch', 'resume'))).toBe(
      'supervisor "shop" got catch "resume" (string). Pass a function.',
    )
  })
})

describe('readName', () => {
  test.each([
    ['task', 'resize-2.small_A'],
    ['supervisor', 'Läden & mehr'],
    ['actor', '42'],
    ['plugin', ' '],
  ])('takes a %s named %j', (kind, name) => {
    expect(readName(kind, name)).toBe(name)
  })

  test.each([
    ['task', '', `task got name "" (string). Use letters, digits, '.', '_' and '-'.`],
    ['task', 'a b', `task got name "a b" (string). Use letters, digits, '.', '_' and '-'.`],
    ['task', 'a\n', `task got name "a\\n" (string). Use letters, digits, '.', '_' and '-'.`],
    ['task', undefined, `task got name undefined. Use letters, digits, '.', '_' and '-'.`],
    ['actor', '', `actor got name "" (string). Use a text that is not empty and has no '/' in it.`],
    ['actor', 42, `actor got name 42 (number). Use a text that is not empty and has no '/' in it.`],
    ['supervisor', 'a/b', `supervisor got name "a/b" (string). Use a text that is not empty and has no '/' in it.`],
  ])('refuses a %s named %j', (kind, name, message) => {
    expect(refusalOf(() => readName(kind, name))).toBe(message)
  })
})

describe('a refused value', () => {
  test.each(hostileValues)('is shown on one line of at most 60 characters: %s', (_name, make) => {
    const message = refusalOf(() => readOneOf(shop, 'strategy', make(), ['one-for-one']) ?? refuseUndefined())
    const evidence = message.slice(`${shop} got strategy `.length, -` Use 'one-for-one'.`.length)
    expect(evidence).toMatch(/^[^\p{Cc}]+\.$/u)
    expect(evidence.length).toBeLessThanOrEqual(60 + ' (function).'.length)
  })
})

function refuseUndefined(): never {
  throw new InvalidOptionError(shop, 'strategy', undefined, `Use 'one-for-one'.`)
}
