import { fileURLToPath } from 'node:url'
import { memory, resume, start, supervisor, task, toLogic, type System } from 'rootcatch'
import { sqlite } from 'rootcatch/sqlite'
import { manualClock, settle } from 'rootcatch/testing'
import { describe, expect, test, vi } from 'vitest'
import { createActor } from 'xstate'
import { z } from 'zod'
import { runNode } from '../support/child.ts'
import { startChild } from '../support/child-lines.ts'
import { jobRecorder } from '../support/job-recorder.ts'
import { keptStore } from '../support/kept-broker.ts'
import { newFiles, readRow } from '../support/sqlite-store.ts'

const newFile = newFiles()

describe('a task with every', () => {
  test('makes a job at each tick, the same in all processes, without an input', async () => {
    const clock = manualClock(100_500)
    const seen: unknown[] = []
    const tick = task('tick', { every: '1s' }, (input, ctx) => void seen.push([ctx.id, input, clock.now()]))
    const system = await start(supervisor('app', [tick]), { clock })
    const heard = jobRecorder()
    heard.listen(system)
    expect(system.tree().children).toMatchObject([{ name: 'tick', nextTick: 101_000 }])
    await clock.advance(499)
    expect(seen).toEqual([])
    await clock.advance(2_001)
    expect(seen).toEqual([
      ['app/tick@1970-01-01T00:01:41.000Z', undefined, 101_000],
      ['app/tick@1970-01-01T00:01:42.000Z', undefined, 102_000],
      ['app/tick@1970-01-01T00:01:43.000Z', undefined, 103_000],
    ])
    const path = 'app/tick/job:app/tick@1970-01-01T00:01:41.000Z'
    expect(heard.events(path)).toEqual(['job.added', 'job.started', 'job.done'])
    expect(system.stats().jobs).toMatchObject({ added: 3, done: 3 })
    expect(system.tree().children).toMatchObject([{ nextTick: 104_000 }])
    await system.stop()
    expect(clock.pending).toBe(0)
    await clock.advance('1m')
    expect(seen).toHaveLength(3)
  })

  test('is a task like any other: run by hand, with its options and its dead letters', async () => {
    const clock = manualClock()
    const options = { every: '1m', priority: 7, retry: { attempts: 2 } } as const
    const job = task('job', options, (input: string | undefined) => {
      if (input === undefined) throw new Error('boom')
      return input
    })
    const system = await start(job, { clock, catch: () => resume })
    expect(await system.run(job, 'by hand')).toBe('by hand')
    await clock.advance('1m')
    const [letter] = await system.dead.list()
    expect(letter).toMatchObject({ id: 'job@1970-01-01T00:01:00.000Z', attempts: 2 })
    expect(await system.job(letter?.id ?? '')).toMatchObject({ priority: 7 })
    await system.stop()
  })

  test('waits longer than a timer of Node can', async () => {
    vi.useFakeTimers({ now: 0 })
    try {
      const ids: string[] = []
      const rare = task('rare', { every: '60d' }, (_, ctx) => void ids.push(ctx.id))
      const system = await start(rare)
      await vi.advanceTimersByTimeAsync(60 * 86_400_000 - 1)
      expect(ids).toEqual([])
      await vi.advanceTimersByTimeAsync(100)
      expect(ids).toEqual(['rare@1970-03-02T00:00:00.000Z'])
      const stopped = system.stop()
      await vi.advanceTimersByTimeAsync(1)
      await stopped
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })

  test('goes on from tick to tick while its worker is restarted', async () => {
    const clock = manualClock()
    const ids: string[] = []
    const tick = task('tick', { every: '1s' }, (_, ctx) => void ids.push(ctx.id))
    const system = await start(supervisor('app', [tick]), { clock })
    await clock.advance('1s')
    await system.supervisor('app').stopChild('tick')
    await clock.advance('3s')
    expect(ids).toHaveLength(1)
    await system.supervisor('app').restartChild('tick')
    await settle()
    await clock.advance('1s')
    // One that had waited for a worker, and one of its own time; those between would have overlapped.
    expect(ids.map((id) => Date.parse(id.slice(id.indexOf('@') + 1)))).toEqual([1_000, 2_000, 5_000])
    await system.stop()
  })
})

describe('a task that another machine invokes', () => {
  test('does the one job it is invoked for', async () => {
    const clock = manualClock()
    const ids: string[] = []
    const tick = task('tick', { every: '1s' }, async (_, ctx) => {
      ids.push(ctx.id)
      await ctx.sleep('5s')
    })
    const actor = createActor(toLogic(tick, { clock })).start()
    await clock.advance('10s')
    expect(actor.getSnapshot().status).toBe('done')
    expect(ids).toEqual(['1'])
  })
})

describe('a task with cron', () => {
  test('keeps to the time zone it names, over the change of the clocks', async () => {
    const clock = manualClock(Date.parse('2026-03-28T12:00Z'))
    const seen: string[] = []
    const nightly = task('nightly', { cron: '30 2 * * *', timezone: 'Europe/Berlin' }, () => {
      seen.push(new Date(clock.now()).toISOString().slice(5, 16))
    })
    const system = await start(nightly, { clock })
    await clock.advance('3d')
    expect(seen).toEqual(['03-29T01:00', '03-30T00:30', '03-31T00:30'])
    await system.stop()
  })
})

describe('a tick whose predecessor is unfinished', () => {
  const slow = (overlap?: boolean) =>
    task('slow', { every: '1s', shutdown: 'kill', ...(overlap !== undefined && { overlap }) }, (_, ctx) =>
      ctx.sleep('2500ms'),
    )

  test('is skipped, and says so', async () => {
    const clock = manualClock()
    const system = await start(slow(), { clock })
    const heard = jobRecorder()
    heard.listen(system)
    await clock.advance('5s')
    expect(heard.all('job.started').map(({ at }) => at)).toEqual([1_000, 4_000])
    const skipped = { path: 'slow', because: 'unfinished' }
    expect(heard.all('schedule.skipped')).toMatchObject([
      { ...skipped, tick: 2_000, at: 2_000, unfinished: 'slow@1970-01-01T00:00:01.000Z' },
      { ...skipped, tick: 3_000 },
      { ...skipped, tick: 5_000, unfinished: 'slow@1970-01-01T00:00:04.000Z' },
    ])
    await system.stop()
  })

  test('is made all the same where overlap is wanted', async () => {
    const clock = manualClock()
    const system = await start(slow(true), { clock })
    const heard = jobRecorder()
    heard.listen(system)
    await clock.advance('3s')
    expect(heard.all('job.started').map(({ at }) => at)).toEqual([1_000, 2_000, 3_000])
    expect(heard.all('schedule.skipped')).toEqual([])
    await system.stop()
  })

  test('is skipped while the task is paused: one job waits', async () => {
    const clock = manualClock()
    const tick = task('tick', { every: '1s' }, () => 1)
    const system = await start(tick, { clock })
    system.pause(tick)
    await clock.advance('10s')
    expect(await system.queues()).toMatchObject([{ waiting: 1 }])
    system.unpause(tick)
    await settle()
    expect(system.stats().jobs.done).toBe(1)
    await system.stop()
  })

  test('is skipped for a job that waits for its next attempt', async () => {
    const clock = manualClock()
    const boom = (): never => {
      throw Object.assign(new Error('later'), { retryAfter: 1_500 })
    }
    const system = await start(task('tick', { every: '1s', retry: { attempts: 2 } }, boom), { clock })
    const heard = jobRecorder()
    heard.listen(system)
    await clock.advance('2s')
    expect(heard.all('schedule.skipped')).toMatchObject([{ tick: 2_000 }])
    await system.stop()
  })

  test('is skipped for another job of the same key', async () => {
    const clock = manualClock()
    const sync = task('sync', { every: '1s', dedupe: 'sync' }, (_, ctx) => ctx.sleep('1h'))
    const system = await start(sync, { clock })
    const heard = jobRecorder()
    heard.listen(system)
    const run = system.run(sync)
    await clock.advance('1s')
    expect(heard.all('schedule.skipped')).toMatchObject([{ because: 'unfinished', unfinished: run.id }])
    run.cancel()
    await system.stop()
  })
})

describe('a tick that the task refuses', () => {
  test.each([
    [
      'its schema',
      {
        input: z
          .object({ n: z.number() })
          .or(z.undefined())
          .refine((n) => n !== undefined, 'no input'),
      },
    ],
    [
      'one of its functions',
      {
        lane: (): string => {
          throw new Error('no input')
        },
      },
    ],
  ])('by %s makes no job and says so, and the next one is asked again', async (_, options) => {
    const clock = manualClock()
    const system = await start(
      task('job', { every: '1s', ...options } as object, () => 1),
      { clock },
    )
    const heard = jobRecorder()
    heard.listen(system)
    await clock.advance('2s')
    expect(heard.all('schedule.skipped')).toMatchObject([
      { because: 'refused', tick: 1_000 },
      { because: 'refused', tick: 2_000 },
    ])
    expect(heard.all('job.refused')).toMatchObject([
      { path: 'job/job:job@1970-01-01T00:00:01.000Z', error: { message: expect.stringContaining('no input') } },
      {},
    ])
    expect(system.stats().jobs.added).toBe(0)
    await system.stop()
  })

  test('a schema that gives a default has it', async () => {
    const clock = manualClock()
    const seen: unknown[] = []
    const job = task('job', { every: '1s', input: z.number().default(7) }, (n) => void seen.push(n))
    const system = await start(job, { clock })
    await clock.advance('1s')
    expect(seen).toEqual([7])
    await system.stop()
  })
})

describe('a clock that is set', () => {
  test('forward, as by a machine that slept, is noticed within the hour, and what was missed is made up for once', async () => {
    const clock = manualClock()
    let set = 0
    const ids: string[] = []
    const job = task('job', { every: '6h' }, (_, ctx) => void ids.push(ctx.id.slice(-13)))
    const system = await start(job, { clock: { ...clock, now: () => clock.now() + set } })
    await clock.advance('10m')
    set = 20 * 3_600_000
    await clock.advance('1h')
    expect(ids).toEqual(['06:00:00.000Z'])
    await clock.advance('3h')
    expect(ids).toEqual(['06:00:00.000Z', '00:00:00.000Z'])
    await system.stop()
  })

  test('back makes no tick twice, and none too early', async () => {
    const clock = manualClock(86_400_000)
    let set = 0
    const seen: number[] = []
    const now = (): number => clock.now() + set
    const job = task('job', { every: '1m' }, () => void seen.push(now()))
    const system = await start(job, { clock: { ...clock, now } })
    await clock.advance('2m')
    set = -600_000
    await clock.advance('13m')
    expect(seen.map((at) => at - 86_400_000)).toEqual([60_000, 120_000, 180_000, 240_000, 300_000])
    await system.stop()
  })
})

describe('a broker that is away', () => {
  test('is asked again, and what was missed meanwhile is made up for once', async () => {
    const clock = manualClock()
    const broker = memory()
    let isAway = true
    const answer =
      <Given, Answer>(call: (given: Given) => Answer) =>
      (given: Given): Answer => {
        if (isAway) throw new Error('away')
        return call(given)
      }
    const schedule = answer(broker.schedule.bind(broker))
    const tick = answer(broker.tick.bind(broker))
    Object.assign(broker, { schedule, tick })
    const ids: string[] = []
    const job = task('job', { every: '10s' }, (_, ctx) => void ids.push(ctx.id))
    const system = await start(job, { clock, broker })
    const heard = jobRecorder()
    heard.listen(system)
    await clock.advance('5s')
    isAway = false
    await clock.advance('1s')
    isAway = true
    await clock.advance('30s')
    expect(ids).toEqual([])
    isAway = false
    await clock.advance('1s')
    expect(ids).toEqual(['job@1970-01-01T00:00:10.000Z'])
    await clock.advance('3s')
    expect(ids).toHaveLength(2)
    expect(heard.all('callback.failed')).toContainEqual(expect.objectContaining({ callback: 'broker.tick' }))
    await system.stop()
    expect(clock.pending).toBe(0)
  })
})

describe.each([
  ['a store behind promises', () => keptStore().broker],
  [
    'sqlite',
    () => {
      const file = newFile()
      return () => sqlite(file)
    },
  ],
])('schedules kept in %s', (_, newStore) => {
  const catchUp = (): { readonly ids: string[]; readonly job: ReturnType<typeof task> } => {
    const ids: string[] = []
    return { ids, job: task('job', { every: '10s' }, (_input, ctx) => void ids.push(ctx.id.slice(-10, -5))) }
  }

  test('make one job per tick, however many systems know the task', async () => {
    const clock = manualClock()
    const newBroker = newStore()
    const { ids, job } = catchUp()
    const systems: System[] = []
    for (let index = 0; index < 3; index += 1) systems.push(await start(job, { clock, broker: newBroker() }))
    const heard = jobRecorder()
    for (const system of systems) heard.listen(system)
    await clock.advance('35s')
    await expect.poll(() => ids).toEqual(['00:10', '00:20', '00:30'])
    expect(heard.all('job.added')).toHaveLength(3)
    for (const system of systems) await system.stop()
  })

  test('make up for what was missed while no system was there, once', async () => {
    const clock = manualClock()
    const newBroker = newStore()
    const { ids, job } = catchUp()
    const first = await start(job, { clock, broker: newBroker() })
    await clock.advance('15s')
    await expect.poll(() => ids).toEqual(['00:10'])
    await first.stop()
    await clock.advance('40s')
    const second = await start(job, { clock, broker: newBroker() })
    await clock.advance('2s')
    await expect.poll(() => ids).toEqual(['00:10', '00:20']) // for 20, 30, 40 and 50
    await clock.advance('5s')
    await expect.poll(() => ids).toHaveLength(3)
    await second.stop()
  })

  test('are replaced by a changed definition', async () => {
    const clock = manualClock()
    const newBroker = newStore()
    const { ids, job } = catchUp()
    const first = await start(job, { clock, broker: newBroker() })
    await clock.advance('2s')
    await first.stop()
    const other = task('job', { every: '7s' }, (_input, ctx) => void ids.push(ctx.id.slice(-10, -5)))
    const second = await start(other, { clock, broker: newBroker() })
    await clock.advance('13s')
    await expect.poll(() => ids).toEqual(['00:07', '00:14'])
    await second.stop()
  })

  test('rest with a system whose definition was replaced, and with one that does not know the task', async () => {
    const clock = manualClock()
    const newBroker = newStore()
    const { ids, job } = catchUp()
    const old = await start(job, { clock, broker: newBroker() })
    await clock.advance(1)
    const renewed = await start(
      task('job', { every: '1h' }, () => 1),
      { clock, broker: newBroker() },
    )
    await clock.advance('30s')
    await settle()
    expect(ids).toEqual([])
    expect(old.tree().nextTick).toBeUndefined()
    await renewed.stop()
    await old.stop()
    const stranger = await start(
      task('other', () => 1),
      { clock, broker: newBroker() },
    )
    await clock.advance('3h')
    expect(await stranger.queues()).not.toContainEqual(expect.objectContaining({ waiting: 1 }))
    await stranger.stop()
  })

  test('leave with a task that is deleted, and with a dynamic child', async () => {
    const clock = manualClock()
    const newBroker = newStore()
    const { ids, job } = catchUp()
    const extra = task('extra', { every: '10s' }, (_input, ctx) => void ids.push(ctx.id))
    const system = await start(supervisor('app', [job]), { clock, broker: newBroker() })
    await system.spawn(extra)
    await clock.advance('1s')
    const app = system.supervisor('app')
    await app.stopChild('job')
    await app.deleteChild('job')
    await app.stopChild('extra:1')
    await clock.advance('1m')
    expect(ids).toEqual([])
    await system.stop()
    const again = await start(supervisor('app', [job]), { clock, broker: newBroker() })
    await clock.advance('1s') // nothing was missed, for there was no schedule
    expect(ids).toEqual([])
    await again.stop()
  })

  test('stay for the next start when a system stops, also of a temporary task', async () => {
    const clock = manualClock()
    const newBroker = newStore()
    const ids: string[] = []
    const job = task('job', { every: '10s', restart: 'temporary' }, (_input, ctx) => void ids.push(ctx.id))
    const first = await start(job, { clock, broker: newBroker() })
    await clock.advance('1s')
    await first.stop()
    await clock.advance('20s')
    const second = await start(job, { clock, broker: newBroker() })
    await clock.advance('1s')
    await expect.poll(() => ids).toHaveLength(1)
    await second.stop()
  })
})

const CHILD = fileURLToPath(import.meta.resolve('../support/schedule-child.ts'))

describe('schedules in a file', () => {
  test('survive kill -9 between two ticks: none is made twice, and what was missed is made up for once', async () => {
    const file = newFile()
    const ticks = async (count: number): Promise<readonly number[]> => {
      const child = startChild(CHILD, [file])
      await child.until(() => child.lines.length === count)
      await child.kill()
      return child.lines.map(Number)
    }
    const before = await ticks(3)
    const last = String(readRow(file, 'SELECT last FROM schedules')['last'])
    const killedAt = Date.now()
    await vi.waitFor(() => expect(Date.now() - killedAt).toBeGreaterThan(700), { timeout: 2_000 })
    const startedAt = Date.now()
    const after = await ticks(4)
    const all = [...before, ...after]
    expect(new Set(all).size).toBe(all.length)
    expect(all).toEqual(all.toSorted((a, b) => a - b))
    expect(all.every((at) => at % 200 === 0)).toBe(true)
    const missed = `SELECT count(*) AS n FROM jobs WHERE id > '${last}' AND id < 'tick@${new Date(startedAt).toISOString()}'`
    expect(readRow(file, missed)).toEqual({ n: 1 })
  })

  test('that no process has known for 30 days are forgotten', async () => {
    const clock = manualClock()
    const file = newFile()
    const start1 = await start(
      task('gone', { every: '1h' }, () => 1),
      { clock, broker: sqlite(file) },
    )
    await clock.advance('10ms')
    await start1.stop()
    const count = (): unknown => readRow(file, 'SELECT count(*) AS n FROM schedules')['n']
    const passBy = async (): Promise<void> => {
      const system = await start(
        task('other', { every: '1h' }, () => 1),
        { clock, broker: sqlite(file) },
      )
      await clock.advance('10ms')
      await system.stop()
    }
    await clock.advance('30d')
    await passBy()
    expect(count()).toBe(2)
    await clock.advance('2h')
    await passBy()
    expect(count()).toBe(1)
  })
})

describe('a process', () => {
  const runs = (code: string): ReturnType<typeof runNode> => {
    const lines = [`import { start, task } from './src/index.ts'`, code]
    return runNode(['--input-type=module', '--no-warnings', '-e', lines.join('\n')])
  }

  test('loads the parser of cron lines with the first one, and not before', async () => {
    const { stdout } = await runs(`
      import { createRequire } from 'node:module'
      const isLoaded = () => Object.keys(createRequire(import.meta.url).cache).some((path) => path.includes('croner'))
      task('regular', { every: '1h' }, () => 1)
      const before = isLoaded()
      task('nightly', { cron: '0 3 * * *' }, () => 1)
      console.log(before, isLoaded())`)
    expect(stdout).toBe('false true\n')
  })

  test.each([`{ every: '1h' }`, `{ every: '60d' }`, `{ cron: '0 3 * * *' }`])(
    'is kept alive by the schedule %s until its system is stopped',
    async (schedule) => {
      const { code, stdout } = await runs(`
        const system = await start(task('regular', ${schedule}, () => 1))
        // A timer that holds nothing itself rings only in a process that something else keeps alive.
        setTimeout(() => system.stop().then(() => console.log('stopped')), 200).unref()`)
      expect([code, stdout]).toEqual([0, 'stopped\n'])
    },
  )
})
