import { describe, expect, test } from 'vitest'
import { exponential, PermanentError, plugin, resume, start, supervisor, task, type AnyEvent } from 'rootcatch'
import { manualClock, settle } from 'rootcatch/testing'

describe('a finished job leaves nothing', () => {
  test('J17 20 000 jobs of every outcome: no run, slot, timer, listener or open record is left', async () => {
    const clock = manualClock()
    const backoff = exponential({ from: 1, to: 1, jitter: 0 })
    const job = task(
      'job',
      {
        concurrency: 200,
        timeout: '1h',
        retry: { attempts: 2, backoff },
        lane: (n: number) => (n % 5 === 0 ? `lane ${n % 25}` : undefined),
        dedupe: (n: number) => (n % 7 === 0 ? `key ${n}` : undefined),
        fallback: (n: number) => {
          if (n % 8 === 4) throw new Error('no')
          return 'instead'
        },
        plugins: [plugin('rescue', { pluginError: ({ run }) => (run.input === 3 ? 1 : undefined) })],
      },
      async (n: number, ctx) => {
        void ctx.signal
        switch (n % 8) {
          case 0:
            return n
          case 1:
            if (ctx.attempt === 1) throw new Error('first')
            return n
          case 2:
            throw new PermanentError('never')
          case 3:
            return ctx.pluginError()
          case 4:
            throw new PermanentError('never')
          case 5:
            return ctx.cancel()
          case 6:
            await ctx.sleep(1)
            return n
          default:
            return undefined
        }
      },
    )
    const system = await start(supervisor('app', { catch: () => resume }, [job]), { clock })
    const listeners = process.eventNames().map((name) => process.listenerCount(name))
    let settled = 0
    for (let batch = 0; batch < 20; batch += 1) {
      const runs = Array.from({ length: 1_000 }, (_, n) => system.run(job, n, n % 10 === 9 ? { delay: 5 } : {}))
      runs.forEach((run, n) => n % 100 === 50 && run.cancel())
      const all = Promise.all(runs.map((run) => run.settled()))
      await clock.advance('1s')
      settled += (await all).length
    }
    expect(settled).toBe(20_000)
    await settle()
    expect(system.stats()).toMatchObject({ openRuns: 0, attempts: 0 })
    expect(await system.queues()).toMatchObject([{ waiting: 0, delayed: 0, leased: 0, oldest: undefined, dead: 1_000 }])
    expect(system.tree().children?.[0]?.jobs).toEqual({ running: 0, retrying: 0 })
    expect(clock.pending).toBe(0)
    expect(process.eventNames().map((name) => process.listenerCount(name))).toEqual(listeners)
    const { jobs } = system.stats()
    expect(jobs.added).toBe(jobs.done + jobs.fellBack + jobs.failed + jobs.cancelled)
    await system.stop()
    expect(clock.pending).toBe(0)
    expect(process.getActiveResourcesInfo().filter((name) => name === 'Immediate')).toEqual([])
  })

  test('ids of actors come from a pool as large as the jobs held at once', async () => {
    const ids = new Set<string>()
    const root = task('root', { concurrency: 4 }, () => settle())
    const system = await start(root, {
      inspect: (event) => {
        if (event.type === '@xstate.actor') ids.add((event.actorRef as unknown as { id: string }).id)
      },
    })
    await Promise.all(Array.from({ length: 100 }, () => system.run(root)))
    expect([...ids].filter((id) => id.startsWith('job:')).toSorted()).toEqual(['job:0', 'job:1', 'job:2', 'job:3'])
    await system.stop()
  })

  test('listeners of the user stay what they were', async () => {
    const root = task('root', () => 1)
    const system = await start(root)
    const events: AnyEvent[] = []
    const listener = (event: AnyEvent): void => void events.push(event)
    system.on('*', listener)
    await system.run(root)
    system.off('*', listener)
    const before = events.length
    await system.run(root)
    expect(events).toHaveLength(before)
    await system.stop()
  })
})
