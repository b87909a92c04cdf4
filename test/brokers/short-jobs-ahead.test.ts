import { Redis } from 'ioredis'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import { resume, start, supervisor, task, type StartOptions, type System, type Task } from 'rootcatch'
import { bullmq, type BullmqOptions } from 'rootcatch/bullmq'
import { afterEach, describe, expect, test } from 'vitest'
import { Bodies } from '../../src/brokers/bodies.ts'
import { startChild } from '../support/child-lines.ts'
import { redisMissing, sharedRedis } from '../support/redis.ts'

const CHILD = fileURLToPath(import.meta.resolve('../support/killed-child.ts'))

describe('how many jobs are taken ahead of free slots', () => {
  const after = (...bodies: readonly number[]): number => {
    const known = new Bodies()
    for (const ms of bodies) known.took(ms)
    return known.ahead
  }
  const short = (count: number): number[] => Array<number>(count).fill(0.1)

  test.each([
    ['none, of a task nobody knows yet', [], 0],
    ['none after a few jobs, however short', short(5), 0],
    ['a few after many short ones', short(30), 7],
    ['fewer, the longer bodies take', Array<number>(30).fill(1.4), 2],
    ['none, if each takes some milliseconds', Array<number>(30).fill(4), 0],
    ['none after one that was long', [...short(30), 40], 0],
    ['as many as before, once it was long ago', [...short(30), 40, ...short(30)], 7],
  ])('%s', (_, bodies, ahead) => {
    expect(after(...bodies)).toBe(ahead)
  })
})

// On a machine that is busy a short body may look long just then, and nothing is ahead of it.
const again = { retry: 3 }

describe.skipIf(redisMissing)(`short jobs${redisMissing === undefined ? '' : `: ${redisMissing}`}`, () => {
  const address = sharedRedis()
  const open: System[] = []
  let store = 0

  const optionsOf = (more: Partial<BullmqOptions> = {}): BullmqOptions => ({
    connection: { ...address() },
    prefix: `ahead-${store}`,
    ...more,
  })

  async function join(work: Task<number, unknown>, options: StartOptions = {}): Promise<System> {
    const system = await start(supervisor('app', [work]), {
      broker: bullmq(optionsOf()),
      catch: () => resume,
      log: { info() {}, warn() {}, error() {}, debug() {} },
      ...options,
    })
    open.push(system)
    return system
  }

  /** Jobs by their number, all of them there before the first is taken. */
  async function queueAll(system: System, work: Task<number, unknown>, count: number, priority = (_: number) => 0) {
    system.pause(work)
    const runs = Array.from({ length: count }, (_, n) => system.run(work, n, { priority: priority(n) }))
    const ids = await Promise.all(runs.map((run) => run.queued()))
    return { runs, ids: ids.map(({ id }) => id) }
  }

  async function ask<Answer>(question: (redis: Redis) => Promise<Answer>): Promise<Answer> {
    const at = address()
    const redis = 'url' in at ? new Redis(at.url) : new Redis(at)
    try {
      return await question(redis)
    } finally {
      redis.disconnect()
    }
  }

  const steps = async (): Promise<number> => {
    const stats = await ask((redis) => redis.info('commandstats'))
    return Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1])
  }

  /** How often jobs were taken, by the engine's own count. */
  const timesTaken = (ids: readonly string[]): Promise<readonly number[]> =>
    ask((redis) => Promise.all(ids.map(async (id) => Number(await redis.hget(keyOf(id), 'ats')))))
  const keyOf = (id: string): string => `{ahead-${store}}:app/work:j-${id}`

  afterEach(async () => {
    for (const system of open.splice(0)) await system.stop()
    store += 1
  })

  test('share round trips though one runs at a time, in their order', async () => {
    const began: number[] = []
    let [running, most] = [0, 0]
    const work = task('work', { concurrency: 1 }, async (n: number) => {
      began.push(n)
      running += 1
      most = Math.max(most, running)
      await Promise.resolve()
      running -= 1
    })
    const system = await join(work)
    const { runs } = await queueAll(system, work, 400)
    const before = await steps()
    system.unpause(work)
    await Promise.all(runs)
    expect(began).toEqual(runs.map((_, n) => n))
    expect(most).toBe(1)
    expect((await steps()) - before).toBeLessThan(250)
  })

  test('keep order and priority where those taken ahead go back again and again', async () => {
    const began: number[] = []
    const work = task('work', { concurrency: 1 }, async (n: number) => {
      began.push(n)
      if (n % 40 === 39) await sleep(15)
    })
    const system = await join(work)
    const { runs, ids } = await queueAll(system, work, 400, (n) => n % 3)
    system.unpause(work)
    await Promise.all(runs)
    const sorted = runs.map((_, n) => n).toSorted((a, b) => (a % 3) - (b % 3) || a - b)
    expect(began).toEqual(sorted)
    expect((await timesTaken(ids)).filter((times) => times > 1).length).toBeGreaterThan(0)
  })

  test(
    'do not wait behind a long one in a process, while another has a free slot; no attempt is spent',
    again,
    async () => {
      let free = (): void => {}
      const gate = new Promise<void>((resolve) => (free = resolve))
      const [here, there]: [number[], number[]] = [[], []]
      const bodyOf = (seen: number[]) =>
        task('work', { concurrency: 1 }, async (n: number, ctx) => {
          seen.push(n)
          if (n === 60) await gate
          return ctx.attempt
        })
      const [one, other] = [bodyOf(here), bodyOf(there)]
      const [first, second] = [await join(one), await join(other)]
      second.pause(other)
      const { runs, ids } = await queueAll(first, one, 100)
      first.unpause(one)
      await expect.poll(() => here.at(-1)).toBe(60)
      second.unpause(other)
      await Promise.all(runs.slice(61))
      expect(there).toEqual(runs.slice(61).map((_, n) => n + 61))
      free()
      expect(await Promise.all(runs)).toEqual(runs.map(() => 1))
      expect((await timesTaken(ids.slice(61)))[0]).toBe(2) // it was taken ahead
    },
  )

  test.each(['pause', 'stop'] as const)('go back as they were on %s()', again, async (what) => {
    const seen: number[] = []
    let over: Promise<void> | undefined
    const work = task('work', { concurrency: 1 }, async (n: number) => {
      seen.push(n)
      if (n !== 60) return
      if (what === 'pause') first.pause(work)
      else over = first.stop()
    })
    const first = await join(work)
    const { ids } = await queueAll(first, work, 100)
    first.unpause(work)
    await expect.poll(() => seen.length).toBe(61)
    await over
    const next = task('work', { concurrency: 1 }, async (n: number) => void seen.push(n))
    const second = await join(next)
    await expect.poll(() => seen.length).toBe(100)
    expect(seen).toEqual(ids.map((_, n) => n))
    expect((await timesTaken(ids.slice(61)))[0]).toBe(2) // it was taken ahead
    expect((await second.job(ids[61] as string))?.attempts).toBe(1)
  })

  test('never begin once cancelled, though a process had taken them', again, async () => {
    const seen: number[] = []
    const work = task('work', { concurrency: 1 }, async (n: number) => {
      seen.push(n)
      if (n !== 60) return
      runs[62]?.cancel('unwanted')
      await runs[62]?.settled()
    })
    const system = await join(work)
    const { runs, ids } = await queueAll(system, work, 100)
    system.unpause(work)
    const all = await Promise.all(runs.map((run) => run.settled()))
    expect(all[62]).toMatchObject({ status: 'cancelled', reason: 'unwanted' })
    expect(all.filter(({ status }) => status === 'done')).toHaveLength(99)
    expect(seen).toEqual(runs.map((_, n) => n).filter((n) => n !== 62))
    expect((await timesTaken(ids.slice(62)))[0]).toBe(1) // it was taken ahead
  })

  test('are shared between processes', async () => {
    const [here, there]: [number[], number[]] = [[], []]
    const bodyOf = (seen: number[]) =>
      task('work', { concurrency: 1 }, async (n: number) => {
        seen.push(n)
        await sleep(1)
      })
    const [one, other] = [bodyOf(here), bodyOf(there)]
    const [first, second] = [await join(one), await join(other)]
    second.pause(other)
    const { runs } = await queueAll(first, one, 400)
    first.unpause(one)
    second.unpause(other)
    await Promise.all(runs)
    expect(here.length + there.length).toBe(400)
    expect(Math.min(here.length, there.length)).toBeGreaterThan(100)
  })

  test.each([
    ['at once', 0, { deaths: 3, withOthers: 1 }], // at first nobody knew that it had begun; who ended in that turn is lost too
    ['after a while', 20, { deaths: 2, withOthers: 0 }],
  ])(
    'that wait in a process that one kills %s are not counted as lost: only that one becomes a dead letter',
    again,
    async (_, ms, { deaths, withOthers }) => {
      const options = optionsOf({ lostLimit: 2 })
      const work = task('work', { concurrency: 1 }, async (n: number) => n)
      const asking = await join(work, { broker: bullmq(options) })
      const { runs, ids } = await queueAll(asking, work, 150)
      const settled = Promise.all(runs.map((run) => run.settled()))
      const deadly: string[] = []
      for (let isOver = false; !isOver;) {
        const child = startChild(CHILD, [JSON.stringify(options), String(ms), ...deadly.slice(0, 1)])
        isOver = await Promise.race([child.ended.then(() => false), settled.then(() => true)])
        await child.kill()
        deadly.push(...child.lines)
      }
      expect(deadly).toEqual(Array<string>(deaths).fill(deadly[0] as string))
      const statuses = (await settled).map(({ status }) => status)
      expect(statuses).toEqual(runs.map((_run, n) => (n === Number(deadly[0]) ? 'failed' : 'done')))
      expect(await asking.dead.list()).toMatchObject([{ id: ids[Number(deadly[0])], kind: 'lost' }])
      const lost = await ask((redis) => Promise.all(ids.map((id) => redis.hget(keyOf(id), 'stc'))))
      expect(lost.filter((times) => Number(times) > 0)).toHaveLength(1 + withOthers)
    },
  )
})
