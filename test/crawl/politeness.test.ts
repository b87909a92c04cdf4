import { describe, expect, test } from 'vitest'
import { Politeness, type HostEvent, type PolitenessOptions, type Turn } from '../../src/crawl/politeness.ts'
import { exponential } from '../../src/retry.ts'
import { manualClock } from '../../src/testing/manual-clock.ts'

const url = 'http://shop.example/a'
const ok = { kind: 'ok' } as const
const error = { kind: 'error' } as const

function gate(options: PolitenessOptions = {}, random = (): number => 0.5) {
  const clock = manualClock(1_000_000)
  const events: HostEvent[] = []
  const politeness = new Politeness(options, { clock, random, onChange: (event) => events.push(event) })
  const started: number[] = []
  const ask = async (to = url): Promise<Turn> => {
    const turn = await politeness.turn(to)
    started.push(clock.now() - 1_000_000)
    return turn
  }
  return { clock, politeness, events, started, ask }
}

describe('perHost', () => {
  test('lets eight at once to a host, the next when one is over', async () => {
    const { clock, started, ask } = gate()
    const turns = Array.from({ length: 10 }, () => ask())
    await clock.advance(0)
    expect(started).toHaveLength(8)
    const first = await turns[0]
    first?.end(ok)
    first?.end(ok)
    await clock.advance(0)
    expect(started).toHaveLength(9)
  })

  test('counts by host and port, so that one host that waits keeps no other', async () => {
    const { clock, started, ask } = gate({ perHost: { concurrency: 1 } })
    for (const to of [
      url,
      url,
      'https://shop.example/',
      'http://shop.example:8080/',
      'http://other.example/',
      'http://SHOP.example:80/',
    ]) {
      void ask(to)
    }
    await clock.advance(0)
    expect(started).toHaveLength(4)
  })

  test('keeps the delay from start to start, plus a jitter by lot', async () => {
    const { clock, started, ask } = gate({ perHost: { delay: '1s', jitter: 100 } })
    for (let count = 0; count < 4; count += 1) void ask()
    await clock.advance('10s')
    expect(started).toEqual([0, 1050, 2100, 3150])
  })

  test('says when to ask again, for who does not want to wait', async () => {
    const { clock, politeness } = gate({ perHost: { delay: '1s', concurrency: 2 } })
    expect(politeness.tryTurn(url)).toHaveProperty('host', 'shop.example:80')
    expect(politeness.tryTurn(url)).toEqual({ nextAt: 1_001_000 })
    await clock.advance('1s')
    politeness.tryTurn(url)
    expect(politeness.tryTurn(url)).toEqual({ nextAt: Infinity })
  })

  test('is as slow as a robots.txt asks, and no faster', async () => {
    const { clock, started, ask, politeness } = gate({ perHost: { delay: 100 } })
    politeness.slowTo(url, 2000)
    politeness.slowTo(url, 50)
    for (let count = 0; count < 3; count += 1) void ask()
    await clock.advance('10s')
    expect(started).toEqual([0, 2000, 4000])
  })

  test('lets somebody leave the queue, with the reason of the signal', async () => {
    const { clock, started, ask, politeness } = gate({ perHost: { concurrency: 1 } })
    const turn = await ask()
    const stop = new AbortController()
    const leaving = politeness.turn(url, stop.signal)
    void ask()
    stop.abort(new Error('stopped'))
    await expect(leaving).rejects.toThrow('stopped')
    turn.end(ok)
    await clock.advance(0)
    expect(started).toHaveLength(2)
  })

  test('forgets hosts that nobody asks any more', async () => {
    const { politeness } = gate()
    for (let host = 0; host < 5000; host += 1) {
      const turn = await politeness.turn(`http://host-${host}.example/`)
      turn.end(ok)
    }
    expect(politeness.size).toBe(0)
  })

  test('forgives hosts that failed, long after nobody asks any more', async () => {
    const { clock, politeness } = gate()
    for (let host = 0; host < 3000; host += 1) {
      const turn = await politeness.turn(`http://host-${host}.example/`)
      await clock.advance(1000)
      turn.end(error)
    }
    expect(politeness.size).toBeLessThan(2100)
  })
})

describe('a host that throttles', () => {
  test('is left alone as a whole for as long as it asked, others are not', async () => {
    const { clock, started, ask, events } = gate()
    const turn = await ask()
    turn.end({ kind: 'throttled', retryAfter: 7000 })
    void ask()
    void ask('http://other.example/')
    await clock.advance('6s')
    expect(started).toHaveLength(2)
    await clock.advance('1s')
    expect(started).toEqual([0, 0, 7000])
    expect(events).toEqual([{ kind: 'paused', host: 'shop.example:80', because: 'throttled', until: 1_007_000 }])
  })

  test('is left alone no longer than maxRetryAfter', async () => {
    const { events, ask } = gate({ maxRetryAfter: '1m' })
    ;(await ask()).end({ kind: 'throttled', retryAfter: 86_400_000 })
    expect(events[0]).toMatchObject({ until: 1_060_000 })
  })

  test('and does not say for how long rests 5 s, doubling to 5 min; what goes well begins anew', async () => {
    const { clock, events, ask } = gate()
    const rests: number[] = []
    for (let count = 0; count < 8; count += 1) {
      const asked = ask()
      await clock.advance('6m')
      const turn = await asked
      turn.end({ kind: 'throttled', retryAfter: undefined })
      const last = events.at(-1)
      if (last?.kind === 'paused') rests.push(last.until - clock.now())
    }
    expect(rests).toEqual([5000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000])
    const going = ask()
    await clock.advance('6m')
    ;(await going).end(ok)
    await clock.advance('1m')
    const again = await ask()
    again.end({ kind: 'throttled', retryAfter: undefined })
    expect(events.at(-1)).toMatchObject({ until: clock.now() + 5000 })
  })

  test('eight times at once rests once', async () => {
    const { clock, events, ask } = gate()
    const turns = await Promise.all(Array.from({ length: 8 }, () => ask()))
    await clock.advance(10)
    for (const turn of turns) turn.end({ kind: 'throttled', retryAfter: undefined })
    expect(events).toEqual([{ kind: 'paused', host: 'shop.example:80', because: 'throttled', until: 1_005_010 }])
  })
})

describe('a host that fails', () => {
  test('is asked half as much at once after an error, and more again while all goes well', async () => {
    const { clock, ask, started } = gate()
    const turns = await Promise.all(Array.from({ length: 8 }, () => ask()))
    await clock.advance(10)
    for (const turn of turns) turn.end(error) // they began before the first of them could slow it down
    const next = Array.from({ length: 8 }, () => ask())
    await clock.advance(0)
    expect(started).toHaveLength(12)
    for (const turn of await Promise.all(next.slice(0, 4))) turn.end(ok)
    await clock.advance(0)
    const running = started.length - 12
    expect(running).toBe(4)
    void ask()
    await clock.advance(0)
    expect(started).toHaveLength(17) // five at once by now
  })

  test('pauses after pauseAfter errors in a row, sends one ahead, and resumes when that goes well', async () => {
    const backoff = exponential({ from: '10s', to: '1m', jitter: 0 })
    const { clock, ask, started, events } = gate({ domains: { 'shop.example': { pauseAfter: 3, backoff } } })
    for (let count = 0; count < 3; count += 1) {
      const turn = await ask()
      await clock.advance(1)
      turn.end(error)
      await clock.advance(1)
    }
    expect(events).toEqual([{ kind: 'paused', host: 'shop.example:80', because: 'errors', until: 1_010_005 }])
    const waiting = Array.from({ length: 4 }, () => ask())
    await clock.advance('20s')
    expect(started).toHaveLength(4)
    const probe = await waiting[0]
    probe?.end(error)
    expect(events.at(-1)).toMatchObject({ kind: 'paused', until: clock.now() + 20_000 })
    await clock.advance('30s')
    expect(started).toHaveLength(5)
    ;(await waiting[1])?.end(ok)
    expect(events.at(-1)).toEqual({ kind: 'resumed', host: 'shop.example:80' })
    await clock.advance('5m')
    expect(started.length).toBeGreaterThan(5)
  })
})

test('a host that comes back is sent one request ahead, however many it was allowed before', async () => {
  const { clock, ask, started } = gate({ domains: { 'shop.example': { pauseAfter: 1 } } })
  ;(await ask()).end(error)
  const waiting = Array.from({ length: 6 }, () => ask())
  await clock.advance('10s')
  expect(started).toHaveLength(2)
  ;(await waiting[0])?.end(ok)
  await clock.advance('10s')
  expect(started.length).toBeGreaterThan(4)
})

describe('domains', () => {
  test('the longest match counts: a host before what is above it', async () => {
    const { clock, started, ask } = gate({
      perHost: { concurrency: 3 },
      domains: {
        '*.slow.example': { concurrency: 2 },
        '*.very.slow.example': { concurrency: 1 },
        'a.slow.example': { concurrency: 4 },
      },
    })
    for (const [host, most] of [
      ['x.example', 3],
      ['slow.example', 3],
      ['b.slow.example', 2],
      ['c.very.slow.example', 1],
      ['a.slow.example', 4],
    ] as const) {
      const before = started.length
      for (let count = 0; count < 6; count += 1) void ask(`http://${host}/`)
      await clock.advance(0)
      expect([host, started.length - before]).toEqual([host, most])
    }
  })

  test('refuses what is no host', () => {
    expect(() => gate({ domains: { 'http://shop.example': {} } })).toThrow(
      `Write hosts as 'shop.example' or '*.shop.example'.`,
    )
    expect(() => gate({ domains: { 'shop.example': { concurency: 2 } as object } })).toThrow(
      'Did you mean "concurrency"?',
    )
  })
})
