import { actor, memory, plugin, start, supervisor, task, type Definition, type System } from 'rootcatch'
import { sqlite } from 'rootcatch/sqlite'
import { manualClock, settle } from 'rootcatch/testing'
import { describe, expect, test, vi } from 'vitest'
import { createMachine, fromPromise } from 'xstate'
import { newFiles } from '../support/sqlite-store.ts'

const newFile = newFiles()

const stuck = createMachine({ on: { shutdown: { actions: () => {} } } })

const patient = task('patient', { shutdown: Infinity }, async (time: number, ctx) => {
  await ctx.sleep(time)
  return `after ${time}`
})

const trees: readonly (readonly [string, Definition])[] = [
  ['a machine that never ends', actor('a', stuck, { shutdown: Infinity })],
  ['one below another', supervisor('deep', [actor('a', stuck, { shutdown: '1h' }), actor('b', stuck)])],
  ['two, of which the second would wait for the first', supervisor('app', [actor('a', stuck), actor('b', stuck)])],
]

function stopsOf(system: System): string[] {
  const lines: string[] = []
  system.on('actor.stopped', ({ path, how }) => lines.push(`${path} ${how}`))
  return lines
}

describe('stop within a deadline', () => {
  test.each(trees)('is over when the time is up: %s', async (_what, definition) => {
    const clock = manualClock()
    const system = await start(supervisor('root', [definition]), { clock })
    const isDown = vi.fn<() => void>()
    void system.stop({ within: '1s' }).then(isDown)
    await clock.advance(999)
    expect(isDown).not.toHaveBeenCalled()
    await clock.advance(1)
    expect(isDown).toHaveBeenCalled()
    expect(clock.pending).toBe(0)
    await expect(system.done).resolves.toBeUndefined()
  })

  test('cuts off what still runs; what ended before has ended well', async () => {
    const clock = manualClock()
    const system = await start(supervisor('app', [patient]), { clock })
    const stops = stopsOf(system)
    const runs = [system.run(patient, 500), system.run(patient, 5_000)] as const
    await settle()
    const stopping = system.stop({ within: '1s' })
    await clock.advance('1s')
    await stopping
    expect(await runs[0]).toBe('after 500')
    expect(await runs[1].settled()).toMatchObject({ status: 'cancelled', reason: { code: 'system-stopped' } })
    expect(stops).toEqual(['app/patient killed', 'app killed'])
  })

  test('that is not needed leaves no timer and cuts off nothing', async () => {
    const clock = manualClock()
    const system = await start(supervisor('app', [patient]), { clock })
    const stops = stopsOf(system)
    const run = system.run(patient, 500)
    await settle()
    const stopping = system.stop({ within: '1s' })
    await clock.advance(500)
    await stopping
    expect(await run).toBe('after 500')
    expect(stops).toEqual(['app/patient stopped', 'app stopped'])
    expect(clock.pending).toBe(0)
  })

  test('0 asks nobody', async () => {
    const clock = manualClock()
    const asked = vi.fn<() => void>()
    const machine = createMachine({ on: { shutdown: { actions: asked } } })
    const system = await start(supervisor('app', [actor('a', machine), patient]), { clock })
    const stops = stopsOf(system)
    await system.stop({ within: 0 })
    expect(asked).not.toHaveBeenCalled()
    expect(stops).toEqual(['app/patient killed', 'app/a killed', 'app killed'])
    expect(clock.pending).toBe(0)
  })

  test('0 while it stops cuts off at once, and gives the same promise', async () => {
    const clock = manualClock()
    const system = await start(supervisor('app', [actor('a', stuck, { shutdown: Infinity }), patient]), { clock })
    const run = system.run(patient, 1_000)
    await settle()
    const first = system.stop()
    const second = system.stop({ within: 0 })
    expect(second).toBe(first)
    await second
    expect((await run.settled()).status).toBe('cancelled')
    expect(clock.pending).toBe(0)
  })

  test.each([
    ['a shorter one', '1s', '200ms', 200],
    ['a longer one', '200ms', '1s', 200],
  ] as const)('asked again with %s, the earliest holds', async (_what, first, second, ms) => {
    const clock = manualClock()
    const system = await start(supervisor('app', [actor('a', stuck, { shutdown: Infinity })]), { clock })
    const isDown = vi.fn<() => void>()
    void system.stop({ within: first }).then(isDown)
    void system.stop({ within: second })
    await clock.advance(ms - 1)
    expect(isDown).not.toHaveBeenCalled()
    await clock.advance(1)
    expect(isDown).toHaveBeenCalled()
    expect(clock.pending).toBe(0)
  })

  test('does not wait for hooks that watch, nor for teardown, when the time is up', async () => {
    const clock = manualClock()
    const never = (): Promise<void> => new Promise(() => {})
    const slow = plugin('slow', { done: never, teardown: never })
    const quick = task('quick', { hookTimeout: '1h' }, () => 'done')
    const system = await start(supervisor('app', { plugins: [slow] }, [quick]), { clock, plugins: [slow] })
    const run = system.run(quick)
    await settle()
    const isDown = vi.fn<() => void>()
    void system.stop({ within: '1s' }).then(isDown)
    await clock.advance(999)
    expect(isDown).not.toHaveBeenCalled()
    await clock.advance(1)
    expect(isDown).toHaveBeenCalled()
    expect((await run.settled()).status).toBe('done')
  })

  test('asked for when the system is down changes nothing', async () => {
    const clock = manualClock()
    const system = await start(
      actor(
        'a',
        fromPromise(() => new Promise(() => {})),
      ),
      { clock },
    )
    await system.stop()
    await system.stop({ within: '1s' })
    await system.stop({ within: 0 })
    expect(clock.pending).toBe(0)
  })

  test('leaves no timer when the broker refuses an outcome after it was closed', async () => {
    const clock = manualClock()
    const refused = Promise.withResolvers<readonly never[]>()
    const broker = Object.assign(memory(), { settle: () => refused.promise })
    const system = await start(supervisor('app', [patient]), { broker, clock })
    system.run(patient, 0)
    await clock.advance(1)
    await system.stop({ within: 0 })
    refused.reject(new Error('closed'))
    await settle()
    expect(clock.pending).toBe(0)
  })

  test('gives a durable job back with no attempt spent', async () => {
    const file = newFile()
    const first = await start(supervisor('app', [patient]), { broker: sqlite(file) })
    const run = first.run(patient, 3_600_000)
    await new Promise((resolve) => first.once('job.started', resolve))
    await first.stop({ within: '1ms' })
    expect(await run.settled()).toMatchObject({ status: 'cancelled' })

    const quick = task('patient', async (_: number, ctx) => ctx.attempt)
    const second = await start(supervisor('app', [quick]), { broker: sqlite(file) })
    await new Promise<void>((resolve) => second.once('job.done', () => resolve()))
    expect(await second.job(run.id)).toMatchObject({ status: 'done', value: 1, attempts: 1, history: [] })
    await second.stop()
  })

  test.each([
    [{ within: '1 sec' }, /stop\(\) got within "1 sec"/],
    [{ within: -1 }, /stop\(\) got within -1/],
    [{ withn: '1s' }, /Did you mean "within"\?/],
  ])('refuses %j, and goes on', async (options, message) => {
    const system = await start(supervisor('app', [patient]), { clock: manualClock() })
    expect(() => system.stop(options as never)).toThrow(message)
    expect(system.isStopped).toBe(false)
    await system.stop()
  })
})
