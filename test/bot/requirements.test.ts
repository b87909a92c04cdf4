import { afterEach, describe, expect, test, vi } from 'vitest'
import * as npmGrammy from 'grammy'
import type { Context, Middleware, NextFunction } from 'grammy'
import { resume, start, supervisor, type Failure, type System } from 'rootcatch'
import { Bot, BotError, Composer, GrammyError, HttpError, rootCause, webhookCallback } from 'rootcatch/bot'
import { fakeTelegram, settle } from 'rootcatch/testing'
import { botInfo, message, TOKEN } from '../support/bot-updates.ts'

/** The rows of `semantics/bot.md` §1 and §2, each by its number. */
const open: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

function newBot(options: object = {}): Bot<Context> {
  const bot = new Bot<Context>(TOKEN, { botInfo, name: 'shop', polling: false, ...options })
  open.push(() => bot.stop())
  return bot
}

/** The error that left all middleware, as `handleUpdate` gives it. */
async function leftBy(bot: Bot<Context>): Promise<BotError<Context>> {
  const left = await bot.handleUpdate(message(1)).then(
    () => undefined,
    (error: unknown) => error,
  )
  expect(left).toBeInstanceOf(BotError)
  return left as BotError<Context>
}

interface Live {
  readonly system: System
  readonly failures: readonly Failure[]
  /** Handles them as if they were polled, until they are over. */
  poll(...ids: number[]): Promise<void>
}

async function live(bot: Bot<Context>): Promise<Live> {
  const failures: Failure[] = []
  const system = await start(supervisor('app', [bot]), { catch: () => resume })
  open.push(() => system.stop({ within: 0 }))
  system.on('failure.decided', ({ failure }) => failures.push(failure))
  const over = (): number => system.stats().jobs.done + system.stats().jobs.failed
  return {
    system,
    failures,
    poll: async (...ids) => {
      const before = over()
      await bot.inbox?.admit(ids.map((id) => message(id)))
      await expect.poll(() => over() - before, { interval: 1 }).toBe(ids.length)
    },
  }
}

/** Rejections that nobody handled until everything has come to rest. */
async function unhandledBy(body: () => Promise<void>): Promise<readonly unknown[]> {
  const unhandled: unknown[] = []
  const note = (error: unknown): void => void unhandled.push(error)
  process.on('unhandledRejection', note)
  await body()
  await settle()
  process.off('unhandledRejection', note)
  return unhandled
}

const boom = new Error('boom')
const throwing = (thrown: unknown) => (): never => {
  throw thrown
}

/** Middleware that writes down that it was there, and goes on. */
function steps(ran: string[]): (name: string) => Middleware<Context> {
  return (name) => async (_ctx, next) => {
    ran.push(name)
    await next()
  }
}

describe('R: errors, what the user is promised', () => {
  const ways: readonly (readonly [string, (bot: Bot<Context>) => void])[] = [
    ['a body', (bot) => bot.use(() => Promise.reject(boom))],
    ['a body that throws at once', (bot) => bot.use(throwing(boom))],
    ['a predicate', (bot) => bot.filter(() => Promise.reject(boom)).use(() => {})],
    ['a router', (bot) => bot.route(throwing(boom), {})],
    ['a lazy factory', (bot) => bot.lazy(() => Promise.reject(boom))],
    ['a part beside', (bot) => bot.fork(throwing(boom))],
    ['a call of the API', (bot) => (bot.api.config.use(throwing(boom)), bot.use((ctx) => ctx.reply('hi')))],
  ]
  test.each(ways)('R1 what %s throws is caught', async (_name, install) => {
    const bot = newBot()
    install(bot)
    const unhandled = await unhandledBy(async () => expect((await leftBy(bot)).error).toBe(boom))
    expect(unhandled).toEqual([])
  })

  test('R2 the three classes are grammY’s own', () => {
    expect([BotError, GrammyError, HttpError]).toEqual([npmGrammy.BotError, npmGrammy.GrammyError, npmGrammy.HttpError])
  })

  test('R3 the error has the very context that middleware was given', async () => {
    const bot = newBot()
    let given: unknown
    bot.use((ctx) => {
      given = ctx
      throw boom
    })
    expect((await leftBy(bot)).ctx).toBe(given)
  })

  const values: readonly (readonly [string, unknown])[] = [
    ['null', null],
    ['undefined', undefined],
    ['0', 0],
    ['a text', 'boom'],
    ['a frozen object', Object.freeze({ a: 1 })],
    ['a symbol', Symbol('odd')],
    ['a function', () => {}],
    ['an object that throws when it is looked at', new Proxy({}, { get: throwing('looked at') })],
  ]
  test.each(values)('R4 %s arrives as itself, in boundaries and at the end', async (_name, value) => {
    const bot = newBot()
    const seen: unknown[] = []
    const part = bot.errorBoundary((err) => {
      seen.push(err.error)
      throw err
    })
    part.use(throwing(value))
    const left = rootCause(await leftBy(bot))
    expect([Object.is(seen[0], value), Object.is(left, value)]).toEqual([true, true])
  })

  test('R5 an error of the API that middleware throws is wrapped as well', async () => {
    await using telegram = await fakeTelegram()
    const bot = newBot({ client: { apiRoot: telegram.url } })
    bot.use((ctx) => ctx.reply('hi'))
    const { error, ctx } = await leftBy(bot)
    expect(error).toBeInstanceOf(GrammyError)
    expect(ctx.update.update_id).toBe(1)
  })

  test('R6 an answer that is not ok is a GrammyError that says what Telegram said', async () => {
    await using telegram = await fakeTelegram({ token: TOKEN })
    telegram.next('sendMessage', { error: 403, description: 'Forbidden: bot was blocked by the user' })
    const bot = newBot({ client: { apiRoot: telegram.url } })
    bot.use((ctx) => ctx.reply('hi'))
    const { error } = await leftBy(bot)
    expect(error).toBeInstanceOf(GrammyError)
    expect(error).toMatchObject({ error_code: 403, description: 'Forbidden: bot was blocked by the user' })
    expect((error as GrammyError).parameters).toEqual({})
  })

  const noAnswer: readonly (readonly [string, object])[] = [
    ['that breaks off', { drop: 'before' }],
    ['that is not JSON', { body: '<html>', status: 502 }],
  ]
  test.each(noAnswer)('R7 an answer %s is an HttpError with the reason in .error', async (_name, reply) => {
    await using telegram = await fakeTelegram({ token: TOKEN })
    telegram.next('sendMessage', reply as never)
    const bot = newBot({ client: { apiRoot: telegram.url } })
    bot.use((ctx) => ctx.reply('hi'))
    const { error } = await leftBy(bot)
    expect(error).toBeInstanceOf(HttpError)
    expect((error as HttpError).error).toBeInstanceOf(Error)
  })

  test('R8 an answer that is not ok is never an HttpError, whatever its status', async () => {
    await using telegram = await fakeTelegram({ token: TOKEN })
    telegram.next('sendMessage', { error: 500, status: 502 })
    const bot = newBot({ client: { apiRoot: telegram.url } })
    bot.use((ctx) => ctx.reply('hi'))
    const { error } = await leftBy(bot)
    expect(error).toBeInstanceOf(GrammyError)
    expect(error).toMatchObject({ error_code: 500 })
  })

  test('R9 polled: bot.catch gets what left all boundaries; the last handler counts, and is awaited', async () => {
    const bot = newBot()
    const seen: unknown[] = []
    bot.catch(() => seen.push('first'))
    bot.catch(async (err) => {
      await undefined
      seen.push(err.error)
    })
    bot.use((ctx) => (ctx.update.update_id === 1 ? Promise.reject(boom) : void seen.push(ctx.update.update_id)))
    const { poll, system } = await live(bot)
    await poll(1, 2)
    expect(seen).toEqual([boom, 2])
    expect(await system.dead.list()).toMatchObject([{ id: '123456:1' }])
  })

  test('R10 without bot.catch it is printed, and start() rejects with it', async () => {
    await using telegram = await fakeTelegram()
    const printed = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
    try {
      const bot = new Bot<Context>(telegram.token, { name: 'shop', client: { apiRoot: telegram.url } })
      bot.use(throwing(boom))
      telegram.send.text('hi')
      await expect(bot.start()).rejects.toMatchObject({ error: boom })
      expect(printed.mock.calls.join('')).toContain('shop/update:1 failed (thrown)')
      expect(bot.isRunning()).toBe(false)
    } finally {
      printed.mockRestore()
    }
  })

  test('R10 without bot.catch, in a tree, it climbs', async () => {
    const bot = newBot()
    bot.use(throwing(boom))
    const { poll, failures } = await live(bot)
    await poll(1)
    expect(failures.map(({ trail }) => trail.map(({ path, decision }) => `${path} ${decision}`))).toEqual([
      ['app/shop escalate', 'app escalate', ' resume'],
    ])
  })

  test('R11 what happens then is the platform’s business: process.exit is not called', async () => {
    await using telegram = await fakeTelegram()
    const exit = vi.spyOn(process, 'exit').mockImplementation(throwing(new Error('exit')))
    const printed = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
    try {
      const bot = new Bot<Context>(telegram.token, { client: { apiRoot: telegram.url } })
      bot.use(throwing(boom))
      telegram.send.text('hi')
      await bot.start().catch(() => {})
      expect(exit).not.toHaveBeenCalled()
    } finally {
      exit.mockRestore()
      printed.mockRestore()
    }
  })

  test('R12 by a webhook: the callback rejects with the BotError, and bot.catch is not asked', async () => {
    const bot = newBot()
    const seen: unknown[] = []
    bot.catch((err) => seen.push(err))
    bot.use(throwing(boom))
    const handle = webhookCallback(bot, 'std/http')
    const body = JSON.stringify(message(1))
    const request = new Request('http://bot.example/', { method: 'POST', body })
    await expect(handle(request)).rejects.toMatchObject({ name: 'BotError', error: boom })
    expect(seen).toEqual([])
  })

  const runs: readonly (readonly [string, (parts: Composer<Context>) => Promise<unknown>])[] = [
    ['polled', async (parts) => (await live(used(newBot(), parts))).poll(1)],
    ['by a webhook', (parts) => used(newBot(), parts).handleUpdate(message(1))],
    ['in a bare composer', async (parts) => parts.middleware()({} as Context, () => Promise.resolve())],
    [
      'in a composer of a bot of grammY’s',
      async (parts) => {
        const bot = new npmGrammy.Bot(TOKEN, { botInfo })
        bot.use(parts)
        await bot.handleUpdate(message(1))
      },
    ],
  ]
  test.each(runs)('R13 a boundary gives its part a handler of its own, %s', async (_name, run) => {
    const seen: unknown[] = []
    const parts = new Composer<Context>()
    parts.errorBoundary((err) => void seen.push(['one', err.error])).use(throwing('1'))
    await run(parts)
    expect(seen).toEqual([['one', '1']])
  })

  test('R14 an error in a protected part does not leave it by itself: the handler gets it, and next', async () => {
    const bot = newBot()
    const given: unknown[] = []
    bot.errorBoundary((...all) => void given.push(...all)).use(throwing(boom))
    await bot.handleUpdate(message(1))
    expect(given).toEqual([expect.any(BotError), expect.any(Function)])
  })

  test('R15 the protected part then counts as completed: what stands behind an outer `await next()` runs', async () => {
    const bot = newBot()
    const ran: string[] = []
    bot.use(async (_ctx, next) => {
      await next()
      ran.push('behind')
    })
    bot.errorBoundary(() => void ran.push('handled')).use(throwing(boom))
    await bot.handleUpdate(message(1))
    expect(ran).toEqual(['handled', 'behind'])
  })

  test('R16 protected is what follows the handler, and all that is ever put on the composer it returns', async () => {
    const ran: unknown[] = []
    const throws = (name: string) => (ctx: Context, next: NextFunction) =>
      ctx.message?.text === name ? Promise.reject(name) : next()
    const bot = newBot()
    const part = bot.errorBoundary((err) => void ran.push(err.error), throws('given'))
    const deeper = part.filter(() => true).use(throws('put on'))
    deeper.lazy(() => throws('lazy'))
    part.fork(throws('forked'))
    await bot.handleUpdate(message(1))
    deeper.use(throws('later')) // after an update came
    const names = ['given', 'put on', 'lazy', 'forked', 'later']
    for (const [at, name] of names.entries()) await bot.handleUpdate(message(at + 2, 1, name))
    expect(ran).toEqual(names)
  })

  test('R17 not protected is what stands before it and after it: the example of grammY’s page', async () => {
    const where = async (name: string): Promise<readonly unknown[]> => {
      const seen: unknown[] = []
      const bot = newBot()
      const step =
        (own: string): Middleware<Context> =>
        (_ctx, next) =>
          own === name ? Promise.reject(own) : next()
      const composer = new Composer<Context>()
      composer.use(step('Q'))
      composer.lazy(() => step('X'))
      bot.use(step('A'), step('B'))
      const part = bot.errorBoundary((err) => void seen.push(`boundary ${String(err.error)}`), composer)
      part.use(step('Y'), step('Z'))
      bot.use(step('C'), step('D'))
      await bot.handleUpdate(message(1)).catch((err: BotError) => seen.push(`bot.catch ${String(err.error)}`))
      return seen
    }
    for (const name of ['A', 'B']) expect(await where(name)).toEqual([`bot.catch ${name}`])
    for (const name of ['Q', 'X', 'Y', 'Z']) expect(await where(name)).toEqual([`boundary ${name}`])
    for (const name of ['C', 'D']) expect(await where(name)).toEqual([`bot.catch ${name}`])
  })

  test('R18 a handler that calls next resumes behind the boundary, as if the part had called it', async () => {
    const ran: string[] = []
    const step = steps(ran)
    const bot = newBot()
    bot.use(step('A'))
    bot.errorBoundary((_err, next) => next(), step('X')).use(throwing(boom), step('Y'))
    bot.use(step('C'), step('D'))
    await bot.handleUpdate(message(1))
    expect(ran).toEqual(['A', 'X', 'C', 'D'])
  })

  test('R19 composer.errorBoundary protects what it returns, not the composer: siblings go further out', async () => {
    const seen: unknown[] = []
    const bot = newBot()
    const outer = bot.errorBoundary((err) => void seen.push(['outer', err.error]))
    const inner = outer.errorBoundary((err) => void seen.push(['inner', err.error]))
    inner.filter((ctx) => ctx.chat?.id === 2, throwing('inside'))
    outer.use(throwing('beside'))
    await bot.handleUpdate(message(1, 1))
    await bot.handleUpdate(message(2, 2))
    expect(seen).toEqual([
      ['outer', 'beside'],
      ['inner', 'inside'],
    ])
  })

  test('R20 what a handler throws goes to the boundary around it, at any depth', async () => {
    const seen: unknown[] = []
    const bot = newBot()
    let at: Composer<Context> = bot.errorBoundary((err) => void seen.push(['outermost', rootCause(err)]))
    for (let depth = 0; depth < 30; depth += 1) {
      at = at.errorBoundary((err) => {
        seen.push(depth)
        throw err
      })
    }
    at.use(throwing(boom))
    await bot.handleUpdate(message(1))
    expect(seen).toEqual([...Array.from({ length: 30 }, (_, depth) => 29 - depth), ['outermost', boom]])
  })

  test('R21 bot.catch is the last boundary, and has no next', async () => {
    const bot = newBot()
    const given: unknown[] = []
    bot.catch((...all: unknown[]) => void given.push(...all))
    bot.errorBoundary(throwing('second')).use(throwing(boom))
    const { poll, failures } = await live(bot)
    await poll(1)
    expect(given).toHaveLength(1)
    expect(rootCause(given[0])).toBe('second')
    expect(failures[0]?.trail.map(({ path }) => path)).toEqual(['app/shop/boundary:1', 'app/shop'])
  })
})

function used(bot: Bot<Context>, parts: Composer<Context>): Bot<Context> {
  bot.use(parts)
  return bot
}

describe('C: boundaries, row by row', () => {
  test('C1 a link passes on once: a second next() rejects, and nothing runs twice', async () => {
    const bot = newBot()
    const ran: unknown[] = []
    bot.use(async (_ctx, next) => {
      await next()
      await next().catch((error: unknown) => ran.push(String(error)))
    })
    bot.use(() => void ran.push('behind'))
    await bot.handleUpdate(message(1))
    expect(ran).toEqual(['behind', expect.stringContaining('`next` already called')])
  })

  test('C2 a next() that nobody awaits runs what is behind it detached; its rejection is a floating promise', async () => {
    const bot = newBot()
    const seen: unknown[] = []
    bot.catch((err) => void seen.push(err.error))
    bot.use((_ctx, next) => void next())
    bot.use(async () => {
      await undefined
      throw boom
    })
    const { system, poll } = await live(bot)
    const floated = new Promise<Failure>((resolve) => system.once('failure.decided', ({ failure }) => resolve(failure)))
    await poll(1)
    expect(await floated).toMatchObject({ kind: 'floating', error: boom })
    expect(seen).toEqual([boom])
    expect(system.stats().jobs).toMatchObject({ done: 1, failed: 0 })
  })

  test('C3 what is put on a composer that is in use counts from the next update on', async () => {
    const bot = newBot()
    const ran: string[] = []
    const part = bot.use()
    await bot.handleUpdate(message(1))
    part.use(() => void ran.push('later'))
    await bot.handleUpdate(message(2))
    expect(ran).toEqual(['later'])
  })

  const filters: readonly (readonly [string, (on: Composer<Context>) => unknown])[] = [
    ['filter', (on) => on.filter(throwing(boom))],
    [
      'branch',
      (on) =>
        on.branch(
          throwing(boom),
          () => {},
          () => {},
        ),
    ],
    ['drop', (on) => on.drop(throwing(boom))],
  ]
  test.each(filters)('C4 a predicate of %s that throws is a middleware that failed', async (_name, install) => {
    const bot = newBot()
    const seen: unknown[] = []
    install(bot.errorBoundary((err) => void seen.push(err.error)))
    await bot.handleUpdate(message(1))
    expect(seen).toEqual([boom])
  })

  test('C4 on and command put their parts on what they return, inside the boundary', async () => {
    const bot = newBot()
    const seen: unknown[] = []
    const part = bot.errorBoundary((err) => void seen.push(err.error))
    part.on('message:text').use(throwing('on'))
    await bot.handleUpdate(message(1))
    expect(seen).toEqual(['on'])
  })

  test('C5 fork runs its part beside what is behind; the first rejection wins, a later one is absorbed', async () => {
    const bot = newBot()
    const ran: string[] = []
    bot.fork(async () => {
      ran.push('beside')
      for (let turn = 0; turn < 20; turn += 1) await undefined
      throw new Error('late')
    })
    bot.use(async () => {
      ran.push('behind')
      await undefined
      throw boom
    })
    const unhandled = await unhandledBy(async () => expect((await leftBy(bot)).error).toBe(boom))
    expect(unhandled).toEqual([])
    expect(ran.toSorted()).toEqual(['behind', 'beside'])
  })

  test('C6 a whole composer can be protected, and goes on being it', async () => {
    const bot = newBot()
    const seen: unknown[] = []
    const own = new Composer<Context>()
    bot.errorBoundary((err) => void seen.push(err.error), own)
    own.use((_ctx, next) => next())
    own.use(throwing(boom))
    await bot.handleUpdate(message(1))
    expect(seen).toEqual([boom])
  })

  test('C7 next() inside a boundary resolves at once; what is behind runs when the part is over', async () => {
    const bot = newBot()
    const ran: string[] = []
    bot
      .errorBoundary(() => {})
      .use(async (_ctx, next) => {
        await next()
        ran.push('part')
      })
    bot.use(() => void ran.push('behind'))
    await bot.handleUpdate(message(1))
    expect(ran).toEqual(['part', 'behind'])
  })

  test('C8 an error of what is behind never reaches the handler of the boundary before it', async () => {
    const bot = newBot()
    const seen: unknown[] = []
    bot.errorBoundary((err) => void seen.push(err)).use((_ctx, next) => next())
    bot.use(throwing(boom))
    expect((await leftBy(bot)).error).toBe(boom)
    expect(seen).toEqual([])
  })

  test.each([
    [false, []],
    [true, ['behind']],
  ])('C9 an error after next(): what is behind runs only if the handler calls next (%s)', async (calls, expected) => {
    const bot = newBot()
    const ran: string[] = []
    const part = bot.errorBoundary((_err, next) => (calls ? next() : undefined))
    part.use(async (_ctx, next) => {
      await next()
      throw boom
    })
    bot.use(() => void ran.push('behind'))
    await bot.handleUpdate(message(1))
    expect(ran).toEqual(expected)
  })

  test('C10 a handler may call next as often as it likes: what is behind runs once', async () => {
    const bot = newBot()
    const ran: string[] = []
    const part = bot.errorBoundary(async (_err, next) => {
      void next()
      await Promise.all([next(), next()])
    })
    part.use(throwing(boom))
    bot.use(() => void ran.push('behind'))
    await bot.handleUpdate(message(1))
    expect(ran).toEqual(['behind'])
  })

  test('C11 a handler that calls next and throws: the error leaves, what is behind does not run', async () => {
    const bot = newBot()
    const ran: string[] = []
    const part = bot.errorBoundary(async (_err, next) => {
      await next()
      throw new Error('after all')
    })
    part.use(throwing(boom))
    bot.use(() => void ran.push('behind'))
    expect((await leftBy(bot)).error).toMatchObject({ message: 'after all' })
    expect(ran).toEqual([])
  })

  test('C12 an error handed on by k boundaries is wrapped k + 1 times; rootCause finds the bottom', async () => {
    for (const k of [0, 1, 3]) {
      const bot = newBot()
      let at: Composer<Context> = bot.use()
      for (let nth = 0; nth < k; nth += 1) {
        at = at.errorBoundary((err) => {
          throw err
        })
      }
      at.use(throwing('deep'))
      const left = await leftBy(bot)
      let depth = 0
      for (let error: unknown = left; error instanceof BotError; error = error.error) depth += 1
      expect([depth, rootCause(left)]).toEqual([k + 1, 'deep'])
    }
  })

  test('C12 what a handler throws leaves its boundary unwrapped', async () => {
    const bot = newBot()
    bot.errorBoundary(throwing(boom)).use(throwing('first'))
    expect((await leftBy(bot)).error).toBe(boom)
  })

  test('C13 a BotError has error, ctx, grammY’s message and the inner stack; its cause is hidden', async () => {
    const bot = newBot()
    bot.use(throwing(boom))
    const left = await leftBy(bot)
    const own = new npmGrammy.BotError(boom, left.ctx)
    expect([left.name, left.message, left.stack]).toEqual([own.name, own.message, boom.stack])
    expect([left.error, left.cause]).toEqual([boom, boom])
    expect(Object.keys(left)).toEqual(Object.keys(own))
    expect(JSON.stringify(left)).not.toContain('secret')
  })

  test('C14 what is no error is described as grammY does; a thrown symbol arrives as itself', async () => {
    for (const value of ['text', 7, null, undefined, { a: 1 }]) {
      const bot = newBot()
      bot.use(throwing(value))
      const left = await leftBy(bot)
      expect(left.message).toBe(new npmGrammy.BotError(value, left.ctx).message)
    }
    const odd = Symbol('odd')
    const bot = newBot()
    bot.use(throwing(odd))
    expect((await leftBy(bot)).error).toBe(odd)
  })

  test('C15 a next() that is called when the protected part is over is ignored', async () => {
    const bot = newBot()
    const ran: string[] = []
    let late: NextFunction | undefined
    bot.errorBoundary(() => {}).use((_ctx, next) => void (late = next))
    bot.use(() => void ran.push('behind'))
    await bot.handleUpdate(message(1))
    await late?.()
    expect(ran).toEqual([])
  })

  test('C16 at the end of every chain stands a next that resolves', async () => {
    const ends: unknown[] = []
    const last: Middleware<Context> = async (_ctx, next) => void ends.push(await next())
    const bot = newBot()
    bot.errorBoundary(() => {}).use(last)
    bot.fork(last)
    bot.filter(() => true, last)
    await bot.handleUpdate(message(1))
    bot.use(last)
    await bot.handleUpdate(message(2))
    expect(ends.length).toBeGreaterThanOrEqual(5)
  })
})
