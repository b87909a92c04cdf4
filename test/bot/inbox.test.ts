import { afterEach, describe, expect, test } from 'vitest'
import type { Context, Middleware } from 'grammy'
import {
  exponential,
  memory,
  PermanentError,
  plugin,
  PluginTriggerError,
  resume,
  start,
  supervisor,
  type Broker,
  type Clock,
  type System,
} from 'rootcatch'
import { sqlite } from 'rootcatch/sqlite'
import { fakeTelegram, manualClock, settle, type ManualClock } from 'rootcatch/testing'
import { Bot } from 'rootcatch/bot'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Inbox } from '../../src/bot/inbox.ts'
import type { Outcome } from '../../src/brokers/broker.ts'
import { botInfo, message, TOKEN } from '../support/bot-updates.ts'

const systems: System[] = []
const folders: string[] = []

afterEach(async () => {
  for (const system of systems.splice(0)) await system.stop({ within: 0 })
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

function newBot(options: object = {}): Bot<Context> {
  return new Bot<Context>(TOKEN, { botInfo, name: 'shop', polling: false, ...options })
}

async function live(
  bot: Bot<Context>,
  broker: Broker = memory(),
  clock?: Clock,
): Promise<{ system: System; inbox: Inbox }> {
  const system = await start(supervisor('app', [bot]), { catch: () => resume, broker, ...(clock && { clock }) })
  systems.push(system)
  return { system, inbox: bot.inbox as Inbox }
}

const until = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 1))
}

function newFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'rootcatch-bot-'))
  folders.push(folder)
  return join(folder, 'app.db')
}

const store: readonly (readonly [string, () => Broker])[] = [
  ['memory', memory],
  ['sqlite', () => sqlite(newFile())],
]

describe.each(store)('updates kept by %s', (_name, broker) => {
  test('handle each chat in order', async () => {
    const chats = 50
    const each = 10
    const bot = newBot()
    const seen = new Map<number, number[]>()
    bot.use(async (ctx) => {
      await new Promise((resolve) => setTimeout(resolve, (ctx.update.update_id * 7) % 5))
      const chat = ctx.chat?.id as number
      seen.set(chat, [...(seen.get(chat) ?? []), ctx.update.update_id])
    })
    const { system, inbox } = await live(bot, broker())
    const updates = Array.from({ length: chats * each }, (_, at) => message(at + 1, at % chats))
    for (let from = 0; from < updates.length; from += 100) await inbox.admit(updates.slice(from, from + 100))
    await until(() => system.stats().jobs.done === updates.length)
    for (const ids of seen.values()) expect(ids).toEqual(ids.toSorted((a, b) => a - b))
    expect(seen.size).toBe(chats)
  })

  test('an update that came before is not handled again', async () => {
    const bot = newBot()
    const seen: number[] = []
    bot.use((ctx) => void seen.push(ctx.update.update_id))
    const { system, inbox } = await live(bot, broker())
    await inbox.admit([message(1), message(2)])
    await inbox.admit([message(1), message(2), message(3)])
    await until(() => system.stats().jobs.done === 3)
    await inbox.admit([message(2)])
    expect(seen).toEqual([1, 2, 3])
    expect(inbox.confirmable()).toBe(inbox.durable ? 3 : 4)
  })

  test('a failed attempt is tried again with a fresh context, then the update is a dead letter to be replayed', async () => {
    const bot = newBot({ retry: { attempts: 2, backoff: exponential({ from: 1, to: 1 }) } })
    const contexts = new Set<Context>()
    let isBroken = true
    bot.catch(() => {})
    bot.use((ctx) => {
      contexts.add(ctx)
      if (isBroken) throw new Error('boom')
    })
    const { system, inbox } = await live(bot, broker())
    const died = new Promise((resolve) => system.once('dead.added', resolve))
    await inbox.admit([message(812)])
    await died
    expect(contexts.size).toBe(2)
    const [letter] = await system.dead.list()
    expect(letter).toMatchObject({ id: '123456:812', path: 'app/shop/update:812', attempts: 2, task: 'app/shop' })
    isBroken = false
    const { run } = await system.dead.replay('123456:812')
    expect(await run.settled()).toMatchObject({ status: 'done' })
    expect(await system.dead.list()).toEqual([])
  })

  test('a plugin answers for an update that asks, before bot.catch', async () => {
    const rescue = plugin('rescue', { pluginError: () => 'answered' })
    const bot = newBot({ plugins: [rescue] })
    const asked: unknown[] = []
    bot.catch((err) => asked.push(err))
    bot.use(() => {
      throw new PluginTriggerError('help')
    })
    const { system, inbox } = await live(bot, broker())
    const answered = new Promise((resolve) => system.once('job.answered', resolve))
    await inbox.admit([message(1)])
    expect(await answered).toMatchObject({ plugin: 'rescue' })
    expect(asked).toEqual([])
  })

  test('malformed updates are reported and change nothing for the others', async () => {
    const bot = newBot()
    const { system, inbox } = await live(bot, broker())
    const refused: unknown[] = []
    system.on('job.refused', ({ error }) => refused.push(error))
    await inbox.admit([null, {}, { update_id: 'x' }, message(1)] as never)
    await inbox.admit([{ update_id: 2, message: 7 }, { update_id: 3, message: null }, { update_id: 4 }] as never)
    await until(() => system.stats().jobs.done + system.stats().jobs.failed === 4)
    expect(refused).toHaveLength(3)
  })
})

describe('lanes', () => {
  test('several keys: starts when first in all of them', async () => {
    const bot = newBot({ lane: (update: { message: { text: string } }) => update.message.text.split('') })
    const log: string[] = []
    const gates = new Map<string, () => void>()
    bot.use(async (ctx) => {
      const text = ctx.message?.text as string
      log.push(text)
      await new Promise<void>((resolve) => gates.set(text, resolve))
    })
    const { inbox } = await live(bot)
    await inbox.admit([
      message(1, 1, 'a'),
      message(2, 1, 'b'),
      message(3, 1, 'ab'),
      message(4, 1, 'bc'),
      message(5, 1, 'd'),
    ])
    expect(log).toEqual(['a', 'b', 'd'])
    gates.get('a')?.()
    await new Promise((resolve) => setImmediate(resolve))
    expect(log).toEqual(['a', 'b', 'd'])
    gates.get('b')?.()
    await until(() => log.length === 4)
    expect(log.at(-1)).toBe('ab')
    gates.get('ab')?.()
    await until(() => log.length === 5)
    for (const open of gates.values()) open()
  })

  test('a lane function that throws fails that update alone; its middleware does not run', async () => {
    const bot = newBot({
      lane: (update: { update_id: number }) => {
        if (update.update_id === 1) throw new Error('no lane')
        return undefined
      },
    })
    const seen: number[] = []
    bot.use((ctx) => void seen.push(ctx.update.update_id))
    const { system, inbox } = await live(bot)
    await inbox.admit([message(1), message(2)])
    await until(() => system.stats().jobs.done === 1 && system.stats().jobs.failed === 1)
    expect(seen).toEqual([2])
  })

  test('no more run at once than concurrency says', async () => {
    const bot = newBot({ concurrency: 3 })
    let running = 0
    let most = 0
    bot.use(async () => {
      running += 1
      most = Math.max(most, running)
      await new Promise((resolve) => setImmediate(resolve))
      running -= 1
    })
    const { system, inbox } = await live(bot)
    await inbox.admit(Array.from({ length: 40 }, (_, at) => message(at + 1, at)))
    await until(() => system.stats().jobs.done === 40)
    expect(most).toBe(3)
  })
})

describe('memory', () => {
  test('holds the offset at the oldest unfinished update, until it is finished or released', async () => {
    const bot = newBot()
    let open = (): void => {}
    bot.use((ctx) => (ctx.update.update_id === 1 ? new Promise<void>((resolve) => (open = resolve)) : undefined))
    const { system, inbox } = await live(bot)
    await inbox.admit([message(1, 1), message(2, 2), message(3, 3)])
    await until(() => system.stats().jobs.done === 2)
    expect([inbox.confirmable(), inbox.unconfirmed()]).toEqual([1, 1])
    expect(inbox.release()).toBe(1)
    expect([inbox.confirmable(), inbox.unconfirmed()]).toEqual([4, 0])
    open()
    await until(() => system.stats().jobs.done === 3)
    expect(inbox.confirmable()).toBe(4)
  })

  test('the same update by two requests shares the run; one that failed runs again', async () => {
    const bot = newBot()
    let runs = 0
    bot.use(async () => {
      runs += 1
      await undefined
      if (runs === 1) throw new Error('boom')
    })
    const { inbox } = await live(bot)
    const both = await Promise.allSettled([inbox.handle(message(1)), inbox.handle(message(1))])
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(runs).toBe(1)
    await inbox.handle(message(1))
    await inbox.handle(message(1))
    expect(runs).toBe(2)
  })

  test('a deadline aborts the signal, asks bot.catch, and the lane goes on', async () => {
    const bot = newBot({ timeout: 5 })
    const seen: unknown[] = []
    bot.catch((err) => void seen.push((err.error as Error).name))
    bot.use((ctx) => (ctx.update.update_id === 1 ? new Promise<void>(() => {}) : void seen.push('second')))
    const { system, inbox } = await live(bot)
    await inbox.admit([message(1), message(2)])
    await until(() => system.stats().jobs.done === 1)
    expect(seen).toEqual(['TimeoutError', 'second'])
  })
})

test('what a stop cut off on sqlite is handled by the next process, in order', async () => {
  const file = newFile()
  const stuck = newBot({ shutdown: 1 })
  stuck.use(() => new Promise<void>(() => {}))
  const first = await live(stuck, sqlite(file))
  await first.inbox.admit([message(1), message(2), message(3)])
  await until(() => first.system.stats().attempts === 1)
  await first.system.stop()
  const bot = newBot()
  const seen: number[] = []
  bot.use((ctx) => void seen.push(ctx.update.update_id))
  await live(bot, sqlite(file))
  await until(() => seen.length === 3)
  expect(seen).toEqual([1, 2, 3])
})

describe('what a store has kept waits until the bot knows who it is', () => {
  async function kept(): Promise<string> {
    const file = newFile()
    const stuck = newBot({ shutdown: 1 })
    stuck.use(() => new Promise<void>(() => {}))
    const { inbox, system } = await live(stuck, sqlite(file))
    await inbox.admit([message(1)])
    await until(() => system.stats().attempts === 1)
    await system.stop()
    return file
  }

  test('polled: until onStart is over', async () => {
    const file = await kept()
    await using telegram = await fakeTelegram({ token: TOKEN, latency: 20 })
    const log: unknown[] = []
    const client = { apiRoot: telegram.url }
    const onStart = (): void => void log.push('started')
    const bot = new Bot<Context>(TOKEN, { name: 'shop', client, polling: { onStart } })
    bot.use((ctx) => void log.push(ctx.me.username))
    const { system } = await live(bot, sqlite(file))
    await until(() => system.stats().jobs.done + system.stats().jobs.failed === 1)
    expect(log).toEqual(['started', 'fake_bot'])
    await system.stop()
  })

  test('by webhooks: until init()', async () => {
    const file = await kept()
    await using telegram = await fakeTelegram({ token: TOKEN })
    const log: unknown[] = []
    const bot = new Bot<Context>(TOKEN, { name: 'shop', client: { apiRoot: telegram.url }, polling: false })
    bot.use((ctx) => void log.push(ctx.me.username))
    const { system } = await live(bot, sqlite(file))
    await settle()
    expect([system.stats().jobs.added, telegram.calls]).toEqual([0, []])
    await bot.init()
    await until(() => system.stats().jobs.done === 1)
    expect(log).toEqual(['fake_bot'])
    await system.stop()
  })
})

describe('a number that an old record still has', () => {
  const HOUR = 3_600_000

  async function twice(
    hours: number,
    first: (bot: Bot<Context>, inbox: Inbox, system: System) => Promise<void>,
  ): Promise<readonly string[]> {
    const file = newFile()
    const newOne = (): Bot<Context> =>
      newBot({ shutdown: 1, retry: { attempts: 2, backoff: exponential({ from: 1_000 * HOUR, to: 1_000 * HOUR }) } })
    const early = newOne()
    const before = await live(early, sqlite(file), manualClock(HOUR))
    await first(early, before.inbox, before.system)
    await before.system.stop()
    const bot = newOne()
    const seen: string[] = []
    bot.use((ctx) => void seen.push((ctx as unknown as { job: { path: string } }).job.path))
    const { inbox } = await live(bot, sqlite(file), manualClock(HOUR + hours * HOUR))
    await inbox.admit([message(1, 7), message(2, 8)])
    await until(() => seen.includes('app/shop/update:2'))
    expect(inbox.confirmable()).toBe(3)
    return seen
  }

  const done = async (_: unknown, inbox: Inbox, system: System): Promise<void> => {
    await inbox.admit([message(1)])
    await until(() => system.stats().jobs.done === 1)
  }
  const failed = async (bot: Bot<Context>, inbox: Inbox, system: System): Promise<void> => {
    bot.use(() => Promise.reject(new PermanentError('boom')))
    await inbox.admit([message(1)])
    await until(() => system.stats().jobs.failed === 1)
  }
  const waiting = async (bot: Bot<Context>, inbox: Inbox, system: System): Promise<void> => {
    bot.use(() => Promise.reject(new Error('boom')))
    await inbox.admit([message(1)])
    await until(() => system.stats().jobs.started === 1)
  }
  const answeredWebhook = async (bot: Bot<Context>, inbox: Inbox): Promise<void> => {
    bot.use(() => Promise.reject(new PermanentError('boom')))
    await expect(inbox.handle(message(1))).rejects.toThrow('boom')
  }
  test.each([
    ['is done, 26 h ago: another update', 26, done, ['app/shop/update:1', 'app/shop/update:2']],
    ['is dead, 26 h ago: another update', 26, failed, ['app/shop/update:1#2', 'app/shop/update:2']],
    ['waits for a retry since 26 h: another update', 26, waiting, ['app/shop/update:1#2', 'app/shop/update:2']],
    ['is done, 24 h ago: the same one', 24, done, ['app/shop/update:2']],
    [
      'failed by a webhook: it is tried as Telegram asks',
      1,
      answeredWebhook,
      ['app/shop/update:1#2', 'app/shop/update:2'],
    ],
  ] as const)('that %s; the batch is kept', async (_, hours, first, seen) => {
    expect(await twice(hours, first)).toEqual(seen)
  })
})

test('a batch of 100 is kept by one call of the broker, in one transaction', async () => {
  const broker = sqlite(newFile())
  const asked: string[] = []
  const counted = new Proxy(broker, {
    get: (target, key: keyof Broker) => {
      const value: unknown = target[key]
      if (typeof value !== 'function') return value
      return (...args: unknown[]): unknown => {
        asked.push(key)
        return (value as (...given: unknown[]) => unknown).apply(target, args)
      }
    },
  })
  const { inbox, system } = await live(newBot(), counted)
  asked.length = 0
  await inbox.admit(Array.from({ length: 100 }, (_, at) => message(at + 1, at)))
  expect(asked.filter((key) => key !== 'lease')).toEqual(['enqueue'])
  await until(() => system.stats().jobs.done === 100)
})

test('updates that no store can keep are reported and confirmed; the others of the batch are handled', async () => {
  const bot = newBot()
  const seen: number[] = []
  bot.use((ctx) => void seen.push(ctx.update.update_id))
  const { system, inbox } = await live(bot, sqlite(newFile()))
  const refused: unknown[] = []
  system.on('job.refused', ({ error }) => refused.push(error))
  let deep: object = {}
  for (let depth = 0; depth < 2_000; depth += 1) deep = { deep }
  const own = JSON.parse('{ "__proto__": 1 }') as object
  await inbox.admit([
    message(1),
    { ...message(2), message: deep },
    { ...message(3), message: own },
    message(4),
  ] as never)
  await until(() => seen.length === 2)
  await inbox.admit([{ ...message(5), message: deep }] as never)
  expect(inbox.confirmable()).toBe(6)
  expect(refused).toHaveLength(3)
  await settle()
  expect(seen).toEqual([1, 4])
})

describe('time', () => {
  const sleeping = (clock: ManualClock, delayOf: (id: number) => number): Middleware<Context> => {
    return async ({ update }) => {
      await new Promise<void>((resolve) => void clock.setTimeout(resolve, delayOf(update.update_id)))
    }
  }

  test('1,000 chats of 20 updates: each chat in order, all of it in the time of the slowest chat', async () => {
    const [chats, each] = [1_000, 20]
    const clock = manualClock()
    const bot = newBot({ concurrency: chats })
    const delayOf = (id: number): number => 1 + ((id * 7_919) % 97)
    const total = new Map<number, number>()
    const seen = new Map<number, number[]>()
    const updates = Array.from({ length: chats * each }, (_, at) => message(at + 1, 1 + ((at * 31) % chats)))
    for (const { update_id: id, message: sent } of updates) {
      const chat = sent?.chat.id as number
      total.set(chat, (total.get(chat) ?? 0) + delayOf(id))
    }
    bot.use(
      async (ctx, next) => {
        await next()
        const chat = ctx.chat?.id as number
        seen.set(chat, [...(seen.get(chat) ?? []), ctx.update.update_id])
      },
      sleeping(clock, delayOf),
    )
    const { system, inbox } = await live(bot, memory(), clock)
    for (let from = 0; from < updates.length; from += 100) await inbox.admit(updates.slice(from, from + 100))
    const slowest = Math.max(...total.values())
    await clock.advance(slowest - 1)
    expect(system.stats().jobs.done).toBeLessThan(updates.length)
    await clock.advance(1)
    expect(system.stats().jobs.done).toBe(updates.length)
    expect(seen.size).toBe(chats)
    for (const ids of seen.values()) expect(ids).toEqual(ids.toSorted((a, b) => a - b))
  })

  test('500 updates of 500 chats, 100 ms each, take 100 ms; with a concurrency of 100 they take 500', async () => {
    for (const [concurrency, time] of [
      [500, 100],
      [100, 500],
    ] as const) {
      const clock = manualClock()
      const bot = newBot({ concurrency })
      bot.use(sleeping(clock, () => 100))
      const { system, inbox } = await live(bot, memory(), clock)
      await inbox.admit(Array.from({ length: 500 }, (_, at) => message(at + 1, at + 1)))
      await clock.advance(time - 1)
      expect(system.stats().jobs.done).toBe(500 - concurrency)
      await clock.advance(1)
      expect(system.stats().jobs.done).toBe(500)
    }
  })
})

test('a poller on a store is not held by updates that nobody can keep or number', async () => {
  await using telegram = await fakeTelegram({ token: TOKEN })
  const bot = new Bot<Context>(TOKEN, { name: 'shop', client: { apiRoot: telegram.url } })
  const seen: unknown[] = []
  bot.on('message:text', (ctx) => void seen.push(ctx.message.text))
  let deep: object = {}
  for (let depth = 0; depth < 2_000; depth += 1) deep = { deep }
  telegram.send.text('a')
  telegram.send({ message: deep })
  telegram.send({ message: 7 })
  telegram.send({})
  telegram.send.text('b')
  const { system } = await live(bot, sqlite(newFile()))
  await telegram.until(() => telegram.unconfirmed.length === 0)
  telegram.send.text('c')
  await until(() => seen.length === 3)
  await telegram.until(() => telegram.unconfirmed.length === 0)
  expect(seen.toSorted()).toEqual(['a', 'b', 'c'])
  await system.stop()
})

test('an update that lost its lease when it was to wait for a retry leaves its lane to whoever has it now', async () => {
  const real = sqlite(newFile())
  let isLost = false
  const broker = new Proxy(real, {
    get: (target, key: keyof Broker) => {
      const value: unknown = target[key]
      if (key !== 'settle') return typeof value === 'function' ? value.bind(target) : value
      return async (outcomes: readonly Outcome[]) => {
        const [outcome] = outcomes
        if (isLost || outcome?.kind !== 'retry') return target.settle(outcomes)
        isLost = true
        await target.settle([{ id: outcome.id, token: outcome.token, kind: 'release' }]) // as when the lease ran out
        return ['lost']
      }
    },
  })
  const bot = newBot({ retry: { attempts: 3, backoff: exponential({ from: 1, to: 1 }) } })
  const seen: number[] = []
  bot.use(async ({ update: { update_id: id } }) => {
    seen.push(id)
    if (seen.length === 1) throw new Error('boom')
  })
  const { system, inbox } = await live(bot, broker)
  const lost = new Promise((resolve) => system.once('job.lost', resolve))
  await inbox.admit([message(1), message(2)])
  await lost
  await until(() => system.stats().jobs.done === 2)
  expect(seen).toEqual([1, 1, 2])
  expect(system.tree().children?.[0]?.jobs).toEqual({ running: 0, retrying: 0 })
})

describe.each(store)('updates of one answer on %s that are in no order', (_name, newBroker) => {
  test('are handled once and as they came; what is confirmed goes by their numbers', async () => {
    const bot = newBot()
    const seen: number[] = []
    const gate = Promise.withResolvers<void>()
    bot.use(async (ctx) => {
      seen.push(ctx.update.update_id)
      if (ctx.update.update_id === 4) await gate.promise
    })
    const { inbox } = await live(bot, newBroker())
    await inbox.admit([5, 5, 3, 9, 5, 4].map((id) => message(id, id)))
    await until(() => seen.length === 4)
    expect(seen).toEqual([5, 3, 9, 4])
    await until(() => inbox.unconfirmed() === (inbox.durable ? 0 : 1))
    expect(inbox.confirmable()).toBe(inbox.durable ? 10 : 4) // a higher one would lose what still runs
    gate.resolve()
    await until(() => inbox.confirmable() === 10)
    await inbox.admit([message(5, 5), message(3, 3)])
    await settle()
    expect(seen).toHaveLength(4)
  })
})
