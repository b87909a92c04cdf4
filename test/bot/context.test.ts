import { AsyncLocalStorage } from 'node:async_hooks'
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { start, task } from 'rootcatch'
import { Api, Bot, Context, type BotOptions, type JobFlavor } from 'rootcatch/bot'
import type { Update, UserFromGetMe } from 'grammy/types'
import { fakeTelegram, type FakeTelegram } from 'rootcatch/testing'
import { botInfo, message } from '../support/bot-updates.ts'

function newBot<C extends Context = Context & JobFlavor>(
  telegram: FakeTelegram,
  options: BotOptions<C> = {},
): AsyncDisposable & { readonly bot: Bot<C> } {
  const bot = new Bot<C>(telegram.token, { botInfo, client: { apiRoot: telegram.url }, ...options })
  return { bot, [Symbol.asyncDispose]: () => bot.stop() }
}

describe('handleUpdate', () => {
  test('keeps the async context of its caller, also in a listener of a job that fell back', async () => {
    await using telegram = await fakeTelegram()
    await using made = newBot(telegram)
    const stores = new AsyncLocalStorage<string>()
    const seen: unknown[] = []
    made.bot.use(() => void seen.push(stores.getStore()))
    await made.bot.handleUpdate(message(1)) // the next one begins at once
    const job = task('job', { fallback: () => 1 }, () => Promise.reject(new Error('no')))
    await using system = await start(job)
    const handled = new Promise((resolve) => {
      system.on('job.fellBack', () => resolve(stores.run('mine', () => made.bot.handleUpdate(message(2)))))
    })
    await stores.run('of who asks', () => system.run(job))
    await handled
    expect(seen).toEqual([undefined, 'mine'])
  })
})

describe('ctx.api', () => {
  test('is an Api of its own for each update, and calls what grammY calls', async () => {
    await using telegram = await fakeTelegram()
    await using made = newBot(telegram)
    const seen: Api[] = []
    made.bot.use(async (ctx) => {
      seen.push(ctx.api)
      await ctx.reply('by a shortcut')
      await ctx.api.raw.sendMessage({ chat_id: 1, text: 'raw' })
    })
    await made.bot.handleUpdate(message(1))
    await made.bot.handleUpdate(message(2))
    expect(telegram.calls.filter(({ method }) => method === 'sendMessage')).toHaveLength(4)
    expect(seen[0]).toBeInstanceOf(Api)
    expect(seen[0]?.constructor).toBe(Api)
    expect(seen[0]).not.toBe(seen[1])
    expect(seen[0]?.token).toBe(telegram.token)
  })

  test('has the transformers that the bot had when the update began, and not those that came later', async () => {
    await using telegram = await fakeTelegram()
    await using made = newBot(telegram)
    const through: string[] = []
    const noted =
      (name: string): Parameters<Api['config']['use']>[0] =>
      (previous, method, payload, signal) => {
        through.push(name)
        return previous(method, payload, signal)
      }
    made.bot.api.config.use(noted('first'))
    made.bot.use(async (ctx) => {
      made.bot.api.config.use(noted('late'))
      ctx.api.config.use(noted('of the update'))
      await ctx.reply('hi')
    })
    await made.bot.handleUpdate(message(1))
    expect(through).toEqual(['of the update', 'first'])
    through.length = 0
    await made.bot.handleUpdate(message(2))
    expect(through).toEqual(['of the update', 'late', 'first'])
  })

  test('shows the token to nobody who logs it, before and after it is used', async () => {
    await using telegram = await fakeTelegram()
    await using made = newBot(telegram)
    const shown: string[] = []
    made.bot.use(async (ctx) => {
      shown.push(inspect(ctx, { depth: 9 }), JSON.stringify(ctx))
      await ctx.reply('hi')
      shown.push(inspect(ctx, { depth: 9 }), JSON.stringify(ctx))
    })
    await made.bot.handleUpdate(message(1))
    expect(shown).toHaveLength(4)
    for (const each of shown) expect(each).not.toContain(telegram.token)
  })
})

describe('ctx.job', () => {
  test('is no property that anybody finds who copies or prints a context', async () => {
    await using telegram = await fakeTelegram()
    await using made = newBot(telegram)
    const seen: unknown[] = []
    made.bot.use((ctx) => void seen.push(ctx.job.id, Object.keys(ctx), ctx.constructor, inspect(ctx).slice(0, 7)))
    await made.bot.handleUpdate(message(7))
    expect(seen).toEqual([expect.stringMatching(/:7$/), ['update', 'api', 'me'], Context, 'Context'])
  })

  class Own extends Context {
    readonly own = true
  }
  class WithJob extends Context {
    readonly job = 'a word of the user' as never
  }
  class Proxied extends Context {
    constructor(update: Update, api: Api, me: UserFromGetMe) {
      super(update, api, me)
      return new Proxy(this, { get: (target, key) => Reflect.get(target, key) as unknown })
    }
  }

  test.each([
    ['adds to it', Own],
    ['has a field of that name', WithJob],
    ['gives a proxy', Proxied],
  ])('is there with a ContextConstructor that %s', async (_how, ContextConstructor) => {
    await using telegram = await fakeTelegram()
    await using made = newBot<Context & JobFlavor>(telegram, { ContextConstructor: ContextConstructor as never })
    const seen: unknown[] = []
    made.bot.use((ctx) => void seen.push(ctx.job.attempt, ctx.constructor, ctx instanceof ContextConstructor))
    await made.bot.handleUpdate(message(1))
    expect(seen).toEqual([1, ContextConstructor, true])
  })
})
