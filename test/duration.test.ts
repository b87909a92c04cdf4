import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatDuration, parseDuration, type Duration } from '../src/duration.ts'

describe('parseDuration', () => {
  test.each<[Duration, number]>([
    [0, 0],
    [-0, 0],
    [250, 250],
    ['0s', 0],
    ['250ms', 250],
    ['30s', 30_000],
    ['1.5s', 1500],
    ['2.3s', 2300],
    ['5m', 300_000],
    ['1.5h', 5_400_000],
    ['30d', 2_592_000_000],
  ])('reads %j as %d ms', (duration, ms) => {
    expect(parseDuration(duration)).toBe(ms)
  })

  test.each([
    [Number.NaN],
    [-1],
    [Infinity],
    [-Infinity],
    [10n],
    [null],
    [undefined],
    [true],
    [{}],
    [['30s']],
    [''],
    ['30'],
    ['s'],
    ['30 sec'],
    ['30 s'],
    [' 30s'],
    ['30s\n'],
    ['-5s'],
    ['+5s'],
    ['1e3s'],
    ['0x10s'],
    ['.5s'],
    ['5.s'],
    ['1m30s'],
    ['30S'],
    ['30w'],
    ['Infinityms'],
    [`${'9'.repeat(400)}s`],
  ])('takes %o for no duration', (value) => {
    expect(parseDuration(value)).toBeUndefined()
  })

  test('never throws and gives whole milliseconds or nothing', () => {
    fc.assert(
      fc.property(fc.oneof(fc.anything(), fc.string(), fc.double()), (value) => {
        const ms = parseDuration(value)
        expect(ms === undefined || (Number.isInteger(ms) && ms >= 0)).toBe(true)
      }),
    )
  })
})

describe('formatDuration', () => {
  test.each([
    [0, '0ms'],
    [400, '400ms'],
    [999.6, '1s'],
    [12_437, '12.4s'],
    [30_000, '30s'],
    [75_000, '75s'],
    [59_999, '1m'],
    [300_000, '5m'],
    [5_400_000, '1.5h'],
    [3_601_000, '1h'],
    [86_400_000, '1d'],
    [2_592_000_000, '30d'],
    [-400, '-400ms'],
    [Infinity, 'Infinity'],
  ])('writes %d ms as %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text)
  })

  test('of up to three digits and a unit reads back as the same', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 999 }), fc.constantFrom('ms', 's', 'm', 'h', 'd'), (amount, unit) => {
        const ms = parseDuration(`${amount}${unit}`) ?? Number.NaN
        expect(parseDuration(formatDuration(ms))).toBe(ms)
      }),
    )
  })

  test('of any length reads back within a twentieth', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e12 }), (ms) => {
        const back = parseDuration(formatDuration(ms)) ?? Number.NaN
        expect(Math.abs(back - ms)).toBeLessThanOrEqual(ms / 20)
      }),
    )
  })
})
