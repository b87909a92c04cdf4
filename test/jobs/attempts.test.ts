import { types } from 'node:util'
import { runInNewContext } from 'node:vm'
import { describe, expect, test, vi } from 'vitest'
import {
  exponential,
  PermanentError,
  plugin,
  restart,
  resume,
  start,
  supervisor,
  task,
  type Failure,
  type TaskContext,
} from 'rootcatch'
import { manualClock } from 'rootcatch/testing'
import { jobRecorder } from '../support/job-recorder.ts'

const quiet = { catch: () => resume }

function putOff(retryAfter: unknown): never {
  throw Object.assign(new Error('later'), { retryAfter })
}

describe('attempts', () => {
  test('J6 put off 20 times in a row, attempts 2: the twentieth is charged, failed after the next charged one', async () => {
    const clock = manualClock()
    const tries: number[] = []
    const root = task('root', { retry: { attempts: 2 } }, (_: unknown, ctx) => {
      tries.push(ctx.attempt)
      return putOff(10)
    })
    const system = await start(root, { ...quiet, clock })
    const seen = jobRecorder()
    seen.listen(system)
    const run = system.run(root)
    await clock.advance('1m')
    expect(await run.settled()).toMatchObject({ status: 'failed', attempts: 40, failure: { attempt: 40 } })
    expect(tries).toEqual(Array.from({ length: 40 }, (_, index) => index + 1))
    const charged = seen.all('job.retrying').map((event) => event.charged)
    expect(charged).toEqual(Array.from({ length: 39 }, (_, index) => index === 19))
    await system.stop()
  })

  test.each([[-1], [Number.NaN], ['5s'], [Infinity], [null]])(
    'J7 retryAfter %s: an ordinary error',
    async (retryAfter) => {
      const when = vi.fn<() => boolean>(() => true)
      const root = task('root', { retry: { attempts: 2, when } }, () => putOff(retryAfter))
      const system = await start(root, quiet)
      expect(await system.run(root).settled()).toMatchObject({ status: 'failed', attempts: 2 })
      expect(when).toHaveBeenCalledTimes(1) // not for the last attempt, where its answer changes nothing
      await system.stop()
    },
  )

  test('J12 a PermanentError of a second copy of the package: permanent', async () => {
    vi.resetModules()
    const other = await import('../../src/errors.ts')
    expect(other.PermanentError).not.toBe(PermanentError)
    const root = task('root', { retry: { attempts: 5 } }, () => {
      throw new other.PermanentError('gone')
    })
    const system = await start(root, quiet)
    expect(await system.run(root).settled()).toMatchObject({ status: 'failed', attempts: 1 })
    await system.stop()
  })

  test('a put-off waits the longer of retryAfter and backoff, charges nothing and does not ask when', async () => {
    const clock = manualClock()
    const when = vi.fn<() => boolean>(() => true)
    const backoff = exponential({ from: '1s', to: '10s', jitter: 0 })
    const waits = [5_000, 10, 700]
    const root = task('root', { retry: { attempts: 3, when, backoff } }, (_: unknown, ctx) => {
      const wait = waits[ctx.attempt - 1]
      return wait === undefined ? 'done' : putOff(wait)
    })
    const system = await start(root, { ...quiet, clock })
    const seen = jobRecorder()
    seen.listen(system)
    const run = system.run(root)
    await clock.advance('1m')
    expect(await run.settled()).toEqual({ status: 'done', value: 'done', attempts: 4 })
    expect(seen.all('job.retrying').map(({ delay, charged }) => [delay, charged])).toEqual([
      [5_000, false],
      [1_000, false],
      [1_000, false],
    ])
    expect(when).not.toHaveBeenCalled()
    await system.stop()
  })

  test('a put-off between charged attempts does not use one up', async () => {
    const root = task('root', { retry: { attempts: 3 } }, (_: unknown, ctx) => {
      if (ctx.attempt % 2 === 0) putOff(0)
      throw new Error(`charged ${ctx.attempt}`)
    })
    const system = await start(root, quiet)
    expect(await system.run(root).settled()).toMatchObject({ status: 'failed', attempts: 5 })
    await system.stop()
  })

  test('the wait after the n-th charged attempt is the backoff, and no attempt begins before it', async () => {
    const clock = manualClock()
    const times: number[] = []
    const backoff = exponential({ from: 100, to: '1m', jitter: 0 })
    const root = task('root', { retry: { attempts: 4, backoff } }, () => {
      times.push(clock.now())
      throw new Error('no')
    })
    const system = await start(root, { ...quiet, clock })
    const run = system.run(root)
    await clock.advance('1h')
    await run.settled()
    expect(times).toEqual([0, 100, 300, 700])
    await system.stop()
    expect(clock.pending).toBe(0)
  })

  test('when is asked with what was thrown, and only false means no', async () => {
    const thrown = Object.freeze({ why: 'frozen' })
    const asked: unknown[] = []
    const when = (error: unknown): boolean => {
      asked.push(error)
      return undefined as unknown as boolean
    }
    const root = task('root', { retry: { attempts: 2, when } }, () => {
      throw thrown
    })
    const system = await start(root, quiet)
    const { failure, attempts } = await system.run(root).settled()
    expect(asked).toEqual([thrown])
    expect(failure?.error).toBe(thrown)
    expect(attempts).toBe(2)
    await system.stop()
  })

  test('a when that throws is a yes, and is reported', async () => {
    const when = (): boolean => {
      throw new Error('bad rule')
    }
    const root = task('root', { retry: { attempts: 2, when } }, () => {
      throw new Error('no')
    })
    const system = await start(root, quiet)
    const seen = jobRecorder()
    seen.listen(system)
    const run = system.run(root)
    expect(await run.settled()).toMatchObject({ attempts: 2 })
    expect(seen.all('callback.failed')).toMatchObject([{ path: run.path, callback: 'retry.when' }])
    await system.stop()
  })

  test('each attempt gets a new ctx and a new signal, the same id, path and idempotency key', async () => {
    const seen: TaskContext[] = []
    const root = task('root', { retry: { attempts: 3 } }, (_: unknown, ctx) => {
      seen.push(ctx)
      void ctx.signal
      if (ctx.attempt < 3) throw new Error('no')
      return 1
    })
    const system = await start(root, quiet)
    const run = system.run(root)
    await run
    expect(new Set(seen).size).toBe(3)
    expect(new Set(seen.map(({ signal }) => signal)).size).toBe(3)
    expect(seen.map(({ attempt }) => attempt)).toEqual([1, 2, 3])
    expect(seen.map(({ signal }) => signal.aborted)).toEqual([false, false, false])
    expect(new Set(seen.map(({ id, path, idempotencyKey }) => `${id} ${path} ${idempotencyKey}`))).toEqual(
      new Set([`${run.id} ${run.path} ${run.path}`]),
    )
    await system.stop()
  })

  test('ctx may be taken apart', async () => {
    const root = task('root', (_: unknown, { id, sleep, progress, log, signal, attempt }) => {
      progress(1)
      log.info('hello')
      return sleep(0).then(() => [id, attempt, signal.aborted])
    })
    const system = await start(root)
    expect(await system.run(root)).toEqual(['1', 1, false])
    await system.stop()
  })

  test('an error of another realm is read as an error', async () => {
    const root = task('root', () => {
      throw runInNewContext(`Object.assign(new TypeError('from elsewhere'), { retryAfter: 0 })`)
    })
    const system = await start(root, quiet)
    const { failure } = await system.run(root).settled()
    expect(failure?.toJSON().error).toMatchObject({ name: 'TypeError', message: 'from elsewhere' })
    await system.stop()
  })

  test('the history keeps every attempt of every incarnation', async () => {
    const root = task('root', { retry: { attempts: 2 } }, (_: unknown, ctx) => {
      throw new Error(`try ${ctx.attempt}`)
    })
    let restarts = 0
    const system = await start(root, { catch: () => (restarts++ === 0 ? restart : resume) })
    const run = system.run(root)
    await run.settled()
    const record = await system.job(run.id)
    expect(record?.history.map(({ generation, attempt, message }) => [generation, attempt, message])).toEqual([
      [1, 1, 'try 1'],
      [1, 2, 'try 2'],
      [2, 1, 'try 1'],
      [2, 2, 'try 2'],
    ])
    expect(record).toMatchObject({ status: 'failed', attempts: 2, generation: 2 })
    await system.stop()
  })

  test('V8 makes an error of the failure that a job ends with, and of none that is dealt with before', async () => {
    const seen: string[] = []
    const see = (what: string, failure: unknown): void => {
      expect(failure).toBeInstanceOf(Error)
      seen.push(`${what}: ${types.isNativeError(failure) ? 'made' : 'not made'}`)
    }
    const watching = plugin('watching', { retrying: ({ failure }) => see('retrying', failure) })
    const boom = (): never => {
      throw new Error('boom')
    }
    const twice = { retry: { attempts: 2 } }
    const plain = task('plain', boom)
    const spent = task('spent', { ...twice, plugins: [watching] }, boom)
    const permanent = task('permanent', twice, () => {
      throw new PermanentError('gone')
    })
    const silent = task('silent', (_: unknown, ctx: TaskContext) => ctx.pluginError('help'))
    const caught = task('caught', { fallback: (_: unknown, failure: Failure) => see('fallback', failure) }, boom)
    const thrown = task('thrown', { fallback: boom }, boom)
    const all = [plain, spent, permanent, silent, caught, thrown]
    const system = await start(supervisor('app', quiet, all))
    system.on('job.failed', ({ path, failure }) => see(path.split('/')[1] ?? '', failure))
    for (const one of all) {
      await system.run(one as typeof plain).then(undefined, (error: unknown) => see('rejected', error))
    }
    expect(seen).toEqual([
      'plain: made',
      'rejected: made',
      'retrying: not made',
      'spent: made',
      'rejected: made',
      'permanent: made',
      'rejected: made',
      'silent: made',
      'rejected: made',
      'fallback: not made',
      'thrown: made',
      'rejected: made',
    ])
    await system.stop()
  })
})
