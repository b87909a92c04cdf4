import { afterEach, describe, expect, test } from 'vitest'
import type { Context } from 'grammy'
import { exponential, memory, resume, start, supervisor, type EventData, type System } from 'rootcatch'
import { Bot, type BotOptions } from 'rootcatch/bot'
import { sqlite } from 'rootcatch/sqlite'
import { fakeTelegram, manualClock, settle, type FakeTelegram, type ManualClock } from 'rootcatch/testing'
import { newFiles } from '../support/sqlite-store.ts'

const newFile = newFiles()

const open: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

interface World {
  readonly bot: Bot<Context>
  readonly telegram: FakeTelegram
  readonly clock: ManualClock
  readonly retrying: EventData['job.retrying'][]
  live(): Promise<System>
}

async function world(options: BotOptions<Context>, broker = memory()): Promise<World> {
  const telegram = await fakeTelegram()
  open.push(() => telegram.close())
  const clock = manualClock()
  const bot = new Bot<Context>(telegram.token, { name: 'shop', client: { apiRoot: telegram.url }, ...options })
  const retrying: EventData['job.retrying'][] = []
  const live = async (): Promise<System> => {
    const system = await start(supervisor('app', [bot]), { catch: () => resume, clock, broker })
    open.push(() => system.stop({ within: 0 }))
    system.on('job.retrying', (data) => retrying.push(data))
    return system
  }
  return { bot, telegram, clock, retrying, live }
}

const until = async (isSo: () => boolean): Promise<void> => void (await expect.poll(isSo, { interval: 1 }).toBe(true))

const twice = { retry: { attempts: 2, backoff: exponential({ from: 5, to: 5, jitter: 0 }) } }

describe('a 429 of a call in a handler', () => {
  test.each([
    ['memory()', memory],
    ['sqlite()', () => sqlite(newFile())],
  ])('on %s is waited for as long as told, and spends no attempt', async (_, newBroker) => {
    const { bot, telegram, clock, retrying, live } = await world(twice, newBroker())
    bot.on('message:text', (ctx) => ctx.reply('hi'))
    telegram.next('sendMessage', { error: 429, retryAfter: 30 }, { error: 429, retryAfter: 90 }, { error: 500 })
    const system = await live()
    telegram.send.text('hi')
    for (const [at, told] of [30_000, 90_000].entries()) {
      await until(() => retrying.length === at + 1)
      expect(retrying[at]).toMatchObject({ delay: told, charged: false })
      await clock.advance(told - 1)
      await settle()
      expect(telegram.callsOf('sendMessage')).toHaveLength(at + 1)
      await clock.advance(1)
      await telegram.called('sendMessage', at + 2)
    }
    await until(() => retrying.length === 3)
    expect(retrying[2]).toMatchObject({ delay: 5, charged: true })
    await clock.advance(5)
    await until(() => system.stats().jobs.done === 1)
    expect(telegram.callsOf('sendMessage')).toHaveLength(4)
  })

  test('that boundaries rethrow waits all the same', async () => {
    const { bot, telegram, clock, retrying, live } = await world(twice)
    const part = bot.errorBoundary('part', (err) => {
      throw err
    })
    part.on('message:text', (ctx) => ctx.reply('hi'))
    telegram.next('sendMessage', { error: 429, retryAfter: 2 })
    const system = await live()
    telegram.send.text('hi')
    await until(() => retrying.length === 1)
    expect(retrying[0]).toMatchObject({ delay: 2_000, charged: false })
    await clock.advance('2s')
    await until(() => system.stats().jobs.done === 1)
  })

  test.each([undefined, '5', -1, null, {}, 1e308])(
    'that names %j as its time is a failure as others are',
    async (said) => {
      const { bot, telegram, clock, retrying, live } = await world(twice)
      bot.on('message:text', (ctx) => ctx.reply('hi'))
      telegram.next('sendMessage', { error: 429, parameters: { retry_after: said } })
      const system = await live()
      telegram.send.text('hi')
      await until(() => retrying.length === 1)
      expect(retrying[0]).toMatchObject({ delay: 5, charged: true })
      await clock.advance(5)
      await until(() => system.stats().jobs.done === 1)
    },
  )

  test('holds up no other chat’s update, and fails one that has a single attempt', async () => {
    const { bot, telegram, live } = await world({})
    bot.catch(() => {})
    bot.on('message:text', (ctx) => (ctx.chat.id === 1 ? ctx.reply('hi') : undefined))
    telegram.next('sendMessage', { error: 429, retryAfter: 30 })
    const system = await live()
    telegram.send.text('a', { chat: 1 })
    telegram.send.text('b', { chat: 2 })
    await until(() => system.stats().jobs.done + system.stats().jobs.failed === 2)
    expect(system.stats().jobs).toMatchObject({ done: 1, failed: 1 })
  })
})

test('429s of polls, however many, are waited for as told, and the bot lives on', async () => {
  const { bot, telegram, clock, live } = await world({})
  const seen: string[] = []
  bot.on('message:text', (ctx) => void seen.push(ctx.message.text))
  telegram.next('getUpdates', ...Array.from({ length: 5 }, () => ({ error: 429, retryAfter: 61 })))
  const waits: number[] = []
  const system = await live()
  system.on('poller.retrying', ({ delay }) => waits.push(delay))
  telegram.send.text('hi')
  for (let polls = 1; polls <= 5; polls += 1) {
    await telegram.called('getUpdates', polls)
    await until(() => system.tree().children?.[0]?.children?.[0]?.state === 'backingOff')
    await clock.advance(60_999)
    await settle()
    expect(telegram.callsOf('getUpdates')).toHaveLength(polls)
    await clock.advance(1)
  }
  await until(() => seen.length === 1)
  expect(waits.slice(-4)).toEqual([61_000, 61_000, 61_000, 61_000])
  expect(telegram.callsOf('getMe')).toHaveLength(1)
})
