import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, test, vi } from 'vitest'
import {
  CancelledError,
  PermanentError,
  plugin,
  PluginTriggerError,
  resume,
  start,
  supervisor,
  task,
  type Failure,
  type Plugin,
  type PluginErrorEvent,
} from 'rootcatch'
import { manualClock, settle } from 'rootcatch/testing'
import { jobRecorder } from '../support/job-recorder.ts'

const quiet = { catch: () => resume }
const never = new Promise<never>(() => {})

const asks = (_: unknown, ctx: { pluginError(): never }): never => ctx.pluginError()

/** A plugin that gives what it is told to, and writes down that it was asked. */
function answers(name: string, value: unknown, log: string[] = []): Plugin {
  return plugin(name, {
    pluginError: () => {
      log.push(name)
      return value
    },
  })
}

function throwing(name: string, error: unknown = new Error(`${name} is broken`)): Plugin {
  return plugin(name, {
    pluginError: () => {
      throw error
    },
  })
}

describe('what QTasks promises', () => {
  test.each(['task', 'supervisor', 'system'])('P1 a plugin of the %s answers for a job that asks', async (place) => {
    const plugins = [answers('rescue', 123)]
    const job = task('job', { ...(place === 'task' && { plugins }) }, asks)
    const root = supervisor('root', { ...(place === 'supervisor' && { plugins }) }, [job])
    const system = await start(root, { ...(place === 'system' && { plugins }) })
    expect(await system.run(job)).toBe(123)
    await system.stop()
  })

  test('P2 one plugin given to start() serves every task of the tree', async () => {
    const a = task('a', asks)
    const b = task('b', asks)
    const rescue = plugin('rescue', { pluginError: ({ task: { path } }) => path })
    const system = await start(supervisor('root', [a, supervisor('inner', [b])]), { plugins: [rescue] })
    expect(await Promise.all([system.run(a), system.run(b)])).toEqual(['root/a', 'root/inner/b'])
    await system.stop()
  })

  test("P3 the plugin's value settles the job: status done, await run gives it", async () => {
    const root = task('root', { plugins: [answers('rescue', { ok: true })] }, asks)
    const system = await start(root)
    const run = system.run(root)
    expect(await run).toEqual({ ok: true })
    expect(await run.settled()).toEqual({ status: 'done', value: { ok: true }, attempts: 1, answeredBy: 'rescue' })
    await system.stop()
  })

  test('P4 hooks may be async and call out', async () => {
    const clock = manualClock()
    const slow = plugin('slow', {
      pluginError: () => new Promise((resolve) => clock.setTimeout(() => resolve('slowly'), 5_000)),
    })
    const root = task('root', { plugins: [slow] }, asks)
    const system = await start(root, { clock })
    const run = system.run(root)
    await clock.advance('5s')
    expect(await run).toBe('slowly')
    expect(clock.pending).toBe(0)
    await system.stop()
  })

  test('P5 a plugin without the hook is passed over', async () => {
    const log: string[] = []
    const root = task('root', { plugins: [plugin('none', {}), answers('one', 1, log), plugin('none', {})] }, asks)
    const system = await start(root)
    expect(await system.run(root)).toBe(1)
    expect(log).toEqual(['one'])
    await system.stop()
  })

  test('P6 asked only for a PluginTriggerError that leaves the body', async () => {
    const log: string[] = []
    const root = task('root', { plugins: [answers('rescue', 1, log)] }, (throws: boolean) => {
      if (throws) throw new Error('ordinary')
      throw new PluginTriggerError()
    })
    const system = await start(root, quiet)
    expect(await system.run(root, true).settled()).toMatchObject({ status: 'failed', failure: { kind: 'thrown' } })
    expect(log).toEqual([])
    expect(await system.run(root, false)).toBe(1)
    expect(log).toEqual(['rescue'])
    await system.stop()
  })

  test('P7 the hook gets task, run, broker, error and what was answered so far', async () => {
    const events: PluginErrorEvent[] = []
    const look = (value: unknown): Plugin => plugin('look', { pluginError: (event) => (events.push(event), value) })
    const root = task(
      'root',
      { plugins: [look(1), look(undefined), look(3)], description: 'does it', tags: ['a'] },
      (_: { url: string }, ctx) => ctx.pluginError({ code: 'quota' }),
    )
    const system = await start(root)
    const run = system.run(root, { url: 'x' })
    await run
    expect(events.map(({ answer }) => answer)).toEqual([undefined, 1, 1])
    expect(events[0]).toMatchObject({
      task: { name: 'root', path: 'root', description: 'does it', tags: ['a'] },
      run: { id: run.id, path: run.path, attempt: 1, input: { url: 'x' }, idempotencyKey: run.path },
      broker: { name: 'memory' },
      error: { name: 'PluginTriggerError', details: { code: 'quota' } },
    })
    await system.stop()
  })

  test('P8 nothing after ctx.pluginError runs', async () => {
    const log: string[] = []
    const root = task('root', { plugins: [answers('rescue', 1)] }, (_: unknown, ctx) => {
      if (ctx.attempt > 0) ctx.pluginError({ code: 1 }, { cause: 'why' })
      log.push('after')
    })
    const system = await start(root)
    await system.run(root)
    expect(log).toEqual([])
    await system.stop()
  })

  test.each([
    ['a text', () => new PluginTriggerError('text', { cause: 'why' }), { message: 'text' }],
    ['details', () => new PluginTriggerError({ code: 1 }, { cause: 'why' }), { code: 1 }],
    ['nothing', () => new PluginTriggerError(undefined, { cause: 'why' }), {}],
  ])('P9 throwing the class yourself, with %s, is treated the same', async (_, make, details) => {
    const seen: PluginTriggerError[] = []
    const look = plugin('look', { pluginError: ({ error }) => void seen.push(error) })
    const root = task('root', { plugins: [look] }, () => {
      throw make()
    })
    const system = await start(root, quiet)
    await system.run(root).settled()
    expect(seen[0]?.details).toEqual(details)
    expect(seen[0]?.cause).toBe('why')
    await system.stop()
  })

  test.each([
    [undefined, {}],
    ['a text', { message: 'a text' }],
    [{ code: 'quota' }, { code: 'quota' }],
  ])('P10 details %j are %j', async (given, details) => {
    const root = task('root', (_: unknown, ctx) => (given === undefined ? ctx.pluginError() : ctx.pluginError(given)))
    const system = await start(root, quiet)
    const { failure } = await system.run(root).settled()
    expect(failure).toMatchObject({ error: { details } })
    await system.stop()
  })

  test('P11 the attempt is over before plugins are asked, and the last answer wins', async () => {
    const clock = manualClock()
    const signals: AbortSignal[] = []
    const slow = plugin('slow', {
      pluginError: () => new Promise((resolve) => clock.setTimeout(() => resolve('first'), 1_000)),
    })
    const root = task('root', { timeout: 10, plugins: [slow, answers('last', 'last')] }, (_: unknown, ctx) => {
      signals.push(ctx.signal)
      return ctx.pluginError()
    })
    const system = await start(root, { clock })
    const run = system.run(root)
    await clock.advance('2s')
    expect(await run.settled()).toMatchObject({ value: 'last', answeredBy: 'last' })
    expect(signals[0]?.aborted).toBe(false)
    await system.stop()
  })

  test.each([0, '', false, null, [], {}])('P12 R1 the answer %j is one, undefined is none', async (value) => {
    const root = task('root', { plugins: [answers('one', value), answers('two', undefined)] }, asks)
    const system = await start(root)
    expect(await system.run(root).settled()).toEqual({ status: 'done', value, attempts: 1, answeredBy: 'one' })
    await system.stop()
  })

  test('P13 otherwise the same error is thrown on, unwrapped', async () => {
    const error = new PluginTriggerError('help')
    const given: Failure[] = []
    const body = (): never => {
      throw error
    }
    const root = task('root', { plugins: [answers('none', Promise.resolve(undefined))] }, body)
    const system = await start(root, {
      catch: (failure) => {
        given.push(failure)
        return resume
      },
    })
    const { failure } = await system.run(root).settled()
    expect(failure?.error).toBe(error)
    expect(failure?.cause).toBe(error)
    expect(given.map((each) => each.error)).toEqual([error])
    await system.stop()
  })

  test('P14 a plugin has a name and hooks, setup and teardown among them; an unknown one is refused at once', async () => {
    const log: string[] = []
    const whole = plugin('whole', {
      setup: () => void log.push('setup'),
      pluginError: () => 'answer',
      teardown: () => void log.push('teardown'),
    })
    const root = task('root', { plugins: [whole] }, asks)
    const system = await start(root)
    log.push(String(await system.run(root)))
    await system.stop()
    expect(log).toEqual(['setup', 'answer', 'teardown'])
    expect(() => plugin('p', { pluginErorr: () => 1 } as never)).toThrow('Did you mean "pluginError"?')
  })

  test('P15 the example of the docs runs by public names alone', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ['examples/plugin-answers.ts'])
    expect(stdout).toContain('123')
  })
})

describe('pluginError', () => {
  test('R2 asks the task, then supervisors from the nearest to the root, then the system; in a list as written', async () => {
    const log: string[] = []
    const two = (name: string): Plugin[] => [answers(`${name} 1`, undefined, log), answers(`${name} 2`, undefined, log)]
    const job = task('job', { plugins: two('task') }, asks)
    const inner = supervisor('inner', { plugins: two('inner') }, [job])
    const system = await start(supervisor('outer', { plugins: two('outer') }, [inner]), {
      ...quiet,
      plugins: two('system'),
    })
    await system.run(job).settled()
    expect(log).toEqual(['task 1', 'task 2', 'inner 1', 'inner 2', 'outer 1', 'outer 2', 'system 1', 'system 2'])
    await system.stop()
  })

  test('R3 everybody is asked, the last answer wins, a later undefined takes nothing back', async () => {
    const log: string[] = []
    const plugins = [answers('a', 1, log), answers('b', 2, log), answers('c', undefined, log)]
    const root = task('root', { plugins }, asks)
    const system = await start(root)
    expect(await system.run(root)).toBe(2)
    expect(log).toEqual(['a', 'b', 'c'])
    await system.stop()
  })

  test('R4 one at a time; one that runs over counts as throwing, and what it says then is late', async () => {
    const clock = manualClock()
    const asked: [string, number][] = []
    const slow = (name: string, ms: number): Plugin =>
      plugin(name, {
        pluginError: () => {
          asked.push([name, clock.now()])
          return new Promise((resolve) => clock.setTimeout(() => resolve(name), ms))
        },
      })
    const root = task('root', { hookTimeout: '1s', plugins: [slow('a', 400), slow('b', 3_000), slow('c', 100)] }, asks)
    const system = await start(root, { clock })
    const seen = jobRecorder()
    seen.listen(system)
    const run = system.run(root)
    await clock.advance('1m')
    expect(asked).toEqual([
      ['a', 0],
      ['b', 400],
      ['c', 1_400],
    ])
    expect(await run.settled()).toMatchObject({ value: 'c', answeredBy: 'c' })
    const [failed] = seen.all('plugin.failed')
    expect(failed).toMatchObject({ path: run.path, plugin: 'b', hook: 'pluginError' })
    expect(failed?.error).toMatchObject({ message: expect.stringContaining('no answer after 1s') as string })
    expect(seen.all('job.late')).toMatchObject([{ outcome: 'value', attempt: 1 }])
    await system.stop()
  })

  test('R4 has ten seconds by default', async () => {
    const clock = manualClock()
    const root = task('root', { plugins: [plugin('never', { pluginError: () => never })] }, asks)
    const system = await start(root, { ...quiet, clock })
    const run = system.run(root)
    await clock.advance('9999ms')
    expect((await system.job(run.id))?.status).toBe('running')
    await clock.advance(1)
    expect(await run.settled()).toMatchObject({ status: 'failed' })
    await system.stop()
  })

  test('R5 a plugin that throws or rejects is reported, the next is asked, the original error goes on', async () => {
    const lines: string[] = []
    const log = {
      debug: () => {},
      info: () => {},
      warn: (_: object, text: string) => lines.push(text),
      error: () => {},
    }
    const rejecting = plugin('rejecting', { pluginError: async () => Promise.reject(new PluginTriggerError('me too')) })
    const root = task('root', { plugins: [throwing('broken'), rejecting] }, asks)
    const system = await start(root, { ...quiet, log })
    const seen = jobRecorder()
    seen.listen(system)
    const run = system.run(root)
    const { failure } = await run.settled()
    expect(failure).toMatchObject({ kind: 'plugin', error: { name: 'PluginTriggerError', message: 'plugin error' } })
    expect(failure?.toJSON().plugins).toMatchObject([
      { name: 'PluginError', message: expect.stringContaining('broken is broken') },
      { name: 'PluginError', message: expect.stringContaining('me too') },
    ])
    expect(seen.all('plugin.failed').map((event) => [event.plugin, event.path, event.hook])).toEqual([
      ['broken', run.path, 'pluginError'],
      ['rejecting', run.path, 'pluginError'],
    ])
    expect(lines).toHaveLength(2)
    await system.stop()
  })

  test('R5 a plugin that throws takes no answer away', async () => {
    const root = task('root', { plugins: [answers('one', 1), throwing('broken', undefined)] }, asks)
    const system = await start(root)
    expect(await system.run(root)).toBe(1)
    await system.stop()
  })

  test('R6 details are frozen, kept in failure and dead letter, and never break JSON', async () => {
    const details = { big: 10n, self: {} as object, when: new Date(0), nested: { a: 1 } }
    details.self = details
    const root = task('root', (_: unknown, ctx) => ctx.pluginError(details, { cause: new Error('why') }))
    const system = await start(root, quiet)
    const run = system.run(root)
    const { failure } = await run.settled()
    const error = failure?.error as PluginTriggerError
    expect(Object.isFrozen(error.details)).toBe(true)
    expect(error.details['big']).toBe(10n)
    expect(error.cause).toMatchObject({ message: 'why' })
    const letter = await system.dead.show(run.id)
    expect(JSON.parse(JSON.stringify(letter))).toMatchObject({ failure: { error: { name: 'PluginTriggerError' } } })
    expect(JSON.stringify(letter)).toMatch(/"a":1|nested/)
    await system.stop()
  })

  test.each<[string, (ctx: { pluginError(): never; cancel(): never }) => unknown]>([
    ['an ordinary error', () => Promise.reject(new Error('no'))],
    ['a PermanentError', () => Promise.reject(new PermanentError('no'))],
    ['a cancel', (ctx) => ctx.cancel()],
    [
      'an error the body caught itself',
      (ctx) => {
        try {
          return ctx.pluginError()
        } catch {
          return 'caught'
        }
      },
    ],
    [
      'an error that only has one as its cause',
      () => Promise.reject(new Error('no', { cause: new PluginTriggerError() })),
    ],
  ])('R7 is never asked for %s', async (_, body) => {
    const log: string[] = []
    const root = task('root', { plugins: [answers('rescue', 1, log)] }, (_input: unknown, ctx) => body(ctx))
    const system = await start(root, quiet)
    await system.run(root).settled()
    expect(log).toEqual([])
    await system.stop()
  })

  test('R7 is never asked for a timeout, a throw in input or fallback, a late throw', async () => {
    const clock = manualClock()
    const log: string[] = []
    const plugins = [answers('rescue', 1, log)]
    const trigger = (): never => {
      throw new PluginTriggerError()
    }
    const late = task('late', { plugins, timeout: 10 }, async () => {
      await new Promise<void>((resolve) => clock.setTimeout(resolve, 50))
      trigger()
    })
    const inFallback = task('inFallback', { plugins, fallback: trigger }, () => {
      throw new Error('no')
    })
    let isStored = false
    const schema = {
      '~standard': {
        version: 1 as const,
        vendor: 'test',
        validate: (value: unknown) => (isStored ? trigger() : ((isStored = true), { value })),
      },
    }
    const inInput = task('inInput', { plugins, input: schema }, () => 'never called')
    const system = await start(supervisor('root', [late, inFallback, inInput]), { ...quiet, clock })
    const runs = [system.run(late), system.run(inFallback), system.run(inInput, 1)]
    await clock.advance(100)
    const outcomes = await Promise.all(runs.map((run) => run.settled()))
    expect(outcomes.map(({ status, failure }) => [status, failure?.kind])).toEqual([
      ['failed', 'timeout'],
      ['failed', 'fallback'],
      ['failed', 'input'],
    ])
    expect(log).toEqual([])
    await system.stop()
  })

  test('R7 is asked for subclasses, and for the class of a second copy of the package', async () => {
    vi.resetModules()
    const other = await import('../../src/errors.ts')
    class Quota extends PluginTriggerError {}
    const root = task('root', { plugins: [answers('rescue', 1)] }, (second: boolean) => {
      throw second ? new other.PluginTriggerError() : new Quota()
    })
    const system = await start(root)
    expect(await Promise.all([system.run(root, true), system.run(root, false)])).toEqual([1, 1])
    await system.stop()
  })

  test('R8 answered: no retry, no fallback, no failure; job.answered names the plugin before job.done', async () => {
    const when = vi.fn<() => boolean>(() => true)
    const fallback = vi.fn<() => void>()
    const root = task('root', { retry: { attempts: 5, when }, fallback, plugins: [answers('rescue', 1)] }, asks)
    const seen = jobRecorder()
    const system = await start(root, { inspect: seen.inspect })
    seen.listen(system)
    const run = system.run(root)
    await run
    expect(seen.states(run.path)).toEqual(['running', 'pluginError', 'done'])
    expect(seen.events(run.path)).toEqual(['job.added', 'job.started', 'job.answered', 'job.done'])
    expect(seen.all('job.answered')).toMatchObject([{ plugin: 'rescue', attempt: 1 }])
    expect(when).not.toHaveBeenCalled()
    expect(fallback).not.toHaveBeenCalled()
    expect(system.failures()).toEqual([])
    await system.stop()
  })

  test('R8 an answer that JSON cannot keep is kind result, without retry', async () => {
    const root = task('root', { retry: { attempts: 5 }, plugins: [answers('rescue', new Map())] }, asks)
    const system = await start(root, quiet)
    expect(await system.run(root).settled()).toMatchObject({
      status: 'failed',
      attempts: 1,
      failure: { kind: 'result' },
    })
    await system.stop()
  })

  test('R9 two unanswered attempts and a third answered are done with attempts 3', async () => {
    let asked = 0
    const third = plugin('third', { pluginError: () => (++asked === 3 ? 'third' : undefined) })
    const when = vi.fn<() => boolean>(() => true)
    const root = task('root', { retry: { attempts: 5, when }, plugins: [third] }, asks)
    const system = await start(root)
    expect(await system.run(root).settled()).toMatchObject({ status: 'done', value: 'third', attempts: 3 })
    expect(when).toHaveBeenCalledTimes(2)
    await system.stop()
  })

  test('R9 not answered: then fallback, then supervisors', async () => {
    const root = task('root', { retry: { attempts: 2 }, fallback: () => 'instead' }, asks)
    const system = await start(root)
    const outcome = await system.run(root).settled()
    expect(outcome).toMatchObject({ status: 'fallback', attempts: 2, failure: { kind: 'plugin' } })
    await system.stop()
  })

  test('R10 a cancel while asked settles it cancelled; nobody else is asked, the late answer changes nothing', async () => {
    const clock = manualClock()
    const log: string[] = []
    let answer: ((value: unknown) => void) | undefined
    const slow = plugin('slow', { pluginError: () => new Promise((resolve) => (answer = resolve)) })
    const root = task('root', { plugins: [slow, answers('next', 1, log)] }, asks)
    const seen = jobRecorder()
    const system = await start(root, { clock, inspect: seen.inspect })
    seen.listen(system)
    const run = system.run(root)
    await settle()
    run.cancel('enough')
    await expect(run).rejects.toBeInstanceOf(CancelledError)
    answer?.('late')
    await settle()
    expect(seen.states(run.path)).toEqual(['running', 'pluginError', 'cancelled'])
    expect(seen.events(run.path)).toEqual(['job.added', 'job.started', 'job.cancelled', 'job.late'])
    expect(log).toEqual([])
    expect(clock.pending).toBe(0)
    await system.stop()
  })

  test('R10 a cancel between two plugins: the next one is not asked', async () => {
    const log: string[] = []
    const root = task('root', { plugins: [throwing('broken'), answers('next', 1, log)] }, asks)
    const system = await start(root)
    system.on('plugin.failed', () => run.cancel('enough'))
    const run = system.run(root)
    expect(await run.settled()).toMatchObject({ status: 'cancelled' })
    await settle()
    expect(log).toEqual([])
    await system.stop()
  })

  test('R11 a generator keeps the progress it yielded; the answer is its result', async () => {
    const root = task('root', { plugins: [answers('rescue', 'rescued')] }, async function* (_: unknown, ctx) {
      yield 1
      yield 2
      return ctx.pluginError()
    })
    const system = await start(root)
    const run = system.run(root)
    const progress: unknown[] = []
    for await (const value of run) progress.push(value)
    expect(progress).toEqual([1, 2])
    expect(await run).toBe('rescued')
    await system.stop()
  })

  test('a hook nobody knows is refused at once', () => {
    expect(() => plugin('p', { pluginErrors: () => 1 } as never)).toThrow('Did you mean "pluginError"?')
    expect(() => task('t', { plugins: [{}] as never }, () => 1)).toThrow('plugin(')
  })

  test('rests in pluginError for at least a turn also when nobody has the hook', async () => {
    const seen = jobRecorder()
    const root = task('root', asks)
    const system = await start(root, { ...quiet, inspect: seen.inspect })
    const run = system.run(root)
    await run.settled()
    expect(seen.states(run.path)).toEqual(['running', 'pluginError', 'failed'])
    await system.stop()
  })
})
