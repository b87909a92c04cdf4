import { Queue } from 'bullmq'
import {
  exponential,
  resume,
  restart,
  start,
  supervisor,
  task,
  type Failure,
  type StartOptions,
  type System,
} from 'rootcatch'
import { bullmq, type BullmqOptions } from 'rootcatch/bullmq'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { redisMissing, sharedRedis } from '../support/redis.ts'

/** The real clock: what happens in another process is heard of within a quarter of a second. */
const until = async (isSo: () => unknown): Promise<void> => {
  await expect.poll(isSo, { interval: 10 }).toBeTruthy()
}

describe.skipIf(redisMissing)(`bullmq()${redisMissing === undefined ? '' : `: ${redisMissing}`}`, () => {
  const address = sharedRedis()
  const open: (System | Queue)[] = []
  let store = 0

  const broker = (more: Partial<BullmqOptions> = {}): ReturnType<typeof bullmq> =>
    bullmq({ connection: { ...address() }, prefix: `fleet-${store}`, ...more })

  /** One of the processes of a fleet, as far as jobs are concerned. */
  async function join(root: Parameters<typeof start>[0], options: StartOptions = {}): Promise<System> {
    const system = await start(root, { broker: broker(), catch: () => resume, ...options })
    open.push(system)
    return system
  }

  function queueOf(path: string): Queue {
    const queue = new Queue(path, { connection: { ...address() }, prefix: `{fleet-${store}}` })
    open.push(queue)
    return queue
  }

  afterEach(async () => {
    for (const one of open.splice(0).toReversed()) await (one instanceof Queue ? one.close() : one.stop())
    store += 1
  })

  test('a caller anywhere awaits the same run, and gets the failure of the process that ran it', async () => {
    const bodies = (isAsking: boolean): ReturnType<typeof treeOf> => treeOf(isAsking)
    const treeOf = (isAsking: boolean) => {
      const work = task('work', { retry: { attempts: 2 } }, async (n: number): Promise<number> => {
        if (isAsking) throw new Error('it was to run elsewhere')
        if (n > 0) return n * 2
        const cause = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
        throw new RangeError('no luck', { cause })
      })
      return { work, root: supervisor('app', [supervisor('media', [work])]) }
    }
    const [asking, working] = [bodies(true), bodies(false)]
    const asks = await join(asking.root)
    asks.pause(asking.work)
    const works = await join(working.root)
    const failures: Failure[] = []
    works.on('job.failed', ({ failure }) => failures.push(failure))
    expect(await asks.run(asking.work, 21)).toBe(42)
    const outcome = await asks.run(asking.work, 0).settled()
    expect(outcome.status).toBe('failed')
    const failure = outcome.failure as Failure
    expect(failure.toJSON()).toEqual(failures[0]?.toJSON())
    expect(failure.error).toBeInstanceOf(Error)
    expect(failure.error).toMatchObject({
      name: 'RangeError',
      message: 'no luck',
      cause: { message: 'connect ECONNREFUSED', code: 'ECONNREFUSED' },
    })
    expect(failure.trail.map(({ path, decision }) => `${path} ${decision}`)).toEqual([
      'app/media escalate',
      'app escalate',
      ' resume',
    ])
  })

  test('what a delivery knew goes with the job to the process that takes it next', async () => {
    const seen: string[] = []
    const treeOf = (name: string) =>
      task(
        'work',
        { retry: { attempts: 3, backoff: exponential({ from: '50ms', to: '50ms' }) } },
        async (_: string, ctx) => {
          seen.push(`${name} ${ctx.attempt} ${ctx.idempotencyKey}`)
          if (ctx.attempt < 3) throw new Error(`attempt ${ctx.attempt} in ${name}`)
          return 'done'
        },
      )
    const first = treeOf('first')
    const one = await join(supervisor('app', [first]))
    const run = one.run(first, 'x')
    const { id } = await run.queued()
    await until(() => seen.length === 1)
    await one.stop()
    const second = treeOf('second')
    const two = await join(supervisor('app', [second]))
    await until(async () => (await two.job(id))?.status === 'done')
    const key = `app/work/job:${id}`
    expect(seen).toEqual([`first 1 ${key}`, `second 2 ${key}`, `second 3 ${key}`])
    expect((await two.job(id))?.history.map(({ message }) => message)).toEqual([
      'attempt 1 in first',
      'attempt 2 in second',
    ])
  })

  test('a job that was asked for under a key that is held is followed by callers in other processes', async () => {
    let go = (): void => {}
    const gate = new Promise<void>((resolve) => (go = resolve))
    const work = (): ReturnType<typeof make> => make()
    const make = () =>
      task('work', { dedupe: () => 'one' }, async (n: number) => {
        await gate
        return n
      })
    const [a, b] = [work(), work()]
    const [one, two] = [await join(supervisor('app', [a])), await join(supervisor('app', [b]))]
    const first = one.run(a, 1)
    const { id } = await first.queued()
    const second = two.run(b, 2)
    expect(await second.queued()).toEqual({ id, duplicate: true })
    go()
    expect(await Promise.all([first, second])).toEqual([1, 1])
  })

  test('a job is taken within a quarter of a second of being asked for in another process', async () => {
    const work = task('work', async (n: number) => n)
    const other = task('work', async (n: number) => n)
    const asks = await join(supervisor('app', [work]))
    asks.pause(work)
    await join(supervisor('app', [other]))
    await asks.run(work, 0)
    const times: number[] = []
    for (let n = 0; n < 20; n += 1) {
      const startedAt = performance.now()
      await asks.run(work, n)
      times.push(performance.now() - startedAt)
      await new Promise((resolve) => setTimeout(resolve, n * 3))
    }
    // A busy machine may take one from us; a wake-up that does not come would make most of them late.
    expect(times.toSorted((a, b) => a - b)[15]).toBeLessThan(250)
  })

  test('cancels a job that another process runs', async () => {
    const make = () => task('work', async (_: number, ctx) => ctx.sleep('1h'))
    const [a, b] = [make(), make()]
    const asks = await join(supervisor('app', [a]))
    asks.pause(a)
    const works = await join(supervisor('app', [b]))
    const run = asks.run(a, 1)
    await run.queued()
    await until(() => works.stats().attempts === 1)
    run.cancel('user left')
    expect(await run.settled()).toMatchObject({ status: 'cancelled', reason: 'user left' })
    await until(() => works.stats().attempts === 0)
  })

  test('a graceful stop gives back what it cannot finish, with no attempt spent and before the lease is over', async () => {
    const make = (ends: boolean) =>
      task('work', { shutdown: '10ms' }, async (_: number, ctx) => {
        if (!ends) await ctx.sleep('1h')
        return ctx.attempt
      })
    const [a, b] = [make(false), make(true)]
    const one = await join(supervisor('app', [a]))
    const { id } = await one.run(a, 1).queued()
    await until(() => one.stats().attempts === 1)
    await one.stop()
    const two = await join(supervisor('app', [b]))
    await until(async () => (await two.job(id))?.status === 'done')
    expect(await two.job(id)).toMatchObject({ value: 1, attempts: 1, history: [] })
  })

  test('leaves jobs of a task it does not know to a process that knows it', async () => {
    const [known, unknown] = [task('known', async () => 'known'), task('unknown', async () => 'unknown')]
    const one = await join(supervisor('app', [known, unknown]))
    one.pause(unknown)
    const run = one.run(unknown, undefined)
    const { id } = await run.queued()
    const two = await join(supervisor('app', [task('known', async () => 'known')]))
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(await two.job(id)).toMatchObject({ status: 'waiting' })
    one.unpause(unknown)
    expect(await run).toBe('unknown')
  })

  test('a run whose result is gone says so, and does not wait for ever', async () => {
    const [a, b] = [task('work', async () => 'a'), task('work', async () => 'b')]
    const keepResults = { last: 0 }
    const asks = await join(supervisor('app', [a]), { broker: broker({ keepResults }) })
    asks.pause(a)
    const run = asks.run(a, undefined)
    await run.queued()
    await join(supervisor('app', [b]), { broker: broker({ keepResults }) })
    expect(await run.settled()).toMatchObject({ status: 'failed', failure: { error: { code: 'unknown-job' } } })
  })

  describe('the root catch of the fleet', () => {
    test('hears what nobody decided, of any process and after it was away, and pauses a task everywhere', async () => {
      const make = () =>
        task('work', async (n: number) => {
          if (n === 13) throw new TypeError('unlucky')
          return n
        })
      const [a, b] = [make(), make()]
      const heard: Failure[] = []
      const watching = broker({
        catch: async (failure, fleet) => {
          heard.push(failure)
          if (heard.length === 1) throw new Error('the pager was busy') // asked again
          await fleet.pause('app/work')
        },
      })
      const silent = vi.spyOn(console, 'error').mockImplementation(() => {})
      const nobody = supervisor('ops', [])
      const first = await start(nobody, { broker: watching })
      await first.stop() // from now on it is kept, whether somebody is there or not
      const one = await start(supervisor('app', [a]), { broker: broker() })
      const two = await start(supervisor('app', [b]), { broker: broker() })
      open.push(one, two)
      await one.run(a, 13).settled()
      await until(async () => (await one.queues()).some(({ queue }) => queue === 'app-escalations'))
      const ops = await start(supervisor('ops', []), { broker: watching })
      open.push(ops)
      await until(() => heard.length === 2)
      silent.mockRestore()
      expect(heard[1]).toMatchObject({ path: expect.stringContaining('app/work/job:'), kind: 'thrown' })
      expect(heard[1]?.trail.at(-1)).toMatchObject({ path: '', decision: 'resume', by: 'default' })
      await until(async () => (await watching.fleet.paused()).includes('app/work'))
      const run = two.run(b, 1)
      const { id } = await run.queued()
      await new Promise((resolve) => setTimeout(resolve, 300))
      expect(await two.job(id)).toMatchObject({ status: 'waiting' })
      await watching.fleet.unpause('app/work')
      expect(await run).toBe(1)
      expect(await watching.fleet.paused()).toEqual([])
    })

    test('does not hear what was decided by somebody', async () => {
      const heard: Failure[] = []
      const work = task('work', async () => {
        throw new Error('known')
      })
      const system = await join(supervisor('app', { catch: () => resume }, [work]), {
        broker: broker({ catch: (failure) => heard.push(failure) }),
      })
      await system.run(work, undefined).settled()
      await new Promise((resolve) => setTimeout(resolve, 100))
      expect(heard).toEqual([])
      expect(await system.dead.list()).toHaveLength(1)
    })
  })

  test('a task is limited over all processes, at once and in a time', async () => {
    let [running, most] = [0, 0]
    const make = () =>
      task('work', { concurrency: 10 }, async () => {
        most = Math.max(most, (running += 1))
        await new Promise((resolve) => setTimeout(resolve, 10))
        running -= 1
      })
    const limits = { 'app/work': { concurrency: 3 } }
    const [a, b] = [make(), make()]
    const one = await join(supervisor('app', [a]), { broker: broker({ limits }) })
    await join(supervisor('app', [b]), { broker: broker({ limits }) })
    await Promise.all(Array.from({ length: 30 }, () => one.run(a, undefined)))
    expect(most).toBe(3)
    const rated = { 'app/rated': { rate: { limit: 5, within: 300 } } }
    const quick = task('rated', async () => performance.now())
    const three = await join(supervisor('app', [quick]), { broker: broker({ limits: rated }) })
    const times = await Promise.all(Array.from({ length: 11 }, () => three.run(quick, undefined)))
    times.sort((x, y) => x - y)
    expect((times[10] as number) - (times[0] as number)).toBeGreaterThan(500)
  })

  describe("in the engine's own eyes", () => {
    test('jobs are jobs of standard queues: in their states, with data, priority, attempts and results', async () => {
      const work = task(
        'work',
        { retry: { attempts: 2 }, lane: (input: { lane?: string }) => input.lane ?? '' },
        async (input: { do?: string; lane?: string }) => {
          if (input.do === 'fail') throw new TypeError('boom')
          return { did: input.do }
        },
      )
      const system = await join(supervisor('app', [work]))
      const queue = queueOf('app/work')
      const ok = await system.run(work, { do: 'it' }, { lane: 'a' }).settled()
      expect(ok.status).toBe('done')
      const dead = system.run(work, { do: 'fail' }, { lane: 'b' })
      await dead.settled()
      system.pause(work)
      const ids = await Promise.all([
        system.run(work, { do: 'wait' }, { priority: -5, lane: 'c' }).queued(),
        system.run(work, { do: 'behind' }, { lane: 'c' }).queued(),
        system.run(work, { do: 'later' }, { delay: '1h', lane: 'd' }).queued(),
      ])
      expect(await queue.getJobCounts()).toMatchObject({
        completed: 1,
        failed: 1,
        prioritized: 1,
        'waiting-children': 1,
        delayed: 1,
        active: 0,
        waiting: 0,
      })
      const [waiting] = await queue.getJobs(['prioritized'])
      expect(waiting).toMatchObject({
        id: `j-${ids[0].id}`,
        name: 'work',
        data: { do: 'wait' },
        priority: 999_996,
        opts: { attempts: 2_147_483_647 },
      })
      expect(await (await queue.getJob(`j-${ids[1].id}`))?.getState()).toBe('waiting-children')
      const [failed] = await queue.getJobs(['failed'])
      expect(failed).toMatchObject({ failedReason: 'boom', attemptsMade: 2, data: { do: 'fail' } })
      expect(failed?.stacktrace?.[0]).toContain(`${dead.path} failed (thrown), attempt 2 of 2`)
      const [completed] = await queue.getJobs(['completed'])
      expect(completed).toMatchObject({ returnvalue: { did: 'it' }, attemptsMade: 1 })
      expect((await queue.getMetrics('completed')).meta.count).toBe(1)
    })

    test('a plain job has what a dashboard shows of it, while it runs and afterwards', async () => {
      let go = (): void => {}
      const held = new Promise<void>((resolve) => (go = resolve))
      const work = task('work', async (input: { n: number }) => {
        await held
        return { n: input.n * 2 }
      })
      const system = await join(supervisor('app', [work]))
      const queue = queueOf('app/work')
      const run = system.run(work, { n: 21 })
      const { id } = await run.queued()
      const read = async () => (await queue.getJob(`j-${id}`)) as NonNullable<Awaited<ReturnType<typeof queue.getJob>>>
      await expect.poll(async () => (await read()).getState()).toBe('active')
      const now = Date.now()
      const [active] = await queue.getJobs(['active'])
      expect(active).toMatchObject({ name: 'work', data: { n: 21 }, progress: 0, attemptsMade: 0, attemptsStarted: 1 })
      expect(Math.abs(now - Number(active?.processedOn))).toBeLessThan(10_000)
      go()
      await run
      const done = await read()
      expect(done.toJSON()).toMatchObject({ name: 'work', data: { n: 21 }, returnvalue: { n: 42 }, attemptsMade: 1 })
      expect(done).toMatchObject({ stacktrace: [], delay: 0, priority: 1_000_001 })
      expect(done.failedReason).toBeUndefined()
      expect(Number(done.finishedOn)).toBeGreaterThanOrEqual(Number(done.processedOn))
      expect(Number(done.processedOn)).toBeGreaterThanOrEqual(done.timestamp)
      expect(await queue.getJobLogs(`j-${id}`)).toEqual({ logs: [], count: 0 })
      expect(await queue.getJobs(['completed'])).toHaveLength(1)
    })

    test('what a dashboard does with them holds: promote, pause, retry, remove', async () => {
      const done: string[] = []
      let isBroken = true
      const work = task('work', async (what: string) => {
        if (what === 'broken' && isBroken) throw new Error('boom')
        done.push(what)
      })
      const system = await join(supervisor('app', [work]))
      const queue = queueOf('app/work')
      const later = await system.run(work, 'later', { delay: '1h' }).queued()
      await (await queue.getJob(`j-${later.id}`))?.promote()
      await until(() => done.includes('later'))
      await queue.pause()
      const paused = system.run(work, 'paused')
      await paused.queued()
      await new Promise((resolve) => setTimeout(resolve, 100))
      expect(done).not.toContain('paused')
      await queue.resume()
      await paused
      const broken = system.run(work, 'broken')
      await broken.settled()
      isBroken = false
      await (await queue.getJob(`j-${broken.id}`))?.retry()
      await until(() => done.includes('broken'))
      expect(await system.dead.list()).toEqual([])
      system.pause(work)
      const removed = await system.run(work, 'removed').queued()
      await (await queue.getJob(`j-${removed.id}`))?.remove()
      expect(await system.job(removed.id)).toBeUndefined()
    })

    test('a job that somebody else put there, or another version, is a dead letter with the reason', async () => {
      const work = task('work', async (n: number) => n)
      const system = await join(supervisor('app', [work]))
      const queue = queueOf('app/work')
      await queue.add('work', { n: 1 })
      await queue.add('work', 'x'.repeat(10), { priority: 5, attempts: 3 })
      await until(async () => (await system.dead.list()).length === 2)
      const [letter] = await system.dead.list()
      expect(letter?.message).toContain('it was not added by rootcatch')
      expect(await system.run(work, 7)).toBe(7)
      system.pause(work)
      const { id } = await system.run(work, 8).queued()
      const client = await queue.backend.client
      await client.hset(`{fleet-${store}}:app/work:j-${id}`, { '~v': '9' })
      const other = await system.run(work, 9).queued()
      await client.hset(`{fleet-${store}}:app/work:j-${other.id}`, { data: '{"cut' })
      system.unpause(work)
      await until(async () => (await system.dead.list()).length === 4)
      const messages = (await system.dead.list()).map(({ message }) => message).join()
      expect(messages).toContain('another version of rootcatch (data 9, this one knows 1)')
      expect(messages).toContain('its data is no JSON')
    })
  })

  test('keeps names that Redis or the engine would stumble over', async () => {
    const done: string[] = []
    const work = task('work', async (n: string) => void done.push(n))
    const root = supervisor('a:b~c %41\n{x}', [work])
    const system = await join(root)
    await system.run(work, 'one')
    expect(await system.queues()).toMatchObject([{ queue: 'a:b~c %41\n{x}/work', waiting: 0 }])
    expect(done).toEqual(['one'])
  })

  test('restart decided above begins anew wherever the job is taken next', async () => {
    let lives = 0
    const work = task('work', { retry: { attempts: 2 } }, async (_: number, ctx) => {
      if (ctx.attempt === 1) lives += 1
      throw new Error('always')
    })
    const system = await join(supervisor('app', { catch: () => restart, restarts: { limit: 2, within: '5s' } }, [work]))
    const outcome = await system.run(work, 1).settled()
    expect(outcome).toMatchObject({ status: 'failed', attempts: 2 })
    expect(lives).toBe(3)
  })
})
