import { afterEach, describe, expect, test } from 'vitest'
import type { Context } from 'grammy'
import { escalate, restart, resume, start, stop, supervisor, type Failure, type System } from 'rootcatch'
import { Bot, BotError } from 'rootcatch/bot'
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

describe('errorBoundary', () => {
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
  test('without bot.catch a failure climbs to the supervisors above, with the trail of its boundaries', async () => {
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

  test('resume(value) of a value that no store can keep is told, and the update stays failed', async () => {
    const bot = newBot()
    bot.catch(() => resume(new Map()))
    bot.use(() => Promise.reject('boom'))
    const { ended, inbox, system } = await live(bot)
    const told = new Promise((resolve) => system.once('callback.failed', resolve))
    const over = ended(1)
    await inbox.admit([message(1)])
    expect(await over).toBe('job.failed')
    expect(await told).toMatchObject({ path: 'app/shop/update:1', callback: 'catch', error: { name: 'PayloadError' } })
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

  test('each boundary counts what it decided, and the tree shows it', async () => {
    const bot = newBot()
    const outer = bot.errorBoundary('outer', (err) => {
      if (err.ctx.update.update_id === 3) throw err
    })
    const inner = outer.errorBoundary('inner', ({ ctx }) => (ctx.update.update_id === 1 ? stop : escalate))
    inner.use(() => Promise.reject('boom'))
    const { system, inbox } = await live(bot)
    await inbox.admit([message(1), message(2), message(3)])
    await expect.poll(() => system.stats().jobs.done + system.stats().jobs.failed).toBe(3)
    const node = system.tree().children?.[0]?.children?.[0]
    expect(node?.failures).toEqual({ resume: 1, restart: 0, stop: 0, escalate: 1 })
    expect(node?.children?.[0]?.failures).toEqual({ resume: 0, restart: 0, stop: 1, escalate: 2 })
  })

  test('handleUpdate rejects with the BotError, and bot.catch is not asked', async () => {
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
    const decided = new Promise<unknown>((resolve) => system.once('failure.decided', resolve))
    await inbox.admit([message(1)])
    expect(await over).toBe('job.done')
    expect(await decided).toMatchObject({ failure: { kind: 'floating', error: 'floating' }, decision: 'resume' })
    const { failure } = (await decided) as { readonly failure: Failure }
    expect(failure.path).toBe('app/shop/inner/update:1')
    expect(trailOf(failure)).toEqual(['app/shop/inner resume catch'])
    expect(seen).toEqual([['floating', 1]])
  })
})
