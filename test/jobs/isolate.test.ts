import { availableParallelism } from 'node:os'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { threadId } from 'node:worker_threads'
import {
  FatalError,
  IsolateError,
  PayloadError,
  PermanentError,
  plugin,
  PluginTriggerError,
  resume,
  start,
  supervisor,
  task,
  type AnyEvent,
  type Failure,
  type RunOutcome,
  type StartOptions,
  type System,
  type Task,
} from 'rootcatch'
import { sqlite } from 'rootcatch/sqlite'
import { manualClock } from 'rootcatch/testing'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { runNode } from '../support/child.ts'
import { jobRecorder } from '../support/job-recorder.ts'
import { newFiles } from '../support/sqlite-store.ts'
import { broken } from './isolated/breaks.ts'
import { inside } from './isolated/not-exported.ts'
import { slow } from './isolated/slow.ts'
import * as tasks from './isolated/tasks.ts'
import { one } from './isolated/twins.ts'

const newFile = newFiles()
const until = (isSo: () => unknown): Promise<unknown> =>
  vi.waitFor(() => expect(isSo()).toBeTruthy(), { timeout: 10_000, interval: 5 })

const quiet = { catch: () => resume }

async function running(definition: Task<never>, options: StartOptions = {}): Promise<System> {
  return start(supervisor('app', [definition]), { ...quiet, ...options })
}

describe('isolate', () => {
  test('calls the body in a thread of its own, whatever its export is called', async () => {
    await using system = await running(tasks.add)
    const { sum, thread } = await system.run(tasks.add, { a: 1, b: 2 })
    expect(sum).toBe(3)
    expect(thread).not.toBe(threadId)
    await using another = await running(tasks.anotherName)
    expect(await another.run(tasks.anotherName, 1)).toBe(1)
  })

  test('works as well in a module of CommonJS', async () => {
    const { double } = ((await import('./isolated/old.cjs' as string)) as { default: { double: Task<number, number> } })
      .default
    await using system = await running(double)
    expect(await system.run(double, 21)).toBe(42)
  })

  test('has one slot less than there are cores, and as many threads as slots', async () => {
    expect(tasks.add.concurrency).toBe(Math.max(1, availableParallelism() - 1))
    expect(tasks.parallel.concurrency).toBe(2)
    await using system = await running(tasks.parallel)
    const threads = await Promise.all([500, 500].map((ms) => system.run(tasks.parallel, ms)))
    expect(new Set(threads).size).toBe(2)
  })

  test('keeps the event loop free while a thread computes', async () => {
    await using system = await running(tasks.hogs)
    const delay = monitorEventLoopDelay({ resolution: 10 })
    delay.enable()
    let ticks = 0
    const interval = setInterval(() => (ticks += 1), 10)
    expect(await system.run(tasks.hogs, 2_000)).toBe(2_000)
    clearInterval(interval)
    delay.disable()
    expect(ticks).toBeGreaterThan(40)
    expect(delay.max / 1e6).toBeLessThan(1_000)
  })

  test('is read at once, and a wrong one is refused', () => {
    const given = (isolate: unknown) => () => task('resize', { isolate: isolate as true }, () => 1)
    expect(given('yes')).toThrow('task "resize" got isolate "yes" (string). Use true, or an object')
    expect(given({ modul: 'x' })).toThrow('isolate of task "resize" got an unknown option "modul". Did you mean')
    expect(given({ memory: 8 })).toThrow('isolate of task "resize" got memory 8 (number). Use a whole number from 16.')
    expect(given({ grace: 'soon' })).toThrow('isolate of task "resize" got grace "soon" (string).')
    expect(given({ module: 'images.ts' })).toThrow('Define the task in a file, and pass import.meta.url of that.')
    expect(given(false)().isolate).toBeUndefined()
    expect(given({ module: import.meta.url, memory: 64, grace: '1s' })().isolate).toEqual({
      module: import.meta.url,
      memory: 64,
      grace: 1_000,
    })
  })
})

describe('the context in a thread', () => {
  test('knows the job and its attempt', async () => {
    await using system = await running(tasks.about)
    const run = system.run(tasks.about, null)
    const { id, path } = run
    expect(await run).toEqual({ id, path, attempt: 1, idempotencyKey: path, aborted: false })
  })

  test('logs, tells progress and sleeps on the clock of the system, in order', async () => {
    const clock = manualClock()
    const system = await running(tasks.talks, { clock })
    const seen = jobRecorder()
    seen.listen(system)
    const run = system.run(tasks.talks, null)
    await until(() => clock.pending > 0)
    await clock.advance('1h')
    expect(await run).toBe('over')
    expect(seen.events(run.path)).toEqual([
      'job.added',
      'job.started',
      'job.log',
      'job.progress',
      'job.progress',
      'job.done',
    ])
    expect(seen.all('job.progress').map(({ value }) => value)).toEqual([{ step: 1 }, { step: 2 }])
    const [line] = seen.all('job.log')
    expect(line).toMatchObject({ level: 'info', message: 'began', data: { of: 2, err: expect.any(PermanentError) } })
    await system.stop()
  })

  test('has what a generator yields as progress, none of it late', async () => {
    await using system = await running(tasks.counts)
    const seen = jobRecorder()
    seen.listen(system)
    expect(await system.run(tasks.counts, 1_000)).toBe('counted')
    expect(seen.all('job.progress').map(({ value }) => value)).toEqual(Array.from({ length: 1_000 }, (_, n) => n + 1))
  })

  test('cancels the job', async () => {
    await using system = await running(tasks.throws)
    const outcome = await system.run(tasks.throws, 'cancel').settled()
    expect(outcome).toMatchObject({ status: 'cancelled', reason: { by: 'body' }, attempts: 1 })
  })

  test('asks the plugins of the main thread', async () => {
    const rescue = plugin('rescue', { pluginError: ({ error }) => ({ [String(error.details['code'])]: threadId }) })
    await using system = await running(tasks.throws, { plugins: [rescue] })
    expect(await system.run(tasks.throws, 'plugin')).toEqual({ quota: threadId })
  })

  test('is inside of what plugins do around it, in the main thread', async () => {
    const steps: unknown[] = []
    const watch = plugin('watch', {
      before: () => void steps.push('before'),
      around: async ({ next }) => {
        const { sum } = (await next()) as { sum: number }
        steps.push(`gave ${sum}`)
        return { sum: -sum, thread: threadId }
      },
    })
    await using system = await running(tasks.add, { plugins: [watch] })
    expect(await system.run(tasks.add, { a: 1, b: 2 })).toEqual({ sum: -3, thread: threadId })
    expect(steps).toEqual(['before', 'gave 3'])
  })

  test.each([
    { what: 'timeout', is: 'TimeoutError', says: 'was not over after 500ms', of: tasks.hurries, give: () => {} },
    {
      what: 'cancel',
      is: 'CancelledError',
      says: 'was cancelled: enough',
      of: tasks.listens,
      give: (_: System, cancel: (reason: string) => void) => cancel('enough'),
    },
    {
      what: 'stop',
      is: 'SystemStoppedError',
      says: 'stopped before job',
      of: tasks.listens,
      give: (system: System) => void system.stop(),
    },
  ])('has a signal that aborts by $what with the reason there is', async ({ is, says, of, give }) => {
    const system = await running(of)
    const seen = jobRecorder()
    seen.listen(system)
    const run = system.run(of, null)
    await until(() => seen.all('job.progress').length > 0)
    give(system, (reason) => void run.cancel(reason))
    await until(() => seen.all('job.late').length > 0)
    expect(seen.all('job.late')).toMatchObject([{ path: run.path, outcome: 'value' }])
    expect(seen.all('job.log')).toMatchObject([{ data: { is: [is], says: expect.stringContaining(says) } }])
    await system.stop()
  })

  test('lets the finally of a generator run that is given up', async () => {
    await using system = await running(tasks.unwinds)
    const seen = jobRecorder()
    seen.listen(system)
    const run = system.run(tasks.unwinds, null)
    await until(() => seen.all('job.progress').length > 0)
    run.cancel()
    await until(() => seen.all('job.log').length > 0)
    expect(seen.all('job.log')).toMatchObject([{ message: 'unwound' }])
  })
})

describe('what a body in a thread throws', () => {
  let system: System
  beforeAll(async () => (system = await running(tasks.throws)))
  afterAll(() => system.stop())

  async function errorOf(what: string): Promise<{ error: unknown; outcome: RunOutcome; failure: Failure }> {
    const outcome = await system.run(tasks.throws, what).settled()
    if (outcome.status !== 'failed') throw new Error(`it is ${outcome.status}`)
    return { error: outcome.failure.error, failure: outcome.failure, outcome }
  }

  test('keeps name, message, stack, code, own fields, causes, and the class where that is one of the language', async () => {
    const { error, failure } = await errorOf('error')
    expect(error).toBeInstanceOf(TypeError)
    expect(error).toMatchObject({ message: 'too much', code: 'quota', limit: 3, retryAfter: 7 })
    const { cause, stack } = error as Error
    expect(stack).toContain('isolated/tasks.ts')
    expect(cause).toBeInstanceOf(RangeError)
    expect(cause).toMatchObject({ message: 'below', cause: { message: 'the root of it' } })
    expect(failure.report()).toContain('caused by RangeError: below')
    expect(failure.report()).not.toContain('worker.js')
  })

  test.each([
    { what: 'permanent', of: PermanentError, says: { message: 'useless', cause: { message: 'below' } } },
    { what: 'fatal', of: FatalError, says: { message: 'all is lost', code: 'fatal' } },
    {
      what: 'plugin',
      of: PluginTriggerError,
      says: { message: 'help', details: { message: 'help', code: 'quota', n: 2 }, cause: { message: 'below' } },
    },
    { what: 'many', of: AggregateError, says: { message: 'several', errors: [{ message: 'one' }, 2] } },
    { what: 'run', of: IsolateError, says: { message: expect.stringContaining('Call it in a task without isolate') } },
    { what: 'cyclic', of: Error, says: { message: 'turns', cause: 'turns' } },
  ])('is of its class: $what', async ({ what, of, says }) => {
    const { error } = await errorOf(what)
    expect(error).toBeInstanceOf(of)
    expect(error).toMatchObject(says)
  })

  test('has frozen details', async () => {
    const { error } = await errorOf('plugin')
    expect(Object.isFrozen((error as PluginTriggerError).details)).toBe(true)
  })

  test.each([
    { what: 'plain', value: { status: 500, headers: ['a'] } },
    { what: 'undefined', value: undefined },
    { what: 'function', value: '[function spin]' },
  ])('is the value, where it is no error: $what', async ({ what, value }) => {
    expect((await errorOf(what)).error).toEqual(value)
  })

  test('is judged by the policy: when, PermanentError, retryAfter', async () => {
    await using retrying = await running(tasks.retries)
    const attempts = async (what: string): Promise<unknown> => {
      const { status, attempts: tried } = await retrying.run(tasks.retries, what).settled()
      return [status, tried]
    }
    expect(await attempts('types')).toEqual(['failed', 2])
    expect(await attempts('permanent')).toEqual(['failed', 1])
    expect(await attempts('later')).toEqual(['done', 2])
  })

  test('is asked about in the fallback, which runs in the main thread', async () => {
    await using falling = await running(tasks.fallsBack)
    expect(await falling.run(tasks.fallsBack, null as never)).toEqual({ fallback: threadId })
  })

  test('and nobody looks at is a floating failure of that job, which is done all the same', async () => {
    const run = system.run(tasks.throws, 'floating')
    expect(await run).toBe('floating')
    const floating = (): readonly Failure[] => system.failures().filter(({ kind }) => kind === 'floating')
    await until(() => floating().length > 0)
    expect(floating()).toMatchObject([{ kind: 'floating', path: run.path, error: { message: 'nobody looks' } }])
  })
})

describe('what a body in a thread gives', () => {
  let system: System
  beforeAll(async () => (system = await running(tasks.gives)))
  afterAll(() => system.stop())

  test.each([
    { what: 'date', says: 'result.at of task "gives" is a Date, which JSON cannot keep. Pass toISOString().' },
    { what: 'function', says: 'result of task "gives" is a function, which JSON cannot keep. Leave it out.' },
    { what: 'instance', says: 'result of task "gives" is a Quota, which JSON cannot keep. Pass a plain object.' },
    { what: 'large', says: 'result of task "gives" has 293 KB, 256 KB are allowed.' },
    { what: 'getter', says: 'not to be read' },
  ])('fails with kind result where it would in the main thread: $what', async ({ what, says }) => {
    const outcome = await system.run(tasks.gives, what).settled()
    expect(outcome).toMatchObject({ status: 'failed', attempts: 1, failure: { kind: 'result' } })
    expect(outcome.failure).toMatchObject({ error: { message: expect.stringContaining(says) } })
  })

  test('may be nothing', async () => {
    expect(await system.run(tasks.gives, 'nothing')).toBeUndefined()
  })
})

describe('what a body in a thread is given', () => {
  test('is what the schema made of it in the main thread', async () => {
    await using system = await running(tasks.parses)
    expect(await system.run(tasks.parses, '2026-01-01T00:00:00Z')).toBe(Date.UTC(2026, 0))
  })

  test('is refused where it cannot go to a thread, and the thread is free again', async () => {
    await using system = await running(tasks.parses)
    const { failure } = await system.run(tasks.parses, 'function').settled()
    expect(failure?.error).toBeInstanceOf(PayloadError)
    expect(String(failure?.error)).toContain('input of task "parses" cannot go to a thread')
    expect(await system.run(tasks.parses, '1970-01-01T00:00:00Z')).toBe(0)
  })
})

describe('a thread', () => {
  test('that never looks is ended; its job is judged at once, and the others are not harmed', async () => {
    await using system = await running(tasks.anotherName)
    const seen = jobRecorder()
    seen.listen(system)
    const began = performance.now()
    const stuck = system.run(tasks.anotherName, 60_000)
    const others = [100, 200, 150, 100].map((ms) => system.run(tasks.anotherName, ms))
    expect(await stuck.settled()).toMatchObject({ status: 'failed', failure: { kind: 'timeout' }, attempts: 1 })
    expect(await Promise.all(others)).toEqual([100, 200, 150, 100])
    await until(() => seen.all('job.late').length > 0)
    const [late] = seen.all('job.late')
    expect(late).toMatchObject({ path: stuck.path, outcome: 'error' })
    expect((late as { error?: unknown }).error).toBeInstanceOf(IsolateError)
    expect(String((late as { error?: unknown }).error)).toContain('went on for 250 ms after its signal aborted')
    expect(performance.now() - began).toBeLessThan(20_000)
  })

  test('that is new has not begun the time of its attempt', async () => {
    await using system = await running(slow)
    expect(await system.run(slow, 'exit').settled()).toMatchObject({ status: 'failed' })
    expect(await system.run(slow, 'in time')).toBe('in time')
  })

  test('that exits fails the attempt', async () => {
    await using system = await running(tasks.throws)
    const { failure } = await system.run(tasks.throws, 'exit').settled()
    expect(failure?.error).toBeInstanceOf(IsolateError)
    expect(failure?.error).toMatchObject({
      message:
        'the thread of task "throws" ended with exit code 3 before its job was over. Do not call process.exit() in its body.',
    })
    expect(await system.run(tasks.throws, 'and goes on')).toBe('and goes on')
  })

  test('that dies of an error in a timer fails the attempt, with that error as cause', async () => {
    await using system = await running(tasks.throws)
    const { failure } = await system.run(tasks.throws, 'timer').settled()
    expect(failure?.error).toMatchObject({ code: 'isolate', cause: { message: 'from a timer' } })
  })

  test('is not lost by an error in a timer of a job that is over; that is a floating failure', async () => {
    await using system = await running(tasks.throws)
    const first = system.run(tasks.throws, 'leaves a timer')
    expect(await first).toBe('leaves a timer')
    expect(await system.run(tasks.throws, 'takes time')).toBe('takes time')
    expect(system.failures()).toMatchObject([{ kind: 'floating', path: first.path }])
  })

  test('that runs out of memory fails the attempt, and the next one gets another thread', async () => {
    await using system = await running(tasks.eats)
    const seen = jobRecorder()
    seen.listen(system)
    expect(await system.run(tasks.eats, null)).toBe('modest')
    expect(seen.all('job.retrying').map(({ error }) => (error as Error).message)).toEqual([
      'the thread of task "eats" ran out of memory: 32 MiB are allowed. Raise isolate.memory, or give it less at once.',
    ])
  })
})

describe('start', () => {
  const causeOf = async (definition: Task<never>): Promise<unknown> => {
    const failure = await running(definition).catch((error: unknown) => error as Failure)
    if (!(failure instanceof Error)) throw new Error('it started')
    return failure.cause
  }

  test('refuses a task that its module does not export, and one of two with its name', async () => {
    expect(await causeOf(inside.hidden)).toMatchObject({
      name: 'IsolateError',
      message:
        'task "hidden" has isolate: true, but test/jobs/isolated/not-exported.ts does not export it. Export it: export const hidden = task(…).',
    })
    expect(await causeOf(one)).toMatchObject({
      message: 'test/jobs/isolated/twins.ts exports two tasks named "twin". Rename one of them.',
    })
  })

  test('refuses a task whose module cannot be imported, and tells why', async () => {
    const error = await causeOf(broken)
    expect(error).toMatchObject({
      name: 'IsolateError',
      message:
        'task "broken" cannot be loaded in a thread: importing test/jobs/isolated/breaks.ts threw no such library. Import it by hand to see where.',
    })
    expect((error as Error).cause).toBeInstanceOf(TypeError)
  })

  const advice = 'in a thread of task "work". Move the task into a file of its own that starts nothing.'

  test.each(['starts', 'starts-and-waits', 'starts-and-breaks'])(
    'refuses a task whose module starts a system: %s',
    async (name) => {
      const { stdout, stderr } = await runNode([`test/jobs/isolated/${name}.ts`])
      expect(stdout + stderr).toContain(
        `start() was called by test/jobs/isolated/${name}.ts, or by what it imports, ${advice}`,
      )
      expect(stdout).not.toContain('started')
    },
  )

  test('says what to install where piscina is missing', async () => {
    const { stdout } = await runNode([
      '--input-type=module',
      '-e',
      `
        import { registerHooks } from 'node:module'
        registerHooks({
          resolve(specifier, context, next) {
            if (specifier !== 'piscina') return next(specifier, context)
            throw Object.assign(new Error('not found'), { code: 'ERR_MODULE_NOT_FOUND' })
          },
        })
        const { start } = await import('rootcatch')
        const { add } = await import('./test/jobs/isolated/tasks.ts')
        await start(add).catch(({ cause }) => console.log(cause.name, cause.message))
      `,
    ])
    expect(stdout).toBe(
      'MissingPackageError a task with isolate needs the package "piscina", which is not installed. Run: npm install piscina\n',
    )
  })

  test('loads nothing of it for a task that is not isolated', async () => {
    const loaded = async (isolate: boolean): Promise<string[]> => {
      const { stdout } = await runNode([
        '--input-type=module',
        '-e',
        `
          import { registerHooks } from 'node:module'
          const loaded = []
          registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) })
          const { start, task } = await import('rootcatch')
          const { add } = await import('./test/jobs/isolated/tasks.ts')
          const system = await start(${isolate} ? add : task('plain', () => 1))
          await system.stop()
          console.log(JSON.stringify(loaded.filter((url) => /piscina|src\\/isolate\\//.test(url))))
        `,
      ])
      return JSON.parse(stdout) as string[]
    }
    expect(await loaded(false)).toEqual([])
    expect((await loaded(true)).length).toBeGreaterThan(1)
  })
})

describe('stop', () => {
  test('ends a body that never looks once its shutdown and grace are over', async () => {
    const system = await running(tasks.hogs)
    const events: AnyEvent[] = []
    system.on('*', (event) => events.push(event))
    const run = system.run(tasks.hogs, 60_000)
    await until(() => events.some(({ type }) => type === 'job.progress'))
    const began = performance.now()
    await system.stop()
    expect(performance.now() - began).toBeLessThan(5_000)
    expect(await run.settled()).toMatchObject({ status: 'cancelled', reason: { code: 'system-stopped' } })
  })

  test('leaves nothing that keeps a process alive, threads that were ended included', async () => {
    const { stdout, code } = await runNode([
      '--input-type=module',
      '-e',
      `
        import { start, supervisor, resume } from 'rootcatch'
        import { anotherName, throws } from './test/jobs/isolated/tasks.ts'
        const system = await start(supervisor('app', [anotherName, throws]), { catch: () => resume })
        const all = [system.run(anotherName, 60_000), system.run(throws, 'exit'), system.run(anotherName, 10)]
        console.log((await Promise.all(all.map((run) => run.settled()))).map(({ status }) => status).join(' '))
        await system.stop()
        console.log(process.getActiveResourcesInfo().filter((name) => !/Pipe|TTY/.test(name)).join(' '))
      `,
    ])
    expect(stdout).toBe('failed failed done\n\n')
    expect(code).toBe(0)
  })

  test('gives a job on sqlite back that was running in a thread', async () => {
    const file = newFile()
    const first = await running(tasks.sleeps, { broker: sqlite(file) })
    const events: AnyEvent[] = []
    first.on('*', (event) => events.push(event))
    const run = first.run(tasks.sleeps, null)
    await until(() => events.some(({ type }) => type === 'job.progress'))
    await first.stop()
    const second = await running(tasks.add, { broker: sqlite(file) })
    expect(await second.job(run.id)).toMatchObject({ status: 'waiting', attempts: 0 })
    expect(await second.run(tasks.add, { a: 2, b: 2 })).toMatchObject({ sum: 4 })
    await second.stop()
  })
})
