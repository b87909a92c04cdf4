import { connect } from 'node:net'
import { inspect, types } from 'node:util'
import fc from 'fast-check'
import { afterEach, describe, expect, expectTypeOf, test, vi } from 'vitest'
import { InvalidDecisionError, PermanentError, PluginError, PluginTriggerError } from '../src/errors.ts'
import {
  addToTrail,
  Failure,
  noteOnFailure,
  type FailureData,
  type FailureJson,
  type FailureKind,
} from '../src/failure.ts'
import { hostileValues } from './support/hostile.ts'

afterEach(() => vi.resetModules())

const job = { id: '812', task: 'resize', attempts: 5 }
const path = 'app/media/resize/job:812'

/** A failed fifth attempt; `data` says what is different. */
function failureOf(error: unknown, data: Partial<FailureData> = {}): Failure {
  return new Failure({ error, path, kind: 'thrown', at: 1000, attempt: 5, elapsed: 12_437, job, ...data })
}

/** An actor's failure: no job, no attempts. */
function actorFailureOf(error: unknown, data: Partial<FailureData> = {}): Failure {
  return new Failure({ error, path: 'app/shop/inventory', kind: 'thrown', at: 1000, ...data })
}

/** An error with the frames of a night, wherever the tests run. */
function errorWith(frames: readonly string[], error: Error): Error {
  error.stack = [`${error.name}: ${error.message}`, ...frames.map((frame) => `    at ${frame}`)].join('\n')
  return error
}

const here = (file: string): string => `file://${process.cwd()}/${file}`

describe('a failure', () => {
  test.each(hostileValues)('keeps what was thrown unchanged: %s', (_name, make) => {
    const error = make()
    const failure = failureOf(error)
    expect(Object.is(failure.error, error)).toBe(true)
    expect(Object.is(failure.cause, error)).toBe(true)
  })

  test('keeps what it was made of', () => {
    expect(failureOf('boom', { generation: 2 })).toMatchObject({
      path,
      kind: 'thrown',
      at: 1000,
      attempt: 5,
      elapsed: 12_437,
      job,
      generation: 2,
    })
    expect(actorFailureOf('boom')).toMatchObject({
      attempt: undefined,
      elapsed: undefined,
      job: undefined,
      plugins: [],
    })
  })

  test('has the failure that led to it as its native cause', () => {
    const first = failureOf(new Error('first'))
    const second = failureOf(new Error('second'), { kind: 'fallback', cause: first })
    expect(second.cause).toBe(first)
    expect(Object.keys(second)).not.toContain('cause')
  })

  test('is an error without frames of its own, and leaves the stacks of others alone', () => {
    const limit = Error.stackTraceLimit
    const failure = failureOf(new Error('x'))
    expect(failure).toBeInstanceOf(Error)
    expect(failure.stack).toBe(`Failure: ${failure.message}`)
    expect(Error.stackTraceLimit).toBe(limit)
    expect(new Error('y').stack).toContain('failure.test.ts')
  })

  test('that passes reads as any other; only V8 knows that it made no error', () => {
    const error = new Error('x', { cause: new Error('y') })
    const [passing, ending] = [failureOf(error, { isPassing: true }), failureOf(error)]
    expect([passing, ending].map((failure) => types.isNativeError(failure))).toEqual([false, true])
    const read = (failure: Failure): object => ({
      isError: failure instanceof Error,
      isFailure: failure instanceof Failure,
      tag: Object.prototype.toString.call(failure),
      keys: Object.keys(failure),
      name: failure.name,
      stack: failure.stack,
      message: failure.message,
      text: String(failure),
      cause: failure.cause,
      json: JSON.stringify(failure),
      inspected: inspect({ failure, error: new Error('z', { cause: failure.message }).cause }),
      report: failure.report(),
    })
    expect(read(passing)).toEqual(read(ending))
    expect(read(passing)).toMatchObject({ isError: true, isFailure: true, tag: '[object Error]' })
    passing.stack = 'somewhere else'
    expect([passing.stack, failureOf(error, { isPassing: true }).stack]).toEqual(['somewhere else', ending.stack])
    expect(() => {
      throw passing
    }).toThrow(passing.message)
  })

  test("of a user's subclass is one of that", () => {
    class Late extends Failure {}
    for (const isPassing of [false, true]) {
      const failure = new Late({ error: 'x', path, kind: 'thrown', at: 1000, isPassing })
      expect(failure).toBeInstanceOf(Late)
      expect(failure).toBeInstanceOf(Failure)
      expect([failure.constructor, failure.stack]).toEqual([Late, `Failure: ${failure.message}`])
    }
  })

  test('is made where the stack limit is frozen', () => {
    const limit = Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit') ?? {}
    Object.defineProperty(Error, 'stackTraceLimit', { value: 10, writable: false, configurable: true })
    try {
      expect(failureOf('x').error).toBe('x')
    } finally {
      Object.defineProperty(Error, 'stackTraceLimit', limit)
    }
  })

  test('looks at what was thrown only when it is asked', () => {
    const get = vi.fn<() => string>(() => 'late')
    const failure = failureOf(Object.defineProperty(new Error(), 'message', { get }))
    expect(get).not.toHaveBeenCalled()
    expect(failure.message).toContain('late')
    expect(failure.message).toBe(failure.message)
  })

  test('is known by brand, also one of a second copy', async () => {
    vi.resetModules()
    const copy = await import('../src/failure.ts')
    const theirs: unknown = new copy.Failure({ error: 1, path, kind: 'thrown', at: 0 })
    class Mine extends Failure {}
    expect(theirs).toBeInstanceOf(Failure)
    expect(theirs).not.toBeInstanceOf(Mine)
    expect(new Error('x')).not.toBeInstanceOf(Failure)
    expect(new Mine({ error: 1, path, kind: 'thrown', at: 0 })).toBeInstanceOf(Failure)
  })
})

describe('message', () => {
  test.each([
    [
      failureOf(new Error('connect ECONNREFUSED 10.0.0.3:443')),
      'app/media/resize/job:812 failed after 5 attempts in 12.4s: connect ECONNREFUSED 10.0.0.3:443',
    ],
    [failureOf('x', { attempt: 1, elapsed: undefined }), 'app/media/resize/job:812 failed after 1 attempt: x'],
    [failureOf('x', { attempt: undefined }), 'app/media/resize/job:812 failed in 12.4s: x'],
    [actorFailureOf(new Error('gone')), 'app/shop/inventory failed: gone'],
    [actorFailureOf(undefined, { attempt: 2 }), 'app/shop/inventory failed: undefined'],
    [failureOf('a\nb', { path: 'app/a\nb' }), String.raw`app/a\nb failed after 5 attempts in 12.4s: a\nb`],
  ])('%# tells what happened on one line', (failure, message) => {
    expect(failure.message).toBe(message)
    expect(String(failure)).toBe(`Failure: ${message}`)
  })
})

describe('the trail', () => {
  test('grows by an entry per level and cannot be written to', () => {
    const failure = failureOf('x')
    const before = failure.trail
    addToTrail(failure, { path: 'app', decision: 'escalate', by: 'default' })
    addToTrail(failure, { path: '', decision: 'stop', by: 'catch', asked: 'restart' })
    expect(before).toEqual([])
    expect(failure.trail).toEqual([
      { path: 'app', decision: 'escalate', by: 'default' },
      { path: '', decision: 'stop', by: 'catch', asked: 'restart' },
    ])
    expect(() => (failure.trail as unknown[]).push(1)).toThrow(TypeError)
    expect(() => Object.assign(failure.trail[0] ?? {}, { by: 'catch' })).toThrow(TypeError)
    expectTypeOf(failure.trail).toExtend<readonly object[]>()
  })
})

describe('report', () => {
  test('is the page for eyes at night: path, frames of the user, each cause once, who decided what', () => {
    const closed = Object.assign(new Error('other side closed'), { name: 'SocketError' })
    const frames = [
      `thumbnail (${here('app/images.ts')}:41:9)`,
      'Array.map (<anonymous>)',
      `async run (${here('src/actors/job.ts')}:1:1)`,
      `async step (${here('machines/job.ts')}:1:1)`,
      'process.processTicksAndRejections (node:internal/process/task_queues:105:5)',
      `async ${here('src/system.ts')}:2:2`,
      'node:internal/main/run_main_module:36:49',
    ]
    const failure = failureOf(errorWith(frames, new Error('connect ECONNREFUSED', { cause: errorWith([], closed) })))
    addToTrail(failure, { path: 'app/media', decision: 'escalate', by: 'default' })
    addToTrail(failure, { path: 'app', decision: 'escalate', by: 'catch' })
    addToTrail(failure, { path: '', decision: 'resume', by: 'default' })
    noteOnFailure(failure, 'the job stays failed')
    noteOnFailure(failure, 'dead letter 812')
    expect(failure.report()).toBe(
      `
app/media/resize/job:812 failed (thrown), attempt 5 of 5, 12.4s
  Error: connect ECONNREFUSED
      at thumbnail (app/images.ts:41:9)
      … 6 frames of Node and rootcatch
  caused by SocketError: other side closed
  app/media    escalate   default
  app          escalate   catch
  root catch   resume     default, the job stays failed; dead letter 812
`.trim(),
    )
  })

  test('says what was asked and why something else was done', () => {
    const failure = actorFailureOf(errorWith([], new PermanentError('gone')), { generation: 4, kind: 'start' })
    addToTrail(failure, { path: 'app/shop', decision: 'escalate', by: 'limit', asked: 'restart' })
    addToTrail(failure, {
      path: 'app',
      decision: 'escalate',
      by: 'catch',
      because: new InvalidDecisionError('app', 1, ''),
    })
    addToTrail(failure, { path: '', decision: 'stop', by: 'catch', because: undefined })
    expect(failure.report()).toBe(
      `
app/shop/inventory failed (start), generation 4
  PermanentError: gone
  app/shop     escalate   limit, asked restart
  app          escalate   catch, because catch of app returned 1 (number). Return resume, restart, stop or escalate at once; the failure climbed to the root catch.
  root catch   stop       catch
`.trim(),
    )
  })

  test('shows the failure that led to a failed fallback', () => {
    const first = failureOf(errorWith([], new Error('refused')))
    const second = failureOf(errorWith([], new TypeError('no placeholder')), { kind: 'fallback', cause: first })
    expect(second.report().split('\n')).toEqual([
      'app/media/resize/job:812 failed (fallback), attempt 5 of 5, 12.4s',
      '  TypeError: no placeholder',
      '  caused by Failure: app/media/resize/job:812 failed after 5 attempts in 12.4s: refused',
      '  caused by Error: refused',
    ])
  })

  test('lists the errors of an AggregateError below it, each with its own cause', () => {
    const inner = errorWith([`f (${here('a.ts')}:1:1)`], new Error('a', { cause: errorWith([], new Error('deep')) }))
    const all = errorWith([], new AggregateError([inner, 'just text', inner], 'all rejected', { cause: 0 }))
    expect(actorFailureOf(all).report().split('\n')).toEqual([
      'app/shop/inventory failed (thrown)',
      '  AggregateError: all rejected',
      '    1. Error: a',
      '        at f (a.ts:1:1)',
      '    caused by Error: deep',
      '    2. "just text" (string)',
      '  caused by 0 (number)',
    ])
  })

  test.each<[string, unknown, readonly string[]]>([
    ['a text', 'boom', ['  thrown: "boom" (string)']],
    ['undefined', undefined, ['  thrown: undefined']],
    ['an object', { status: 503 }, ['  thrown: { status: 503 } (object)']],
    ['a symbol', Symbol('why'), ['  thrown: Symbol(why) (symbol)']],
    ['an object with a cause', { cause: 'x' }, ['  thrown: { cause: "x" } (object)', '  caused by "x" (string)']],
    ['an error without message', errorWith([], new TypeError()), ['  TypeError']],
    ['an unreadable stack', unreadableStack(), ['  Error: x', '      [unreadable]']],
  ])('tells %s', (_what, value, lines) => {
    expect(actorFailureOf(value).report().split('\n').slice(1)).toEqual(lines)
  })

  test('takes no line of a message for a frame, and forges no line of its own', () => {
    const error = new Error('one\n    at forged (file.ts:1:1)\n  root catch   stop   catch')
    const lines = actorFailureOf(error).report().split('\n')
    expect(lines[1]).toBe(String.raw`  Error: one\n    at forged (file.ts:1:1)\n  root catch   stop   catch`)
    expect(lines.filter((line) => line.includes('forged'))).toHaveLength(1)
    expect(lines[2]).toMatch(/^ {6}at .*failure\.test\.ts/)
  })

  test('ends after 20 levels, and says so', () => {
    const chain = hostileValues.find(([name]) => name === 'a chain of a thousand causes')?.[1]()
    const lines = actorFailureOf(chain).report().split('\n')
    expect(lines.filter((line) => /^ {2}(caused by )?Error: cause/.test(line))).toHaveLength(20)
    expect(lines.at(-1)).toBe('  … further causes are left out')
  })

  test('carries a note also where nobody has decided', () => {
    const failure = actorFailureOf('x')
    noteOnFailure(failure, 'nobody was asked')
    expect(failure.report().split('\n').at(-1)).toBe('  nobody was asked')
  })

  test('is what console.log shows', async () => {
    const refused = await new Promise<unknown>((resolve) => {
      connect(1, '127.0.0.1').on('error', resolve)
    })
    const failure = failureOf(refused)
    expect(inspect(failure)).toBe(failure.report())
    expect(inspect({ failure })).toContain('Error: connect ECONNREFUSED 127.0.0.1:1')
  })
})

describe('toJSON', () => {
  test('holds everything that the report tells', () => {
    const cause = Object.assign(new Error('refused\nhere'), { code: 'ECONNREFUSED' })
    const trigger = new PluginTriggerError(
      { code: 'quota', at: new Date(0), big: 1n, odd: Number.NaN, f: job.id.at },
      { cause },
    )
    const plugin = new PluginError('timed', 'pluginError', path, 'late')
    const failure = failureOf(trigger, { kind: 'plugin', plugins: [plugin], generation: 2 })
    addToTrail(failure, { path: '', decision: 'stop', by: 'limit', asked: 'restart', because: Symbol('why') })
    expect(JSON.parse(JSON.stringify(failure))).toEqual({
      name: 'Failure',
      path,
      kind: 'plugin',
      message: `${path} failed after 5 attempts in 12.4s: plugin error`,
      attempt: 5,
      generation: 2,
      job,
      at: 1000,
      elapsed: 12_437,
      error: {
        name: 'PluginTriggerError',
        message: 'plugin error',
        stack: trigger.stack,
        code: 'plugin-trigger',
        details: {
          code: 'quota',
          at: '1970-01-01T00:00:00.000Z',
          big: '1n',
          odd: 'NaN',
          f: '[function at]',
        },
      },
      causes: [{ name: 'Error', message: 'refused\nhere', stack: cause.stack, code: 'ECONNREFUSED' }],
      trail: [
        {
          path: '',
          decision: 'stop',
          by: 'limit',
          asked: 'restart',
          because: { thrown: 'Symbol(why)', type: 'symbol' },
        },
      ],
      plugins: [{ name: 'PluginError', message: plugin.message, stack: plugin.stack, code: 'plugin' }],
    })
  })

  test.each<[unknown, { thrown: string; type: string }]>([
    [undefined, { thrown: 'undefined', type: 'undefined' }],
    [null, { thrown: 'null', type: 'null' }],
    ['boom', { thrown: 'boom', type: 'string' }],
    [Symbol('why'), { thrown: 'Symbol(why)', type: 'symbol' }],
    [10n, { thrown: '10n', type: 'bigint' }],
    [[1], { thrown: '[1]', type: 'array' }],
    [{ a: 1 }, { thrown: '{ a: 1 }', type: 'object' }],
  ])('describes what is no error: %o', (value, described) => {
    const json = actorFailureOf(value).toJSON()
    expect(json.error).toEqual(described)
    expect(Object.keys(json)).toEqual(['name', 'path', 'kind', 'message', 'at', 'error', 'causes', 'trail'])
  })

  test('holds both errors of a failed fallback, each once', () => {
    const shared = new Error('shared')
    const first = failureOf(new Error('first', { cause: shared }))
    const second = failureOf(new Error('second', { cause: shared }), { kind: 'fallback', cause: first })
    const { error, causes } = second.toJSON()
    expect([error, ...causes].map((one) => ('name' in one ? one.message : one.thrown))).toEqual([
      'second',
      'shared',
      first.message,
      'first',
    ])
  })

  test.each([
    ['a cycle', cyclic(), '{ self: { self: {…} } }'],
    ['a toJSON that throws', { toJSON: (): never => expect.fail('was asked') }, '{ toJSON: [function toJSON] }'],
  ])('stores details with %s as text', (_what, details, text) => {
    expect(failureOf(new PluginTriggerError(details)).toJSON().error).toMatchObject({ details: text })
  })

  test('has a type without unknown kinds', () => {
    expectTypeOf<FailureJson['kind']>().toEqualTypeOf<FailureKind>()
    expect(() => JSON.stringify(failureOf('x').toJSON())).not.toThrow()
  })
})

describe('report, toJSON, String and inspect', () => {
  test.each(hostileValues)('never throw and end: %s', (_name, make) => {
    for (const data of [{}, { cause: make() }, { plugins: [make()] }]) {
      expect(textsOf(make(), data)).toEqual(readable)
    }
  })

  test('never throw and end for anything thrown, caused by anything', () => {
    const anything = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withNullPrototype: true,
    })
    const error = fc
      .tuple(fc.string({ unit: 'binary' }), anything)
      .map(([message, cause]) => new Error(message, { cause }))
    fc.assert(
      fc.property(fc.oneof(anything, error), anything, (value, cause) => {
        expect(textsOf(value, { cause })).toEqual(readable)
      }),
    )
  })
})

const line = expect.stringMatching(/^[^\p{Cc}\p{Zl}\p{Zp}]{1,1000}$/u)
const readable = {
  report: expect.toSatisfy((report: string) => report.split('\n').every((one) => line.asymmetricMatch(one))),
  inspect: expect.stringContaining(path),
  message: line,
  string: line,
  json: expect.objectContaining({ name: 'Failure', path }),
}

/** Every way to read a failure; the JSON as it is read back. */
function textsOf(error: unknown, data: Partial<FailureData>): object {
  const failure = failureOf(error, data)
  addToTrail(failure, { path: '', decision: 'stop', by: 'catch', because: error })
  return {
    report: failure.report(),
    inspect: inspect({ failure }),
    message: failure.message,
    string: String(failure),
    json: JSON.parse(JSON.stringify(failure)) as unknown,
  }
}

function unreadableStack(): Error {
  return Object.defineProperty(new Error('x'), 'stack', { get: () => expect.fail('was read') })
}

function cyclic(): object {
  const details: Record<string, unknown> = {}
  details['self'] = details
  return details
}
