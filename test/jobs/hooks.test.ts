import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, test, vi } from 'vitest'
import {
  actor,
  exponential,
  InvalidOptionError,
  PermanentError,
  plugin,
  PluginError,
  PluginTriggerError,
  resume,
  start,
  supervisor,
  task,
  type Failure,
  type HookName,
  type Hooks,
  type Plugin,
  type PluginRun,
  type PluginTask,
} from 'rootcatch'
import { manualClock, settle } from 'rootcatch/testing'
import { createMachine } from 'xstate'
import { z } from 'zod'

const WATCHED = ['before', 'around', 'after', 'retrying', 'done', 'fallback', 'failed', 'cancelled'] as const

/** Writes down which of its hooks is called, in one log for all. */
function recorder(name: string, log: string[], hooks: readonly HookName[] = WATCHED): Plugin {
  const own: Record<string, (event: { next?: () => Promise<unknown> }) => unknown> = {}
  for (const hook of hooks) {
    own[hook] =
      hook === 'around'
        ? async ({ next }) => {
            log.push(`${name}.around>`)
            const value = await next?.()
            log.push(`<${name}.around`)
            return value
          }
        : () => void log.push(`${name}.${hook}`)
  }
  return plugin(name, own as Hooks)
}

describe('the order of hooks', () => {
  test('is inward before the body and outward after it, so that pairs nest', async () => {
    const log: string[] = []
    const a = recorder('a', log)
    const b = recorder('b', log)
    const work = task('work', { plugins: [a, b] }, async () => void log.push('body'))
    const tree = supervisor('outer', { plugins: [recorder('outer', log)] }, [
      supervisor('inner', { plugins: [recorder('inner', log)] }, [work]),
    ])
    await using system = await start(tree, { plugins: [recorder('system', log)] })
    await system.run(work)
    const inward = ['system', 'outer', 'inner', 'b', 'a']
    const outward = inward.toReversed()
    expect(log).toEqual([
      ...inward.map((name) => `${name}.before`),
      ...inward.map((name) => `${name}.around>`),
      'body',
      ...outward.map((name) => `<${name}.around`),
      ...outward.map((name) => `${name}.after`),
      ...outward.map((name) => `${name}.done`),
    ])
  })

  test('has a plugin that is listed at several places once, where it comes first', async () => {
    const log: string[] = []
    const [twice, once] = [recorder('twice', log), recorder('once', log)]
    const job = task('job', { plugins: [twice] }, () => 1)
    const system = await start(supervisor('app', { plugins: [once, twice] }, [job]), { plugins: [twice] })
    await system.run(job)
    expect(log.filter((line) => /after|done/.test(line))).toEqual([
      'twice.after',
      'once.after',
      'twice.done',
      'once.done',
    ])
    expect(log.filter((line) => line === 'twice.around>')).toHaveLength(1)
    await system.stop()
  })

  test('is the order of the attempts: before, retrying, before, …, then one outcome', async () => {
    const log: string[] = []
    const watch = plugin('watch', {
      before: async ({ attempt }) => void log.push(`before ${attempt}`),
      after: ({ attempt, value, answeredBy }) =>
        void log.push(`after ${attempt} ${String(value)} ${String(answeredBy)}`),
      retrying: async ({ failure, delay, run }) => {
        await wait(1)
        log.push(`retrying ${run.attempt} ${failure.message.includes('no') ? 'no' : '?'} ${delay}`)
      },
      done: ({ attempts, value, status }) => void log.push(`${status} ${attempts} ${String(value)}`),
    })
    const work = task('work', { retry: { attempts: 3 }, plugins: [watch] }, (_: unknown, { attempt }) => {
      log.push(`body ${attempt}`)
      if (attempt < 3) throw new Error('no')
      return 7
    })
    await using system = await start(work)
    expect(await system.run(work)).toBe(7)
    expect(log).toEqual([
      'before 1',
      'body 1',
      'retrying 1 no 0',
      'before 2',
      'body 2',
      'retrying 2 no 0',
      'before 3',
      'body 3',
      'after 3 7 undefined',
      'done 3 7',
    ])
  })

  test('of setup and teardown follows the tree', async () => {
    const log: string[] = []
    const life = (name: string): Plugin =>
      plugin(name, {
        setup: async ({ path }) => {
          await settle()
          log.push(`+${name} ${path}`)
        },
        teardown: async ({ path }) => {
          await settle()
          log.push(`-${name} ${path}`)
        },
      })
    const work = task('work', { plugins: [life('a'), life('b')] }, () => 1)
    const idle = createMachine({ entry: () => void log.push('idle') })
    const tree = supervisor('app', { plugins: [life('app')] }, [actor('idle', idle), work])
    const system = await start(tree, { plugins: [life('system')] })
    system.on('actor.stopped', ({ path }) => void (path === 'app/idle' && log.push('idle ends')))
    expect(await system.run(work)).toBe(1)
    await system.stop()
    expect(log).toEqual([
      '+system ',
      '+app app',
      'idle',
      '+b app/work',
      '+a app/work',
      '-a app/work',
      '-b app/work',
      'idle ends',
      '-app app',
      '-system ',
    ])
  })
})

describe('what hooks are told', () => {
  test('is the task, the run, the broker, and what the moment adds', async () => {
    const told: Record<string, Record<string, unknown>> = {}
    const keep = (name: string) => (event: object) => {
      told[name] = { ...event }
      return undefined
    }
    const all = plugin('all', {
      enqueue: keep('enqueue'),
      before: keep('before'),
      around: (event) => {
        told['around'] = { ...event }
        return event.next()
      },
      after: keep('after'),
      retrying: keep('retrying'),
      fallback: keep('fallback'),
      take: keep('take'),
    })
    const options = {
      description: 'works',
      tags: ['x'],
      plugins: [all],
      retry: { attempts: 2, backoff: exponential({ from: 5, to: 5, jitter: 0 }) },
      fallback: () => 'saved',
    }
    const work = task('work', options as typeof options, (input: { n: number }, { attempt }) => {
      if (attempt === 1 || input.n === 1) throw new Error('no')
      return input.n
    })
    await using system = await start(supervisor('app', [work]))
    const run = system.run(work, { n: 1 }, { priority: 3 })
    await run
    const taskFacts: PluginTask = { name: 'work', path: 'app/work', description: 'works', tags: ['x'] }
    const facts = (attempt: number): PluginRun => ({
      id: run.id,
      path: run.path,
      attempt,
      input: { n: 1 },
      idempotencyKey: run.path,
    })
    const broker = expect.objectContaining({ name: 'memory', durable: false })
    expect(told['enqueue']).toEqual({
      task: taskFacts,
      run: facts(0),
      broker,
      input: { n: 1 },
      options: { priority: 3 },
    })
    expect(told['before']).toEqual({
      task: taskFacts,
      run: facts(2),
      broker,
      attempt: 2,
      input: { n: 1 },
      signal: expect.any(AbortSignal),
    })
    expect(told['around']).toEqual({ ...told['before'], next: expect.any(Function) })
    expect(told['retrying']).toMatchObject({ task: taskFacts, run: facts(1), delay: 5, failure: { attempt: 1 } })
    expect(told['after']).toBeUndefined()
    expect(told['fallback']).toMatchObject({ run: facts(2), status: 'fallback', value: 'saved', attempts: 2 })
    expect(told['take']).toEqual({ task: taskFacts, broker, free: expect.any(Number), ask: expect.any(Function) })
  })

  test('cannot be changed by what a hook does to it', async () => {
    const spoil = (event: { run: PluginRun; input?: unknown; value?: unknown }): void => {
      ;(event.run.input as { list: number[] }).list.push(99)
      ;(event.input as { list: number[] } | undefined)?.list.push(99)
      ;(event.value as { list: number[] } | undefined)?.list.push(99)
    }
    const spoiler = plugin('spoiler', { before: spoil, after: spoil, done: spoil })
    const work = task('work', { plugins: [spoiler, spoiler] }, (input: { list: number[] }) => input)
    await using system = await start(work)
    expect(await system.run(work, { list: [1] })).toEqual({ list: [1] })
  })
})

describe('enqueue', () => {
  test('replaces input and options before they are validated', async () => {
    const fill = plugin('fill', {
      enqueue: ({ input }) => ({ input: { ...(input as object), n: 5 }, options: { lane: 'one' } }),
    })
    const trim = plugin('trim', { enqueue: async ({ options }) => void expect(options).toEqual({ lane: 'one' }) })
    const work = task('work', { input: z.object({ n: z.number() }), plugins: [trim] }, ({ n }) => n)
    await using system = await start(work, { plugins: [fill] })
    const run = system.run(work, {} as { n: number })
    expect(await run).toBe(5)
    expect(await system.job(run.id)).toMatchObject({ input: { n: 5 }, lane: 'one' })
  })

  test.each([
    [
      'throws',
      () => {
        throw new Error('closed on sundays')
      },
    ],
    [
      'rejects',
      async () => {
        throw new Error('closed on sundays')
      },
    ],
  ])('that %s refuses: the run rejects with it, nothing is queued', async (_, enqueue) => {
    const work = task('work', { plugins: [plugin('closed', { enqueue })] }, () => 1)
    await using system = await start(work)
    const refused = vi.fn<(event: any) => void>()
    system.on('job.refused', refused).on('job.added', refused)
    const run = system.run(work)
    await expect(run).rejects.toThrow('closed on sundays')
    await expect(run.queued()).rejects.toThrow('closed on sundays')
    expect(await run.settled()).toMatchObject({ status: 'failed', attempts: 0, failure: { kind: 'input' } })
    expect(refused.mock.calls.map(([{ type }]) => type)).toEqual(['job.refused'])
    expect(await system.job(run.id)).toBeUndefined()
  })

  test.each([
    [7],
    [null],
    ['text'],
    [[1]],
    [{ inputs: 1 }],
    [{ options: { prio: 1 } }],
    [{ options: { priority: 0.5 } }],
  ])('that gives %j refuses, and says which plugin', async (answer) => {
    const odd = plugin('odd', { enqueue: () => answer as never })
    const work = task('work', { plugins: [odd] }, () => 1)
    await using system = await start(work)
    await expect(system.run(work)).rejects.toThrow(/plugin "odd"|run of task "work"/)
  })

  test('that takes its time queues nothing for a run that was given up meanwhile', async () => {
    let go = (): void => {}
    const slow = plugin('slow', { enqueue: () => new Promise<void>((resolve) => (go = resolve)) })
    const body = vi.fn<() => void>()
    const work = task('work', { plugins: [slow] }, body)
    await using system = await start(work)
    const run = system.run(work)
    run.cancel('changed my mind')
    go()
    await expect(run).rejects.toMatchObject({ name: 'CancelledError' })
    await settle()
    expect(body).not.toHaveBeenCalled()
    expect(await system.queues()).toMatchObject([{ waiting: 0, leased: 0 }])
  })

  test('that runs over its time refuses', async () => {
    const clock = manualClock()
    const hangs = plugin('hangs', { enqueue: () => new Promise<never>(() => {}) })
    const work = task('work', { hookTimeout: '2s', plugins: [hangs] }, () => 1)
    await using system = await start(work, { clock })
    const run = system.run(work)
    await clock.advance('2s')
    await expect(run).rejects.toThrow('no answer after 2s')
  })
})

describe('before', () => {
  test('that throws, rejects or runs over is reported, and the body runs', async () => {
    const clock = manualClock()
    const plugins = [
      plugin('throws', {
        before: () => {
          throw new Error('a')
        },
      }),
      plugin('rejects', {
        before: async () => {
          throw new Error('b')
        },
      }),
      plugin('hangs', { before: () => new Promise(() => {}) }),
      plugin('asks', {
        before: () => {
          throw new PluginTriggerError('c')
        },
      }),
    ]
    const work = task('work', { plugins }, () => 'ran')
    await using system = await start(work, { clock })
    const failed: [string, string, unknown][] = []
    system.on('plugin.failed', ({ plugin: name, hook, error, path }) => {
      expect(error).toBeInstanceOf(PluginError)
      failed.push([name, hook, path])
    })
    const run = system.run(work)
    await clock.advance('10s')
    expect(await run).toBe('ran')
    expect(failed).toEqual(['asks', 'hangs', 'rejects', 'throws'].map((name) => [name, 'before', run.path]))
  })

  test('counts into the timeout, and the body of an attempt that is over does not begin', async () => {
    const clock = manualClock()
    let go = (): void => {}
    const slow = plugin('slow', { before: () => new Promise<void>((resolve) => (go = resolve)) })
    const body = vi.fn<() => void>()
    const work = task('work', { timeout: '1s', plugins: [slow] }, body)
    await using system = await start(work, { clock, catch: () => resume })
    const run = system.run(work)
    await settle()
    await clock.advance('1s')
    expect(await run.settled()).toMatchObject({ status: 'failed', failure: { kind: 'timeout' } })
    go()
    await settle()
    expect(body).not.toHaveBeenCalled()
  })

  test('is not called where the input does not fit any more', async () => {
    const before = vi.fn<(event: any) => void>()
    let isStrict = false
    const picky = z.number().refine(() => !isStrict)
    const work = task('work', { input: picky, plugins: [plugin('p', { before, around: before })] }, () => 1)
    await using system = await start(work, { catch: () => resume })
    system.pause(work)
    const run = system.run(work, 1)
    await run.queued()
    isStrict = true
    system.unpause(work)
    expect(await run.settled()).toMatchObject({ failure: { kind: 'input' } })
    expect(before).not.toHaveBeenCalled()
  })
})

describe('around', () => {
  const around = (hook: Hooks['around']): readonly Plugin[] => [plugin('p', { around: hook as never })]

  test('gives the value of the attempt', async () => {
    const work = task('work', { plugins: around(async ({ next }) => [await next()]) }, () => 1)
    await using system = await start(work)
    expect(await system.run(work)).toEqual([1])
  })

  test('may give a value without the body', async () => {
    const body = vi.fn<() => void>()
    const work = task('work', { plugins: around(() => 'cached') }, body)
    await using system = await start(work)
    expect(await system.run(work)).toBe('cached')
    expect(body).not.toHaveBeenCalled()
  })

  test.each([
    [
      'throws',
      () => {
        throw new Error('not today')
      },
    ],
    [
      'rejects',
      async () => {
        throw new Error('not today')
      },
    ],
  ])('that %s fails the attempt like a body would: retried, then failed', async (_, hook) => {
    const calls = vi.fn<() => unknown>(hook)
    const work = task('work', { retry: { attempts: 2 }, plugins: around(calls) }, () => 1)
    await using system = await start(work, { catch: () => resume })
    const outcome = await system.run(work).settled()
    expect(outcome).toMatchObject({ status: 'failed', attempts: 2, failure: { kind: 'thrown' } })
    expect(calls).toHaveBeenCalledTimes(2)
  })

  test('that throws a PermanentError spends no further attempt', async () => {
    const refuse = (): never => {
      throw new PermanentError('no')
    }
    const work = task('work', { retry: { attempts: 5 }, plugins: around(refuse) }, () => 1)
    await using system = await start(work, { catch: () => resume })
    expect(await system.run(work).settled()).toMatchObject({ status: 'failed', attempts: 1 })
  })

  test('that throws a PluginTriggerError of its own asks nobody; the body’s own passing through it does', async () => {
    const pluginError = vi.fn<() => string>(() => 'answer')
    const answers = plugin('answers', { pluginError })
    const own = task(
      'own',
      {
        plugins: [
          ...around(() => {
            throw new PluginTriggerError('mine')
          }),
          answers,
        ],
      },
      () => 1,
    )
    const through = task('through', { plugins: [...around(({ next }) => next()), answers] }, (_: unknown, ctx) =>
      ctx.pluginError('theirs'),
    )
    await using system = await start(supervisor('app', [own, through]), { catch: () => resume })
    expect(await system.run(own).settled()).toMatchObject({ status: 'failed', failure: { kind: 'thrown' } })
    expect(pluginError).not.toHaveBeenCalled()
    expect(await system.run(through)).toBe('answer')
  })

  test('may mend what the body threw', async () => {
    const mend = around(async ({ next }) => next().catch(() => 'mended'))
    const work = task('work', { plugins: mend }, () => {
      throw new Error('no')
    })
    await using system = await start(work)
    expect(await system.run(work).settled()).toMatchObject({ status: 'done', value: 'mended', attempts: 1 })
  })

  test('that calls next() twice runs the body once', async () => {
    const body = vi.fn<() => number>(() => 1)
    const work = task('work', { plugins: around(async ({ next }) => [await next(), await next()]) }, body)
    await using system = await start(work, { catch: () => resume })
    const outcome = await system.run(work).settled()
    expect(outcome.failure?.message).toContain('plugin "p" called next() twice')
    expect(body).toHaveBeenCalledTimes(1)
  })

  test('a generator inside of it tells its progress and gives its value', async () => {
    const work = task('work', { plugins: around(async ({ next }) => ({ value: await next() })) }, async function* () {
      yield 1
      yield 2
      return 3
    })
    await using system = await start(work)
    const run = system.run(work)
    const seen: unknown[] = []
    for await (const step of run) seen.push(step)
    expect(seen).toEqual([1, 2])
    expect(await run).toEqual({ value: 3 })
  })

  test('a generator inside of it is ended with its attempt', async () => {
    const clock = manualClock()
    const ended = vi.fn<() => void>()
    const passes = ({ next }: { next: () => Promise<unknown> }): Promise<unknown> => next().finally(ended)
    const work = task('work', { timeout: '1s', plugins: around(passes) }, async function* (_: unknown, { sleep }) {
      for (;;) {
        await sleep('300ms')
        yield 1
      }
    })
    await using system = await start(work, { clock, catch: () => resume })
    const run = system.run(work)
    await clock.advance('1s')
    expect(await run.settled()).toMatchObject({ failure: { kind: 'timeout' } })
    await settle()
    expect(ended).toHaveBeenCalledTimes(1)
    expect(clock.pending).toBe(0)
  })
})

describe('take', () => {
  test('holds jobs back without an attempt, until it is asked again', async () => {
    const clock = manualClock()
    let isOpen = false
    const gate = plugin('gate', { take: () => (isOpen ? undefined : { limit: 0, again: 1_000 }) })
    const work = task('work', { plugins: [gate] }, (_: unknown, { attempt }) => attempt)
    await using system = await start(work, { clock })
    const runs = [system.run(work), system.run(work)]
    await clock.advance('5s')
    expect(await system.queues()).toMatchObject([{ waiting: 2, leased: 0 }])
    isOpen = true
    await clock.advance('1s')
    expect(await Promise.all(runs)).toEqual([1, 1])
    expect(clock.pending).toBe(0)
  })

  test('the smallest answer counts, and one that ends lets the next in', async () => {
    let most = 0
    let running = 0
    const two = plugin('two', { take: () => Math.max(0, 2 - running) })
    const work = task(
      'work',
      { concurrency: 8, plugins: [two, plugin('none', { take: () => undefined })] },
      async () => {
        running += 1
        most = Math.max(most, running)
        await settle()
        running -= 1
      },
    )
    await using system = await start(work)
    await Promise.all(Array.from({ length: 20 }, () => system.run(work)))
    expect(most).toBe(2)
  })

  test.each([
    ['no', () => 'no'],
    ['NaN', () => Number.NaN],
    ['-1', () => -1],
    ['a promise', async () => 0],
    [
      'a throw',
      () => {
        throw new Error('x')
      },
    ],
  ])('that answers %s is reported and not heard', async (_, take) => {
    const work = task('work', { plugins: [plugin('odd', { take: take as never })] }, () => 1)
    await using system = await start(work)
    const failed = vi.fn<(event: any) => void>()
    system.on('plugin.failed', failed)
    expect(await system.run(work)).toBe(1)
    expect(failed.mock.calls[0]?.[0]).toMatchObject({ plugin: 'odd', hook: 'take', path: 'work' })
  })
})

describe('outcomes', () => {
  const outcomes = ['done', 'fallback', 'failed', 'cancelled'] as const

  test.each(outcomes)('a job that ends %s is told once, after its event and before its run goes on', async (status) => {
    const log: string[] = []
    const names = [...outcomes, 'after'] as const
    const hooks = Object.fromEntries(
      names.map((name) => [
        name,
        async (event: { reason?: unknown; attempts?: number }) => {
          await wait(1)
          log.push(`${name} ${String(event.attempts)}`)
        },
      ]),
    )
    const work = task(
      'work',
      { plugins: [plugin('p', hooks)], ...(status === 'fallback' && { fallback: () => 2 }) },
      (_: unknown, ctx) => {
        if (status === 'cancelled') ctx.cancel('why')
        if (status !== 'done') throw new Error('no')
        return 1
      },
    )
    await using system = await start(work, { catch: () => resume })
    system.on('*', ({ type }) => void (/job\.(done|fellBack|failed|cancelled)/.test(type) && log.push(type)))
    expect((await system.run(work).settled()).status).toBe(status)
    const event = { done: 'job.done', fallback: 'job.fellBack', failed: 'job.failed', cancelled: 'job.cancelled' }[
      status
    ]
    expect(log).toEqual([event, ...(status === 'done' ? ['after undefined'] : []), `${status} 1`])
  })

  test('a job that never started is told as well', async () => {
    const cancelled = vi.fn<(event: any) => void>()
    const work = task('work', { plugins: [plugin('p', { cancelled })] }, () => 1)
    await using system = await start(work)
    system.pause(work)
    const run = system.run(work, { a: 1 })
    await run.queued()
    run.cancel('why')
    await run.settled()
    expect(cancelled).toHaveBeenCalledTimes(1)
    expect(cancelled.mock.calls[0]?.[0]).toMatchObject({
      run: { id: run.id, attempt: 0, input: { a: 1 } },
      reason: 'why',
      attempts: 0,
    })
  })

  test('an answer of a plugin is told to after, with the plugin’s name', async () => {
    const after = vi.fn<(event: any) => void>()
    const rescue = plugin('rescue', { pluginError: () => 123, after })
    const work = task('work', { plugins: [rescue] }, (_: unknown, ctx) => ctx.pluginError())
    await using system = await start(work)
    expect(await system.run(work)).toBe(123)
    expect(after.mock.calls[0]?.[0]).toMatchObject({ value: 123, answeredBy: 'rescue', attempt: 1 })
  })

  test('a value that does not fit is no value of the attempt', async () => {
    const after = vi.fn<(event: any) => void>()
    const work = task('work', { plugins: [plugin('p', { after })] }, () => new Date())
    await using system = await start(work, { catch: () => resume })
    expect(await system.run(work).settled()).toMatchObject({ failure: { kind: 'result' } })
    expect(after).not.toHaveBeenCalled()
  })

  test.each(['after', 'retrying', 'done', 'failed'] as const)(
    'a %s that throws, hangs or cancels what is over changes nothing',
    async (hook) => {
      const clock = manualClock()
      const plugins = [
        plugin('throws', {
          [hook]: () => {
            throw new Error('x')
          },
        }),
        plugin('rejects', {
          [hook]: async () => {
            throw new Error('x')
          },
        }),
        plugin('hangs', { [hook]: () => new Promise(() => {}) }),
      ]
      const work = task('work', { retry: { attempts: 2 }, plugins }, (fails: boolean, { attempt }) => {
        if (fails || attempt === 1) throw new Error('no')
        return 1
      })
      await using system = await start(work, { clock, catch: () => resume })
      const failed = vi.fn<(event: any) => void>()
      system.on('plugin.failed', failed)
      const run = system.run(work, hook === 'failed')
      await clock.advance('10s')
      await clock.advance('10s')
      expect((await run.settled()).status).toBe(hook === 'failed' ? 'failed' : 'done')
      expect(failed.mock.calls.map(([event]) => event.plugin)).toEqual(['throws', 'rejects', 'hangs'])
      expect(clock.pending).toBe(0)
    },
  )

  test('slow hooks hold their job’s slot, so that they cannot pile up', async () => {
    const clock = manualClock()
    const slow = plugin('slow', { done: () => new Promise<void>((resolve) => clock.setTimeout(resolve, 1_000)) })
    const work = task('work', { concurrency: 2, plugins: [slow] }, () => 1)
    await using system = await start(work, { clock })
    const runs = Array.from({ length: 4 }, () => system.run(work))
    await settle()
    expect(await system.queues()).toMatchObject([{ waiting: 2 }])
    await clock.advance('1s')
    expect(await system.queues()).toMatchObject([{ waiting: 0, leased: 0 }])
    await clock.advance('1s')
    await Promise.all(runs)
  })

  test('stop waits for hooks under way, and lets no run hang', async () => {
    const clock = manualClock()
    let isOver = false
    const slow = plugin('slow', {
      done: () => new Promise<void>((resolve) => clock.setTimeout(() => resolve(void (isOver = true)), 1_000)),
      teardown: () => expect(isOver).toBe(true),
    })
    const work = task('work', { plugins: [slow] }, () => 1)
    const system = await start(work, { clock })
    const run = system.run(work)
    await settle()
    const stopped = system.stop()
    await clock.advance('1s')
    await stopped
    expect(await run).toBe(1)
  })
})

describe('setup and teardown', () => {
  test('a setup that throws fails the start and unwinds what was set up', async () => {
    const log: string[] = []
    const life = (name: string, setup: () => unknown): Plugin =>
      plugin(name, { setup, teardown: () => void log.push(`-${name}`) })
    const broken = life('broken', async () => {
      throw new Error('no database')
    })
    const work = task('work', { plugins: [life('never', () => void log.push('+never')), broken] }, () => 1)
    const tree = supervisor('app', { plugins: [life('app', () => 1)] }, [work])
    const failure = await start(tree, { plugins: [life('system', () => 1)] }).catch(
      (error: unknown) => error as Failure,
    )
    expect(failure).toMatchObject({ kind: 'start', error: { name: 'PluginError', hook: 'setup', plugin: 'broken' } })
    expect((failure as Failure).report()).toContain('no database')
    expect(log).toEqual(['-app', '-system'])
  })

  test('a setup of the system that throws fails the start', async () => {
    const broken = plugin('broken', {
      setup: () => {
        throw new Error('no database')
      },
    })
    const work = task('work', () => 1)
    await expect(start(work, { plugins: [broken] })).rejects.toMatchObject({ kind: 'start', path: 'work' })
  })

  test('a setup that runs over fails the start', async () => {
    const clock = manualClock()
    const hangs = plugin('hangs', { setup: () => new Promise(() => {}) })
    const started = start(
      task('work', { hookTimeout: '3s', plugins: [hangs] }, () => 1),
      { clock },
    )
    started.catch(() => {})
    await settle()
    await clock.advance('3s')
    await expect(started).rejects.toMatchObject({ kind: 'start' })
    expect(clock.pending).toBe(0)
  })

  test('each life of a child has its own', async () => {
    const log: string[] = []
    const life = plugin('life', { setup: () => void log.push('+'), teardown: () => void log.push('-') })
    const work = task('work', { plugins: [life] }, () => 1)
    await using system = await start(supervisor('app', [work]))
    await system.supervisor('app').stopChild('work')
    await system.supervisor('app').restartChild('work')
    expect(log).toEqual(['+', '-', '+'])
    expect(await system.run(work)).toBe(1)
  })

  test('a teardown that throws or hangs is reported, and the stop goes on', async () => {
    const clock = manualClock()
    const log: string[] = []
    const plugins = [
      plugin('throws', {
        teardown: () => {
          throw new Error('x')
        },
      }),
      plugin('hangs', { teardown: () => new Promise(() => {}) }),
      plugin('last', { teardown: () => void log.push('last') }),
    ]
    const system = await start(supervisor('app', { plugins }, []), { clock })
    system.on('plugin.failed', ({ plugin: name, hook, path }) => void log.push(`${name} ${hook} ${path}`))
    const stopped = system.stop()
    await clock.advance('10s')
    await stopped
    expect(log).toEqual(['throws teardown app', 'hangs teardown app', 'last'])
  })

  test('a stop while something is set up stops it once that is over, and starts nothing', async () => {
    let go = (): void => {}
    const log: string[] = []
    const slow = plugin('slow', {
      setup: () => new Promise<void>((resolve) => (go = resolve)),
      teardown: () => void log.push('down'),
    })
    const child = task('late', { plugins: [slow] }, () => 1)
    const system = await start(supervisor('app', []))
    const started = system.supervisor('app').startChild(child)
    started.catch(() => {})
    await settle()
    const stopped = system.stop()
    await settle()
    go()
    await stopped
    expect(log).toEqual(['down'])
    await expect(started).rejects.toBeDefined()
  })

  test('the system that they are given is the one that start() gives', async () => {
    const seen: unknown[] = []
    const life = plugin('life', {
      setup: ({ system }) => void system.on('job.done', ({ value }) => void seen.push(value)),
      teardown: ({ system }) => void seen.push(system),
    })
    const work = task('work', () => 1)
    const system = await start(work, { plugins: [life] })
    await system.run(work)
    await system.stop()
    expect(seen).toEqual([1, system])
  })
})

describe('a task without plugins', () => {
  test('gets its value in the same turn as before', async () => {
    const work = task('work', () => 1)
    await using system = await start(work)
    const run = system.run(work)
    expect(await run).toBe(1)
  })
})

test('an unknown hook is refused at once', () => {
  expect(() => plugin('p', { onError: () => 1 } as never)).toThrow(/unknown option "onError"/)
  expect(() => plugin('p', { before: 1 } as never)).toThrow(InvalidOptionError)
})

describe('rate', () => {
  test('lets no more attempts begin within its time than it says, retries included', async () => {
    const clock = manualClock()
    const at: number[] = []
    const work = task(
      'work',
      { rate: { limit: 3, within: '1s' }, retry: { attempts: 2 } },
      (_: unknown, { attempt }) => {
        at.push(clock.now())
        if (attempt === 1) throw new Error('no')
      },
    )
    await using system = await start(work, { clock })
    const from = clock.now()
    const runs = Array.from({ length: 5 }, () => system.run(work))
    await clock.advance('10s')
    await Promise.all(runs)
    expect(at).toHaveLength(10)
    const apart = at.slice(3).map((time, index) => time - (at[index] as number))
    expect(Math.min(...apart)).toBeGreaterThan(1_000)
    expect((at.at(-1) as number) - from).toBeLessThan(3_100)
    expect(clock.pending).toBe(0)
  })

  test.each([
    [5],
    [{ limit: 1 }],
    [{ limit: 0, within: 1 }],
    [{ limit: 1, within: 'x' }],
    [{ limit: 1, within: 1, per: 1 }],
  ])('%j is refused at once', (rate) => {
    expect(() => task('work', { rate: rate as never }, () => 1)).toThrow(/task "work"/)
  })
})
