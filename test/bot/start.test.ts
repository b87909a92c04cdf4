import { afterEach, describe, expect, test } from 'vitest'
import type { Context } from 'grammy'
import { resume, start, supervisor } from 'rootcatch'
import { Bot, GrammyError, webhookCallback } from 'rootcatch/bot'
import { fakeTelegram, type FakeTelegram } from 'rootcatch/testing'
import { botInfo, message } from '../support/bot-updates.ts'

const open: AsyncDisposable[] = []

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]()
})

async function newBot(options: object = {}): Promise<{ bot: Bot<Context>; telegram: FakeTelegram }> {
  const telegram = await fakeTelegram()
  open.push(telegram)
  const bot = new Bot<Context>(telegram.token, { name: 'shop', client: { apiRoot: telegram.url }, ...options })
  return { bot, telegram }
}

describe('start()', () => {
  test('polls, answers, and on stop confirms exactly what is finished', async () => {
    const { bot, telegram } = await newBot()
    bot.on('message:text', (ctx) => ctx.reply(ctx.message.text))
    telegram.send.text('hi', { chat: 1 })
    const started = bot.start()
    expect(bot.isRunning()).toBe(true)
    await telegram.called('sendMessage')
    await bot.stop()
    await started
    expect(bot.isRunning()).toBe(false)
    expect(telegram.unconfirmed).toEqual([])
    expect(bot.use.name).toBe('noUseFunction')
  })

  test('without bot.catch it rejects with the BotError of the update that failed', async () => {
    const { bot, telegram } = await newBot()
    const boom = new Error('boom')
    bot.use(() => Promise.reject(boom))
    telegram.send.text('hi')
    await expect(bot.start()).rejects.toMatchObject({ error: boom })
    expect(telegram.unconfirmed).toEqual([])
  })

  test.each([401, 409])('%i of a poll rejects it at once with that GrammyError, and polls no more', async (code) => {
    const { bot, telegram } = await newBot()
    const seen: string[] = []
    bot.on('message:text', (ctx) => void seen.push(ctx.message.text))
    telegram.send.text('a')
    telegram.next('getUpdates', () => undefined, { error: code })
    await expect(bot.start()).rejects.toMatchObject({ error_code: code })
    expect(bot.isRunning()).toBe(false)
    expect(seen).toEqual(['a'])
    expect(telegram.callsOf('deleteWebhook')).toHaveLength(1)
    expect(telegram.callsOf('getUpdates')).toHaveLength(2)
  })

  test('401 rejects it with that GrammyError', async () => {
    const { bot, telegram } = await newBot()
    telegram.always('getMe', { error: 401 })
    await expect(bot.start()).rejects.toBeInstanceOf(GrammyError)
  })
})

test('in a tree the poller is a node of the bot, which is ready when it polls, and stops with the tree', async () => {
  const { bot, telegram } = await newBot()
  const seen: string[] = []
  bot.errorBoundary('calm', () => {}).on('message:text', (ctx) => void seen.push(ctx.message.text))
  const system = await start(supervisor('app', [bot]), { catch: () => resume })
  open.push(system)
  telegram.send.text('hi')
  const done = new Promise((resolve) => system.once('job.done', resolve))
  await done
  expect(seen).toEqual(['hi'])
  const [node] = system.tree().children ?? []
  expect(node?.children?.map(({ path, kind, state }) => [path, kind, state])).toEqual([
    ['app/shop/poller', 'poller', 'polling'],
    ['app/shop/calm', 'boundary', 'running'],
  ])
  await system.stop()
  expect(telegram.unconfirmed).toEqual([])
})

describe('webhookCallback()', () => {
  test('an error goes to who called it, and bot.catch is not asked; sent again, the update runs again', async () => {
    const { bot } = await newBot({ polling: false, botInfo })
    open.push({ [Symbol.asyncDispose]: () => bot.stop() })
    const asked: unknown[] = []
    let runs = 0
    bot.catch((err) => asked.push(err))
    bot.use(() => {
      runs += 1
      return runs === 1 ? Promise.reject(new Error('boom')) : undefined
    })
    const handle = webhookCallback(bot, 'std/http')
    const post = (): Promise<Response> =>
      handle(new Request('http://bot.example/', { method: 'POST', body: JSON.stringify(message(7)) }))
    await expect(post()).rejects.toMatchObject({ error: new Error('boom') })
    expect((await post()).status).toBe(200)
    expect((await post()).status).toBe(200)
    expect([runs, asked]).toEqual([2, []])
  })

  test("onError 'catch' asks bot.catch and answers 200", async () => {
    const { bot } = await newBot({ polling: false, botInfo })
    open.push({ [Symbol.asyncDispose]: () => bot.stop() })
    const asked: unknown[] = []
    bot.catch((err) => asked.push(err.error))
    bot.use(() => Promise.reject(new Error('boom')))
    const handle = webhookCallback(bot, 'std/http', { onError: 'catch' })
    const body = JSON.stringify(message(8))
    const answer = await handle(new Request('http://bot.example/', { method: 'POST', body }))
    expect([answer.status, asked]).toEqual([200, [new Error('boom')]])
  })
})
