import { context, trace } from '@opentelemetry/api'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { exponential, plugin, resume, start, supervisor, task, type TaskContext } from 'rootcatch'
import { openTelemetry } from 'rootcatch/plugins'
import { manualClock, settle } from 'rootcatch/testing'
import { runNode } from '../support/child.ts'
import { recordTelemetry, type Telemetry } from '../support/telemetry.ts'

const quiet = { catch: () => resume }
const never = new Promise<never>(() => {})

let seen: Telemetry
beforeEach(() => void (seen = recordTelemetry()))
afterEach(() => seen.reset())

const inSpan = <Value>(name: string, call: () => Value): Value =>
  trace.getTracer('user').startActiveSpan(name, (span) => {
    const value = call()
    span.end()
    return value
  })

describe('openTelemetry', () => {
  test('makes a span of each attempt, by the messaging conventions, linked to the span that asked for the job', async () => {
    const resize = task('resize', { retry: { attempts: 2 } }, (_: unknown, ctx) => {
      if (ctx.attempt === 1) throw Object.assign(new TypeError('no way to redis://:hunter2@cache'), { code: 'E' })
      return 1
    })
    const system = await start(supervisor('app', [resize]), { ...quiet, plugins: [openTelemetry()] })
    const run = inSpan('GET /', () => system.run(resize))
    await run
    const [caller, first, second] = seen.spans
    expect(first).toMatchObject({
      name: 'process app/resize',
      kind: 'CONSUMER',
      parent: undefined,
      links: [caller?.id],
      status: 'ERROR',
      attributes: {
        'messaging.system': 'rootcatch',
        'messaging.destination.name': 'app/resize',
        'messaging.operation.name': 'process',
        'messaging.operation.type': 'process',
        'messaging.message.id': run.id,
        'rootcatch.job.path': run.path,
        'rootcatch.job.attempt': 1,
        'rootcatch.broker': 'memory',
        'error.type': 'TypeError',
      },
      exceptions: [{ name: 'TypeError', message: 'no way to redis://:[redacted]@cache' }],
    })
    expect(JSON.stringify(seen.spans)).not.toContain('hunter2')
    expect(second).toMatchObject({ status: 'UNSET', links: [caller?.id], exceptions: [] })
    expect(second?.attributes).toMatchObject({ 'rootcatch.job.attempt': 2 })
    await system.stop()
  })

  test('runs the body inside of its span, in a trace of its own, whoever woke the worker', async () => {
    const inner = task('inner', () => inSpan('inner work', () => 1))
    const outer = task('outer', async (_: unknown, ctx) => {
      await ctx.sleep(1)
      inSpan('outer work', () => {})
      await system.run(inner)
    })
    const system = await start(supervisor('app', [outer, inner]), { ...quiet, plugins: [openTelemetry()] })
    await inSpan('GET /', () => system.run(outer))
    const span = (name: string) => seen.spans.find((one) => one.name === name)
    expect(span('outer work')?.parent).toBe(span('process app/outer')?.id)
    expect(span('inner work')?.parent).toBe(span('process app/inner')?.id)
    expect(span('process app/inner')).toMatchObject({ parent: undefined, links: [span('process app/outer')?.id] })
    await system.stop()
  })

  test('runs each step of a generator inside of its span, and an attempt after a wait as well', async () => {
    const clock = manualClock()
    const job = task(
      'job',
      { retry: { attempts: 2, backoff: exponential({ from: '1s', to: '1s' }) } },
      async function* (_: unknown, ctx) {
        yield 1
        await ctx.sleep(1)
        inSpan(`step of attempt ${ctx.attempt}`, () => {})
        if (ctx.attempt === 1) throw new Error('again')
        return 2
      },
    )
    const system = await start(job, { clock, plugins: [openTelemetry()] })
    const run = inSpan('GET /', () => system.run(job))
    await clock.advance('2s')
    expect(await run).toBe(2)
    const [, stepOfFirst, first, stepOfSecond, second] = seen.spans
    expect([stepOfFirst?.name, stepOfFirst?.parent]).toEqual(['step of attempt 1', first?.id])
    expect([stepOfSecond?.name, stepOfSecond?.parent]).toEqual(['step of attempt 2', second?.id])
    await system.stop()
  })

  test('makes it a child of the span that asked, if told so', async () => {
    const job = task('job', () => 1)
    const system = await start(job, { plugins: [openTelemetry({ caller: 'parent' })] })
    await inSpan('GET /', () => system.run(job))
    const [caller, attempt] = seen.spans
    expect(attempt).toMatchObject({ name: 'process job', parent: caller?.id, traceId: caller?.traceId, links: [] })
    await system.run(job)
    expect(seen.spans[2]).toMatchObject({ parent: undefined, links: [] })
    await system.stop()
  })

  const ends: readonly [string, (ctx: TaskContext) => unknown, object][] = [
    [
      'throws no error',
      () => Promise.reject(7),
      { status: 'ERROR', exceptions: ['7'], attributes: { 'error.type': 'number' } },
    ],
    ['runs out of time', () => never, { status: 'ERROR', attributes: { 'error.type': 'TimeoutError' } }],
    [
      'is cancelled',
      (ctx) => ctx.cancel('enough'),
      { status: 'UNSET', attributes: { 'rootcatch.attempt.end': 'cancelled' } },
    ],
    ['asks the plugins', (ctx) => ctx.pluginError(), { status: 'UNSET', events: ['rootcatch.plugin_error'] }],
  ]
  test.each(ends)('a span says so when its attempt %s, and ends once', async (_, body, said) => {
    const clock = manualClock()
    const rescue = plugin('rescue', { pluginError: () => 1 })
    const job = task('job', { timeout: '1s', plugins: [rescue] }, (_input: unknown, ctx) => body(ctx))
    const system = await start(job, { ...quiet, clock, plugins: [openTelemetry()] })
    const run = system.run(job)
    await clock.advance('1s')
    await run.settled()
    expect(seen.spans).toEqual([expect.objectContaining({ name: 'process job' })])
    expect(seen.spans[0]).toMatchObject(said)
    await system.stop()
    await settle()
    expect(seen.open).toBe(0)
  })

  test('ends the spans of attempts that a stop cuts off', async () => {
    const clock = manualClock()
    const job = task('job', () => never)
    const system = await start(job, { clock, plugins: [openTelemetry()] })
    void system.run(job)
    await settle()
    expect([seen.open, seen.sum('rootcatch.job.running')]).toEqual([1, 1])
    await Promise.all([system.stop(), clock.advance('1h')])
    expect([seen.open, seen.sum('rootcatch.job.running')]).toEqual([0, 0])
    expect(seen.spans[0]).toMatchObject({ status: 'UNSET', attributes: { 'rootcatch.attempt.end': 'stopped' } })
  })

  test('counts attempts, retries, outcomes and durations by task, and how many run', async () => {
    let running = 0
    const job = task(
      'job',
      {
        retry: { attempts: 2 },
        fallback: (input: string) => {
          if (input === 'fails') throw new Error('no')
          return 'fallback'
        },
      },
      (input: string) => {
        running = seen.sum('rootcatch.job.running')
        if (input !== 'works') throw new RangeError('no')
      },
    )
    const other = task('other', () => 1)
    const system = await start(supervisor('app', [job, other]), { ...quiet, plugins: [openTelemetry()] })
    for (const input of ['works', 'works', 'fails', 'falls']) await system.run(job, input).settled()
    await system.run(other)
    const of = { 'messaging.destination.name': 'app/job' }
    expect(running).toBe(1)
    expect(seen.sum('rootcatch.job.running')).toBe(0)
    expect(seen.sum('rootcatch.job.attempts', of)).toBe(6)
    expect(seen.sum('rootcatch.job.retries', of)).toBe(2)
    expect(
      ['done', 'failed', 'fallback', 'cancelled'].map((outcome) =>
        seen.sum('rootcatch.job.outcomes', { ...of, 'rootcatch.job.outcome': outcome }),
      ),
    ).toEqual([2, 1, 1, 0])
    expect(seen.sum('messaging.process.duration', of)).toBe(6)
    expect(seen.sum('messaging.process.duration', { ...of, 'error.type': 'RangeError' })).toBe(4)
    expect(seen.units.get('messaging.process.duration')).toBe('s')
    await system.stop()
  })

  test('leaves the context of the caller alone', async () => {
    const job = task('job', () => 1)
    const system = await start(job, { plugins: [openTelemetry()] })
    await system.run(job)
    expect(trace.getSpan(context.active())).toBeUndefined()
    await system.stop()
  })

  test('without the package the start fails with the command to run', async () => {
    const without = `import { registerHooks } from 'node:module'
      registerHooks({
        resolve(name, context, next) {
          if (name !== '@opentelemetry/api') return next(name, context)
          throw Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' })
        },
      })`
    const program = `import { start, task } from './src/index.ts'
      import { openTelemetry } from './src/plugins/index.ts'
      await start(task('job', () => 1), { plugins: [openTelemetry()] }).catch((error) => console.log(error.message))`
    const hooks = `data:text/javascript,${encodeURIComponent(without)}`
    const { stdout } = await runNode(['--import', hooks, '--input-type=module', '--eval', program])
    expect(stdout).toContain('"@opentelemetry/api", which is not installed. Run: npm install @opentelemetry/api')
  })

  test.each([
    [
      () => openTelemetry({ caller: 'child' as never }),
      `openTelemetry() got caller "child" (string). Use 'link' or 'parent'.`,
    ],
    [() => openTelemetry({ tracer: 1 } as never), 'openTelemetry() got an unknown option "tracer".'],
  ])('says what is wrong with an option', (make, message) => {
    expect(make).toThrow(message)
  })
})
