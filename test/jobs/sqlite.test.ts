import { existsSync } from 'node:fs'
import { start, supervisor, task, type System } from 'rootcatch'
import { sqlite } from 'rootcatch/sqlite'
import { manualClock, settle } from 'rootcatch/testing'
import { describe, expect, test } from 'vitest'
import { hurriedClock } from '../support/crawling.ts'
import { newFiles } from '../support/sqlite-store.ts'

const newFile = newFiles()

/** The real clock: another process, or another system, is heard of within a quarter of a second. */
const until = async (isSo: () => unknown): Promise<void> => {
  await expect.poll(isSo).toBeTruthy()
}

describe('a system on sqlite', () => {
  test('J14 system.stop() with running, waiting, retrying jobs: runs settle, records stay, the next process goes on', async () => {
    const file = newFile()
    const began: string[] = []
    let isSecond = false
    const work = task(
      'work',
      { concurrency: 2, shutdown: '10ms', retry: { attempts: 2 } },
      async (what: string, ctx): Promise<string> => {
        began.push(`${what} ${ctx.attempt}`)
        if (isSecond) return `${what} at attempt ${ctx.attempt}`
        if (what === 'retrying') throw Object.assign(new Error('not yet'), { retryAfter: 300 })
        await ctx.sleep('1h')
        return 'too late'
      },
    )
    const first = await start(supervisor('app', [work]), { broker: sqlite(file) })
    const retrying = first.run(work, 'retrying')
    await retrying.queued()
    await until(() => began.length === 1)
    const running = [first.run(work, 'running'), first.run(work, 'running too')]
    await until(() => began.length === 3)
    const waiting = first.run(work, 'waiting')
    await waiting.queued()
    await first.stop()
    for (const run of [retrying, ...running, waiting]) {
      expect(await run.settled()).toMatchObject({ status: 'cancelled', reason: { code: 'system-stopped' } })
    }

    isSecond = true
    const second = await start(supervisor('app', [work]), { broker: sqlite(file) })
    const ids = [retrying, ...running, waiting].map(({ id }) => id)
    const values = async (): Promise<readonly unknown[]> =>
      Promise.all(ids.map(async (id) => (await second.job(id))?.value))
    await expect
      .poll(values)
      .toEqual(['retrying at attempt 2', 'running at attempt 1', 'running too at attempt 1', 'waiting at attempt 1'])
    await second.stop()
    expect(existsSync(`${file}-wal`), 'the log is folded into the file').toBe(false)
  })

  test('a stop while a job is being taken gives it back, and leaves no timer', async () => {
    const file = newFile()
    const clock = manualClock()
    const work = task('work', (_: void, ctx) => ctx.sleep('1h'))
    const system = await start(work, { broker: sqlite(file), clock })
    const failed: unknown[] = []
    system.on('callback.failed', ({ error }) => failed.push(error))
    const { id } = await system.run(work).queued() // the worker asks for it in this turn
    await system.stop({ within: 0 })
    await settle()
    expect(failed).toEqual([])
    expect(clock.pending).toBe(0)

    const next = await start(work, { broker: sqlite(file), clock })
    await expect.poll(() => next.job(id)).toMatchObject({ status: 'running', attempts: 1 })
    await next.stop({ within: 0 })
  })

  test('a run is told when another system on the same file ended its job, or gave it up', async () => {
    const file = newFile()
    const double = task('double', async (n: number, ctx) => {
      if (n === 0) await ctx.sleep('1h')
      return n * 2
    })
    const open = (): Promise<System> => start(supervisor('app', [double]), { broker: sqlite(file) })
    const asking = await open()
    asking.pause(double)
    const run = asking.run(double, 21)
    await run.queued()
    const working = await open()
    expect(await run).toBe(42)

    const endless = asking.run(double, 0)
    await endless.queued()
    await until(() => working.stats().attempts === 1)
    endless.cancel('enough')
    expect(await endless.settled()).toMatchObject({ status: 'cancelled', reason: 'enough' })
    await until(() => working.stats().attempts === 0)
    await working.stop()
    await asking.stop()
  })

  test('runs are told, all of them, when the store could not be asked at the time when it said that their jobs were over', async () => {
    const file = newFile()
    const double = task('double', (n: number) => n * 2)
    const broker = sqlite(file)
    const asking = await start(supervisor('app', [double]), { broker, clock: hurriedClock(20) })
    const failed: unknown[] = []
    asking.on('callback.failed', ({ callback, error }) => failed.push([callback, error]))
    asking.pause(double)
    const runs = Array.from({ length: 20 }, (_, n) => asking.run(double, n))
    for (const run of runs) await run.queued()
    const [job, away] = [broker.job.bind(broker), new Error('the disk is away')]
    let refused = 0
    broker.job = (id) => {
      if (refused === 25) return job(id)
      refused += 1
      throw away
    }
    const working = await start(supervisor('app', [double]), { broker: sqlite(file) })
    expect(await Promise.all(runs)).toEqual(runs.map((_, n) => n * 2))
    expect(failed).toEqual([['broker.job', away]])
    await working.stop()
    await asking.stop()
  })
})
