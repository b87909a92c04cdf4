import { threadId } from 'node:worker_threads'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import {
  CancelledError,
  FatalError,
  PermanentError,
  SystemStoppedError,
  task,
  TimeoutError,
  type TaskContext,
} from 'rootcatch'

/** Holds its thread, whatever happens. */
function spin(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end;);
}

export const add = task('add', { isolate: true }, ({ a, b }: { a: number; b: number }) => ({
  sum: a + b,
  thread: threadId,
}))

export const about = task('about', { isolate: true }, (_: null, { id, path, attempt, idempotencyKey, signal }) => ({
  id,
  path,
  attempt,
  idempotencyKey,
  aborted: signal.aborted,
}))

export const anotherName = task('busy', { isolate: true, concurrency: 2, timeout: '2s' }, (ms: number) => {
  spin(ms)
  return ms
})

export const talks = task('talks', { isolate: true }, async (_: null, ctx) => {
  ctx.log.info('began', { of: 2, err: new PermanentError('kept') })
  ctx.progress({ step: 1 })
  await ctx.sleep('1h')
  ctx.progress({ step: 2 })
  return 'over'
})

export const counts = task('counts', { isolate: true }, async function* (upTo: number) {
  for (let n = 1; n <= upTo; n += 1) yield n
  return 'counted'
})

class Quota extends TypeError {
  readonly code = 'quota'
  readonly limit = 3
  get retryAfter(): number {
    return 7
  }
}

/** Not errors, each in its way. */
const oddities: Readonly<Record<string, unknown>> = {
  plain: { status: 500, headers: ['a'] },
  undefined,
  function: spin,
}

export const throws = task('throws', { isolate: { module: import.meta.url } }, async (what: string, ctx) => {
  const cause = new RangeError('below', { cause: new Error('the root of it') })
  if (what === 'error') throw new Quota('too much', { cause })
  if (what === 'permanent') throw new PermanentError('useless', { cause })
  if (what === 'fatal') throw new FatalError('all is lost')
  if (what === 'many') throw new AggregateError([new Error('one'), 2], 'several')
  if (what in oddities) throw oddities[what]
  if (what === 'cyclic') {
    const error = new Error('turns')
    error.cause = error
    throw error
  }
  if (what === 'run') ctx.run(add, { a: 1, b: 2 })
  if (what === 'cancel') ctx.cancel({ by: 'body' })
  if (what === 'plugin') ctx.pluginError({ message: 'help', code: 'quota', n: 2 }, { cause })
  if (what === 'sleep') await ctx.sleep('nonsense' as '1s')
  if (what === 'timer') {
    setTimeout(() => {
      throw new Error('from a timer')
    })
    await ctx.sleep('1h')
  }
  if (what === 'leaves a timer') {
    setTimeout(() => {
      throw new Error('from a job that is over')
    }, 20)
  }
  if (what === 'takes time') await ctx.sleep(200)
  if (what === 'exit') process.exit(3)
  if (what === 'floating') {
    void Promise.reject(new Error('nobody looks'))
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return what
})

export const gives = task('gives', { isolate: true }, (what: string): unknown => {
  if (what === 'date') return { at: new Date(0) }
  if (what === 'function') return spin
  if (what === 'instance') return new Quota('x')
  if (what === 'large') return 'x'.repeat(300_000)
  if (what === 'getter') {
    return Object.defineProperty({}, 'x', {
      enumerable: true,
      get: () => {
        throw new Error('not to be read')
      },
    })
  }
  return undefined
})

/** Says what its signal aborted with. */
async function listen(_: null, ctx: TaskContext): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<void>()
  ctx.signal.addEventListener('abort', () => resolve())
  ctx.progress('listens')
  await promise
  const reason: unknown = ctx.signal.reason
  const classes = [TimeoutError, CancelledError, SystemStoppedError].filter((of) => reason instanceof of)
  ctx.log.info('aborted', { is: classes.map(({ name }) => name), says: String(reason) })
  return 'obeyed'
}

export const hurries = task('hurries', { isolate: { grace: '5s' }, timeout: 500 }, listen)
export const listens = task('listens', { isolate: { grace: '5s' }, shutdown: 50 }, listen)

export const unwinds = task('unwinds', { isolate: { grace: '5s' } }, async function* (_: null, ctx) {
  try {
    for (;;) yield 'goes on'
  } finally {
    ctx.log.info('unwound')
  }
})

export const sleeps = task('sleeps', { isolate: true, shutdown: 50 }, async (_: null, ctx) => {
  ctx.progress('sleeps')
  await ctx.sleep('1h')
})

export const hogs = task('hogs', { isolate: { grace: 20 }, shutdown: 0 }, (ms: number, ctx) => {
  ctx.progress('hogs')
  spin(ms)
  return ms
})

export const parallel = task('parallel', { isolate: true, concurrency: 2 }, (ms: number) => {
  spin(ms)
  return threadId
})

export const retries = task(
  'retries',
  { isolate: true, retry: { attempts: 3, when: (error) => error instanceof TypeError } },
  (what: string, { attempt }) => {
    if (what === 'permanent') throw new PermanentError('useless')
    if (what === 'later') {
      if (attempt === 1) throw new Quota('later')
      return attempt
    }
    if (attempt === 1) throw new TypeError('again')
    throw new RangeError('enough')
  },
)

export const fallsBack = task(
  'fallsBack',
  { isolate: true, fallback: () => ({ fallback: threadId }) },
  (): { body: number } => {
    throw new Error(`thread ${threadId}`)
  },
)

/** What a library of schemas would give: the text of a date becomes a Date, another text something unheard of. */
const dateOrFunction: StandardSchemaV1<string, { readonly at: unknown }> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) => ({ value: { at: value === 'function' ? spin : new Date(value as string) } }),
  },
}

export const parses = task('parses', { isolate: true, input: dateOrFunction }, ({ at }) => (at as Date).getTime())

export const eats = task('eats', { isolate: { memory: 32 }, retry: { attempts: 2 } }, (_: null, ctx) => {
  if (ctx.attempt === 2) return 'modest'
  const eaten: string[][] = []
  for (;;) eaten.push(Array.from({ length: 100_000 }, (_, n) => `${n}`))
})
