import { Console } from 'node:console'
import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { exponential, PermanentError, resume, start, supervisor, task, type Plugin } from 'rootcatch'
import { logging, type DataFirstLogger, type LogLevel } from 'rootcatch/plugins'
import { manualClock } from 'rootcatch/testing'

type Line = { readonly level: LogLevel; readonly data: Record<string, unknown>; readonly message: string }

const quiet = { catch: () => resume }

/** A logger as pino's: its methods need their `this`, data comes first. */
class PinoLike implements DataFirstLogger {
  readonly lines: Line[] = []
  debug(data: object, message: string): void {
    this.#write('debug', data, message)
  }
  info(data: object, message: string): void {
    this.#write('info', data, message)
  }
  warn(data: object, message: string): void {
    this.#write('warn', data, message)
  }
  error(data: object, message: string): void {
    this.#write('error', data, message)
  }
  #write(level: LogLevel, data: object, message: string): void {
    this.lines.push({ level, data: { ...data }, message })
  }
}

describe('logging', () => {
  test('writes a line per retry and outcome, each with path, id, task, attempt, duration and what went wrong', async () => {
    const clock = manualClock()
    const log = new PinoLike()
    const resize = task(
      'resize',
      {
        retry: { attempts: 2, backoff: exponential({ from: '1s', to: '1s', jitter: 0 }) },
        fallback: () => 'placeholder',
      },
      async (_: unknown, ctx) => {
        await ctx.sleep(250)
        throw Object.assign(new TypeError('no image'), { code: 'E_IMAGE' })
      },
    )
    const system = await start(supervisor('app', { plugins: [logging(log, { clock })] }, [resize]), { ...quiet, clock })
    const run = system.run(resize)
    await clock.advance('2s')
    await run
    const ofJob = { path: run.path, id: run.id, task: 'resize', duration: 250, kind: 'thrown' }
    const err = { type: 'TypeError', message: 'no image', code: 'E_IMAGE', stack: expect.stringContaining('no image') }
    expect(log.lines).toEqual([
      {
        level: 'warn',
        data: { ...ofJob, attempt: 1, delay: 1_000, err },
        message: `${run.path} tries again in 1s, attempt 1 of 2 failed: no image`,
      },
      {
        level: 'warn',
        data: { ...ofJob, attempt: 2, status: 'fallback', err },
        message: `${run.path} fell back: no image`,
      },
    ])
    await system.stop()
  })

  const outcomes: readonly [string, (ctx: { cancel(reason: string): never }) => unknown, LogLevel, string][] = [
    ['done', () => 1, 'debug', 'job done'],
    [
      'failed',
      () => {
        throw new PermanentError('no')
      },
      'error',
      'job failed after 1 attempt in 0ms: no',
    ],
    ['cancelled', (ctx) => ctx.cancel('enough'), 'info', 'job was cancelled: enough'],
  ]
  test.each(outcomes)('tells %s at a level of its own', async (status, body, level, message) => {
    const clock = manualClock()
    const log = new PinoLike()
    const job = task('job', { plugins: [logging(log, { clock })] }, (_: unknown, ctx) => body(ctx))
    const system = await start(job, { ...quiet, clock })
    const run = system.run(job)
    await run.settled()
    expect(log.lines).toHaveLength(1)
    expect(log.lines[0]).toMatchObject({ level, data: { status, attempt: 1, path: run.path } })
    expect(log.lines[0]?.message.replace(run.path, 'job')).toBe(message)
    await system.stop()
  })

  test('takes levels, and false for no line', async () => {
    const log = new PinoLike()
    const job = task(
      'job',
      { plugins: [logging(log, { levels: { done: 'info', failed: false } })] },
      (fails: boolean) => {
        if (fails) throw new Error('no')
      },
    )
    const system = await start(job, quiet)
    await system.run(job, true).settled()
    await system.run(job, false)
    expect(log.lines.map(({ level }) => level)).toEqual(['info'])
    await system.stop()
  })

  test.each([
    [undefined, undefined],
    [true, { url: 'x', password: 'p' }],
    [({ url }: { url: string }) => url, 'x'],
  ] as const)('logs the input only where asked: %s', async (input, logged) => {
    const log = new PinoLike()
    const plugins: Plugin[] = [logging(log, input === undefined ? {} : { input: input as true })]
    const job = task('job', { plugins }, (_: { url: string; password: string }) => 'result')
    const system = await start(job)
    await system.run(job, { url: 'x', password: 'p' })
    expect(log.lines[0]?.data['input']).toEqual(logged)
    expect(JSON.stringify(log.lines)).not.toContain('result')
    await system.stop()
  })

  test('hides secrets in messages, stacks and reasons, or what the option hides', async () => {
    const log = new PinoLike()
    const mine = new PinoLike()
    const plugins = [logging(log), logging(mine, { redact: (text) => text.replaceAll('hunter2', '…') })]
    const job = task('job', { plugins }, (_: unknown) => {
      throw new Error('no way to postgres://app:hunter2@db/x')
    })
    const system = await start(job, quiet)
    await system.run(job).settled()
    expect(JSON.stringify(log.lines)).not.toContain('hunter2')
    expect(log.lines[0]?.message).toContain('postgres://app:[redacted]@db/x')
    expect(mine.lines[0]?.message).toContain('postgres://app:…@db/x')
    await system.stop()
  })

  test('gives a console the message first, also one of its own making', async () => {
    const stream = new PassThrough()
    const job = task('job', { plugins: [logging(new Console(stream), { levels: { done: 'info' } })] }, () => 1)
    const system = await start(job)
    const run = system.run(job)
    await run
    expect(String(stream.read())).toMatch(`${run.path} done {`)
    await system.stop()
  })

  test('is one line whatever was thrown', async () => {
    const log = new PinoLike()
    const job = task('job', { plugins: [logging(log)] }, (_: unknown) => {
      throw new Error('two\nlines\u001B[31m')
    })
    const system = await start(job, quiet)
    await system.run(job).settled()
    expect(log.lines[0]?.message).toContain('two\\nlines\\u001b[31m')
    await system.stop()
  })

  test('a logger that throws is reported, and the job does not notice', async () => {
    const broken = { ...console, debug: () => JSON.parse('{') as void, table: undefined }
    const job = task('job', { plugins: [logging(broken)] }, () => 1)
    const system = await start(job)
    const reported: string[] = []
    system.on('plugin.failed', ({ plugin, hook }) => reported.push(`${plugin} ${hook}`))
    expect(await system.run(job)).toBe(1)
    expect(reported).toEqual(['logging done'])
    await system.stop()
  })

  test.each([
    [() => logging({} as never), 'logging() got logger.debug undefined. Pass a logger like pino(), or console.'],
    [
      () => logging(console, { level: 'info' } as never),
      'logging() got an unknown option "level". Did you mean "levels"?',
    ],
    [
      () => logging(console, { levels: { done: 'trace' as never } }),
      `logging() levels got done "trace" (string). Use 'debug', 'info', 'warn' or 'error'.`,
    ],
    [
      () => logging(console, { first: 'text' as never }),
      `logging() got first "text" (string). Use 'data' or 'message'.`,
    ],
    [
      () => logging(console, { input: 'yes' as never }),
      'logging() got input "yes" (string). Use true, false, or a function that picks what may be logged.',
    ],
    [
      () => logging(console, { clock: {} as never }),
      'logging() got clock {} (object). Pass the clock that start() got.',
    ],
  ])('says what is wrong with an option', (make, message) => {
    expect(make).toThrow(message)
  })
})
