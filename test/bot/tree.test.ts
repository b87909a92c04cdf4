import type { Context } from 'grammy'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { exponential, resume, start, stop, supervisor, type Clock, type Failure, type System } from 'rootcatch'
import { Bot, GrammyError, webhookCallback, type BotOptions } from 'rootcatch/bot'
import { fakeTelegram, manualClock, settle, type FakeTelegram } from 'rootcatch/testing'
import { botInfo, message } from '../support/bot-updates.ts'

const open: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

interface World {
  readonly bot: Bot<Context>
  readonly telegram: FakeTelegram
}

async function world(options: BotOptions<Context> = {}): Promise<World> {
  const telegram = await fakeTelegram()
  open.push(() => telegram.close())
  const bot = new Bot<Context>(telegram.token, { name: 'shop', client: { apiRoot: telegram.url }, ...options })
  open.push(() => bot.stop({ drain: 0 }))
  return { bot, telegram }
}

function opened(system: System): System {
  open.push(() => system.stop({ within: 0 }))
  return system
}

const until = async (isSo: () => boolean): Promise<void> => void (await expect.poll(isSo, { interval: 1 }).toBe(true))

const trailOf = (failure: Failure | undefined): readonly string[] =>
  (failure?.trail ?? []).map(({ path, decision, by }) => `${path} ${decision} ${by}`)

/** Notes what stands on stderr instead of printing it. */
function stderr(): { readonly lines: () => string } {
  const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  const print = vi.spyOn(console, 'error').mockReturnValue(undefined) // it does not come by the other one here
  open.push(async () => {
    write.mockRestore()
    print.mockRestore()
  })
  return { lines: () => [...write.mock.calls, ...print.mock.calls].map(([text]) => String(text)).join('') }
}

describe('a poller that fails', () => {
  test.each([401, 409])('by %i is restarted by its supervisor after its backoff, and goes on', async (code) => {
    const clock = manualClock()
    let starts = 0
    const polling = { onStart: () => void (starts += 1), drop_pending_updates: true }
    const { bot, telegram } = await world({ polling })
    const seen: string[] = []
    bot.on('message:text', (ctx) => void seen.push(ctx.message.text))
    const failures: Failure[] = []
    const app = supervisor('app', { backoff: exponential({ from: '5s', to: '5s', jitter: 0 }) }, [bot])
    const system = opened(await start(app, { catch: () => stop, clock }))
    system.on('failure.decided', ({ failure }) => failures.push(failure))
    await telegram.called('getUpdates')
    telegram.next('getUpdates', { error: code })
    telegram.send.text('a')
    await until(() => failures.length === 1)
    expect(telegram.unconfirmed).toHaveLength(1)
    expect(failures[0]?.error).toBeInstanceOf(GrammyError)
    expect(failures[0]).toMatchObject({ path: 'app/shop', kind: 'thrown', error: { error_code: code } })
    expect(trailOf(failures[0])).toEqual(['app restart restart type'])
    const calls = telegram.callsOf('deleteWebhook').length
    await clock.advance('4999ms')
    expect(telegram.callsOf('deleteWebhook')).toHaveLength(calls)
    await clock.advance(1)
    await telegram.called('deleteWebhook', calls + 1)
    telegram.send.text('b')
    await until(() => seen.includes('b'))
    expect(seen).toEqual(['a', 'b']) // what was finished before does not come again
    expect(telegram.callsOf('deleteWebhook').map(({ payload }) => payload)).toEqual([
      { drop_pending_updates: true },
      {},
    ])
    expect(starts).toBe(1)
    const [node] = system.tree().children ?? []
    expect(node).toMatchObject({ path: 'app/shop', status: 'running', generation: 2 })
  })

  test('again and again comes to the root catch, which stops the system with it', async () => {
    const { bot, telegram } = await world()
    telegram.always('getUpdates', { error: 409 })
    const app = supervisor('app', { restarts: { limit: 2, within: '1h' } }, [bot])
    const caught: Failure[] = []
    const system = opened(
      await start(app, {
        catch: (failure) => {
          caught.push(failure)
          return stop
        },
      }),
    )
    const end = await system.done.catch((failure: unknown) => failure as Failure)
    expect(telegram.callsOf('getUpdates')).toHaveLength(3)
    expect(caught).toHaveLength(1)
    expect(end).toBe(caught[0])
    expect(JSON.stringify(end)).toContain('Conflict: terminated by other getUpdates request')
  })

  test('beside another bot leaves that one alone', async () => {
    const [bad, good] = [await world(), await world({ name: 'good' })]
    const seen: string[] = []
    good.bot.on('message:text', (ctx) => void seen.push(ctx.message.text))
    const each = (bot: Bot<Context>, name: string) => supervisor(name, { restarts: { limit: 0 } }, [bot])
    opened(await start(supervisor('app', [each(bad.bot, 'one'), each(good.bot, 'two')]), { catch: () => resume }))
    bad.telegram.always('getUpdates', { error: 401 })
    bad.telegram.send.text('x')
    await until(() => !bad.bot.isRunning())
    good.telegram.send.text('hi')
    await until(() => seen.length === 1)
    expect(good.bot.isRunning()).toBe(true)
  })
})

describe('a failure of an update', () => {
  test('that bot.catch throws on climbs to the supervisors and the root catch, with its whole trail', async () => {
    const { bot, telegram } = await world()
    const bug = new Error('bug in bot.catch')
    bot.catch((err) => {
      throw err.ctx.message?.text === 'other' ? bug : err
    })
    const outer = bot.errorBoundary('outer', (err) => {
      throw err
    })
    outer
      .errorBoundary('inner', (err) => {
        throw err.error
      })
      .use(() => Promise.reject('boom'))
    const caught: Failure[] = []
    const seen: string[] = []
    const media = supervisor('media', { catch: (failure) => (seen.push(failure.path), 'nonsense' as never) }, [bot])
    const catchAll = (failure: Failure): typeof resume => {
      caught.push(failure)
      return resume
    }
    opened(await start(supervisor('app', [media]), { catch: catchAll }))
    telegram.send.text('same')
    telegram.send.text('other')
    await until(() => caught.length === 2)
    const inside = 'app/media/shop/outer/inner'
    expect(seen).toEqual([`${inside}/update:1`, `${inside}/update:2`])
    expect(caught.map(({ error }) => error)).toEqual(['boom', bug])
    expect(trailOf(caught[0])).toEqual([
      `${inside} escalate catch`,
      'app/media/shop/outer escalate catch',
      'app/media/shop escalate catch',
      'app/media escalate catch',
      'app escalate default',
      ' resume catch',
    ])
    expect(caught[1]?.cause).toMatchObject({ error: 'boom' })
    expect(caught[1]?.trail[2]).toMatchObject({ path: 'app/media/shop', because: bug })
    expect((caught[0]?.ctx as Context | undefined)?.update.update_id).toBe(1)
    expect(caught[0]?.report()).not.toContain(telegram.token)
  })
})

describe('a webhook that fails after its time', () => {
  async function late(bot: Bot<Context>): Promise<void> {
    let fail = (_: unknown): void => {}
    bot.use(() => new Promise((_resolve, reject) => (fail = reject)))
    const handle = webhookCallback(bot, 'std/http', { onTimeout: 'return', timeoutMilliseconds: 1 })
    const body = JSON.stringify(message(1))
    const { status } = await handle(new Request('http://bot.example/', { method: 'POST', body }))
    expect(status).toBe(200)
    fail(new Error('late'))
  }
  const offline: BotOptions<Context> = { botInfo, polling: false }

  test('is asked of bot.catch', async () => {
    const { bot } = await world(offline)
    const seen: unknown[] = []
    bot.catch((err) => void seen.push([(err.error as Error).message, err.ctx.update.update_id]))
    await late(bot)
    await until(() => seen.length === 1)
    expect(seen).toEqual([['late', 1]])
  })

  test('climbs to supervisors and the root catch when bot.catch hands it on', async () => {
    const { bot } = await world(offline)
    bot.catch((err) => {
      throw err
    })
    const asked: string[] = []
    const root = supervisor('app', { catch: (failure) => (asked.push(`app ${failure.path}`), 'up' as never) }, [bot])
    opened(await start(root, { catch: ({ path }) => (asked.push(`root ${path}`), resume) }))
    await late(bot)
    await until(() => asked.length === 2)
    expect(asked).toEqual(['app app/shop/update:1', 'root app/shop/update:1'])
  })

  test('where there is neither, is told on stderr, once, and the process lives', async () => {
    const { bot } = await world(offline)
    const { lines } = stderr()
    await late(bot)
    await until(() => lines() !== '')
    await settle()
    expect(lines().match(/shop\/update:1 failed/g)).toHaveLength(1)
    expect(lines()).toContain('Error: late')
  })
})

describe('stop', () => {
  test('from inside of an update does not wait for that update; start() does', async () => {
    const { bot, telegram } = await world()
    const log: string[] = []
    bot.command('stop', async () => {
      await bot.stop()
      log.push('told to stop')
      await settle()
      log.push('update over')
    })
    telegram.send.text('/stop')
    await bot.start()
    log.push('start() over')
    expect(log).toEqual(['told to stop', 'update over', 'start() over'])
    expect(telegram.unconfirmed).toEqual([])
  })

  /** One update takes 4 s, the other one as long as it is let. */
  function slowOnes(bot: Bot<Context>, clock: Clock): readonly unknown[] {
    const log: unknown[] = []
    bot.on('message:text', async (ctx) => {
      const { signal } = (ctx as unknown as { readonly job: { readonly signal: AbortSignal } }).job
      log.push(ctx.message.text)
      if (ctx.message.text === 'quick') await new Promise<void>((resolve) => void clock.setTimeout(resolve, 4_000))
      else await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
      log.push(signal.aborted ? 'aborted' : 'finished')
    })
    return log
  }

  test('{ drain } in a tree: running updates may take so long, then their signal aborts', async () => {
    const clock = manualClock()
    const { bot, telegram } = await world({ shutdown: 'kill' })
    const log = slowOnes(bot, clock)
    const system = opened(await start(supervisor('app', [bot]), { catch: () => resume, clock }))
    for (const [at, text] of ['quick', 'stuck'].entries()) telegram.send.text(text, { chat: at + 1 })
    await until(() => log.length === 2)
    let isStopped = false
    const stopped = bot.stop({ drain: '5s' }).then(() => (isStopped = true))
    await settle()
    await clock.advance(4_999)
    expect([log, isStopped]).toEqual([['quick', 'stuck', 'finished'], false])
    await clock.advance(1)
    await stopped
    expect(log).toEqual(['quick', 'stuck', 'finished', 'aborted'])
    expect(telegram.unconfirmed.map(({ update_id }) => update_id)).toEqual([2])
    expect(system.supervisor('app').children()).toMatchObject([{ name: 'shop', status: 'stopped' }])
  })

  test('{ drain } of start() alone: the same, and start() resolves with it', async () => {
    const { bot, telegram } = await world({ shutdown: Infinity })
    const log: unknown[] = []
    bot.use(async (ctx) => {
      const { signal } = (ctx as unknown as { readonly job: { readonly signal: AbortSignal } }).job
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
      log.push('aborted')
    })
    telegram.send.text('stuck')
    let isOver = false
    const started = bot.start().then(() => (isOver = true))
    await telegram.called('getUpdates', 2)
    await bot.stop({ drain: 30 })
    await started
    expect([log, isOver]).toEqual([['aborted'], true])
    expect(telegram.unconfirmed).toHaveLength(1)
  })

  test('does not wait for an update that fails meanwhile and would be tried again later', async () => {
    const clock = manualClock()
    const { bot, telegram } = await world({ retry: { attempts: 2, backoff: exponential({ from: '1h', to: '1h' }) } })
    let fail = (_: Error): void => {}
    bot.use(() => new Promise((_resolve, reject) => (fail = reject)))
    const system = opened(await start(supervisor('app', [bot]), { catch: () => resume, clock }))
    telegram.send.text('hi')
    await until(() => system.stats().attempts === 1)
    const stopped = bot.stop()
    await settle()
    fail(new Error('boom'))
    await stopped
    expect(clock.now()).toBe(0)
    expect(telegram.unconfirmed).toHaveLength(1)
  })

  test('of a bot in a tree stops it alone: it can be started again, and the system stops after it', async () => {
    const { bot, telegram } = await world()
    const system = opened(await start(supervisor('app', [bot]), { catch: () => resume }))
    await bot.stop()
    expect(bot.isRunning()).toBe(false)
    await bot.stop()
    await system.supervisor('app').restartChild('shop')
    expect(bot.isRunning()).toBe(true)
    telegram.send.text('hi')
    await until(() => system.stats().jobs.done === 1)
    await system.stop()
    expect(telegram.unconfirmed).toEqual([])
  })

  test.each([
    [{ drian: 1 }, 'Did you mean "drain"?'],
    [{ drain: 'soon' }, 'drain "soon" (string)'],
  ])('%j is refused', async (options, said) => {
    const { bot } = await world()
    await expect(bot.stop(options as never)).rejects.toThrow(said)
  })
})
