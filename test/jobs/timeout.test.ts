import { describe, expect, test } from 'vitest'
import { exponential, resume, start, task, TimeoutError, type TaskContext } from 'rootcatch'
import { manualClock, settle } from 'rootcatch/testing'
import { jobRecorder } from '../support/job-recorder.ts'

const quiet = { catch: () => resume }
const never = new Promise<never>(() => {})

describe('a timeout', () => {
  test('J5 50 ms, attempts 2, the body obeys: both signals aborted, slot free at once each time', async () => {
    const clock = manualClock()
    const signals: AbortSignal[] = []
    const ends: string[] = []
    const backoff = exponential({ from: '1s', to: '1s', jitter: 0 })
    const root = task(
      'root',
      { timeout: 50, retry: { attempts: 2, backoff }, concurrency: 1 },
      async (name: string, ctx) => {
        if (name === 'other') return ends.push(`other at ${clock.now()}`)
        signals.push(ctx.signal)
        return ctx.sleep('1h')
      },
    )
    const system = await start(root, { ...quiet, clock })
    const seen = jobRecorder()
    seen.listen(system)
    const run = system.run(root, 'obeys')
    await settle()
    void system.run(root, 'other')
    await clock.advance(50)
    expect(ends).toEqual(['other at 50']) // while the first waits for its retry
    await clock.advance('2s')
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true])
    expect(signals.map(({ reason }) => reason as unknown)).toEqual([expect.any(TimeoutError), expect.any(TimeoutError)])
    expect(await run.settled()).toMatchObject({ status: 'failed', attempts: 2, failure: { kind: 'timeout' } })
    const { failure } = await run.settled()
    expect(failure).toMatchObject({
      error: {
        message:
          'task "root" was not over after 50ms, attempt 2 of 2. Pass ctx.signal to what it awaits, or raise timeout.',
      },
    })
    expect(seen.all('job.late').map(({ attempt, outcome }) => [attempt, outcome])).toEqual([
      [1, 'error'],
      [2, 'error'],
    ])
    await system.stop()
    expect(clock.pending).toBe(0)
  })

  test('J13 30 days: does not end the attempt at once', async () => {
    const root = task('root', { timeout: '30d' }, async () => {
      await new Promise((resolve) => setTimeout(resolve, 5))
      return 'in time'
    })
    const system = await start(root) // Node's own clock: its timers fire at once above 24.8 days
    expect(await system.run(root)).toBe('in time')
    await system.stop()
  })

  test('30 days: ends the attempt after 30 days', async () => {
    const clock = manualClock()
    const root = task('root', { timeout: '30d' }, () => never)
    const system = await start(root, { ...quiet, clock })
    const run = system.run(root)
    await clock.advance('29d')
    expect((await system.job(run.id))?.status).toBe('running')
    await clock.advance('1d')
    expect(await run.settled()).toMatchObject({ failure: { kind: 'timeout' } })
    await system.stop()
  })

  test('a body that never settles is judged, its slot is free, and nothing waits for it', async () => {
    const clock = manualClock()
    const root = task('root', { timeout: 100, concurrency: 1 }, (n: number) => (n === 0 ? never : n))
    const system = await start(root, { ...quiet, clock })
    const first = system.run(root, 0)
    const second = system.run(root, 2)
    await clock.advance(100)
    expect(await first.settled()).toMatchObject({ status: 'failed', failure: { kind: 'timeout' } })
    expect(await second).toBe(2)
    await system.stop()
    expect(clock.pending).toBe(0)
  })

  test('first the signal aborts, then the chart moves on, both at once', async () => {
    const clock = manualClock()
    const order: string[] = []
    const root = task('root', { timeout: 10 }, (_: unknown, ctx) => {
      ctx.signal.addEventListener('abort', () => order.push('aborted'))
      return never
    })
    const system = await start(root, { ...quiet, clock })
    system.on('failure.decided', () => order.push('decided'))
    void system.run(root)
    await clock.advance(10)
    expect(order).toEqual(['aborted', 'decided'])
    await system.stop()
  })

  test('a signal never aborts after the attempt gave its value, also if it is first read then', async () => {
    const clock = manualClock()
    const kept: TaskContext[] = []
    const root = task('root', { timeout: 10 }, (early: boolean, ctx) => {
      kept.push(ctx)
      if (early) void ctx.signal
      return 1
    })
    const system = await start(root, { clock })
    const runs = [system.run(root, true), system.run(root, false)]
    await Promise.all(runs)
    for (const run of runs) run.cancel('too late')
    await clock.advance('1h')
    await system.stop()
    expect(kept.map(({ signal }) => signal.aborted)).toEqual([false, false])
  })

  test('a signal read after the timeout is aborted with the same reason', async () => {
    const clock = manualClock()
    let ctx: TaskContext | undefined
    const root = task('root', { timeout: 10 }, (_: unknown, given) => {
      ctx = given
      return never
    })
    const system = await start(root, { ...quiet, clock })
    const run = system.run(root)
    await clock.advance(10)
    const { failure } = await run.settled()
    expect(ctx?.signal.aborted).toBe(true)
    expect(ctx?.signal.reason).toBe(failure?.error)
    await expect(ctx?.sleep(5)).rejects.toBe(failure?.error)
    await system.stop()
    expect(clock.pending).toBe(0)
  })

  test('sleep rejects with the reason, and a sleep nobody awaits harms nobody', async () => {
    const clock = manualClock()
    const rejected: unknown[] = []
    const root = task('root', { timeout: 10 }, async (_: unknown, ctx) => {
      void ctx.sleep('1h')
      await ctx.sleep('1h').catch((error: unknown) => rejected.push(error))
    })
    const system = await start(root, { ...quiet, clock })
    const run = system.run(root)
    await clock.advance(10)
    const { failure } = await run.settled()
    expect(rejected).toEqual([failure?.error])
    await system.stop()
    expect(clock.pending).toBe(0)
    expect(system.failures()).toHaveLength(1)
  })

  test('a sleep with a wrong duration says so', async () => {
    const root = task('root', (_: unknown, ctx) => ctx.sleep('soon' as never))
    const system = await start(root, quiet)
    const { failure } = await system.run(root).settled()
    expect(failure).toMatchObject({
      error: { message: expect.stringMatching(/^ctx\.sleep\(\) got duration "soon" \(string\)/) as string },
    })
    await system.stop()
  })

  test('a generator gets return() when its time is over, so that its finally runs', async () => {
    const clock = manualClock()
    const lines: string[] = []
    const root = task('root', { timeout: 10 }, async function* (_: unknown, ctx) {
      try {
        yield 1
        await ctx.sleep('1h')
      } finally {
        lines.push('finally')
      }
    })
    const system = await start(root, { ...quiet, clock })
    const seen = jobRecorder()
    seen.listen(system)
    const run = system.run(root)
    await clock.advance(10)
    expect(await run.settled()).toMatchObject({ failure: { kind: 'timeout' } })
    await settle()
    expect(lines).toEqual(['finally'])
    expect(seen.all('job.late')).toHaveLength(1)
    await system.stop()
  })

  test('the fallback has the timeout for itself, and is judged by it', async () => {
    const clock = manualClock()
    const root = task('root', { timeout: 100, fallback: () => never }, () => never)
    const system = await start(root, { ...quiet, clock })
    const run = system.run(root)
    await clock.advance(199)
    expect((await system.job(run.id))?.status).toBe('running')
    await clock.advance(1)
    const { failure } = await run.settled()
    expect(failure).toMatchObject({ kind: 'fallback', error: { code: 'timeout' }, cause: { kind: 'timeout' } })
    await system.stop()
  })

  test('covers one attempt, not the wait before the next', async () => {
    const clock = manualClock()
    const backoff = exponential({ from: '1h', to: '1h', jitter: 0 })
    const root = task('root', { timeout: 10, retry: { attempts: 2, backoff } }, (_: unknown, ctx) => {
      if (ctx.attempt === 1) throw new Error('no')
      return 'second'
    })
    const system = await start(root, { ...quiet, clock })
    const run = system.run(root)
    await settle()
    expect(clock.pending).toBe(1) // the wait; no timer of the attempt
    await clock.advance('1h')
    expect(await run).toBe('second')
    expect(clock.pending).toBe(0)
    await system.stop()
  })
})
