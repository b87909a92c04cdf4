import { describe, expect, test } from 'vitest'
import { plugin, resume, start, task, type EventOf } from 'rootcatch'
import { manualClock, type ManualClock } from 'rootcatch/testing'
import { jobRecorder } from '../support/job-recorder.ts'
import { failOnUnhandled } from '../support/unhandled.ts'

failOnUnhandled()

const boom = (): never => {
  throw new Error('boom')
}

describe('J9 late, each row of §7', () => {
  type End = 'value' | 'error'
  const later = (clock: ManualClock, end: End): Promise<unknown> =>
    new Promise((resolve, reject) =>
      clock.setTimeout(() => (end === 'value' ? resolve('late') : reject(new Error('late'))), 1_000),
    )

  const parts = {
    'a body': (clock: ManualClock, end: End) => task('root', { timeout: 10 }, () => later(clock, end)),
    'a fallback': (clock: ManualClock, end: End) =>
      task('root', { timeout: 10, fallback: () => later(clock, end) }, () => boom()),
    'a hook': (clock: ManualClock, end: End) =>
      task(
        'root',
        { hookTimeout: 10, plugins: [plugin('slow', { pluginError: () => later(clock, end) })] },
        (_: unknown, ctx) => ctx.pluginError(),
      ),
  }
  const rows = Object.keys(parts).flatMap((part) =>
    (['value', 'error'] as const).map((end) => [part as keyof typeof parts, end] as const),
  )

  test.each(rows)('J9 %s that settles late with a %s changes nothing, and is told once', async (part, end) => {
    const clock = manualClock()
    const root = parts[part](clock, end)
    const system = await start(root, { clock, catch: () => resume })
    const seen = jobRecorder()
    seen.listen(system)
    const run = system.run(root as never)
    await clock.advance(20)
    const before = await run.settled()
    expect(before.status).toBe('failed')
    await clock.advance('1h')
    const told = seen.all('job.late') as readonly EventOf<'job.late'>[]
    expect(told).toMatchObject([
      { path: run.path, attempt: 1, outcome: end, ...(end === 'error' && { error: { message: 'late' } }) },
    ])
    expect(await run.settled()).toBe(before)
    expect(system.failures()).toHaveLength(1)
    expect(system.stats().jobs.late).toBe(1)
    await system.stop()
  })

  test('J9 late progress and late yields are dropped', async () => {
    const clock = manualClock()
    const root = task('root', { timeout: 10 }, async function* (_: unknown, ctx) {
      yield 'early'
      ctx.progress('early too')
      await new Promise<void>((resolve) => clock.setTimeout(resolve, 100))
      ctx.progress('late')
      yield 'late too'
      return 'latest'
    })
    const system = await start(root, { clock, catch: () => resume })
    const seen = jobRecorder()
    seen.listen(system)
    const run = system.run(root)
    const progress: unknown[] = []
    const watching = (async () => {
      for await (const value of run) progress.push(value)
    })()
    await clock.advance('1h')
    await watching
    expect(progress).toEqual(['early', 'early too'])
    expect(seen.all('job.progress').map(({ value }) => value)).toEqual(['early', 'early too'])
    expect(seen.all('job.late')).toHaveLength(1)
    await system.stop()
  })

  test('J9 a late attempt is told with its own number, also while the next one runs', async () => {
    const clock = manualClock()
    const root = task('root', { timeout: 10, retry: { attempts: 2 } }, async (_: unknown, ctx) => {
      await new Promise<void>((resolve) => clock.setTimeout(resolve, ctx.attempt === 1 ? 15 : 8))
      return ctx.attempt
    })
    const system = await start(root, { clock })
    const seen = jobRecorder()
    seen.listen(system)
    const run = system.run(root)
    await clock.advance('1m')
    expect(await run).toBe(2)
    expect(seen.all('job.late').map(({ attempt }) => attempt)).toEqual([1])
    await system.stop()
  })
})
