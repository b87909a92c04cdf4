import { afterEach, describe, expect, test } from 'vitest'
import * as npmGrammy from 'grammy'
import type { Context } from 'grammy'
import { escalate, restart, resume, start, stop, supervisor, type Failure, type System } from 'rootcatch'
import { Bot, BotError, Composer, GrammyError, HttpError, rootCause } from 'rootcatch/bot'
import { botInfo, message, TOKEN } from '../support/bot-updates.ts'

const systems: System[] = []
const bots: Bot<never>[] = []

afterEach(async () => {
  for (const system of systems.splice(0)) await system.stop({ within: 0 })
  for (const bot of bots.splice(0)) await bot.stop()
})

function newBot(options: object = {}): Bot<Context> {
  const bot = new Bot<Context>(TOKEN, { botInfo, name: 'shop', polling: false, ...options })
  bots.push(bot as never)
  return bot
}

/** The bot in a tree, with what is decided in it. */
async function live(bot: Bot<Context>, above?: (failure: Failure) => never) {
  const failures: Failure[] = []
  const root = supervisor('app', above === undefined ? {} : { catch: above }, [bot])
  const system = await start(root, { catch: () => resume })
  systems.push(system)
  system.on('failure.decided', ({ failure }) => failures.push(failure))
  const ended = (id: number): Promise<string> =>
    new Promise((resolve) => {
      for (const name of ['job.done', 'job.failed', 'job.fellBack'] as const) {
        system.on(name, ({ path }) => path.endsWith(`:${id}`) && resolve(name))
      }
    })
  return { system, failures, ended, inbox: inboxOf(system, bot) }
}

/** What a poller would feed. */
function inboxOf(_system: System, bot: Bot<Context>) {
  return (bot as unknown as { readonly inbox: { admit(updates: readonly object[]): Promise<void> } }).inbox
}

const trailOf = (failure: Failure | undefined): readonly string[] =>
  (failure?.trail ?? []).map(({ path, decision, by }) => `${path} ${decision} ${by}`)

describe('errors of middleware', () => {
  const ways: readonly [string, (bot: Bot<Context>, thrown: Error) => void][] = [
    ['a body', (bot, thrown) => bot.use(() => Promise.reject(thrown))],
    [
      'a predicate',
      (bot, thrown) =>
        bot.filter(
          () => Promise.reject(thrown),
          () => {},
        ),
    ],
    [
      'a router',
      (bot, thrown) =>
        bot.route(async () => {
          throw thrown
        }, {}),
    ],
    ['a lazy factory', (bot, thrown) => bot.lazy(() => Promise.reject(thrown))],
  ]
  test.each(ways)('R1: what %s throws is caught', async (_name, install) => {
    const bot = newBot()
    const thrown = new Error('boom')
    install(bot, thrown)
    await expect(bot.handleUpdate(message(1))).rejects.toMatchObject({ error: thrown })
  })

  test('R2: the three classes are grammY’s own', () => {
    expect(BotError).toBe(npmGrammy.BotError)
    expect(GrammyError).toBe(npmGrammy.GrammyError)
    expect(HttpError).toBe(npmGrammy.HttpError)
  })

  test('R3: the error has the very context that middleware was given', async () => {
    const bot = newBot()
    let given: unknown
    bot.use((ctx) => {
      given = ctx
      throw new Error('boom')
    })
    const error = await bot.handleUpdate(message(1)).catch((reason: unknown) => reason as BotError)
    expect((error as BotError).ctx).toBe(given)
  })

  const values: readonly (readonly [string, unknown])[] = [
    ['null', null],
    ['undefined', undefined],
    ['0', 0],
    ['a frozen object', Object.freeze({ a: 1 })],
    ['a symbol', Symbol('odd')],
    ['a function', () => {}],
  ]
  test.each(values)('R4, C14: %s arrives as itself', async (_name, value) => {
    const bot = newBot()
    const seen: unknown[] = []
    const part = bot.errorBoundary((err) => {
      seen.push(err.error)
      throw err
    })
    part.use(() => {
      throw value
    })
    const error = (await bot.handleUpdate(message(1)).catch((reason: unknown) => reason)) as BotError
    expect(seen[0]).toBe(value)
    expect(rootCause(error)).toBe(value)
  })

  test('R5, R6, R8: an answer that is not ok is a GrammyError, also with a status of 502', async () => {
    const bot = newBot()
    bot.api.config.use(async () => ({ ok: false, error_code: 502, description: 'Bad Gateway' }) as never)
    bot.use((ctx) => ctx.reply('hi'))
    const error = (await bot.handleUpdate(message(1)).catch((reason: unknown) => reason)) as BotError
    expect(error.error).toBeInstanceOf(GrammyError)
    expect(error.error).toMatchObject({ error_code: 502, description: 'Bad Gateway' })
  })

  test('R7: no answer is an HttpError, its reason in `error`', async () => {
    const bot = newBot({ client: { apiRoot: 'http://127.0.0.1:1' } })
    bot.use((ctx) => ctx.reply('hi'))
    const error = (await bot.handleUpdate(message(1)).catch((reason: unknown) => reason)) as BotError
    expect(error.error).toBeInstanceOf(HttpError)
    expect((error.error as HttpError).error).toBeDefined()
  })

  test('C13: has what was thrown as its cause, hidden; and no text of it shows the token', async () => {
    const bot = newBot()
    bot.use(() => {
      throw new Error('boom')
    })
    const error = (await bot.handleUpdate(message(1)).catch((reason: unknown) => reason)) as BotError
    expect(error.cause).toBe(error.error)
    expect(Object.keys(error)).not.toContain('cause')
    expect(JSON.stringify(error)).not.toContain('secret')
    expect(JSON.stringify(bot)).not.toContain('secret')
  })
})

describe('errorBoundary', () => {
  test('R13 to R18: protects what follows and what is put on it later, and goes on behind when told', async () => {
    const ran: string[] = []
    const bot = newBot()
    const step = (name: string) => async (_ctx: Context, next: () => Promise<void>) => {
      ran.push(name)
      await next()
    }
    bot.use(step('A'))
    bot.use(async (_ctx, next) => {
      await next()
      ran.push('after B')
    })
    const part = bot.errorBoundary((err, next) => {
      ran.push(`handled ${String(err.error)}`)
      return next()
    }, step('X'))
    part.use(step('Y'))
    bot.use(step('C'), step('D'))
    part.use(() => {
      return Promise.reject('Z')
    })
    await bot.handleUpdate(message(1))
    expect(ran).toEqual(['A', 'X', 'Y', 'handled Z', 'C', 'D', 'after B'])
  })

  test('R13: works in a bare composer too', async () => {
    const composer = new Composer<Context>()
    const seen: unknown[] = []
    composer.errorBoundary((err) => seen.push(err.error)).use(() => Promise.reject('bare'))
    await composer.middleware()({} as Context, () => Promise.resolve())
    expect(seen).toEqual(['bare'])
  })

  test('R19: what stands beside a boundary is not protected by it', async () => {
    const bot = newBot()
    bot.errorBoundary(() => {})
    bot.use(() => Promise.reject('beside'))
    await expect(bot.handleUpdate(message(1))).rejects.toMatchObject({ error: 'beside' })
  })

  test('R20, C12: rethrown by three boundaries it is wrapped four times; rootCause finds it', async () => {
    const bot = newBot()
    const rethrow = (err: unknown): never => {
      throw err
    }
    bot
      .errorBoundary(rethrow)
      .errorBoundary(rethrow)
      .errorBoundary(rethrow)
      .use(() => Promise.reject('deep'))
    let error: unknown = await bot.handleUpdate(message(1)).catch((reason: unknown) => reason)
    expect(rootCause(error)).toBe('deep')
    let depth = 0
    for (; error instanceof BotError; error = error.error) depth += 1
    expect(depth).toBe(4)
  })

  test('each is a node of the tree, by its name or its number; a name used twice is told apart', async () => {
    const bot = newBot()
    const checkout = bot.errorBoundary('checkout', () => {})
    checkout.errorBoundary(() => {})
    bot.errorBoundary('checkout', () => {})
    const { system } = await live(bot)
    const [node] = system.tree().children ?? []
    const paths = (node?.children ?? []).flatMap(({ path, children }) => [path, ...(children ?? []).map((c) => c.path)])
    expect(paths).toEqual(['app/shop/checkout', 'app/shop/checkout/boundary:1', 'app/shop/checkout#2'])
  })
})

describe('decisions', () => {
  test('R9, R15: bot.catch gets what left all boundaries, the last handler counts, and the bot goes on', async () => {
    const bot = newBot()
    const seen: unknown[] = []
    bot.catch(() => seen.push('first'))
    bot.catch(async (err) => {
      await undefined
      seen.push(err.error)
    })
    bot.use((ctx) => {
      return ctx.update.update_id === 1 ? Promise.reject('boom') : undefined
    })
    const { ended, inbox, failures, system } = await live(bot)
    const both = [ended(1), ended(2)]
    await inbox.admit([message(1), message(2)])
    expect(await Promise.all(both)).toEqual(['job.failed', 'job.done'])
    expect(seen).toEqual(['boom'])
    expect(trailOf(failures[0])).toEqual(['app/shop resume catch'])
    expect(await system.dead.list()).toMatchObject([{ id: '123456:1', path: 'app/shop/update:1' }])
  })

  test('R10, R11: without bot.catch it climbs to the supervisors above', async () => {
    const bot = newBot()
    bot.errorBoundary('checkout', () => escalate).use(() => Promise.reject('boom'))
    const { ended, inbox, failures } = await live(bot)
    const over = ended(1)
    await inbox.admit([message(1)])
    expect(await over).toBe('job.failed')
    expect(failures[0]?.path).toBe('app/shop/checkout/update:1')
    expect(trailOf(failures[0])).toEqual([
      'app/shop/checkout escalate catch',
      'app/shop escalate default',
      'app escalate default',
      ' resume catch',
    ])
    expect(failures[0]?.job?.lane).toEqual(['1'])
    expect(JSON.stringify(failures[0])).not.toContain('secret')
  })

  test('resume(value) of bot.catch settles the update as a fallback', async () => {
    const bot = newBot()
    bot.catch(() => resume('instead'))
    bot.use(() => Promise.reject('boom'))
    const { ended, inbox } = await live(bot)
    const over = ended(1)
    await inbox.admit([message(1)])
    expect(await over).toBe('job.fellBack')
  })

  test('restart runs the update again from attempt 1, three times at most, then it goes on outwards', async () => {
    const bot = newBot()
    const attempts: number[] = []
    bot
      .errorBoundary('again', () => restart)
      .use((ctx) => {
        attempts.push((ctx as unknown as { job: { attempt: number } }).job.attempt)
        return Promise.reject('boom')
      })
    const { ended, inbox, failures } = await live(bot)
    const over = ended(1)
    await inbox.admit([message(1)])
    expect(await over).toBe('job.failed')
    expect(attempts).toEqual([1, 1, 1, 1])
    expect(failures.at(-1)?.trail[0]).toMatchObject({ decision: 'escalate', by: 'limit', asked: 'restart' })
  })

  test('stop in a boundary ends the update, nobody further out is asked, and middleware can clean up', async () => {
    const bot = newBot()
    const seen: string[] = []
    bot.catch(() => seen.push('bot.catch'))
    bot.use(async (_ctx, next) => {
      try {
        await next()
      } finally {
        seen.push('cleaned up')
      }
    })
    const outer = bot.errorBoundary('outer', () => seen.push('outer'))
    outer.errorBoundary('inner', () => stop).use(() => Promise.reject('boom'))
    const { ended, inbox, failures } = await live(bot)
    const over = ended(1)
    await inbox.admit([message(1)])
    expect(await over).toBe('job.failed')
    expect(seen).toEqual(['cleaned up'])
    expect(trailOf(failures[0])).toEqual(['app/shop/outer/inner stop catch'])
  })

  test('a handler with a bug hides nothing: its error goes on, the failure before it is its cause', async () => {
    const bot = newBot()
    const bug = new Error('bug')
    bot
      .errorBoundary('buggy', () => {
        throw bug
      })
      .use(() => Promise.reject('boom'))
    const { ended, inbox, failures } = await live(bot)
    const over = ended(1)
    await inbox.admit([message(1)])
    await over
    expect(failures[0]?.error).toBe(bug)
    expect(failures[0]?.trail[0]).toMatchObject({ path: 'app/shop/buggy', because: bug })
    expect(failures[0]?.cause).toMatchObject({ error: 'boom' })
  })

  test('what a boundary has dealt with is reported once, and the update is done', async () => {
    const bot = newBot()
    bot.errorBoundary('calm', () => {}).use(() => Promise.reject('boom'))
    const { ended, inbox, failures } = await live(bot)
    const over = ended(1)
    await inbox.admit([message(1)])
    expect(await over).toBe('job.done')
    expect(failures.map(trailOf)).toEqual([['app/shop/calm resume catch']])
  })

  test('R12: handleUpdate rejects with the BotError, and bot.catch is not asked', async () => {
    const bot = newBot()
    const seen: unknown[] = []
    bot.catch((err) => seen.push(err))
    bot.use(() => Promise.reject('boom'))
    const { failures, system } = await live(bot)
    await expect(bot.handleUpdate(message(1))).rejects.toBeInstanceOf(BotError)
    expect(seen).toEqual([])
    expect(trailOf(failures[0])).toEqual(['app/shop stop caller'])
    expect(await system.dead.list()).toEqual([])
  })

  test('an un-awaited promise that fails goes to the boundary it began in', async () => {
    const bot = newBot()
    const seen: unknown[] = []
    bot
      .errorBoundary('inner', (err) => {
        seen.push([err.error, err.ctx.update.update_id])
      })
      .use(() => {
        void Promise.reject('floating')
      })
    const { ended, inbox, system } = await live(bot)
    const over = ended(1)
    const decided = new Promise((resolve) => system.once('failure.decided', resolve))
    await inbox.admit([message(1)])
    expect(await over).toBe('job.done')
    expect(await decided).toMatchObject({ failure: { kind: 'floating', error: 'floating' }, decision: 'resume' })
    expect(seen).toEqual([['floating', 1]])
  })
})

test('R10: alone, the default ends start() with the BotError', async () => {
  const bot = new Bot<Context>(TOKEN, { botInfo, name: 'shop', polling: false })
  bot.use(() => Promise.reject('boom'))
  const started = bot.start()
  started.catch(() => {})
  while (inboxOf(undefined as never, bot) === undefined) await new Promise((resolve) => setImmediate(resolve))
  await inboxOf(undefined as never, bot).admit([message(1)])
  await expect(started).rejects.toMatchObject({ error: 'boom' })
  expect(bot.isRunning()).toBe(false)
})
