import { autoRetry } from '@grammyjs/auto-retry'
import { conversations, createConversation, type Conversation, type ConversationFlavor } from '@grammyjs/conversations'
import { Menu } from '@grammyjs/menu'
import { run, sequentialize } from '@grammyjs/runner'
import { lazySession, session, type Context, type LazySessionFlavor, type SessionFlavor } from 'grammy'
import { afterEach, describe, expect, test } from 'vitest'
import { memory } from 'rootcatch'
import { Bot, type BotOptions, type BotStartOptions } from 'rootcatch/bot'
import { fakeTelegram, type FakeCall, type FakeTelegram } from 'rootcatch/testing'

/** grammY's own plugins, as they are, on a bot of ours that polls. */
const open: (() => Promise<unknown> | unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

async function newBot<C extends Context>(
  options: BotOptions<C> = {},
): Promise<{ readonly bot: Bot<C>; readonly telegram: FakeTelegram; readonly texts: () => readonly unknown[] }> {
  const telegram = await fakeTelegram()
  open.push(() => telegram.close())
  const bot = new Bot<C>(telegram.token, { name: 'shop', client: { apiRoot: telegram.url }, ...options })
  open.push(() => bot.stop())
  const texts = (): readonly unknown[] => telegram.callsOf('sendMessage').map(({ payload }) => payload['text'])
  return { bot, telegram, texts }
}

const until = async (isSo: () => boolean): Promise<void> => void (await expect.poll(isSo, { interval: 1 }).toBe(true))

function startBot<C extends Context>(bot: Bot<C>, options: BotStartOptions = {}): void {
  void bot.start({ broker: memory(), ...options })
}

describe('session', () => {
  interface Count {
    count: number
  }

  test('each chat has its own, and one update of a chat sees what the one before it left', async () => {
    const { bot, telegram, texts } = await newBot<Context & SessionFlavor<Count>>()
    bot.use(session({ initial: (): Count => ({ count: 0 }) }))
    bot.on('message:text', async (ctx) => {
      const { count } = ctx.session
      await new Promise((resolve) => setTimeout(resolve, 1)) // two at once would both see the same count
      ctx.session.count = count + 1
      await ctx.reply(`${ctx.chat.id}: ${ctx.session.count}`)
    })
    for (let nth = 0; nth < 10; nth += 1) telegram.send.text('hi', { chat: 1 + (nth % 2) })
    startBot(bot)
    await telegram.called('sendMessage', 10)
    expect(texts().toSorted()).toEqual([1, 2].flatMap((chat) => [1, 2, 3, 4, 5].map((count) => `${chat}: ${count}`)))
  })

  test('what a failed update did to it is not written, and the next one goes on from before', async () => {
    const { bot, telegram, texts } = await newBot<Context & SessionFlavor<Count>>()
    bot.catch(() => {})
    bot.use(session({ initial: (): Count => ({ count: 0 }) }))
    bot.on('message:text', async (ctx) => {
      ctx.session = { count: ctx.session.count + 1 }
      if (ctx.message.text === 'fail') throw new Error('boom')
      await ctx.reply(String(ctx.session.count))
    })
    for (const text of ['a', 'fail', 'b']) telegram.send.text(text)
    startBot(bot)
    await telegram.called('sendMessage', 2)
    expect(texts()).toEqual(['1', '2'])
  })

  test('a lazy one is read only by those who ask', async () => {
    const { bot, telegram, texts } = await newBot<Context & LazySessionFlavor<Count>>()
    const kept = new Map<string, Count>()
    const read: string[] = []
    const storage = {
      read: (key: string): Count | undefined => (read.push(key), kept.get(key)),
      write: (key: string, value: Count) => void kept.set(key, value),
      delete: (key: string) => void kept.delete(key),
    }
    bot.use(lazySession({ initial: (): Count => ({ count: 0 }), storage }))
    bot.on('message:text', async (ctx) => {
      if (ctx.message.text === 'ask') (await ctx.session).count += 1
      await ctx.reply('ok')
    })
    for (const text of ['ask', 'no', 'ask']) telegram.send.text(text)
    startBot(bot)
    await telegram.called('sendMessage', 3)
    expect([texts(), read, kept.get('1')]).toEqual([['ok', 'ok', 'ok'], ['1', '1'], { count: 2 }])
  })
})

describe('conversations', () => {
  type Talking = ConversationFlavor<Context>

  test('wait over updates; what throws in one goes to the boundary around it', async () => {
    const { bot, telegram, texts } = await newBot<Talking>()
    const caught: unknown[] = []
    async function greet(conversation: Conversation<Talking, Context>, ctx: Context): Promise<void> {
      await ctx.reply('name?')
      const { message } = await conversation.waitFor('message:text')
      if (message.text === 'nobody') throw new Error('no name')
      await ctx.reply(`hello ${message.text}`)
    }
    bot.use(conversations())
    const talk = bot.errorBoundary('talk', (err) => void caught.push((err.error as Error).message))
    talk.use(createConversation(greet))
    talk.command('start', (ctx) => ctx.conversation.enter('greet'))
    startBot(bot)
    for (const [nth, text] of ['/start', 'Ada', '/start', 'nobody', '/start', 'Bo'].entries()) {
      telegram.send.text(text)
      const answers = [1, 2, 3, 3, 4, 5][nth] as number
      await telegram.called('sendMessage', answers)
      await until(() => text !== 'nobody' || caught.length === 1)
    }
    expect(texts()).toEqual(['name?', 'hello Ada', 'name?', 'name?', 'hello Bo'])
    expect(caught).toEqual(['no name'])
  })
})

describe('menu', () => {
  test('its buttons reach their handlers; what throws in one goes to the boundary it was put into', async () => {
    const { bot, telegram } = await newBot()
    const caught: unknown[] = []
    const menu = new Menu<Context>('main')
      .text('Calm', async (ctx) => void (await ctx.reply('pressed')))
      .text('Bad', () => {
        throw new Error('pressed bad')
      })
    const part = bot.errorBoundary('menus', (err) => void caught.push((err.error as Error).message))
    part.use(menu as never)
    bot.command('start', (ctx) => ctx.reply('Choose', { reply_markup: menu }))
    startBot(bot)
    telegram.send.text('/start')
    const [calm, bad] = buttonsOf(await telegram.called('sendMessage'))
    telegram.send.callback(bad as string)
    await expect.poll(() => caught, { interval: 1 }).toEqual(['pressed bad'])
    telegram.send.callback(calm as string)
    expect((await telegram.called('sendMessage', 2)).payload['text']).toBe('pressed')
  })

  function buttonsOf({ payload }: FakeCall): readonly string[] {
    const markup = payload['reply_markup']
    const { inline_keyboard } = (typeof markup === 'string' ? JSON.parse(markup) : markup) as {
      readonly inline_keyboard: readonly (readonly { readonly callback_data: string }[])[]
    }
    return inline_keyboard.flat().map(({ callback_data }) => callback_data)
  }
})

describe('auto-retry', () => {
  test('repeats a call that Telegram put off, behind the gate that holds the other calls', async () => {
    const { bot, telegram, texts } = await newBot()
    bot.api.config.use(autoRetry({ maxRetryAttempts: 2 }))
    bot.on('message:text', (ctx) => ctx.reply(ctx.message.text))
    telegram.next('sendMessage', { error: 429, retryAfter: 1 })
    telegram.send.text('hi')
    startBot(bot)
    const first = await telegram.called('sendMessage', 1)
    const second = await telegram.called('sendMessage', 2)
    expect(second.at - first.at).toBeGreaterThanOrEqual(990)
    expect(texts()).toEqual(['hi', 'hi'])
    await bot.stop()
    expect(telegram.unconfirmed).toEqual([])
  })
})

describe('runner', () => {
  test('sequentialize keeps the order of what has no lane of ours', async () => {
    const { bot, telegram } = await newBot({ lane: () => undefined })
    const seen: string[] = []
    bot.use(sequentialize((ctx: Context) => String(ctx.chat?.id)))
    bot.on('message:text', async (ctx) => {
      await new Promise((resolve) => setTimeout(resolve, ctx.message.text === 'a' ? 20 : 0))
      seen.push(`${ctx.chat.id}${ctx.message.text}`)
    })
    for (const chat of [1, 2]) for (const text of ['a', 'b', 'c']) telegram.send.text(text, { chat })
    startBot(bot)
    await expect.poll(() => seen.length, { interval: 1 }).toBe(6)
    for (const chat of [1, 2]) {
      expect(seen.filter((each) => each.startsWith(String(chat)))).toEqual(['a', 'b', 'c'].map((t) => `${chat}${t}`))
    }
  })

  test('run(bot) polls for a bot of ours: updates are handled, bot.catch gets what failed', async () => {
    const { bot, telegram, texts } = await newBot()
    const caught: unknown[] = []
    bot.catch((err) => void caught.push((err.error as Error).message))
    bot.errorBoundary('calm', () => {}).hears('calm', () => Promise.reject(new Error('calmed')))
    bot.hears('fail', () => {
      throw new Error('boom')
    })
    bot.on('message:text', (ctx) => ctx.reply(ctx.message.text))
    for (const text of ['a', 'fail', 'calm', 'b']) telegram.send.text(text)
    const runner = run(bot)
    await telegram.called('sendMessage', 2)
    await expect.poll(() => caught, { interval: 1 }).toEqual(['boom'])
    await runner.stop()
    await bot.stop()
    expect(texts().toSorted()).toEqual(['a', 'b'])
    expect(bot.isRunning()).toBe(false)
  })
})
