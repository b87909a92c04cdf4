import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { plugin, restart, resume, start, stop, supervisor, task, type Failure, type RootDecision } from 'rootcatch'
import { settle } from 'rootcatch/testing'
import { runNode } from '../support/child.ts'
import { jobRecorder } from '../support/job-recorder.ts'

// Vitest listens itself; here only ours may be asked, as in a program without other listeners.
let others: readonly unknown[] = []
beforeEach(() => {
  others = process.listeners('unhandledRejection')
  process.removeAllListeners('unhandledRejection')
})
afterEach(() => {
  const left = process.listenerCount('unhandledRejection')
  for (const listener of others) process.on('unhandledRejection', listener as never)
  if (left > 0) throw new Error(`${left} listeners were left behind`)
})

/** Leaves a promise floating that rejects a moment later. */
function float(why: string): void {
  void (async () => {
    await settle()
    throw new Error(why)
  })()
}

const turns = async (): Promise<void> => {
  await settle()
  await settle()
}

describe('a floating promise', () => {
  test('is a failure of kind floating with the path and job of the one that began it, also when that is over', async () => {
    const job = task('job', { retry: { attempts: 3 } }, () => float('afloat'))
    const seen = jobRecorder()
    const asked: Failure[] = []
    const note = (failure: Failure): typeof resume => {
      asked.push(failure)
      return resume
    }
    const system = await start(supervisor('app', { catch: note }, [job]), { catch: () => resume })
    seen.listen(system)
    const run = system.run(job)
    await run
    await turns()
    expect(asked).toMatchObject([
      {
        kind: 'floating',
        path: run.path,
        attempt: 1,
        error: { message: 'afloat' },
        job: { id: run.id, task: 'app/job' },
      },
    ])
    expect(seen.events(run.path)).toEqual(['job.added', 'job.started', 'job.done', 'failure.decided'])
    expect(await run.settled()).toMatchObject({ status: 'done' })
    expect(system.failures().map(({ trail }) => trail.map(({ path, decision }) => [path, decision]))).toEqual([
      [['app', 'resume']],
    ])
    await system.stop()
  })

  test.each<[string, RootDecision, boolean]>([
    ['resume', resume, false],
    ['restart', restart, false],
    ['stop', stop, true],
  ])('J9 %s: dealt with, the job’s outcome does not change', async (_, decision, stops) => {
    const root = task('root', () => float('afloat'))
    const system = await start(root, { catch: () => decision })
    const seen = jobRecorder()
    seen.listen(system)
    const run = system.run(root)
    await run
    await turns()
    expect(seen.all('failure.decided')).toMatchObject([{ decision: decision.decision, failure: { kind: 'floating' } }])
    expect(seen.all('job.restarted')).toEqual([])
    expect(await run.settled()).toMatchObject({ status: 'done' })
    expect(system.isStopped).toBe(stops)
    await system.stop()
    const ended = await system.done.then(
      () => 'well',
      (failure: Failure) => failure.kind,
    )
    expect(ended).toBe(stops ? 'floating' : 'well')
  })

  test('stop of a supervisor below the root does not stop the system', async () => {
    const job = task('job', () => float('afloat'))
    const system = await start(supervisor('app', { catch: () => stop }, [job]))
    await system.run(job)
    await turns()
    expect(system.failures()).toMatchObject([{ kind: 'floating' }])
    expect(system.isStopped).toBe(false)
    await system.stop()
  })

  test('is found in hooks, fallbacks, generators, and behind awaits', async () => {
    const rescue = plugin('rescue', { pluginError: () => (float('hook'), undefined) })
    const hooked = task('hooked', { plugins: [rescue] }, (_: unknown, ctx) => ctx.pluginError())
    const fallback = task('fallback', { fallback: () => float('fallback') }, () => {
      throw new Error('no')
    })
    const generator = task('generator', async function* () {
      yield 1
      float('generator')
    })
    const awaits = task('awaits', async () => {
      await settle()
      float('awaits')
    })
    const system = await start(supervisor('app', [hooked, fallback, generator, awaits]), { catch: () => resume })
    for (const each of [hooked, fallback, generator, awaits]) await system.run(each).settled()
    await turns()
    const floating = system.failures().filter(({ kind }) => kind === 'floating')
    expect(floating.map(({ error, job }) => [(error as Error).message, job?.task]).toSorted()).toEqual([
      ['awaits', 'app/awaits'],
      ['fallback', 'app/fallback'],
      ['generator', 'app/generator'],
      ['hook', 'app/hooked'],
    ])
    await system.stop()
  })

  test('J16 two systems in one process, one stops: floating failures of the other are still found', async () => {
    const a = task('a', () => float('of a'))
    const b = task('b', () => float('of b'))
    const systems = [await start(a, { catch: () => resume }), await start(b, { catch: () => resume })] as const
    expect(process.listenerCount('unhandledRejection')).toBe(1)
    await systems[0].run(a)
    await turns()
    await systems[0].stop()
    expect(process.listenerCount('unhandledRejection')).toBe(1)
    await systems[1].run(b)
    await turns()
    expect(systems[0].failures()).toMatchObject([{ kind: 'floating', path: 'a/job:1' }])
    expect(systems[1].failures()).toMatchObject([{ kind: 'floating', path: 'b/job:1' }])
    await systems[1].stop()
    expect(process.listenerCount('unhandledRejection')).toBe(0)
    expect(process.listenerCount('uncaughtExceptionMonitor')).toBe(0)
  })

  test('a rejection that is not ours is left to other listeners', async () => {
    const root = task('root', () => 1)
    const system = await start(root)
    const heard: unknown[] = []
    const hear = (error: unknown): void => void heard.push(error)
    process.on('unhandledRejection', hear)
    void Promise.reject(new Error('not ours'))
    await turns()
    process.off('unhandledRejection', hear)
    expect(heard).toMatchObject([{ message: 'not ours' }])
    expect(system.failures()).toEqual([])
    await system.stop()
  })

  test('of a listener is not the job’s, also where the body itself causes the event', async () => {
    const heard: unknown[] = []
    const hear = (error: unknown): void => void heard.push((error as Error).message)
    process.on('unhandledRejection', hear)
    const root = task('root', (_: unknown, ctx) => {
      ctx.progress(1)
      ctx.cancel()
    })
    const system = await start(root)
    system.on('job.progress', () => float('progress'))
    system.on('job.cancelled', () => float('cancelled'))
    await system.run(root).settled()
    await turns()
    process.off('unhandledRejection', hear)
    expect(heard).toEqual(['progress', 'cancelled'])
    expect(system.failures()).toEqual([])
    await system.stop()
  })

  test('of a listener is not the job’s, also after its fallback or its plugins were called', async () => {
    const heard: unknown[] = []
    const hear = (error: unknown): void => void heard.push((error as Error).message)
    process.on('unhandledRejection', hear)
    const fallen = task('fallen', { fallback: () => 1 }, () => Promise.reject(new Error('no')))
    const answered = task('answered', { plugins: [plugin('p', { pluginError: () => 1 })] }, async (_: unknown, ctx) =>
      ctx.pluginError(),
    )
    const system = await start(supervisor('app', [fallen, answered]))
    system.on('job.fellBack', () => float('fallen'))
    system.on('job.done', () => float('answered'))
    for (const each of [fallen, answered]) await system.run(each)
    await turns()
    process.off('unhandledRejection', hear)
    expect(heard).toEqual(['fallen', 'answered'])
    expect(system.failures()).toEqual([])
    await system.stop()
  })

  test('what a job asks for belongs to the other job, not to it', async () => {
    const inner = task('inner', () => float('inner'))
    const outer = task('outer', async () => {
      await system.run(inner)
    })
    const system = await start(supervisor('app', [inner, outer]), { catch: () => resume })
    await system.run(outer)
    await turns()
    expect(system.failures()).toMatchObject([{ job: { task: 'app/inner' } }])
    await system.stop()
  })
})

describe('a process', () => {
  const program = (body: string): readonly string[] => [
    '--input-type=module',
    '-e',
    `import { start, task } from '${new URL('../../dist/src/index.js', import.meta.url).href}'
     const system = await start(task('idle', () => 1))
     ${body}`,
  ]

  test('ends on a rejection that is not ours, as Node wants it', async () => {
    const { code, stderr } = await runNode(program(`Promise.reject(new Error('not ours')); setTimeout(() => {}, 5000)`))
    expect(code).toBe(1)
    expect(stderr).toContain('not ours')
  })

  test('ends on a throw in a timer of a job, after a line that says whose it was', async () => {
    const { code, stderr } = await runNode(
      program(`
        const bad = task('bad', () => void setTimeout(() => { throw new Error('in a timer') }, 1))
        const other = await start(bad)
        await other.run(bad)
        setTimeout(() => {}, 5000)`),
    )
    expect(code).toBe(1)
    expect(stderr).toContain('rootcatch: the uncaught exception was thrown by bad/job:1')
    expect(stderr).toContain('in a timer')
  })

  test('ends by itself once its systems are stopped', async () => {
    const { code } = await runNode(program(`await system.stop()`))
    expect(code).toBe(0)
  })
})
