import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { allows, charge, createSlidingWindow, roomIn, untilRoom } from '../src/sliding-window.ts'

describe('a sliding window', () => {
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
    const window = createSlidingWindow(limit, 1000)
    for (const time of charged) charge(window, time)
    expect(allows(window, now)).toBe(allowed)
  })

  test('answers as a list of all charges would', () => {
    const steps = fc.array(fc.nat({ max: 400 }), { maxLength: 100 })
    fc.assert(
      fc.property(fc.nat({ max: 5 }), fc.integer({ min: 1, max: 1000 }), steps, (limit, within, gaps) => {
        const window = createSlidingWindow(limit, within)
        const charges: number[] = []
        let now = 0
        for (const gap of gaps) {
          now += gap
          const allowed = charges.filter((time) => now - time <= within).length < limit
          expect(allows(window, now)).toBe(allowed)
          expect(roomIn(window, now, 3)).toBe(
            Math.min(3, limit - charges.filter((time) => now - time <= within).length),
          )
          if (!allowed) continue
          charge(window, now)
          charges.push(now)
        }
      }),
    )
  })

  test('says when there is room again', () => {
    const window = createSlidingWindow(2, 1000)
    charge(window, 0)
    charge(window, 300)
    expect(untilRoom(window, 400)).toBe(601)
    expect([allows(window, 1000), allows(window, 1001)]).toEqual([false, true])
    expect(untilRoom(window, 5000)).toBe(0)
  })

  test('keeps no more than its limit', () => {
    const window = createSlidingWindow(3, 1)
    for (let now = 0; now < 1000; now++) charge(window, now)
    expect(window.times).toHaveLength(3)
    charge(createSlidingWindow(0, 1), 0)
  })
})
