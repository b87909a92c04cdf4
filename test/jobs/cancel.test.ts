import { describe, expect, test, vi } from 'vitest'
import {
  CancelledError,
  exponential,
  plugin,
  restart,
  resume,
  start,
  supervisor,
  task,
  type RunOutcome,
  type Task,
} from 'rootcatch'
import { manualClock, settle } from 'rootcatch/testing'
import { jobRecorder } from '../support/job-recorder.ts'

const never = new Promise<never>(() => {})
const boom = (): never => {
  throw new Error('boom')
}
const backoff = exponential({ from: '1m', to: '1m', jitter: 0 })

describe('J9 cancel, each row of §6', () => {
  type Row = readonly [
    when: string,
    make: () => { root: Task<unknown, unknown>; catch?: () => typeof restart },
    attempts: number,
    states: readonly string[],
    events: readonly string[],
  ]
  const rows: readonly Row[] = [
    [
      'waiting',
      () => ({ root: task('job', { concurrency: 1, shutdown: 'kill' }, () => never) }),
      0,
      [],
      ['job.added', 'job.cancelled'],
    ],
    ['delayed', () => ({ root: task('job', { delay: '1h' }, () => 1) }), 0, [], ['job.added', 'job.cancelled']],
    [
      'running',
      () => ({ root: task('job', { retry: { attempts: 3 }, fallback: boom }, () => never) }),
      1,
      ['running', 'cancelled'],
      ['job.added', 'job.started', 'job.cancelled'],
    ],
    [
      'pluginError',
      () => ({
        root: task('job', { plugins: [plugin('p', { pluginError: () => never })] }, (_: unknown, ctx) =>
          ctx.pluginError(),
        ),
      }),
      1,
      ['running', 'pluginError', 'cancelled'],
      ['job.added', 'job.started', 'job.cancelled'],
    ],
    [
      'retrying',
      () => ({ root: task('job', { retry: { attempts: 3, backoff } }, boom) }),
      1,
      ['running', 'retrying', 'cancelled'],
      ['job.added', 'job.started', 'job.retrying', 'job.cancelled'],
    ],
    [
      'fallback',
      () => ({ root: task('job', { fallback: () => never }, boom) }),
      1,
      ['running', 'fallback', 'cancelled'],
      ['job.added', 'job.started', 'job.cancelled'],
    ],
    [
      'waiting for a restart that was decided above',
      () => ({ root: task('job', boom), catch: () => restart }),
      0,
      ['running', 'failed'],
      ['job.added', 'job.started', 'failure.decided', 'job.restarted', 'job.cancelled'],
    ],
  ]

  test.each(rows)('J9 %s', async (when, make, attempts, states, events) => {
    const clock = manualClock()
    const seen = jobRecorder()
    const { root, catch: decide } = make()
    const parent = supervisor('app', { backoff, ...(decide && { catch: decide }) }, [root])
    const system = await start(parent, { clock, catch: () => resume, inspect: seen.inspect })
    if (when === 'waiting') void system.run(root)
    seen.listen(system)
    const run = system.run(root)
    await settle()
    run.cancel('user left')
    await settle()
    expect(await run.settled()).toEqual({ status: 'cancelled', reason: 'user left', attempts })
    expect(seen.states(run.path)).toEqual(states)
    expect(seen.events(run.path)).toEqual(events)
    await clock.advance('2h')
    expect(seen.events(run.path)).toEqual(events) // no further attempt, no new incarnation
    expect(await system.dead.list()).toEqual([])
    expect((await system.job(run.id))?.status).toBe('cancelled')
    await system.stop()
    expect(clock.pending).toBe(0)
  })

  test('J9 running: the signal aborts with a CancelledError, the slot is free at once, the body’s end is late', async () => {
    const clock = manualClock()
    const reasons: unknown[] = []
    const root = task('job', { concurrency: 1 }, async (n: number, ctx) => {
      if (n === 2) return 'next'
      ctx.signal.addEventListener('abort', () => reasons.push(ctx.signal.reason))
      await ctx.sleep('1h').catch(() => {})
      return 'obeyed'
    })
    const system = await start(root, { clock })
    const seen = jobRecorder()
    seen.listen(system)
    const first = system.run(root, 1)
    const second = system.run(root, 2)
    await settle()
    first.cancel()
    expect(reasons).toEqual([expect.any(CancelledError)])
    expect(await second).toBe('next')
    expect(seen.all('job.late')).toMatchObject([{ path: first.path, attempt: 1, outcome: 'value' }])
    await system.stop()
  })

  test('J9 final: nothing; the first outcome stays', async () => {
    const root = task('job', () => 1)
    const system = await start(root)
    const seen = jobRecorder()
    seen.listen(system)
    const run = system.run(root)
    await run
    run.cancel('late')
    await settle()
    expect(await run.settled()).toEqual({ status: 'done', value: 1, attempts: 1 })
    expect(seen.all('job.cancelled')).toEqual([])
    await system.stop()
  })
})

describe('cancel', () => {
  async function race(order: (cancel: () => void, give: () => void) => void): Promise<RunOutcome> {
    let give: ((value: string) => void) | undefined
    const root = task('job', () => {
      // A thenable that calls back at once: its value comes in the very turn in which it is given.
      // oxlint-disable-next-line unicorn/no-thenable -- see above
      return { then: (resolve: (value: string) => void) => (give = resolve) }
    })
    const system = await start(root)
    const run = system.run(root)
    await settle()
    order(
      () => run.cancel('first'),
      () => give?.('value'),
    )
    const outcome = await run.settled()
    await settle()
    await system.stop()
    return outcome
  }

  test('J8 cancel and value in one turn, cancel first: cancelled', async () => {
    const outcome = await race((cancel, give) => {
      cancel()
      give()
    })
    expect(outcome).toEqual({ status: 'cancelled', reason: 'first', attempts: 1 })
  })

  test('J8 cancel and value in one turn, value first: done', async () => {
    let settleBody: ((value: string) => void) | undefined
    const root = task('job', () => new Promise<string>((resolve) => (settleBody = resolve)))
    const system = await start(root)
    const run = system.run(root)
    await settle()
    settleBody?.('value')
    await Promise.resolve() // the body's promise is heard, in the same turn of the event loop
    run.cancel('second')
    expect(await run.settled()).toEqual({ status: 'done', value: 'value', attempts: 1 })
    await system.stop()
  })

  test('J8 a cancel by somebody who hears the value: done', async () => {
    const root = task('job', () => 1)
    const system = await start(root)
    system.on('job.done', () => run.cancel('second'))
    const run = system.run(root)
    expect(await run.settled()).toEqual({ status: 'done', value: 1, attempts: 1 })
    await system.stop()
  })

  test('J11 a body that throws in its finally after the cancel: late, nothing else', async () => {
    const clock = manualClock()
    const root = task('job', { retry: { attempts: 3 }, fallback: () => 1 }, async (_: unknown, ctx) => {
      try {
        await ctx.sleep('1h')
      } finally {
        boom()
      }
    })
    const seen = jobRecorder()
    const system = await start(root, { clock, inspect: seen.inspect })
    seen.listen(system)
    const run = system.run(root)
    await settle()
    run.cancel()
    await settle()
    expect(seen.events(run.path)).toEqual(['job.added', 'job.started', 'job.cancelled', 'job.late'])
    expect(seen.all('job.late')).toMatchObject([{ outcome: 'error', error: { message: 'boom' }, attempt: 1 }])
    expect(system.failures()).toEqual([])
    await system.stop()
    expect(clock.pending).toBe(0)
  })

  test('await run rejects with a CancelledError that has the reason as given, also undefined', async () => {
    const reason = { why: 'user left' }
    const root = task('job', { delay: '1h' }, () => 1)
    const system = await start(root)
    const [a, b] = [system.run(root), system.run(root)]
    a.cancel(reason)
    b.cancel()
    await expect(a).rejects.toMatchObject({ name: 'CancelledError', reason })
    await expect(b).rejects.toMatchObject({ name: 'CancelledError', reason: undefined })
    await expect(b).rejects.toThrow(`job ${b.path} was cancelled. Use run.settled() where a cancel is expected.`)
    await system.stop()
  })

  test.each<[string, (cancel: () => never) => unknown]>([
    ['at once', (cancel) => cancel()],
    ['after an await', async (cancel) => (await settle(), cancel())],
    [
      'and catches it',
      (cancel) => {
        try {
          return cancel()
        } catch {
          return 'back again'
        }
      },
    ],
    [
      'in a generator',
      function* (cancel) {
        yield 1
        cancel()
      },
    ],
    [
      'in an async generator',
      async function* (cancel) {
        yield 1
        cancel()
      },
    ],
  ])('ctx.cancel(reason) takes effect at the call: %s', async (_, body) => {
    const seen = jobRecorder()
    const root = task('job', { retry: { attempts: 3 }, fallback: boom }, (_input: unknown, ctx) =>
      body(() => ctx.cancel('own')),
    )
    const system = await start(root, { inspect: seen.inspect })
    seen.listen(system)
    const run = system.run(root)
    await expect(run).rejects.toMatchObject({ name: 'CancelledError', reason: 'own' })
    await settle()
    expect(seen.states(run.path).at(-1)).toBe('cancelled')
    expect(seen.all('job.late')).toHaveLength(1)
    expect(system.failures()).toEqual([])
    await system.stop()
  })

  test('a generator that catches its own cancel is not driven on, its finally runs', async () => {
    const lines: string[] = []
    const root = task('job', function* (_: unknown, ctx) {
      try {
        try {
          ctx.cancel('own')
        } catch {
          lines.push('caught')
        }
        yield 1
        lines.push('driven on')
      } finally {
        lines.push('finally')
      }
    })
    const system = await start(root)
    const seen = jobRecorder()
    seen.listen(system)
    const run = system.run(root)
    expect((await run.settled()).status).toBe('cancelled')
    await settle()
    expect(lines).toEqual(['caught', 'finally'])
    expect(seen.all('job.late')).toHaveLength(1)
    expect(seen.all('job.progress')).toEqual([])
    await system.stop()
  })

  test('a cancel by somebody who hears that the job starts: the body is not called', async () => {
    const body = vi.fn<() => void>()
    const root = task('job', body)
    const system = await start(root)
    system.on('job.started', () => run.cancel('early'))
    const run = system.run(root)
    expect(await run.settled()).toEqual({ status: 'cancelled', reason: 'early', attempts: 1 })
    expect(body).not.toHaveBeenCalled()
    await system.stop()
  })

  test('a cancel in an abort listener of the timeout: the first one counts', async () => {
    const clock = manualClock()
    const root = task('job', { timeout: 10, retry: { attempts: 2 } }, (_: unknown, ctx) => {
      ctx.signal.addEventListener('abort', () => run.cancel('instead'))
      return never
    })
    const system = await start(root, { clock })
    const run = system.run(root)
    await clock.advance(10)
    expect(await run.settled()).toEqual({ status: 'cancelled', reason: 'instead', attempts: 1 })
    await system.stop()
  })

  test('of a retry that no worker holds has the attempts that were begun', async () => {
    const clock = manualClock()
    const job = task('job', { retry: { attempts: 3, backoff } }, boom)
    const system = await start(supervisor('app', [job]), { clock })
    const run = system.run(job)
    await settle()
    await system.supervisor('app').stopChild('job')
    run.cancel('enough')
    expect(await run.settled()).toEqual({ status: 'cancelled', reason: 'enough', attempts: 1 })
    await system.stop()
    expect(clock.pending).toBe(0)
  })

  test('a cancel between two attempts that need no wait', async () => {
    const root = task('job', { retry: { attempts: 100 } }, boom)
    const system = await start(root, { catch: () => resume })
    system.on('job.retrying', ({ attempt }) => void (attempt === 3 && run.cancel('enough')))
    const run = system.run(root)
    expect(await run.settled()).toEqual({ status: 'cancelled', reason: 'enough', attempts: 3 })
    await system.stop()
  })

  test('a body that goes on after the cancel can do nothing more', async () => {
    const clock = manualClock()
    const root = task('job', async (_: unknown, ctx) => {
      await ctx.sleep('1h').catch(() => {})
      ctx.progress('late')
      await ctx.sleep(1).catch(() => {})
      ctx.cancel('again')
    })
    const system = await start(root, { clock })
    const seen = jobRecorder()
    seen.listen(system)
    const run = system.run(root)
    await settle()
    run.cancel('once')
    await settle()
    expect(seen.events(run.path)).toEqual(['job.added', 'job.started', 'job.cancelled', 'job.late'])
    expect(await run.settled()).toMatchObject({ reason: 'once' })
    await system.stop()
  })
})
