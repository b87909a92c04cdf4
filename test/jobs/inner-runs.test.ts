import { describe, expect, test, vi } from 'vitest'
import { CancelledError, exponential, Failure, resume, start, supervisor, task, type Task } from 'rootcatch'
import { manualClock, settle } from 'rootcatch/testing'
import { keptStore } from '../support/kept-broker.ts'

describe('ctx.run', () => {
  test('gives the value of another task', async () => {
    const double = task('double', (n: number) => n * 2)
    const work = task('work', async (n: number, ctx) => (await ctx.run(double, n)) + 1)
    await using system = await start(supervisor('app', [double, work]))
    const added: unknown[] = []
    system.on('job.added', ({ path, by }) => void added.push([path.replace(/:.*/, ''), by]))
    const run = system.run(work, 20)
    expect(await run).toBe(41)
    expect(added).toEqual([
      ['app/work/job', undefined],
      ['app/double/job', run.path],
    ])
  })

  test('composes: a chain, and many at once', async () => {
    const upper = task('upper', (text: string) => text.toUpperCase())
    const join = task('join', (parts: string[]) => parts.join(' '))
    const work = task('work', async (words: string[], { run }) => {
      const parts = await Promise.all(words.map((word) => run(upper, word)))
      return run(join, parts)
    })
    await using system = await start(supervisor('app', [work, upper, join]))
    expect(await system.run(work, ['a', 'b', 'c'])).toBe('A B C')
  })

  test('rejects with the failure of what it asked for, which is then what the body threw', async () => {
    const error = new Error('no disk')
    const child = task('child', () => {
      throw error
    })
    const work = task('work', { retry: { attempts: 2 } }, (_: unknown, ctx) => ctx.run(child))
    await using system = await start(supervisor('app', [work, child]), { catch: () => resume })
    const outcome = await system.run(work).settled()
    expect(outcome).toMatchObject({
      status: 'failed',
      attempts: 2,
      failure: { kind: 'thrown', path: expect.stringContaining('work') },
    })
    const inner = outcome.failure?.error as Failure
    expect(inner).toBeInstanceOf(Failure)
    expect(inner.error).toBe(error)
    expect(outcome.failure?.report()).toContain('no disk')
    expect(JSON.stringify(outcome.failure)).toContain('no disk')
    expect((await system.dead.list()).map(({ task: path }) => path)).toEqual(['app/work', 'app/child', 'app/child'])
  })

  test('can be caught like anything else', async () => {
    const child = task('child', () => {
      throw new Error('no')
    })
    const work = task('work', async (_: unknown, ctx) => ctx.run(child).catch(() => 'instead'))
    await using system = await start(supervisor('app', [work, child]), { catch: () => resume })
    expect(await system.run(work)).toBe('instead')
  })

  test('refuses a task that is not in this system, and what is no task', async () => {
    const stranger = task('stranger', () => 1)
    const work = task('work', (which: number, ctx) => ctx.run(which === 0 ? stranger : ('stranger' as never)))
    await using system = await start(work, { catch: () => resume })
    const errors = [await system.run(work, 0).settled(), await system.run(work, 1).settled()]
    expect(errors.map(({ failure }) => String(failure?.error))).toEqual([
      'UnknownTaskError: this system has no task "stranger". Put it under a supervisor given to start(); it has: work.',
      'InvalidOptionError: ctx.run() got task "stranger" (string). Pass what task() gave.',
    ])
  })

  test('begins nothing once its attempt was given up', async () => {
    const clock = manualClock()
    const thrown = vi.fn<(error: unknown) => void>()
    const child = task('child', () => 1)
    const work = task('work', { timeout: '1s' }, async (_: unknown, ctx) => {
      await new Promise<void>((resolve) => clock.setTimeout(resolve, 2_000))
      try {
        await ctx.run(child)
      } catch (error) {
        thrown(error)
      }
    })
    await using system = await start(supervisor('app', [work, child]), { clock, catch: () => resume })
    const added = vi.fn<() => void>()
    system.run(work)
    await settle()
    system.on('job.added', added)
    await clock.advance('3s')
    expect(thrown.mock.calls[0]?.[0]).toMatchObject({ name: 'TimeoutError' })
    expect(added).not.toHaveBeenCalled()
  })
})

describe('slots', () => {
  test('are lent while a job waits for another: recursion does not wait for itself', async () => {
    const sum: Task<number, number> = task('sum', { concurrency: 1 }, async (n: number, ctx) =>
      n === 0 ? 0 : n + (await ctx.run(sum, n - 1)),
    )
    await using system = await start(sum)
    expect(await system.run(sum, 30)).toBe(465)
    expect(system.stats()).toMatchObject({ attempts: 0, openRuns: 0 })
  })

  test('are lent by tasks that wait for each other, and by a body that watches the progress', async () => {
    const ping: Task<number, number> = task('ping', { concurrency: 1 }, async (n: number, ctx) => {
      if (n === 0) return 0
      const run = ctx.run(pong, n - 1)
      for await (const step of run) ctx.progress(step)
      return run
    })
    const pong: Task<number, number> = task('pong', { concurrency: 1 }, async (n: number, ctx) =>
      n === 0 ? 0 : ctx.run(ping, n - 1),
    )
    await using system = await start(supervisor('app', [ping, pong]))
    expect(await system.run(ping, 9)).toBe(0)
  })

  test('are not lent by a job that asks and does not wait', async () => {
    const clock = manualClock()
    let running = 0
    let most = 0
    const child = task('child', () => 1)
    const work = task('work', { concurrency: 2 }, async (_: unknown, ctx) => {
      running += 1
      most = Math.max(most, running)
      ctx.run(child)
      await ctx.sleep('1s')
      running -= 1
    })
    await using system = await start(supervisor('app', [work, child]), { clock })
    const runs = Array.from({ length: 6 }, () => system.run(work))
    await clock.advance('5s')
    await Promise.all(runs)
    expect(most).toBe(2)
  })

  test('in a lane that the asking job holds, or under its own key, nothing could ever begin: refused', async () => {
    const work: Task<string, string> = task('work', async (by: string, ctx) => {
      if (by === 'end') return 'end'
      return ctx.run(work, 'end', by === 'lane' ? { lane: 'a' } : { dedupe: 'k' })
    })
    await using system = await start(work, { catch: () => resume })
    const lane = await system.run(work, 'lane', { lane: 'a' }).settled()
    expect(String(lane.failure?.error)).toMatch(/ctx.run\(\) of work\/job:.* got lane "a" .*give another one/)
    const key = await system.run(work, 'key', { dedupe: 'k' }).settled()
    expect(String(key.failure?.error)).toMatch(/That is the job that asks/)
    expect(await system.run(work, 'lane', { lane: 'b' })).toBe('end')
  })

  test('a detached one may follow in the same lane', async () => {
    const seen: string[] = []
    const work: Task<string, void> = task('work', (by: string, ctx) => {
      seen.push(by)
      if (by === 'first') ctx.run(work, 'second', { lane: 'a', detached: true })
    })
    await using system = await start(work)
    await system.run(work, 'first', { lane: 'a' })
    await expect.poll(() => seen).toEqual(['first', 'second'])
  })
})

describe('what becomes of it', () => {
  /** A parent that began three jobs: one runs, one waits for its retry, one waits in the queue; and a detached one. */
  async function family(end: (ctx: { cancel(reason: unknown): never }) => unknown) {
    const clock = manualClock()
    const reasons: Record<string, unknown> = {}
    const child = task(
      'child',
      { shutdown: 'kill', retry: { attempts: 9, backoff: exponential({ from: '1h', to: '1h' }) } },
      async (what: string, { signal, sleep }) => {
        if (what === 'fails') throw new Error('no')
        signal.addEventListener('abort', () => (reasons[what] = signal.reason))
        await sleep('1d')
      },
    )
    const queued = task('queued', () => 1)
    const work = task('work', { timeout: '1m' }, async (_: unknown, ctx) => {
      void ctx.run(child, 'runs')
      void ctx.run(child, 'fails')
      void ctx.run(queued)
      void ctx.run(child, 'detached', { detached: true })
      await ctx.sleep('1s')
      return end(ctx)
    })
    const system = await start(supervisor('app', [work, child, queued]), { clock, catch: () => resume })
    system.pause(queued)
    const cancelled: unknown[] = []
    system.on('job.cancelled', ({ path, reason }) => void cancelled.push([path.split('/')[1], reason]))
    const run = system.run(work)
    await settle()
    return { clock, system, run, cancelled, reasons }
  }

  test('given up with the job that asked, unless it is detached', async () => {
    const { system, run, cancelled, reasons } = await family(() => {})
    run.cancel('user left')
    await settle()
    expect(cancelled).toHaveLength(4)
    expect(cancelled).toEqual(
      expect.arrayContaining([
        ['work', 'user left'],
        ['child', 'user left'],
        ['queued', 'user left'],
      ]),
    )
    expect(reasons).toEqual({ runs: expect.any(CancelledError) })
    expect(system.stats().attempts).toBe(1)
    await system.stop()
  })

  test('given up when the job that asked gives itself up', async () => {
    const { clock, system, cancelled } = await family((ctx) => ctx.cancel('enough'))
    await clock.advance('1s')
    expect(cancelled.map((entry) => (entry as unknown[])[1])).toEqual(['enough', 'enough', 'enough', 'enough'])
    await system.stop()
  })

  test('given up when the attempt that asked throws', async () => {
    const { clock, system, run, cancelled } = await family(() => {
      throw new Error('no')
    })
    await clock.advance('1s')
    expect((await run.settled()).status).toBe('failed')
    expect(cancelled.map((entry) => (entry as unknown[])[1])).toEqual(
      Array.from({ length: 3 }, () => `attempt 1 of ${run.path} failed`),
    )
    await system.stop()
  })

  test('given up when the attempt that asked runs out of time', async () => {
    const { clock, system, run, cancelled, reasons } = await family(() => new Promise(() => {}))
    await clock.advance('1m')
    expect((await run.settled()).failure?.kind).toBe('timeout')
    expect(cancelled).toHaveLength(3)
    expect(reasons).toHaveProperty('runs')
    await system.stop()
  })

  test('goes on when the job that asked is done', async () => {
    const { clock, system, run, cancelled } = await family(() => 'done')
    await clock.advance('1s')
    expect(await run).toBe('done')
    expect(cancelled).toEqual([])
    expect(system.stats().attempts).toBe(2)
    await system.stop()
  })

  test('left alone by a stop: on a durable broker both are there for the next process', async () => {
    const clock = manualClock()
    const store = keptStore()
    const child = task('child', { shutdown: 'kill' }, (_: unknown, { sleep }) => sleep('1d'))
    const work = task('work', { shutdown: 'kill' }, (_: unknown, ctx) => ctx.run(child))
    const system = await start(supervisor('app', [work, child]), { clock, broker: store.broker() })
    const failed = vi.fn<() => void>()
    system.on('failure.decided', failed).on('job.failed', failed).on('job.cancelled', failed)
    system.run(work)
    await settle()
    expect(system.stats().attempts).toBe(2)
    const stopped = system.stop()
    await clock.advance('1m')
    await stopped
    expect(failed).not.toHaveBeenCalled()
    const broker = store.broker()
    await broker.open(clock)
    expect((await broker.stats()).map(({ queue, waiting }) => [queue, waiting])).toEqual([
      ['app/work', 1],
      ['app/child', 1],
    ])
  })
})
