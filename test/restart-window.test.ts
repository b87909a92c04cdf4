import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { allows, charge, createRestartWindow } from '../src/restart-window.ts'

describe('a restart window', () => {
  test.each([
    { limit: 0, charged: [], now: 0, allowed: false },
    { limit: 0, charged: [], now: 1e9, allowed: false },
    { limit: 1, charged: [], now: 0, allowed: true },
    { limit: 1, charged: [0], now: 0, allowed: false },
    { limit: 1, charged: [0], now: 1000, allowed: false }, // exactly `within` ago still counts
    { limit: 1, charged: [0], now: 1001, allowed: true },
    { limit: 3, charged: [0, 0], now: 0, allowed: true },
    { limit: 3, charged: [0, 400, 800], now: 1000, allowed: false },
    { limit: 3, charged: [0, 400, 800], now: 1001, allowed: true },
    { limit: 3, charged: [0, 400, 800, 1001], now: 1400, allowed: false },
    { limit: 3, charged: [0, 400, 800, 1001], now: 1401, allowed: true },
  ])('of $limit within 1000, charged at $charged, at $now allows: $allowed', ({ limit, charged, now, allowed }) => {
    const window = createRestartWindow(limit, 1000)
    for (const time of charged) charge(window, time)
    expect(allows(window, now)).toBe(allowed)
  })

  test('answers as a list of all charges would', () => {
    const steps = fc.array(fc.nat({ max: 400 }), { maxLength: 100 })
    fc.assert(
      fc.property(fc.nat({ max: 5 }), fc.integer({ min: 1, max: 1000 }), steps, (limit, within, gaps) => {
        const window = createRestartWindow(limit, within)
        const charges: number[] = []
        let now = 0
        for (const gap of gaps) {
          now += gap
          const allowed = charges.filter((time) => now - time <= within).length < limit
          expect(allows(window, now)).toBe(allowed)
          if (!allowed) continue
          charge(window, now)
          charges.push(now)
        }
      }),
    )
  })

  test('keeps no more than its limit', () => {
    const window = createRestartWindow(3, 1)
    for (let now = 0; now < 1000; now++) charge(window, now)
    expect(window.times).toHaveLength(3)
    charge(createRestartWindow(0, 1), 0)
  })
})
