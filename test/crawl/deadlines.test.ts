import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Deadlines } from '../../src/crawl/deadlines.ts'
import { hostnameOf, hostOf, originOf, targetOf } from '../../src/crawl/url-parts.ts'
import { manualClock } from '../../src/testing/manual-clock.ts'

describe('deadlines', () => {
  test('come when each is due, whichever were ended meanwhile, as timers of their own would', async () => {
    const step = fc.record({
      wait: fc.nat(30),
      ms: fc.constantFrom(0, 10, 10, 20, 35),
      endsAfter: fc.option(fc.nat(40).map((ms) => ms + 0.5)), // never in the same moment, where either may be first
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const expected: string[] = []
        const seen: string[] = []
        const clock = manualClock()
        const deadlines = new Deadlines(clock)
        const from = clock.now()
        for (const [index, { wait, ms, endsAfter }] of steps.entries()) {
          await clock.advance(wait)
          const own = clock.setTimeout(() => expected.push(`${index} at ${clock.now() - from}`), ms)
          const deadline = deadlines.begin(ms, () => seen.push(`${index} at ${clock.now() - from}`))
          if (endsAfter === null) continue
          clock.setTimeout(() => {
            clock.clearTimeout(own)
            deadline.end()
          }, endsAfter)
        }
        await clock.advance(1000)
        expect(seen.toSorted()).toEqual(expected.toSorted())
      }),
      { numRuns: 50 },
    )
  })

  test('leave no timer behind once all are ended, or closed', () => {
    const clock = manualClock()
    const deadlines = new Deadlines(clock)
    const [one, other] = [deadlines.begin(10, () => {}), deadlines.begin(10, () => {})]
    one.end()
    other.end()
    other.end()
    expect(clock.pending).toBe(0)
    deadlines.begin(10, () => {})
    deadlines.begin(20, () => {})
    deadlines.close()
    expect(clock.pending).toBe(0)
  })
})

describe('the parts of a URL', () => {
  test('are those that WHATWG reads, for any URL it wrote', () => {
    const host = fc.oneof(
      fc.domain(),
      fc.constantFrom('127.0.0.1', '[::1]', 'a', 'x:8080', '[::1]:81', 'x:443', 'x:80'),
    )
    const text = fc.tuple(
      fc.constantFrom('http', 'https'),
      host,
      fc.webPath(),
      fc.constantFrom('', '?a=1#b', '#/x', '?/'),
    )
    fc.assert(
      fc.property(text, ([scheme, at, path, rest]) => {
        const url = new URL(`${scheme}://${at}${path}${rest}`)
        const parts = [originOf(url.href), hostOf(url.href), hostnameOf(url.href), targetOf(url.href)]
        const target =
          url.search === '' && url.href.split('#')[0]?.endsWith('?')
            ? `${url.pathname}?`
            : `${url.pathname}${url.search}`
        expect(parts).toEqual([url.origin, url.host, url.hostname, target])
      }),
    )
  })
})
