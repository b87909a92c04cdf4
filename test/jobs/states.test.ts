import { expect, describe, test } from 'vitest'
import { exponential, PermanentError, PluginTriggerError, resume, start, task, type System, type Task } from 'rootcatch'
import { manualClock } from 'rootcatch/testing'
import { jobRecorder, type JobRecorder } from '../support/job-recorder.ts'

type Options = NonNullable<Parameters<typeof start>[1]>

/** A system of one task, with all that can be seen of its jobs. */
async function watched(
  root: Task<never, unknown>,
  options: Options = {},
): Promise<{ system: System; seen: JobRecorder }> {
  const seen = jobRecorder()
  const system = await start(root, { clock: manualClock(), catch: () => resume, inspect: seen.inspect, ...options })
  seen.listen(system)
  return { system, seen }
}

describe('a job', () => {
  test('J1 a value at once: states running, done; events job.added, job.started, job.done', async () => {
    const root = task('root', () => 'now')
    const { system, seen } = await watched(root)
    const run = system.run(root)
    expect(await run.settled()).toEqual({ status: 'done', value: 'now', attempts: 1 })
    expect(seen.states(run.path)).toEqual(['running', 'done'])
    expect(seen.events(run.path)).toEqual(['job.added', 'job.started', 'job.done'])
    await system.stop()
  })

  test('J2 throws twice, then a value: every state is seen by an observer', async () => {
    const root = task('root', { retry: { attempts: 3 } }, (_: unknown, ctx) => {
      if (ctx.attempt < 3) throw new Error(`try ${ctx.attempt}`)
      return ctx.attempt
    })
    const { system, seen } = await watched(root)
    const run = system.run(root)
    expect(await run).toBe(3)
    expect(seen.states(run.path)).toEqual(['running', 'retrying', 'running', 'retrying', 'running', 'done'])
    expect(seen.events(run.path)).toEqual([
      'job.added',
      'job.started',
      'job.retrying',
      'job.started',
      'job.retrying',
      'job.started',
      'job.done',
    ])
    expect(seen.all('job.retrying').map(({ attempt, delay, charged }) => [attempt, delay, charged])).toEqual([
      [1, 0, true],
      [2, 0, true],
    ])
    await system.stop()
  })

  test("J3 attempts spent, a fallback: …, fallback, fellBack; the output is that state's, nothing else", async () => {
    const root = task('root', { retry: { attempts: 2 }, fallback: () => 'instead' }, () => {
      throw new Error('no')
    })
    const { system, seen } = await watched(root)
    const run = system.run(root)
    const outcome = await run.settled()
    expect(seen.states(run.path)).toEqual(['running', 'retrying', 'running', 'fallback', 'fellBack'])
    expect(Object.keys(outcome).toSorted()).toEqual(['attempts', 'failure', 'status', 'value'])
    expect(outcome).toMatchObject({ status: 'fallback', value: 'instead', attempts: 2 })
    expect(seen.events(run.path).at(-1)).toBe('job.fellBack')
    expect(seen.all('failure.decided')).toEqual([])
    await system.stop()
  })

  test('J4 a plugin error nobody answers, attempts 2: running, pluginError, retrying, running, pluginError, failed', async () => {
    const root = task('root', { retry: { attempts: 2 } }, (_: unknown, ctx) => ctx.pluginError('help'))
    const { system, seen } = await watched(root)
    const run = system.run(root)
    const outcome = await run.settled()
    expect(seen.states(run.path)).toEqual(['running', 'pluginError', 'retrying', 'running', 'pluginError', 'failed'])
    expect(outcome).toMatchObject({ status: 'failed', attempts: 2, failure: { kind: 'plugin', attempt: 2 } })
    await system.stop()
  })

  test('J10 a Date as result: kind result, no retry, the fallback is asked', async () => {
    const asked: unknown[] = []
    const root = task(
      'root',
      {
        retry: { attempts: 5 },
        fallback: (_: unknown, failure) => {
          asked.push(failure.kind, failure.error)
          return 'text'
        },
      },
      () => new Date(0),
    )
    const { system, seen } = await watched(root)
    const run = system.run(root)
    expect(await run).toBe('text')
    expect(seen.states(run.path)).toEqual(['running', 'fallback', 'fellBack'])
    expect(asked).toEqual(['result', expect.objectContaining({ name: 'PayloadError' })])
    expect(String((asked[1] as Error).message)).toBe(
      'result of task "root" is a Date, which JSON cannot keep. Pass toISOString().',
    )
    await system.stop()
  })
})

describe('the first transition whose guard holds', () => {
  const boom = (): never => {
    throw new Error('boom')
  }
  const permanent = (): never => {
    throw new PermanentError('never')
  }
  const trigger = (): never => {
    throw new PluginTriggerError('help')
  }
  const putOff = (): never => {
    throw Object.assign(new Error('later'), { retryAfter: 0 })
  }
  const both = (): never => {
    throw Object.assign(new PermanentError('never'), { retryAfter: 0 })
  }
  const fallback = (): string => 'instead'
  const r = 'running'

  test.each<[string, () => unknown, object, readonly string[]]>([
    ['a body that throws, without a policy', boom, {}, [r, 'failed']],
    ['a body that throws, with a fallback', boom, { fallback }, [r, 'fallback', 'fellBack']],
    ['a rejected promise', async () => boom(), { retry: { attempts: 2 } }, [r, 'retrying', r, 'failed']],
    // oxlint-disable-next-line unicorn/no-thenable -- the row is about one
    ['a thenable that gives a value', () => ({ then: (give: (v: number) => void) => give(1) }), {}, [r, 'done']],
    // oxlint-disable-next-line unicorn/no-thenable -- the row is about one
    ['a thenable whose then throws', () => ({ then: boom }), { fallback }, [r, 'fallback', 'fellBack']],
    [
      'a thenable whose then cannot be read',
      // oxlint-disable-next-line unicorn/no-thenable -- the row is about one
      () => Object.defineProperty({}, 'then', { get: boom }),
      { fallback },
      [r, 'fallback', 'fellBack'],
    ],
    ['a value that does not fit', () => 1n, { retry: { attempts: 3 } }, [r, 'failed']],
    ['a PermanentError', permanent, { retry: { attempts: 3 } }, [r, 'failed']],
    ['a PermanentError, with a fallback', permanent, { retry: { attempts: 3 }, fallback }, [r, 'fallback', 'fellBack']],
    ['a PermanentError that asks to be put off', both, { retry: { attempts: 3 } }, [r, 'failed']],
    ['a PluginTriggerError', trigger, {}, [r, 'pluginError', 'failed']],
    ['a PluginTriggerError, with a fallback', trigger, { fallback }, [r, 'pluginError', 'fallback', 'fellBack']],
    ['a put-off without a policy', putOff, {}, [r, 'failed']],
    ['an error that retry.when refuses', boom, { retry: { attempts: 3, when: () => false } }, [r, 'failed']],
    ['a retry.when that throws', boom, { retry: { attempts: 2, when: boom } }, [r, 'retrying', r, 'failed']],
    ['a fallback that throws', boom, { fallback: boom }, [r, 'fallback', 'failed']],
    ['a fallback that rejects', boom, { fallback: async () => boom() }, [r, 'fallback', 'failed']],
    ['a fallback that does not fit', boom, { fallback: () => new Map() }, [r, 'fallback', 'failed']],
    ['a fallback with a PermanentError', boom, { fallback: permanent }, [r, 'fallback', 'failed']],
    ['a fallback with a PluginTriggerError', boom, { fallback: trigger }, [r, 'fallback', 'failed']],
    ['a fallback that asks to be put off', boom, { fallback: putOff }, [r, 'fallback', 'failed']],
  ])('is taken for %s', async (_, body, options, states) => {
    const root = task('root', options, body)
    const { system, seen } = await watched(root)
    const run = system.run(root)
    await run.settled()
    expect(seen.states(run.path)).toEqual(states)
    await system.stop()
  })

  test.each([0, '', false, null, undefined])('takes the fallback %j as a value', async (value) => {
    const root = task('root', { fallback: () => value }, boom)
    const { system } = await watched(root)
    expect(await system.run(root).settled()).toMatchObject({ status: 'fallback', value })
    await system.stop()
  })

  test.each([0, '', false, null, undefined])('takes the result %j as a value', async (value) => {
    const root = task('root', () => value)
    const { system } = await watched(root)
    expect(await system.run(root).settled()).toEqual({ status: 'done', value, attempts: 1 })
    await system.stop()
  })

  test('a fallback that throws keeps both errors, in report and JSON', async () => {
    const root = task(
      'root',
      {
        fallback: () => {
          throw new Error('second')
        },
      },
      () => {
        throw new Error('first')
      },
    )
    const { system } = await watched(root)
    const { failure } = await system.run(root).settled()
    expect(failure).toMatchObject({ kind: 'fallback', error: { message: 'second' } })
    expect(failure?.cause).toMatchObject({ name: 'Failure', error: { message: 'first' }, trail: [] })
    expect(failure?.report()).toMatch(/second[\s\S]*first/)
    expect(JSON.stringify(failure)).toMatch(/second.*first/)
    await system.stop()
  })

  test('the fallback is called once, with the input and the failure of the last attempt', async () => {
    const calls: unknown[] = []
    const root = task(
      'root',
      {
        retry: { attempts: 2, backoff: exponential({ from: 0, to: 0 }) },
        fallback: (input: { n: number }, failure) => {
          calls.push([input, failure.attempt, failure.kind, failure.trail])
          input.n = 9
          return 'instead'
        },
      },
      (input: { n: number }) => {
        expect(input).toEqual({ n: 1 }) // whatever the attempt before did to its own
        input.n = 2
        throw new Error('no')
      },
    )
    const { system } = await watched(root)
    const given = { n: 1 }
    await system.run(root, given)
    expect(calls).toEqual([[{ n: 9 }, 2, 'thrown', []]])
    expect(given).toEqual({ n: 1 })
    await system.stop()
  })
})
