import fc from 'fast-check'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { InputError, PayloadError, resume, start, supervisor, task } from 'rootcatch'
import { settle } from 'rootcatch/testing'
import { jobRecorder } from '../support/job-recorder.ts'

const echo = task('echo', { concurrency: 100 }, (input: unknown) => input)

class Point {
  x = 1
}

const cycle: { self?: unknown } = {}
cycle.self = cycle
let deep: unknown = 1
for (let n = 0; n < 2_000; n += 1) deep = [deep]

describe('a payload', () => {
  test.each<[string, unknown, string]>([
    [
      'Date',
      { user: { born: new Date(0) } },
      'input.user.born of task "echo" is a Date, which JSON cannot keep. Pass toISOString().',
    ],
    ['Map', [new Map()], 'input[0] of task "echo" is a Map, which JSON cannot keep. Pass Object.fromEntries(…).'],
    ['Set', { a: [new Set()] }, 'input.a[0] of task "echo" is a Set, which JSON cannot keep. Pass [...set].'],
    ['bigint', { a: 1n }, 'input.a of task "echo" is a bigint, which JSON cannot keep. Pass a text.'],
    ['NaN', Number.NaN, 'input of task "echo" is NaN, which JSON cannot keep. Pass null, or a text.'],
    ['Infinity', [Infinity], 'input[0] of task "echo" is Infinity'],
    ['function', { f: () => 1 }, 'input.f of task "echo" is a function, which JSON cannot keep. Leave it out.'],
    ['symbol', { s: Symbol('x') }, 'input.s of task "echo" is a symbol, which JSON cannot keep. Leave it out.'],
    ['Buffer', { b: Buffer.from('x') }, 'input.b of task "echo" is a Buffer, which JSON cannot keep. Pass a text'],
    ['class instance', new Point(), 'input of task "echo" is a Point, which JSON cannot keep. Pass a plain object.'],
    ['cycle', cycle, 'input.self of task "echo" contains itself, which JSON cannot keep. Pass ids instead of objects.'],
    ['depth', deep, 'is deeper than 1000 levels'],
    ['undefined in a list', [1, undefined], 'input[1] of task "echo" is undefined, which JSON cannot keep. Pass null.'],
    ['an own key __proto__', JSON.parse('{"a":{"__proto__":1}}'), 'input.a.__proto__ of task "echo" is an own key'],
    [
      'a getter that throws',
      {
        get x() {
          throw new Error('do not look')
        },
      },
      'input of task "echo" cannot be read: do not look. Pass a plain object.',
    ],
    ['a revoked proxy', revoked(), 'input of task "echo" cannot be read'],
  ])('with a %s is refused, with its path and the way out', async (_, input, text) => {
    const system = await start(echo)
    const seen = jobRecorder()
    seen.listen(system)
    const run = system.run(echo, input)
    await expect(run).rejects.toBeInstanceOf(PayloadError)
    await expect(run).rejects.toThrow(text)
    expect(seen.events(run.path)).toEqual(['job.refused'])
    expect(await system.job(run.id)).toBeUndefined()
    expect(system.stats().openRuns).toBe(0)
    await system.stop()
  })

  test.each<[string, unknown, unknown]>([
    ['a key whose value is undefined is dropped', { a: undefined, b: 1 }, { b: 1 }],
    [
      'constructor and prototype are data',
      { constructor: 1, prototype: { a: 2 } },
      { constructor: 1, prototype: { a: 2 } },
    ],
    ['an object without prototype', Object.assign(Object.create(null) as object, { a: 1 }), { a: 1 }],
    ['an object of another realm', runInNewContext('({ a: [1] })'), { a: [1] }],
    ['minus zero is zero', -0, 0],
    ['unicode', 'ä𝒳\u0000\uD83D', 'ä𝒳\u0000\uD83D'],
    ['nothing', undefined, undefined],
    ['the same part twice is no cycle', ((part) => [part, part])({ a: 1 }), [{ a: 1 }, { a: 1 }]],
  ])('%s', async (_, input, kept) => {
    const system = await start(echo)
    expect(await system.run(echo, input)).toEqual(kept)
    await system.stop()
  })

  test('JSON survives as it is, whatever it is', async () => {
    const system = await start(echo)
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), async (value) => {
        fc.pre(!JSON.stringify(value).includes('"__proto__"'))
        expect(await system.run(echo, value)).toEqual(JSON.parse(JSON.stringify(value)))
      }),
      { numRuns: 200 },
    )
    await system.stop()
  })

  test('is copied: neither the caller, the next attempt nor the record sees what a body does to it', async () => {
    type Box = { list: number[] }
    const inputs: Box[] = []
    const job = task('job', { retry: { attempts: 2 }, fallback: (input: Box) => input }, (input: Box) => {
      inputs.push(structuredClone(input))
      input.list.push(99)
      throw new Error('no')
    })
    const result = { list: [1] }
    const giver = task('giver', () => result)
    const system = await start(supervisor('app', [job, giver]))
    const given = { list: [1] }
    const run = system.run(job, given)
    given.list.push(50)
    expect(await run).toEqual({ list: [1] })
    expect(inputs).toEqual([{ list: [1] }, { list: [1] }])
    const other = system.run(giver)
    const value = (await other) as Box
    value.list.push(2)
    result.list.push(3)
    const record = await system.job(other.id)
    expect(record?.value).toEqual({ list: [1] })
    const [kept] = [record?.value as Box]
    kept.list.push(4)
    expect((await system.job(other.id))?.value).toEqual({ list: [1] })
    await system.stop()
  })

  test.each([
    ['input', 'a text', (size: number) => 'x'.repeat(size - 2)],
    ['input', 'unicode', (size: number) => 'ä'.repeat((size - 2) / 2)],
    ['result', 'a text', (size: number) => 'x'.repeat(size - 2)],
  ])('%s of 256 KiB as %s passes, one byte more is refused with both sizes', async (part, _, make) => {
    const job = task('job', (size: number | string) => (typeof size === 'number' ? make(size) : size.length))
    const system = await start(job, { catch: () => resume })
    const fits = part === 'input' ? make(262_144) : 262_144
    const tooLarge = part === 'input' ? make(262_146) : 262_146
    expect((await system.run(job, fits).settled()).status).toBe('done')
    const { failure } = await system.run(job, tooLarge).settled()
    expect(failure?.kind).toBe(part)
    expect(failure).toMatchObject({
      error: {
        message: `${part} of task "job" has 257 KB, 256 KB are allowed. Store it elsewhere and pass a reference, or raise maxPayload.`,
      },
    })
    await system.stop()
  })

  test('maxPayload is an option, and holds for the fallback too', async () => {
    const job = task('job', { maxPayload: 10, fallback: () => 'longer than that' }, (text: string) => text + text)
    const system = await start(job, { catch: () => resume })
    expect(await system.run(job, 'abc')).toBe('abcabc')
    const outcome = await system.run(job, 'abcdef').settled()
    expect(outcome).toMatchObject({ status: 'failed', failure: { kind: 'fallback', cause: { kind: 'result' } } })
    await expect(system.run(job, 'abcdefghijk')).rejects.toThrow('has 13 B, 10 B are allowed')
    await system.stop()
  })
})

describe('a schema', () => {
  const kinds = {
    sync: z.object({ n: z.string().transform(Number), tags: z.array(z.string()).default([]) }),
    async: z.object({
      n: z.string().transform(async (text) => {
        await settle()
        return Number(text)
      }),
      tags: z.array(z.string()).default([]),
    }),
  }

  test.each(['sync', 'async'] as const)(
    '%s: a misfit rejects with every issue, and nothing is queued',
    async (kind) => {
      const job = task('job', { input: kinds[kind] }, ({ n }) => n)
      const system = await start(job)
      const seen = jobRecorder()
      seen.listen(system)
      const run = system.run(job, { n: 5, tags: ['a', 2] } as never)
      await expect(run).rejects.toBeInstanceOf(InputError)
      await expect(run).rejects.toMatchObject({ issues: [{ path: 'n' }, { path: 'tags[1]' }] })
      await expect(run).rejects.toThrow(
        /^task "job" was given an input that does not fit: n: .*; tags\[1\]: .*\. Nothing was queued/,
      )
      expect(seen.events(run.path)).toEqual(['job.refused'])
      expect(await system.queues()).toMatchObject([{ waiting: 0, delayed: 0 }])
      await system.stop()
    },
  )

  test.each(['sync', 'async'] as const)(
    '%s: the body and the fallback see a transform applied once, stored is what was given',
    async (kind) => {
      const seen: unknown[] = []
      const job = task(
        'job',
        {
          input: kinds[kind],
          retry: { attempts: 2 },
          lane: (input) => `lane ${input.n + 1}`,
          fallback: (input) => (seen.push(input), 'instead'),
        },
        (input) => {
          seen.push(structuredClone(input))
          input.n = 1_000
          throw new Error('no')
        },
      )
      const system = await start(job)
      const run = system.run(job, { n: '5' })
      expect(await run).toBe('instead')
      expect(seen).toEqual([
        { n: 5, tags: [] },
        { n: 5, tags: [] },
        { n: 5, tags: [] },
      ])
      expect(await system.job(run.id)).toMatchObject({ input: { n: '5' }, lane: 'lane 6' })
      await system.stop()
    },
  )

  test('that changed: a stored input that no longer fits is kind input, the body is not called, the fallback is', async () => {
    let isStrict = false
    const schema = z.unknown().refine(() => !isStrict, 'is too old')
    const called: unknown[] = []
    const body = (input: unknown): void => void called.push(input)
    const plain = task('plain', { input: schema, retry: { attempts: 3 } }, body)
    const falls = task('falls', { input: schema, retry: { attempts: 3 }, fallback: (input) => input }, body)
    const system = await start(supervisor('app', [plain, falls]), { catch: () => resume })
    for (const each of [plain, falls]) system.pause(each)
    const runs = [system.run(plain, 1), system.run(falls, 2)]
    isStrict = true
    for (const each of [plain, falls]) system.unpause(each)
    expect(await Promise.all(runs.map((run) => run.settled()))).toMatchObject([
      { status: 'failed', attempts: 1, failure: { kind: 'input', error: { code: 'input' } } },
      { status: 'fallback', value: 2, attempts: 1, failure: { kind: 'input' } },
    ])
    expect(called).toEqual([])
    expect(system.failures()[0]).toMatchObject({
      error: {
        message:
          'task "plain" was given an input that does not fit: is too old. The body was not called; correct the input.',
      },
    })
    await system.stop()
  })

  test('that throws refuses the run; with a stored input it is an ordinary failure of kind input', async () => {
    let throws = false
    const boom = (): never => {
      throw new Error('schema broke')
    }
    const schema = {
      '~standard': { version: 1, vendor: 'x', validate: (value: unknown) => (throws ? boom() : { value }) },
    } as const
    const job = task('job', { input: schema, retry: { attempts: 2 } }, () => 1)
    const system = await start(job, { catch: () => resume })
    system.pause(job)
    const run = system.run(job, 1)
    throws = true
    await expect(system.run(job, 1)).rejects.toThrow('schema broke')
    system.unpause(job)
    expect(await run.settled()).toMatchObject({ status: 'failed', attempts: 2, failure: { kind: 'input' } })
    await system.stop()
  })

  test('that takes its time: a cancel meanwhile means nothing is queued', async () => {
    const job = task('job', { input: kinds.async }, ({ n }) => n)
    const system = await start(job)
    const run = system.run(job, { n: '1' })
    run.cancel('too slow')
    expect(await run.settled()).toEqual({ status: 'cancelled', reason: 'too slow', attempts: 0 })
    await settle()
    await settle()
    expect(await system.queues()).toMatchObject([{ waiting: 0, leased: 0 }])
    expect(await system.job(run.id)).toBeUndefined()
    await system.stop()
  })
})

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}
