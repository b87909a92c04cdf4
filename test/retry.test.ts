import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { delayOf, exponential, isBackoff, readBackoff, readRetry } from '../src/retry.ts'
import { hostileValues } from './support/hostile.ts'

afterEach(() => vi.resetModules())

describe('exponential', () => {
  test('reads durations and fills in the defaults', () => {
    const backoff = exponential({ from: '200ms', to: '10s' })
    expect(backoff).toMatchObject({ from: 200, to: 10_000, factor: 2, jitter: 0.5, reset: 10_000 })
    expect(Object.isFrozen(backoff)).toBe(true)
    expect(exponential({ from: 0, to: '40d', factor: 1, jitter: 0, reset: '1m' })).toMatchObject({
      from: 0,
      to: 3_456_000_000,
      factor: 1,
      jitter: 0,
      reset: 60_000,
    })
  })

  test.each([
    [{ to: '1s' }, `exponential() got from undefined. Write it, as in { from: '200ms', to: '10s' }.`],
    [{ from: '1s' }, `exponential() got to undefined. Write it, as in { from: '200ms', to: '10s' }.`],
    [
      { from: -1, to: '1s' },
      `exponential() got from -1 (number). Write milliseconds, or a text like '250ms', '30s', '5m'.`,
    ],
    [
      { from: 1, to: Infinity },
      `exponential() got to Infinity (number). Write milliseconds, or a text like '250ms', '30s', '5m'.`,
    ],
    [{ from: '5s', to: '1s' }, `exponential() got to "1s" (string). Make it at least as long as from, 5s.`],
    [{ from: 1, to: 2, factor: 0.5 }, 'exponential() got factor 0.5 (number). Use a number from 1.'],
    [{ from: 1, to: 2, factor: Infinity }, 'exponential() got factor Infinity (number). Use a number from 1.'],
    [{ from: 1, to: 2, jitter: 1.1 }, 'exponential() got jitter 1.1 (number). Use a number from 0 to 1.'],
    [{ from: 1, to: 2, jitter: Number.NaN }, 'exponential() got jitter NaN (number). Use a number from 0 to 1.'],
    [
      { from: 1, to: 2, min: 1 },
      'exponential() got an unknown option "min". It knows: from, to, factor, jitter, reset.',
    ],
    ['200ms', 'exponential() got options "200ms" (string). Write them as an object: { from: … }.'],
  ])('refuses %j', (options, message) => {
    expect(() => exponential(options as never)).toThrow(expect.objectContaining({ message }))
  })
})

describe('delayOf', () => {
  test('without jitter doubles up to the longest wait', () => {
    const backoff = exponential({ from: '3s', to: '30s', jitter: 0 })
    expect([1, 2, 3, 4, 5, 6].map((n) => delayOf(backoff, n, Math.random))).toEqual([
      3000, 6000, 12_000, 24_000, 30_000, 30_000,
    ])
  })

  test('with jitter 0.5, drawn 1 000 times, stays from half to the whole of each wait, never above `to` (B2)', () => {
    const backoff = exponential({ from: '100ms', to: '1s' })
    for (const [n, whole] of [100, 200, 400, 800, 1000, 1000].entries()) {
      const waits = Array.from({ length: 1000 }, () => delayOf(backoff, n + 1, Math.random))
      expect(Math.min(...waits)).toBeGreaterThanOrEqual(whole / 2)
      expect(Math.max(...waits)).toBeLessThanOrEqual(whole)
      expect(Math.max(...waits) - Math.min(...waits)).toBeGreaterThan(whole / 4) // it is really drawn
    }
  })

  test('is a whole number within its bounds for every policy, try and draw', () => {
    const policy = fc.record({
      from: fc.nat({ max: 100_000 }),
      more: fc.nat({ max: 2 ** 40 }),
      factor: fc.double({ min: 1, max: 100, noNaN: true }),
      jitter: fc.double({ min: 0, max: 1, noNaN: true }),
    })
    const draw = fc.double({ min: 0, max: 1, noNaN: true })
    fc.assert(
      fc.property(policy, fc.integer({ min: 1, max: 10_000 }), draw, ({ from, more, factor, jitter }, n, drawn) => {
        const to = from + more
        const wait = delayOf(exponential({ from, to, factor, jitter }), n, () => drawn)
        const whole = from === 0 ? 0 : Math.min(to, Math.round(from * factor ** (n - 1)))
        expect(Number.isInteger(wait)).toBe(true)
        expect(wait).toBeLessThanOrEqual(whole)
        expect(wait).toBeGreaterThanOrEqual((1 - jitter) * whole * (1 - 1e-12)) // the product's own rounding
      }),
    )
  })

  test.each([
    [0, 10_000, 0],
    [1, 10_000, 60_000],
    [1, 1, 1],
  ])('from %d at try %d waits %d: nothing overflows', (from, n, expected) => {
    expect(delayOf(exponential({ from, to: '1m', jitter: 0 }), n, () => 0.5)).toBe(expected)
  })
})

describe('isBackoff', () => {
  test('knows what exponential() made, of a second copy too', async () => {
    vi.resetModules()
    const copy = await import('../src/retry.ts')
    expect(isBackoff(exponential({ from: 1, to: 2 }))).toBe(true)
    expect(isBackoff(copy.exponential({ from: 1, to: 2 }))).toBe(true)
    expect(isBackoff({ ...exponential({ from: 1, to: 2 }) })).toBe(true)
    expect(isBackoff({ from: 1, to: 2, factor: 2, jitter: 0, reset: 2 })).toBe(false)
  })

  test.each(hostileValues.filter(([name]) => !name.includes('says yes')))('never throws: %s', (_name, make) => {
    expect(isBackoff(make())).toBe(false)
  })
})

describe('readBackoff', () => {
  test('refuses a plain object', () => {
    expect(() => readBackoff('supervisor "shop"', 'backoff', { from: 1 })).toThrow(
      `supervisor "shop" got backoff { from: 1 } (object). Use exponential({ from: '200ms', to: '10s' }).`,
    )
    expect(readBackoff('supervisor "shop"', 'backoff', undefined)).toBeUndefined()
  })
})

describe('readRetry', () => {
  test('is one attempt by default', () => {
    expect(readRetry('task "resize"', undefined)).toEqual({ attempts: 1, backoff: undefined, when: undefined })
  })

  test('keeps what was given', () => {
    const given = { attempts: 5, backoff: exponential({ from: 1, to: 2 }), when: () => true }
    expect(readRetry('task "resize"', given)).toEqual(given)
  })

  test.each([
    [{ attempts: 0 }, 'retry of task "resize" got attempts 0 (number). Use a whole number from 1.'],
    [{ attempts: 1.5 }, 'retry of task "resize" got attempts 1.5 (number). Use a whole number from 1.'],
    [{ attempts: Infinity }, 'retry of task "resize" got attempts Infinity (number). Use a whole number from 1.'],
    [{ attempts: '3' }, 'retry of task "resize" got attempts "3" (string). Use a whole number from 1.'],
    [
      { backoff: '1s' },
      `retry of task "resize" got backoff "1s" (string). Use exponential({ from: '200ms', to: '10s' }).`,
    ],
    [{ when: true }, 'retry of task "resize" got when true (boolean). Pass a function.'],
    [{ atempts: 3 }, 'retry of task "resize" got an unknown option "atempts". Did you mean "attempts"?'],
    [3, 'retry of task "resize" got options 3 (number). Write them as an object: { attempts: … }.'],
    [null, 'retry of task "resize" got options null. Write them as an object: { attempts: … }.'],
  ])('refuses %j', (value, message) => {
    expect(() => readRetry('task "resize"', value)).toThrow(expect.objectContaining({ message }))
  })
})
