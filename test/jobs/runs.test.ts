import { describe, expect, expectTypeOf, test } from 'vitest'
import { CancelledError, Failure, resume, start, supervisor, SystemStoppedError, task, type Run } from 'rootcatch'
import { manualClock, settle } from 'rootcatch/testing'
import { jobRecorder } from '../support/job-recorder.ts'
import { failOnUnhandled } from '../support/unhandled.ts'

failOnUnhandled()

const boom = (): never => {
  throw new Error('boom')
}
const never = new Promise<never>(() => {})

describe('a run', () => {
  test('can be awaited many times, before and after', async () => {
    const root = task('root', () => 7)
    const system = await start(root)
    const run = system.run(root)
    const before = [run, run.then((value) => value + 1), run.settled()]
    expect(await Promise.all(before)).toEqual([7, 8, { status: 'done', value: 7, attempts: 1 }])
    expect(await Promise.all([run, run.settled(), run.finally(() => {})])).toEqual([7, await run.settled(), 7])
    await system.stop()
    expect(await run).toBe(7)
  })

  test('rejects with the failure, settled() never rejects', async () => {
    const root = task('root', boom)
    const system = await start(root, { catch: () => resume })
    const run = system.run(root)
    const { failure } = await run.settled()
    expect(failure).toBeInstanceOf(Failure)
    await expect(run).rejects.toBe(failure)
    expect(await run.catch((error: unknown) => error)).toBe(failure)
    await expect(run.queued()).resolves.toEqual({ id: run.id, duplicate: false })
    await system.stop()
  })

  test('that nobody awaits is no unhandled rejection', async () => {
    const root = task('root', (kind: string, ctx) => (kind === 'cancel' ? ctx.cancel() : boom()))
    const system = await start(root, { catch: () => resume })
    void system.run(root, 'fail')
    void system.run(root, 'cancel')
    void system.run(root, 1n as never)
    void system.run(root, 'fail').queued()
    void system.run(root, 'fail').settled()
    await settle()
    await settle()
    expect(system.failures()).toHaveLength(3)
    await system.stop()
  })

  test('queued() resolves once the broker has the job, and rejects if nothing was queued', async () => {
    const root = task('root', { delay: '1h' }, (_: unknown) => 1)
    const system = await start(root)
    const run = system.run(root)
    expect(await run.queued()).toEqual({ id: '1', duplicate: false })
    expect((await system.job('1'))?.status).toBe('delayed')
    await expect(system.run(root, new Date()).queued()).rejects.toMatchObject({ code: 'payload' })
    await system.stop()
  })

  test('knows id and path at once', async () => {
    const job = task('job', () => 1)
    const system = await start(supervisor('app', [job]))
    const run = system.run(job)
    expect([run.id, run.path]).toEqual(['1', 'app/job/job:1'])
    await system.stop()
  })

  test('gives the progress to everybody who iterates, and ends with the job', async () => {
    const root = task('root', async function* (count: number, ctx) {
      for (let n = 1; n <= count; n += 1) {
        yield n
        await settle()
      }
      ctx.progress('by call')
      return 'over'
    })
    const system = await start(root)
    const run = system.run(root, 3)
    const take = async (most = Infinity): Promise<unknown[]> => {
      const taken: unknown[] = []
      for await (const value of run) {
        taken.push(value)
        if (taken.length === most) break
      }
      return taken
    }
    expect(await Promise.all([take(), take(1), take()])).toEqual([[1, 2, 3, 'by call'], [1], [1, 2, 3, 'by call']])
    expect(await run).toBe('over')
    expect(await take()).toEqual([]) // it is over
    await system.stop()
  })

  test('iteration ends also when the job fails, is cancelled or refused; how it ended says await run', async () => {
    const root = task('root', async function* (kind: string) {
      yield kind
      if (kind === 'fail') boom()
      await never
    })
    const system = await start(root, { catch: () => resume })
    const fails = system.run(root, 'fail')
    const cancelled = system.run(root, 'cancel')
    const refused = system.run(root, 1n as never)
    const take = async (run: Run<unknown, unknown>): Promise<unknown[]> => {
      const taken: unknown[] = []
      for await (const value of run) {
        taken.push(value)
        if (value === 'cancel') run.cancel()
      }
      return taken
    }
    expect(await Promise.all([fails, cancelled, refused].map(take))).toEqual([['fail'], ['cancel'], []])
    await expect(fails).rejects.toBeInstanceOf(Failure)
    await expect(cancelled).rejects.toBeInstanceOf(CancelledError)
    await system.stop()
  })

  test('a sync generator yields progress too, also promises', async () => {
    const root = task('root', function* () {
      yield 1
      yield Promise.resolve(2)
      return Promise.resolve('over')
    })
    const system = await start(root)
    const run = system.run(root)
    const progress: unknown[] = []
    for await (const value of run) progress.push(value)
    expect(progress).toEqual([1, 2])
    expect(await run).toBe('over')
    await system.stop()
  })

  test('is typed by its task', async () => {
    const job = task('job', { fallback: () => null }, async (input: { n: number }) => input.n)
    const streaming = task('streaming', async function* (_: string) {
      yield 1
      return true
    })
    const system = await start(supervisor('app', [job, streaming]))
    expectTypeOf(system.run(job, { n: 1 })).toEqualTypeOf<Run<number | null, unknown>>()
    expectTypeOf(system.run(streaming, 'x')).toEqualTypeOf<Run<boolean, number>>()
    // @ts-expect-error the input is required
    void system.run(job).settled()
    // @ts-expect-error and typed
    void system.run(job, { n: '1' }).settled()
    await system.stop()
  })
})

describe('options of run', () => {
  test('priority: smaller first, by option of the task, function of the input, or of the run', async () => {
    const order: unknown[] = []
    const root = task('root', { concurrency: 1, priority: (input: number) => input }, (input: number) =>
      order.push(input),
    )
    const system = await start(root)
    system.pause(root)
    const runs = [
      system.run(root, 5),
      system.run(root, -1_000_000),
      system.run(root, 0),
      system.run(root, 7, { priority: -7 }),
      system.run(root, 1_000_000),
      system.run(root, 5),
    ]
    system.unpause(root)
    await Promise.all(runs)
    expect(order).toEqual([-1_000_000, 7, 0, 5, 5, 1_000_000])
    await system.stop()
  })

  test('delay: never early; once due a job competes by its own priority', async () => {
    const clock = manualClock()
    const order: string[] = []
    const root = task('root', { concurrency: 1 }, (name: string) => order.push(`${name} at ${clock.now()}`))
    const system = await start(root, { clock })
    void system.run(root, 'c', { delay: 300 })
    void system.run(root, 'a', { delay: 100 })
    void system.run(root, 'b', { delay: 200 })
    void system.run(root, 'first', { delay: 300, priority: -1 })
    await clock.advance(299)
    expect(order).toEqual(['a at 100', 'b at 200'])
    await clock.advance(1)
    expect(order).toEqual(['a at 100', 'b at 200', 'first at 300', 'c at 300'])
    await system.stop()
    expect(clock.pending).toBe(0)
  })

  test('signal: cancels the job when it aborts, also before it starts, and is left alone afterwards', async () => {
    const clock = manualClock()
    const root = task('root', async (ms: number, ctx) => ctx.sleep(ms))
    const system = await start(root, { clock })
    const controller = new AbortController()
    const added: string[] = []
    const { signal } = controller
    signal.addEventListener = new Proxy(signal.addEventListener, {
      apply: (add, self, [type, ...rest]) => (added.push('+'), Reflect.apply(add, self, [type, ...rest])),
    })
    signal.removeEventListener = new Proxy(signal.removeEventListener, {
      apply: (remove, self, rest) => (added.push('-'), Reflect.apply(remove, self, rest)),
    })
    const short = system.run(root, 1, { signal })
    const long = system.run(root, 1_000, { signal })
    const delayed = system.run(root, 1, { signal, delay: '1h' })
    await clock.advance(10)
    expect(await short.settled()).toMatchObject({ status: 'done' })
    expect(added).toEqual(['+', '+', '+', '-'])
    controller.abort('enough')
    expect(await long.settled()).toEqual({ status: 'cancelled', reason: 'enough', attempts: 1 })
    expect(await delayed.settled()).toEqual({ status: 'cancelled', reason: 'enough', attempts: 0 })
    const early = system.run(root, 1, { signal })
    expect(await early.settled()).toEqual({ status: 'cancelled', reason: 'enough', attempts: 0 })
    await system.stop()
  })

  test('dedupe: while a job of the key is unfinished another one follows it', async () => {
    const clock = manualClock()
    let calls = 0
    const root = task(
      'root',
      { dedupe: (input: { key: string }) => input.key },
      async function* (_: { key: string }, ctx) {
        calls += 1
        await ctx.sleep(10)
        yield 'progress'
        return { calls }
      },
    )
    const system = await start(root, { clock })
    const seen = jobRecorder()
    seen.listen(system)
    const first = system.run(root, { key: '__proto__' })
    const second = system.run(root, { key: '__proto__' })
    const other = system.run(root, { key: 'toString' })
    expect(await Promise.all([first, second, other].map((run) => run.queued()))).toEqual([
      { id: '1', duplicate: false },
      { id: '1', duplicate: true },
      { id: '3', duplicate: false },
    ])
    expect([second.id, second.path]).toEqual([first.id, first.path])
    const progress = (async () => {
      const taken: unknown[] = []
      for await (const value of second) taken.push(value)
      return taken
    })()
    await clock.advance(10)
    const [a, b] = await Promise.all([first, second])
    expect([a, b]).toEqual([{ calls: 2 }, { calls: 2 }])
    expect(a).not.toBe(b)
    expect(await progress).toEqual(['progress'])
    expect(seen.events(first.path).filter((name) => name === 'job.done')).toHaveLength(1)
    expect(seen.all('job.added').map(({ duplicate }) => duplicate)).toEqual([false, true, false])
    const third = system.run(root, { key: '__proto__' }) // the key is free again
    await clock.advance(10)
    expect(await third).toEqual({ calls: 3 })
    expect(system.stats().openRuns).toBe(0)
    await system.stop()
  })

  test('dedupe with for: the key is held for that long, although its job is finished', async () => {
    const clock = manualClock()
    let calls = 0
    const root = task('root', { dedupe: { key: 'only', for: '1h' } }, (fails: boolean) => {
      calls += 1
      if (fails) boom()
      return calls
    })
    const system = await start(root, { clock, catch: () => resume })
    expect(await system.run(root, false)).toBe(1)
    await clock.advance('59m')
    const again = system.run(root, false)
    expect(await again.queued()).toEqual({ id: '1', duplicate: true })
    expect(await again).toBe(1)
    await clock.advance('1m')
    const failed = await system.run(root, true).settled()
    expect(failed).toMatchObject({ status: 'failed' })
    const follower = await system.run(root, false).settled()
    expect(follower).toMatchObject({ status: 'failed', failure: { kind: 'thrown', path: 'root/job:3' } })
    expect(calls).toBe(2)
    await system.stop()
  })

  test('dedupe: a duplicate of a job whose outcome is gone says so, and does not hang', async () => {
    const clock = manualClock()
    const root = task('root', { concurrency: 100 }, (n: number) => n)
    const system = await start(root, { clock })
    await system.run(root, 0, { dedupe: { key: 'k', for: '100d' } })
    for (let batch = 0; batch < 11; batch += 1) {
      await Promise.all(Array.from({ length: 1_000 }, (_, n) => system.run(root, n)))
    }
    const run = system.run(root, 0, { dedupe: 'k' })
    const { status, failure } = await run.settled()
    expect([status, failure?.kind]).toEqual(['failed', 'lost'])
    expect(failure).toMatchObject({
      error: { message: 'the outcome of root/job:1 is no longer kept. Ask for it earlier, or give it a new key.' },
    })
    await system.stop()
  })

  test('cancelling a duplicate cancels the job it follows, for all', async () => {
    const root = task('root', { delay: '1h' }, () => 1)
    const system = await start(root)
    const first = system.run(root, undefined, { dedupe: 'k' })
    const second = system.run(root, undefined, { dedupe: 'k' })
    await second.queued()
    second.cancel('both')
    const outcome = { status: 'cancelled', reason: 'both', attempts: 0 }
    expect(await Promise.all([first.settled(), second.settled()])).toEqual([outcome, outcome])
    await system.stop()
  })

  test.each([
    [{ priorty: 1 }, 'Did you mean "priority"?'],
    [{ priority: 'high' }, 'run of task "root" got priority "high" (string). Use a whole number'],
    [{ priority: () => 1 }, 'run of task "root" got priority'],
    [{ delay: 'soon' }, 'run of task "root" got delay "soon" (string)'],
    [{ lane: 1 }, 'run of task "root" got lane 1 (number)'],
    [{ dedupe: { key: 'a', for: 0 } }, 'dedupe.for 0 (number)'],
    [{ signal: {} }, 'Pass the signal of an AbortController.'],
  ])('%j is refused at once with %j', async (options, text) => {
    const root = task('root', () => 1)
    const system = await start(root)
    expect(() => system.run(root, undefined, options as never)).toThrow(text)
    expect(system.stats().openRuns).toBe(0)
    await system.stop()
  })

  test.each([
    [{ priority: () => 0.5 }, 'task "root" got priority 0.5 (number)'],
    [{ lane: () => 5 }, 'task "root" got lane 5 (number)'],
    [{ lane: () => () => 'x' }, 'task "root" got lane'],
    [{ delay: () => 'soon' }, 'task "root" got delay "soon" (string)'],
    [{ dedupe: boom }, 'boom'],
  ])('a function of the input that gives nonsense refuses the run: %#', async (options, text) => {
    const root = task('root', options as never, () => 1)
    const system = await start(root)
    const seen = jobRecorder()
    seen.listen(system)
    const run = system.run(root)
    await expect(run).rejects.toThrow(text)
    expect(await run.settled()).toMatchObject({ status: 'failed', attempts: 0, failure: { kind: 'input' } })
    expect(seen.events(run.path)).toEqual(['job.refused'])
    await system.stop()
  })
})

describe('a stop', () => {
  test('settles open runs cancelled, with a SystemStoppedError as reason; no run hangs after system.done', async () => {
    const clock = manualClock()
    const root = task('root', { concurrency: 1, shutdown: '2s', retry: { attempts: 2 } }, (ms: number, ctx) => {
      if (ms === 0) boom()
      return ctx.sleep(ms)
    })
    const system = await start(root, { clock })
    const seen = jobRecorder()
    seen.listen(system)
    const running = system.run(root, 60_000)
    const waiting = system.run(root, 1)
    const delayed = system.run(root, 1, { delay: '1h' })
    await settle()
    const stopping = system.stop()
    expect(() => system.run(root, 1)).toThrow(SystemStoppedError)
    await clock.advance('1999ms')
    expect(system.isStopped).toBe(true)
    await clock.advance(1)
    await stopping
    await system.done
    for (const run of [running, waiting, delayed]) {
      const outcome = await run.settled()
      expect(outcome).toMatchObject({ status: 'cancelled', attempts: 0, reason: expect.any(SystemStoppedError) })
      expect(seen.events(run.path)).toContain('job.cancelled')
    }
    const reason = (await running.settled()) as unknown as { reason: Error }
    expect(reason.reason.message).toBe(
      'system "root" stopped before job root/job:1 was over. Await its runs before stop(), or use a durable broker.',
    )
    expect(clock.pending).toBe(0)
  })

  test('lets running attempts have `shutdown` and aborts them then', async () => {
    const clock = manualClock()
    const reasons: unknown[] = []
    const root = task('root', { shutdown: '2s' }, async (ms: number, ctx) => {
      ctx.signal.addEventListener('abort', () => reasons.push(ctx.signal.reason))
      await ctx.sleep(ms)
      return ms
    })
    const system = await start(root, { clock })
    const quick = system.run(root, 1_500)
    const slow = system.run(root, 2_500)
    await settle()
    const stopping = system.stop()
    await clock.advance('2s')
    await stopping
    expect(await quick).toBe(1_500)
    expect(await slow.settled()).toMatchObject({ status: 'cancelled' })
    expect(reasons).toEqual([expect.any(SystemStoppedError)])
    expect(clock.pending).toBe(0)
  })

  test("shutdown 'kill' gives no time, Infinity all of it", async () => {
    const clock = manualClock()
    const kill = task('kill', { shutdown: 'kill' }, (_: unknown, ctx) => ctx.sleep('1h'))
    const patient = task('patient', { shutdown: Infinity }, async (_: unknown, ctx) => {
      await ctx.sleep('10h')
      return 'patient'
    })
    const system = await start(supervisor('app', [patient, kill]), { clock })
    const runs = [system.run(kill), system.run(patient)] as const
    await settle()
    const stopping = system.stop()
    await clock.advance('10h')
    await stopping
    expect((await runs[0].settled()).status).toBe('cancelled')
    expect(await runs[1]).toBe('patient')
  })

  test.each(['job.started', 'job.retrying', 'failure.decided', 'job.failed'] as const)(
    'a stop called by who hears %s: the run settles, and nothing is counted twice',
    async (name) => {
      const root = task('root', { shutdown: 'kill', retry: { attempts: 2 } }, boom)
      const system = await start(root, { catch: () => resume })
      const seen = jobRecorder()
      seen.listen(system)
      system.on(name, () => void system.stop())
      const run = system.run(root)
      const { status } = await run.settled()
      await system.done
      expect(status).toBe(name.startsWith('job.f') || name.startsWith('f') ? 'failed' : 'cancelled')
      expect(seen.all('job.lost')).toEqual([])
      expect(system.stats()).toMatchObject({ attempts: 0, openRuns: 0 })
    },
  )

  test('a stop called by a job that its own stop cuts off', async () => {
    const root = task('root', { shutdown: 'kill' }, () => {
      void system.stop()
      return 'sync'
    })
    const system = await start(root)
    const seen = jobRecorder()
    seen.listen(system)
    const run = system.run(root)
    expect((await run.settled()).status).toBe('cancelled')
    await system.done
    expect(seen.events(run.path)).toEqual(['job.added', 'job.started', 'job.late', 'job.cancelled'])
    expect(system.stats()).toMatchObject({ attempts: 0, openRuns: 0 })
  })
})
