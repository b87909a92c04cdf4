import { describe, expect, test, vi } from 'vitest'
import {
  actor,
  exponential,
  memory,
  resume,
  start,
  supervisor,
  task,
  UnknownTaskError,
  type AnyEvent,
  type Broker,
  type Run,
  type Task,
} from 'rootcatch'
import { manualClock, settle } from 'rootcatch/testing'
import { fromPromise, type InspectionEvent } from 'xstate'
import { jobRecorder } from '../support/job-recorder.ts'

const never = new Promise<never>(() => {})
const boom = (): never => {
  throw new Error('boom')
}

/** The states of the worker at a path, each change once. */
function workerStates(path: string): { inspect: (event: InspectionEvent) => void; states: string[] } {
  const states: string[] = []
  const inspect = (event: InspectionEvent): void => {
    if (event.type !== '@xstate.snapshot') return
    const { value, context } = event.snapshot as { value?: unknown; context?: { path?: string } }
    if (context?.path === path && states.at(-1) !== value) states.push(String(value))
  }
  return { inspect, states }
}

describe('a worker', () => {
  test('runs as many attempts at once as it has slots, however they end', async () => {
    const clock = manualClock()
    let running = 0
    let most = 0
    const root = task('root', { concurrency: 3, timeout: 50, retry: { attempts: 2 } }, async (n: number, ctx) => {
      running += 1
      most = Math.max(most, running)
      try {
        await ctx.sleep(n % 4 === 0 ? 100 : 10)
        if (n % 4 === 1) boom()
        if (n % 4 === 2) ctx.cancel()
      } finally {
        running -= 1
      }
    })
    const system = await start(root, { clock, catch: () => resume })
    const runs = Array.from({ length: 40 }, (_, n) => system.run(root, n))
    await clock.advance('10m')
    const statuses = await Promise.all(runs.map(async (run) => (await run.settled()).status))
    expect(most).toBe(3)
    expect(running).toBe(0)
    expect([...new Set(statuses)].toSorted()).toEqual(['cancelled', 'done', 'failed'])
    expect(system.tree().jobs).toEqual({ running: 0, retrying: 0 })
    await system.stop()
    expect(clock.pending).toBe(0)
  })

  test('has ten slots by default', async () => {
    const root = task('root', { shutdown: 'kill' }, () => never)
    const system = await start(root)
    for (let n = 0; n < 12; n += 1) void system.run(root)
    await settle()
    expect(system.stats().attempts).toBe(10)
    expect(system.tree().jobs).toEqual({ running: 10, retrying: 0 })
    await system.stop()
  })

  test('a job that ignores its timeout gives its slot back all the same', async () => {
    const clock = manualClock()
    const root = task('root', { concurrency: 1, timeout: 10 }, (n: number) => (n < 5 ? never : n))
    const system = await start(root, { clock, catch: () => resume })
    const runs = Array.from({ length: 6 }, (_, n) => system.run(root, n))
    await clock.advance(50)
    expect(await runs[5]).toBe(5)
    await system.stop()
  })

  test('goes idle, working, paused, draining, stopped', async () => {
    const { inspect, states } = workerStates('app/job')
    const job = task('job', () => settle())
    const system = await start(supervisor('app', [job]), { inspect })
    await system.run(job)
    await settle()
    system.pause(job)
    system.unpause(job)
    await system.run(job)
    await settle()
    await system.stop()
    expect(states).toEqual(['idle', 'working', 'idle', 'paused', 'idle', 'working', 'idle', 'draining', 'stopped'])
  })

  test('shows working again when it goes on while something runs', async () => {
    const clock = manualClock()
    const { inspect, states } = workerStates('app/job')
    const job = task('job', (_: unknown, ctx) => ctx.sleep(10))
    const system = await start(supervisor('app', [job]), { inspect, clock })
    const run = system.run(job)
    await settle()
    system.pause(job)
    system.unpause(job)
    await clock.advance(10)
    await run
    await settle()
    await system.stop()
    expect(states).toEqual(['idle', 'working', 'paused', 'idle', 'working', 'idle', 'draining', 'stopped'])
  })

  test('pause: takes no further jobs, what runs runs on; unpause goes on', async () => {
    const clock = manualClock()
    const order: number[] = []
    const root = task('root', { concurrency: 1 }, async (n: number, ctx) => {
      await ctx.sleep(10)
      order.push(n)
    })
    const system = await start(root, { clock })
    const events: AnyEvent[] = []
    system.on('worker.paused', (event) => events.push(event))
    system.on('worker.unpaused', (event) => events.push(event))
    const runs = [system.run(root, 1), system.run(root, 2)]
    await settle()
    system.pause(root)
    system.pause(root)
    await clock.advance('1h')
    expect(order).toEqual([1])
    system.unpause(root)
    await clock.advance('1h')
    await Promise.all(runs)
    expect(order).toEqual([1, 2])
    expect(events.map(({ type }) => type)).toEqual(['worker.paused', 'worker.unpaused'])
    await system.stop()
  })

  test('pause: a retry that is due waits too', async () => {
    const clock = manualClock()
    const backoff = exponential({ from: 10, to: 10, jitter: 0 })
    const root = task('root', { retry: { attempts: 2, backoff } }, (_: unknown, ctx) =>
      ctx.attempt === 1 ? boom() : 'second',
    )
    const system = await start(root, { clock })
    const run = system.run(root)
    await settle()
    system.pause(root)
    await clock.advance('1h')
    expect(await system.job(run.id)).toMatchObject({ status: 'waiting', attempts: 1 })
    system.unpause(root)
    expect(await run).toBe('second')
    await system.stop()
  })

  test('that is paused does not ask the broker', async () => {
    const broker = memory()
    const lease = vi.spyOn(broker, 'lease')
    const root = task('root', () => 1)
    const system = await start(root, { broker })
    await settle()
    const before = lease.mock.calls.length
    system.pause(root)
    const run = system.run(root)
    await settle()
    expect(lease.mock.calls.length).toBe(before)
    system.unpause(root)
    expect(await run).toBe(1)
    await system.stop()
  })

  test.each([
    ['put in their place', (broker: Broker, own: Partial<Broker>) => Object.assign(broker, own)],
    [
      'wrapped around it',
      (broker: Broker, own: Partial<Broker>) =>
        new Proxy(broker, {
          get: (target, key: keyof Broker) => {
            const value = own[key] ?? target[key]
            return typeof value === 'function' ? value.bind(target as never) : value
          },
        }),
    ],
  ])('asks functions of a broker that somebody has %s', async (_, wrap) => {
    const inner = memory()
    const [enqueue, settled] = [inner.enqueue.bind(inner), inner.settle.bind(inner)]
    const asked: string[] = []
    const broker = wrap(inner, {
      enqueue: (jobs) => (asked.push('enqueue'), enqueue(jobs)),
      settle: (outcomes) => (asked.push(...outcomes.map(({ kind }) => kind)), settled(outcomes)),
    })
    const root = task('root', () => 1)
    const system = await start(root, { broker })
    expect(await system.run(root)).toBe(1)
    expect(asked).toEqual(['enqueue', 'done'])
    await system.stop()
  })

  test('finds the job that is given up, however many came and went since somebody asked', async () => {
    const held = task('held', { concurrency: 10 }, (n: number, ctx) => (n < 0 ? ctx.sleep('1h') : n))
    const system = await start(held, { clock: manualClock() })
    const [first, second, third] = [system.run(held, -1), system.run(held, -2), system.run(held, -3)]
    await settle()
    first.cancel('first')
    for (let n = 0; n < 30; n += 1) await Promise.all(Array.from({ length: 100 }, (__, m) => system.run(held, m)))
    second.cancel('second')
    for (const run of [first, second]) expect((await run.settled()).status).toBe('cancelled')
    expect(system.stats()).toMatchObject({ attempts: 1 })
    third.cancel()
    expect((await third.settled()).status).toBe('cancelled')
    await system.stop()
  })

  test('a cancel while paused works at once', async () => {
    const root = task('root', () => 1)
    const system = await start(root)
    system.pause(root)
    const run = system.run(root)
    run.cancel()
    expect((await run.settled()).status).toBe('cancelled')
    await system.stop()
  })

  test('that is restarted by its supervisor keeps its runs open, and stays paused', async () => {
    const clock = manualClock()
    const generations: number[] = []
    let crash: (() => void) | undefined
    const fragile = actor(
      'fragile',
      fromPromise(() => new Promise((_, reject) => (crash = () => reject(new Error('crash'))))),
    )
    const backoff = exponential({ from: '1h', to: '1h', jitter: 0 })
    const job = task('job', { shutdown: 10, retry: { attempts: 2, backoff } }, async (kind: string, ctx) => {
      generations.push(ctx.attempt)
      if (kind === 'slow' && generations.length === 1) await ctx.sleep('1d')
      if (kind === 'retrying' && ctx.attempt === 1) boom()
      return kind
    })
    const system = await start(supervisor('app', { strategy: 'one-for-all' }, [fragile, job]), { clock })
    const seen = jobRecorder()
    seen.listen(system)
    const slow = system.run(job, 'slow')
    const retrying = system.run(job, 'retrying')
    await settle()
    const delayed = system.run(job, 'delayed', { delay: '2h' })
    system.pause(job)
    crash?.()
    await clock.advance('1m')
    expect(seen.all('actor.started').map(({ path, generation }) => [path, generation])).toEqual([
      ['app/fragile', 2],
      ['app/job', 2],
    ])
    expect(await system.job(slow.id)).toMatchObject({ status: 'waiting', attempts: 0 })
    system.unpause(job)
    await clock.advance('3h')
    expect(await Promise.all([slow, retrying, delayed])).toEqual(['slow', 'retrying', 'delayed'])
    expect(await slow.settled()).toMatchObject({ attempts: 1 }) // cut off by a stop: the same number again
    expect(await retrying.settled()).toMatchObject({ attempts: 2 })
    expect(seen.events(slow.path)).toEqual(['job.added', 'job.started', 'job.late', 'job.started', 'job.done'])
    expect(system.stats().openRuns).toBe(0)
    await system.stop()
    expect(clock.pending).toBe(0)
  })

  test('jobs that were cut off and released come back first, in their order', async () => {
    const clock = manualClock()
    const order: number[] = []
    let isSlow = true
    const job = task('job', { concurrency: 3, shutdown: 'kill' }, async (n: number, ctx) => {
      order.push(n)
      if (isSlow) await ctx.sleep('1d')
    })
    const system = await start(supervisor('app', [job]), { clock })
    const runs = Array.from({ length: 6 }, (_, n) => system.run(job, n))
    await settle()
    expect(order).toEqual([0, 1, 2])
    isSlow = false
    await system.supervisor('app').stopChild('job')
    await system.supervisor('app').restartChild('job')
    await Promise.all(runs)
    expect(order).toEqual([0, 1, 2, 0, 1, 2, 3, 4, 5])
    await system.stop()
  })

  test('that is down lets jobs wait; run works meanwhile', async () => {
    const job = task('job', () => 'done')
    const system = await start(supervisor('app', [job]))
    const admin = system.supervisor('app')
    await admin.stopChild('job')
    const run = system.run(job)
    await settle()
    expect((await system.job(run.id))?.status).toBe('waiting')
    await admin.restartChild('job')
    expect(await run).toBe('done')
    await system.stop()
  })

  test('whose task is deleted: run says so, no run hangs after the stop, and the task may come back', async () => {
    const job = task('job', () => 'done')
    const system = await start(supervisor('app', [job]))
    const admin = system.supervisor('app')
    await admin.stopChild('job')
    const waiting = system.run(job)
    const hanging = system.run(job, undefined, { delay: '1h' })
    await admin.deleteChild('job')
    expect(() => system.run(job)).toThrow(UnknownTaskError)
    await admin.startChild(job)
    expect(await waiting).toBe('done')
    await admin.stopChild('job')
    await admin.deleteChild('job')
    await system.stop()
    expect(await hanging.settled()).toMatchObject({ status: 'cancelled', reason: { code: 'system-stopped' } })
  })

  test('that is sent the event shutdown drains and has ended; a permanent one comes back', async () => {
    const clock = manualClock()
    const job = task('job', { concurrency: 1 }, (n: number, ctx) => ctx.sleep(10).then(() => n))
    const system = await start(supervisor('app', [job]), { clock })
    const seen = jobRecorder()
    seen.listen(system)
    const runs = [system.run(job, 1), system.run(job, 2)]
    await settle()
    system.supervisor('app').children()[0]?.ref.send({ type: 'shutdown' })
    await clock.advance('1m')
    expect(await Promise.all(runs)).toEqual([1, 2])
    expect(seen.events('app/job')).toEqual(['actor.ended', 'actor.started'])
    await system.stop()
  })

  test('takes jobs a task asks for from inside its own body', async () => {
    const root: Task<number, number> = task('root', { concurrency: 50 }, async (n: number): Promise<number> => {
      if (n === 0) return 0
      return n + (await (system.run(root, n - 1) as Run<number>))
    })
    const system = await start(root)
    expect(await system.run(root, 30)).toBe(465)
    await system.stop()
  })

  test('an unknown task is refused by name', async () => {
    const system = await start(task('known', () => 1))
    expect(() => system.run(task('other', () => 1))).toThrow('this system has no task "other".')
    expect(() => system.run({} as never)).toThrow('Pass what task() gave.')
    await system.stop()
  })
})

describe('the event loop', () => {
  test('is not held while many queued jobs run', async () => {
    const root = task('root', { concurrency: 1_000 }, (n: number) => n)
    const system = await start(root)
    const runs = Array.from({ length: 20_000 }, (_, n) => system.run(root, n))
    let turns = 0
    let isOver = false
    const turn = (): void => {
      turns += 1
      if (!isOver) setImmediate(turn)
    }
    setImmediate(turn)
    await Promise.all(runs)
    isOver = true
    expect(turns).toBeGreaterThan(5)
    await system.stop()
  })
})
