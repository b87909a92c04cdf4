import { exponential, RestartLimitError, start, stop, supervisor, type System } from 'rootcatch'
import { manualClock, settle } from 'rootcatch/testing'
import { describe, expect, test } from 'vitest'
import { fail, failuresOf, listOf, lives, raise, tell } from '../support/lives.ts'

const unlimited = { restarts: { limit: 1_000_000 } } as const

/** The waits of the rounds of a system as they begin. */
function delaysOf(system: System): number[] {
  const delays: number[] = []
  system.on('supervisor.restarting', ({ delay }) => delays.push(delay))
  return delays
}

describe('backoff', () => {
  test('B1: quiet for reset: the next failure waits from', async () => {
    const { life } = lives()
    const clock = manualClock()
    const backoff = exponential({ from: '1s', to: '30s', jitter: 0, reset: '1m' })
    const system = await start(supervisor('app', { ...unlimited, backoff }, [life('a')]), { clock })
    const delays = delaysOf(system)
    for (let n = 0; n < 7; n += 1) {
      fail(system, 'app/a')
      await clock.advance('30s')
    }
    expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000])
    await clock.advance(59_999)
    fail(system, 'app/a') // a millisecond too soon: it came up when the last advance ended
    await clock.advance('30s')
    await clock.advance('1m')
    fail(system, 'app/a')
    expect(delays.slice(7)).toEqual([30_000, 1_000])
    await system.stop()
  })

  test('B2: jitter 0.5, 1 000 waits: all from d/2 to d, none above to', async () => {
    const { life } = lives()
    const clock = manualClock()
    const backoff = exponential({ from: '10s', to: '10s', reset: '1d' })
    const system = await start(supervisor('app', { ...unlimited, backoff }, [life('a')]), { clock })
    const delays = delaysOf(system)
    for (let n = 0; n < 1_000; n += 1) {
      fail(system, 'app/a')
      await clock.advance('10s')
    }
    expect(delays).toHaveLength(1_000)
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(5_000)
    expect(Math.max(...delays)).toBeLessThanOrEqual(10_000)
    expect(Math.max(...delays) - Math.min(...delays)).toBeGreaterThan(4_000)
    await system.stop()
  })

  test('draws from the random numbers that start was given', async () => {
    const { life } = lives()
    const clock = manualClock()
    const backoff = exponential({ from: '10s', to: '10s' })
    const system = await start(supervisor('app', { ...unlimited, backoff }, [life('a')]), { clock, random: () => 0.5 })
    const delays = delaysOf(system)
    fail(system, 'app/a')
    expect(delays).toEqual([7_500])
    await system.stop()
  })

  test('B3: limit 2 and backoff: the third failure in the window: the supervisor fails', async () => {
    const { life } = lives()
    const clock = manualClock()
    const options = { restarts: { limit: 2, within: '1m' }, backoff: exponential({ from: '1s', to: '1s' }) } as const
    const system = await start(supervisor('app', options, [life('a')]), { clock, catch: () => stop })
    const failures = failuresOf(system)
    for (let n = 1; n <= 3; n += 1) {
      fail(system, 'app/a', n)
      await clock.advance('1s')
    }
    await expect(system.done).rejects.toMatchObject({ error: 3 })
    expect(failures.at(-1)?.trail[0]?.because).toBeInstanceOf(RestartLimitError)
    expect(clock.pending).toBe(0)
  })

  test('B4: a and b back off in turn: each has its own count; their siblings keep answering', async () => {
    const { life } = lives()
    const clock = manualClock()
    const backoff = exponential({ from: '1s', to: '1m', jitter: 0 })
    const system = await start(
      supervisor(
        'app',
        { ...unlimited, backoff },
        ['a', 'b', 'c'].map((n) => life(n)),
      ),
      {
        clock,
      },
    )
    const delays = delaysOf(system)
    const c = system.supervisor('app').children()[2]?.ref ?? raise('no c')
    for (const [name, wait] of [
      ['a', 1_000],
      ['b', 1_000],
      ['a', 2_000],
      ['a', 4_000],
      ['b', 2_000],
    ] as const) {
      fail(system, `app/${name}`)
      c.send({ type: 'count' })
      await clock.advance(wait)
    }
    expect(delays).toEqual([1_000, 1_000, 2_000, 4_000, 2_000])
    expect(c.getSnapshot()).toMatchObject({ context: { count: 5 } })
    await system.stop()
  })

  test('counts the failures of a child, not the rounds of its siblings', async () => {
    const { life } = lives()
    const clock = manualClock()
    const backoff = exponential({ from: '1s', to: '10s', jitter: 0, reset: '20s' })
    const options = { ...unlimited, strategy: 'one-for-all', backoff } as const
    const system = await start(supervisor('app', options, [life('a'), life('b')]), { clock })
    const delays = delaysOf(system)
    fail(system, 'app/a')
    await clock.advance('1s')
    fail(system, 'app/a')
    await clock.advance('25s') // a was quiet for long enough …
    fail(system, 'app/b') // … also if b takes it along
    await clock.advance('1s')
    fail(system, 'app/a')
    expect(delays).toEqual([1_000, 2_000, 1_000, 1_000])
    await system.stop()
  })

  test('begins anew for a child that was stopped and started by hand', async () => {
    const { life } = lives()
    const clock = manualClock()
    const backoff = exponential({ from: '1s', to: '1m', jitter: 0 })
    const system = await start(supervisor('app', { ...unlimited, backoff }, [life('a')]), { clock })
    const delays = delaysOf(system)
    for (let n = 0; n < 2; n += 1) {
      fail(system, 'app/a')
      await clock.advance('2s')
    }
    await system.supervisor('app').stopChild('a')
    await system.supervisor('app').restartChild('a')
    fail(system, 'app/a')
    expect(delays).toEqual([1_000, 2_000, 1_000])
    await system.stop()
  })

  test('a start that fails, and an end that is restarted, count as well', async () => {
    const { life } = lives()
    const clock = manualClock()
    const backoff = exponential({ from: '1s', to: '1m', jitter: 0, reset: '1s' })
    const onStart = (n: number): void => void ((n === 2 || n === 3) && raise('no'))
    const system = await start(supervisor('app', { ...unlimited, backoff }, [life('a', { onStart })]), { clock })
    const delays = delaysOf(system)
    tell(system, 'app/a', { type: 'end' })
    await clock.advance('7s')
    expect(delays).toEqual([1_000, 2_000, 4_000])
    expect(listOf(system, 'app')).toBe('a running 4')
    await system.stop()
  })

  test('may be longer than one timer of Node', async () => {
    const { life } = lives()
    const clock = manualClock()
    const backoff = exponential({ from: '60d', to: '60d', jitter: 0 })
    const system = await start(supervisor('app', { backoff }, [life('a')]), { clock })
    fail(system, 'app/a')
    await clock.advance('59d')
    expect(listOf(system, 'app')).toBe('a restarting 1')
    await clock.advance('1d')
    expect(listOf(system, 'app')).toBe('a running 2')
    await system.stop()
  })

  test('on the clock of the process, too: nothing starts early, and a stop leaves no timer', async () => {
    const { life, lines } = lives()
    const backoff = exponential({ from: '60d', to: '60d', jitter: 0 })
    const system = await start(supervisor('app', { backoff }, [life('a')]))
    fail(system, 'app/a')
    await new Promise((resolve) => setTimeout(resolve, 5))
    await settle()
    expect(lines).toEqual(['+a', '-a'])
    await system.stop()
  })
})
