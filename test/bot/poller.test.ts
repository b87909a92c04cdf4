import { Api, GrammyError } from 'grammy'
import type { UserFromGetMe } from 'grammy/types'
import { afterEach, describe, expect, test } from 'vitest'
import { createActor, createMachine } from 'xstate'
import type { PollerContext, PollerState } from 'rootcatch/machines'
import { fakeTelegram, manualClock, settle, type FakeTelegram, type ManualClock } from 'rootcatch/testing'
import { supervisorMachine } from '../../machines/supervisor.ts'
import { Host } from '../../src/actors/chart.ts'
import { botHttp } from '../../src/bot/http.ts'
import { startPoller, type Poller } from '../../src/bot/poller.ts'
import type { PollerSetup } from '../../src/bot/poller-setup.ts'
import { readPolling, type PollingOptions } from '../../src/bot/polling-options.ts'
import { ScriptedInbox } from '../support/scripted-inbox.ts'

interface World {
  readonly telegram: FakeTelegram
  readonly clock: ManualClock
  readonly inbox: ScriptedInbox
  readonly poller: Poller
  readonly states: PollerState[]
  readonly events: Record<string, unknown>[]
  readonly failures: unknown[]
  named(name: string): Record<string, unknown>[]
  /** The payloads of getUpdates so far. */
  polls(): Readonly<Record<string, unknown>>[]
  context(): PollerContext
  /** Goes on to the next timer of the poller, as soon as there is one. */
  skip(ms: number): Promise<void>
}

const open: (() => Promise<unknown> | void)[] = []
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

interface Options extends PollingOptions {
  readonly durable?: boolean
  readonly setup?: Partial<PollerSetup>
  /** Told before the poller starts. */
  readonly before?: (telegram: FakeTelegram) => void
  readonly random?: number
}

async function world({ durable = false, setup = {}, before, random = 0, ...options }: Options = {}): Promise<World> {
  const telegram = await fakeTelegram()
  const clock = manualClock()
  const inbox = new ScriptedInbox(durable)
  const http = botHttp('bot "test"', { apiRoot: telegram.url }, () => clock)
  const [events, failures, states]: [Record<string, unknown>[], unknown[], PollerState[]] = [[], [], []]
  before?.(telegram)
  let me: UserFromGetMe | undefined
  const input = { path: 'bot', strategy: 'one-for-one' }
  const parent = { ref: createActor(createMachine({})).start() } as never
  const host = new Host(supervisorMachine, { parent, id: 'bot', input })
  host.start()
  const poller = startPoller(host, {
    path: 'bot',
    api: new Api(telegram.token, http.client),
    inbox,
    options: readPolling('bot "test"', options),
    clock,
    isFirst: true,
    shutdown: 10_000,
    me: () => me,
    isMe: (known) => void (me = known),
    listened: () => [],
    ready: () => {},
    emit: (type, data) => void events.push({ type, ...data }),
    fail: (error) => void failures.push(error),
    random: () => random,
    ...setup,
  })
  const snapshot = (): { value: PollerState; context: PollerContext } => poller.ref.getSnapshot()
  const note = (): void => {
    const { value } = snapshot()
    if (states.at(-1) !== value) states.push(value)
  }
  note()
  poller.ref.subscribe({ next: note, error: () => {} })
  open.push(
    () => telegram.close(),
    () => http.close(0),
    () => poller.kill(),
  )
  return {
    telegram,
    clock,
    inbox,
    poller,
    states,
    events,
    failures,
    named: (name) => events.filter(({ type }) => type === name),
    polls: () => telegram.callsOf('getUpdates').map(({ payload }) => payload),
    context: () => snapshot().context,
    skip: async (ms) => {
      await settle()
      await clock.advance(ms)
    },
  }
}

/** A long poll is open and waits. */
const isPolling = ({ telegram }: World, nth = 1): Promise<unknown> => telegram.called('getUpdates', nth)

async function until(condition: () => boolean): Promise<void> {
  await expect.poll(condition, { interval: 5 }).toBe(true)
}

describe('connecting', () => {
  test('asks getMe beside deleteWebhook, then calls onStart, then polls', async () => {
    const seen: unknown[] = []
    const started = Promise.withResolvers<void>()
    const one = await world({
      onStart: async (me) => {
        seen.push(me.username)
        await started.promise
      },
    })
    await one.telegram.called('deleteWebhook')
    await one.telegram.called('getMe')
    await until(() => seen.length === 1)
    expect(one.polls()).toEqual([])
    expect(one.states).toEqual(['connecting'])
    started.resolve()
    await isPolling(one)
    expect(seen).toEqual(['fake_bot'])
    expect(one.polls()).toEqual([{ offset: 1, timeout: 30, allowed_updates: [] }])
    expect(one.states).toEqual(['connecting', 'polling'])
    expect(one.named('poller.connected')).toEqual([{ type: 'poller.connected', path: 'bot' }])
  })

  test('asks getMe only if nobody knows who the bot is, and says when it is ready', async () => {
    const me = { id: 1, username: 'known' } as UserFromGetMe
    let ready = 0
    const one = await world({ setup: { me: () => me, ready: () => void (ready += 1) } })
    await isPolling(one)
    expect(one.telegram.callsOf('getMe')).toEqual([])
    expect(ready).toBe(1)
  })

  test.each([
    ['the network', { drop: 'before' }, 200],
    ['a 502 of a proxy', { body: '<html>', status: 502 }, 200],
    ['a 500 of Telegram', { error: 500 }, 200],
    ['a 429', { error: 429, retryAfter: 7 }, 7_000],
    ['a 429 that names no time', { error: 429 }, 3_000],
  ] as const)('waits and retries after %s', async (_, reply, wait) => {
    const one = await world({ before: (telegram) => telegram.next('deleteWebhook', reply) })
    await until(() => one.named('poller.retrying').length === 1)
    expect(one.named('poller.retrying')[0]).toMatchObject({ path: 'bot', delay: wait })
    expect(one.states).toEqual(['connecting'])
    await one.skip(wait - 1)
    expect(one.telegram.callsOf('deleteWebhook')).toHaveLength(1)
    await one.skip(1)
    await isPolling(one)
    expect(one.telegram.callsOf('deleteWebhook')).toHaveLength(2)
  })

  test.each([401, 404, 400])('fails at once on %i', async (code) => {
    const one = await world({ before: (telegram) => telegram.always('getMe', { error: code }) })
    expect(await one.poller.done).toMatchObject({ status: 'failed', failure: { error_code: code } })
    expect(one.failures[0]).toBeInstanceOf(GrammyError)
    expect(one.states).toEqual(['connecting', 'failed'])
    await until(() => one.clock.pending === 0)
  })

  test('fails with what onStart threw', async () => {
    const bug = new Error('no')
    const one = await world({
      onStart: () => {
        throw bug
      },
    })
    expect(await one.poller.done).toEqual({ status: 'failed', failure: bug })
    expect(one.polls()).toEqual([])
  })

  test('stops at once while a call is under way, and while it waits', async () => {
    const hanging = await world({ before: (telegram) => telegram.next('getMe', { hang: true }) })
    await hanging.telegram.called('getMe')
    expect(await hanging.poller.stop()).toEqual({ status: 'stopped' })
    expect(hanging.states).toEqual(['connecting', 'draining', 'stopped'])
    const waiting = await world({ before: (telegram) => telegram.always('getMe', { drop: 'before' }) })
    await until(() => waiting.named('poller.retrying').length === 1)
    expect(await waiting.poller.stop()).toEqual({ status: 'stopped' })
    expect(waiting.clock.pending).toBe(0)
  })

  test('stop() within onStart ends it without a poll, even when onStart waits for the stop', async () => {
    const started = Promise.withResolvers<World>()
    const one = await world({
      onStart: async () => void (await (await started.promise).poller.stop()),
    })
    started.resolve(one)
    expect(await one.poller.done).toEqual({ status: 'stopped' })
    expect(one.polls()).toEqual([])
    expect(one.states).toEqual(['connecting', 'draining', 'stopped'])
  })

  test('drop_pending_updates and onStart are for the first connection of a start', async () => {
    let starts = 0
    const options = { drop_pending_updates: true, onStart: () => void (starts += 1) }
    const first = await world(options)
    await isPolling(first)
    expect(first.telegram.callsOf('deleteWebhook')[0]?.payload).toEqual({ drop_pending_updates: true })
    const again = await world({ ...options, setup: { isFirst: false } })
    await isPolling(again)
    expect(again.telegram.callsOf('deleteWebhook')[0]?.payload).toEqual({})
    expect(starts).toBe(1)
  })
})

describe('polling', () => {
  test('gives the inbox each batch in order, and confirms it by the next poll once it is finished', async () => {
    const one = await world()
    await isPolling(one)
    one.telegram.send.text('a')
    one.telegram.send.text('b')
    await until(() => one.inbox.batches.length === 1)
    expect(one.inbox.batches).toEqual([[1, 2]])
    one.inbox.finish(1, 2)
    await isPolling(one, 2)
    expect(one.polls()[1]).toEqual({ offset: 3, timeout: 30 })
    await one.telegram.until(() => one.telegram.unconfirmed.length === 0)
    expect(one.context()).toMatchObject({ polls: 1, updates: 2, offset: 1 })
  })

  test('a durable inbox: the next poll confirms as soon as the batch is kept, never before', async () => {
    const one = await world({ durable: true })
    const kept = Promise.withResolvers<void>()
    one.inbox.admitting.push(kept.promise)
    await isPolling(one)
    one.telegram.send.text('a')
    await one.telegram.until(() => one.telegram.callsOf('getUpdates')[0]?.state === 'answered')
    await settle()
    expect(one.polls()).toHaveLength(1)
    expect(one.telegram.unconfirmed).toHaveLength(1)
    kept.resolve()
    await isPolling(one, 2)
    expect(one.polls()[1]).toEqual({ offset: 2, timeout: 30 })
    expect(one.inbox.running).toEqual(new Set([1]))
  })

  test('a batch that cannot be kept is not confirmed and comes again; the third in a row fails the poller', async () => {
    const one = await world({ durable: true })
    const full = new Error('disk full')
    one.inbox.admitting.push(full)
    await isPolling(one)
    one.telegram.send.text('a')
    await until(() => one.named('poller.retrying').length === 1)
    expect(one.named('poller.retrying')[0]).toMatchObject({ error: full, delay: 200 })
    await one.skip(200)
    await until(() => one.inbox.batches.length === 1)
    expect(one.inbox.batches).toEqual([[1]])
    one.inbox.admitting.push(full, full, full)
    await isPolling(one, 3)
    one.telegram.send.text('b')
    for (const [wait, times] of [
      [200, 2],
      [400, 3],
    ] as const) {
      await until(() => one.named('poller.retrying').length === times)
      await one.skip(wait)
    }
    expect(await one.poller.done).toEqual({ status: 'failed', failure: full })
  })

  test('memory: the offset stays at the oldest unfinished; polls come after 100 ms, doubling to 1 s, with timeout 0', async () => {
    const one = await world()
    await isPolling(one)
    one.telegram.send.text('a')
    await until(() => one.inbox.batches.length === 1)
    for (const [n, pause] of [100, 200, 400, 800, 1_000, 1_000].entries()) {
      await until(() => one.clock.pending === 1)
      await one.skip(pause - 1)
      expect(one.polls()).toHaveLength(n + 1)
      await one.skip(1)
      await until(() => one.inbox.batches.length === n + 2)
      expect(one.polls().at(-1)).toEqual({ offset: 1, timeout: 0 })
    }
    one.inbox.finish(1)
    await until(() => one.polls().length === 8)
    expect(one.polls().at(-1)).toEqual({ offset: 2, timeout: 30 })
    expect(one.inbox.listeners).toBe(0)
  })

  test('memory: polls at once when the offset can move, and only then', async () => {
    const one = await world()
    await isPolling(one)
    for (const text of ['a', 'b', 'c']) one.telegram.send.text(text)
    await until(() => one.inbox.batches.length === 1)
    one.inbox.finish(2)
    await settle()
    expect(one.polls()).toHaveLength(1)
    one.inbox.finish(1)
    await isPolling(one, 2)
    expect(one.polls()[1]).toEqual({ offset: 3, timeout: 0 })
    expect(one.telegram.unconfirmed.map(({ update_id }) => update_id)).toEqual([3])
  })

  test('memory: does not wait where updates were finished before the batch was admitted', async () => {
    const inbox = new ScriptedInbox()
    const admit = inbox.admit.bind(inbox)
    inbox.admit = async (updates) => {
      await admit(updates)
      inbox.finish(1)
    }
    const one = await world({
      setup: { inbox },
      before: ({ send }) => {
        send.text('at once')
        send.text('slow')
      },
    })
    await until(() => inbox.batches.length === 2)
    expect(one.polls()[1]).toEqual({ offset: 2, timeout: 0 })
    expect(one.clock.now()).toBe(0)
  })

  test('memory: a handler that hangs does not make the bot deaf: others come in, and after 30 s it is released', async () => {
    const one = await world()
    await isPolling(one)
    one.telegram.send.text('hangs')
    await until(() => one.inbox.batches.length === 1)
    one.telegram.send.text('other')
    await one.skip(100)
    await until(() => one.inbox.running.has(2))
    one.inbox.finish(2)
    for (let second = 0; second < 40 && one.named('update.released').length === 0; second += 1) {
      await one.skip(1_000)
      const polls = one.polls().length
      await until(() => one.clock.pending > 0 && one.inbox.batches.length >= polls - 1)
    }
    expect(one.named('update.released')).toEqual([{ type: 'update.released', path: 'bot', count: 1 }])
    expect(one.clock.now()).toBeGreaterThanOrEqual(30_000)
    expect(one.clock.now()).toBeLessThan(33_000)
    await until(() => one.polls().at(-1)?.['offset'] === 3)
    expect(one.polls().at(-1)).toEqual({ offset: 3, timeout: 30 })
    expect(one.inbox.running).toEqual(new Set([1]))
  })

  test('memory: with 100 unconfirmed they are released at once, so that what comes after them is seen', async () => {
    const one = await world({
      before: ({ send }) => {
        for (let n = 0; n < 150; n += 1) send.text('x')
      },
    })
    await until(() => one.inbox.batches.length === 2)
    expect(one.named('update.released')).toEqual([{ type: 'update.released', path: 'bot', count: 100 }])
    expect(one.inbox.running.size).toBe(150)
    expect(one.polls()[1]).toMatchObject({ offset: 101 })
    expect(one.clock.now()).toBe(0)
  })

  test('memory: a limit below 100 that is full of unfinished updates is released as well', async () => {
    const one = await world({
      limit: 2,
      before: ({ send }) => {
        for (let n = 0; n < 3; n += 1) send.text('x')
      },
    })
    await until(() => one.inbox.batches.length === 1)
    expect(one.polls()[0]).toMatchObject({ limit: 2 })
    await one.skip(100)
    await until(() => one.inbox.running.has(3))
    expect(one.named('update.released')).toMatchObject([{ count: 2 }])
  })

  test('an update without a number is not fetched without a pause for ever', async () => {
    const nonsense = { result: [{ message: { text: 'x' } }] }
    const one = await world({ before: (telegram) => telegram.always('getUpdates', nonsense) })
    await until(() => one.inbox.batches.length === 1)
    await until(() => one.clock.pending === 1)
    await one.skip(99)
    expect(one.polls()).toHaveLength(1)
    await one.skip(1)
    await until(() => one.inbox.batches.length === 2)
  })

  test('after a quiet day any number is new, for Telegram may count on from anywhere', async () => {
    const clock = manualClock()
    const offsets: number[] = []
    const getUpdates = async ({ offset, timeout }: { offset: number; timeout: number }): Promise<object[]> => {
      offsets.push(offset)
      if (offsets.length === 1) return [{ update_id: 900 }]
      await new Promise<void>((resolve) => clock.setTimeout(resolve, timeout * 1_000))
      return []
    }
    const api = { getMe: async () => ({ id: 1 }), deleteWebhook: async () => true, getUpdates } as never
    const one = await world({ setup: { api, clock } })
    await until(() => one.inbox.running.has(900))
    one.inbox.finish(900)
    await clock.advance('23h')
    expect(new Set(offsets)).toEqual(new Set([1, 901]))
    expect(offsets.at(-1)).toBe(901)
    await clock.advance('2h')
    expect(offsets.at(-1)).toBe(1)
  })

  test('allowed_updates are in the first poll of a connection that is answered, then left out', async () => {
    const one = await world({
      timeout: 7,
      limit: 5,
      allowed_updates: ['message'],
      before: (telegram) => telegram.next('getUpdates', { drop: 'before' }),
    })
    await until(() => one.named('poller.retrying').length === 1)
    await one.skip(200)
    await isPolling(one, 2)
    one.telegram.send.text('a')
    await until(() => one.inbox.batches.length === 1)
    one.inbox.finish(1)
    await isPolling(one, 3)
    const first = { offset: 1, limit: 5, timeout: 7, allowed_updates: ['message'] }
    expect(one.polls()).toEqual([first, first, { offset: 2, limit: 5, timeout: 7 }])
  })

  test.each([
    [undefined, ['message', 'chat_member'], ['chat_member']],
    [['message'], ['message', 'callback_query'], ['callback_query']],
    [['message'], ['message'], undefined],
  ] as const)('allowed_updates %j with listeners for %j: a warning of %j', async (allowed, listened, kinds) => {
    const options = allowed === undefined ? {} : { allowed_updates: allowed }
    const one = await world({ ...options, setup: { listened: () => listened } })
    await isPolling(one)
    expect(one.named('poller.unlisted')).toEqual(
      kinds === undefined ? [] : [{ type: 'poller.unlisted', path: 'bot', kinds }],
    )
  })

  test('tells when the last poll was answered', async () => {
    const one = await world()
    await isPolling(one)
    expect(one.poller.lastPollAt).toBeUndefined()
    await one.skip(5_000)
    one.telegram.send.text('a')
    await until(() => one.inbox.batches.length === 1)
    expect(one.poller.lastPollAt).toBe(5_000)
  })
})

describe('backing off', () => {
  test.each([
    [0, [200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]],
    [1, [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 15_000, 15_000]],
  ])('doubles from 200 ms to 30 s; with a lot of %d the jitter gives %j', async (random, waits) => {
    const one = await world({ random, before: (telegram) => telegram.always('getUpdates', { drop: 'before' }) })
    for (const [n, wait] of waits.entries()) {
      await until(() => one.named('poller.retrying').length === n + 1)
      expect(one.named('poller.retrying')[n]).toMatchObject({ delay: wait, error: { name: 'HttpError' } })
      expect(one.context()).toMatchObject({ delay: wait, failures: n + 1 })
      await one.skip(wait)
    }
    expect(new Set(one.states.slice(1))).toEqual(new Set(['polling', 'backingOff']))
  })

  test('a good poll resets it', async () => {
    const one = await world({
      before: (telegram) =>
        telegram.next('getUpdates', { error: 502 }, { body: 'x' }, { result: [] }, { drop: 'before' }),
    })
    for (const [n, wait] of [200, 400, 200].entries()) {
      await until(() => one.named('poller.retrying').length === n + 1)
      expect(one.named('poller.retrying')[n]).toMatchObject({ delay: wait })
      await one.skip(wait)
    }
    await isPolling(one, 5)
  })

  test('429 waits as long as Telegram says, 3 s if it says nothing, and is no failure', async () => {
    const one = await world({
      before: (telegram) => telegram.next('getUpdates', { error: 429, retryAfter: 61 }, { error: 429 }, { error: 500 }),
    })
    for (const [n, wait] of [61_000, 3_000, 200].entries()) {
      await until(() => one.named('poller.retrying').length === n + 1)
      expect(one.named('poller.retrying')[n]).toMatchObject({ delay: wait })
      expect(one.context().failures).toBe(n === 2 ? 1 : 0)
      await one.skip(wait)
    }
    await isPolling(one, 4)
  })

  test('of other 4xx the third in a row fails the poller', async () => {
    const one = await world({
      before: (telegram) =>
        telegram.next(
          'getUpdates',
          { error: 400 },
          { error: 400 },
          { drop: 'before' },
          { error: 400 },
          { error: 404 },
          {
            error: 403,
          },
        ),
    })
    for (const [n, wait] of [200, 400, 800, 1_600, 3_200].entries()) {
      await until(() => one.named('poller.retrying').length === n + 1)
      await one.skip(wait)
    }
    expect(await one.poller.done).toMatchObject({ status: 'failed', failure: { error_code: 403 } })
  })

  test('what a transformer throws counts as a failure of the network', async () => {
    let calls = 0
    const getUpdates = async (): Promise<never> => {
      calls += 1
      throw new Error('transformer')
    }
    const api = { getMe: async () => ({ id: 1 }), deleteWebhook: async () => true, getUpdates } as never
    const one = await world({ setup: { api } })
    await until(() => one.named('poller.retrying').length === 1)
    expect(one.named('poller.retrying')[0]).toMatchObject({ error: new Error('transformer'), delay: 200 })
    await one.skip(200)
    expect(calls).toBe(2)
  })

  test('a stop ends the wait at once', async () => {
    const one = await world({ before: (telegram) => telegram.always('getUpdates', { error: 429, retryAfter: 3_600 }) })
    await until(() => one.states.at(-1) === 'backingOff')
    expect(await one.poller.stop()).toEqual({ status: 'stopped' })
    expect(one.states).toEqual(['connecting', 'polling', 'backingOff', 'draining', 'stopped'])
    expect(one.clock.pending).toBe(0)
  })
})

describe('401 and 409', () => {
  test.each([401, 409])('%i fails the bot at once; updates in flight drain; no other call is made', async (code) => {
    const one = await world()
    const over = Promise.withResolvers<void>()
    one.inbox.drainUntil = over.promise
    await isPolling(one)
    one.telegram.always('getUpdates', { error: code })
    one.telegram.send.text('a')
    await until(() => one.inbox.batches.length === 1)
    one.inbox.finish(1)
    await until(() => one.states.at(-1) === 'draining')
    await settle()
    expect(one.failures).toEqual([])
    expect(one.inbox.drained).toEqual([10_000])
    over.resolve()
    expect(await one.poller.done).toMatchObject({ status: 'failed', failure: { error_code: code } })
    expect(one.failures).toMatchObject([{ error_code: code, method: 'getUpdates' }])
    expect(one.failures[0]).toBeInstanceOf(GrammyError)
    expect(one.polls()).toHaveLength(2)
    expect(one.named('poller.retrying')).toEqual([])
  })

  test('409 by another poller, as Telegram sends it', async () => {
    const one = await world()
    await isPolling(one)
    const other = new Api(one.telegram.token, { apiRoot: one.telegram.url })
    void other.getUpdates({ timeout: 0 })
    expect(await one.poller.done).toMatchObject({ status: 'failed', failure: { error_code: 409 } })
  })
})

describe('the watchdog', () => {
  test('aborts a poll that is not over 10 s after its timeout, with its connection, as a failure of the network', async () => {
    const one = await world({ before: (telegram) => telegram.next('getUpdates', { hang: true }) })
    await isPolling(one)
    await one.skip(39_999)
    expect(one.states.at(-1)).toBe('polling')
    await one.skip(1)
    expect(one.named('poller.stalled')).toEqual([{ type: 'poller.stalled', path: 'bot', after: 10_000 }])
    expect(one.named('poller.retrying')).toMatchObject([
      { delay: 200, error: { name: 'StalledError', code: 'stalled' } },
    ])
    await one.telegram.until(() => one.telegram.callsOf('getUpdates')[0]?.state === 'broken')
    await one.skip(200)
    await isPolling(one, 2)
  })

  test('the third in a row sets all up anew, without onStart', async () => {
    let starts = 0
    const one = await world({
      stall: '1s',
      timeout: 5,
      onStart: () => void (starts += 1),
      before: (telegram) => telegram.next('getUpdates', { hang: true }, { hang: true }, { hang: true }),
    })
    for (const [n, wait] of [200, 400, 0].entries()) {
      await isPolling(one, n + 1)
      await one.skip(6_000)
      await one.skip(wait)
    }
    await isPolling(one, 4)
    expect(one.telegram.callsOf('deleteWebhook')).toHaveLength(2)
    expect(one.polls()[3]).toEqual({ offset: 1, timeout: 5, allowed_updates: [] })
    expect(starts).toBe(1)
    expect(one.failures).toEqual([])
    expect(one.states).toEqual([
      'connecting',
      'polling',
      'backingOff',
      'polling',
      'backingOff',
      'polling',
      'connecting',
      'polling',
    ])
  })
})

describe('stop', () => {
  test('aborts the poll, lets the inbox drain for the time it was given, and confirms the finished prefix', async () => {
    const one = await world()
    const over = Promise.withResolvers<void>()
    one.inbox.drainUntil = over.promise
    await isPolling(one)
    for (const text of ['a', 'b', 'c']) one.telegram.send.text(text)
    await until(() => one.inbox.batches.length === 1)
    const stopping = one.poller.stop({ drain: 4_000 })
    await until(() => one.states.at(-1) === 'draining')
    one.inbox.finish(1, 3)
    await settle()
    expect(one.polls()).toHaveLength(1)
    expect(one.inbox.drained).toEqual([4_000])
    over.resolve()
    expect(await stopping).toEqual({ status: 'stopped' })
    expect(one.polls().slice(1)).toEqual([{ offset: 2, limit: 1 }])
    expect(one.telegram.unconfirmed.map(({ update_id }) => update_id)).toEqual([2, 3])
    expect(one.states).toEqual(['connecting', 'polling', 'draining', 'stopped'])
    expect(one.clock.pending).toBe(0)
    expect(one.inbox.listeners).toBe(0)
  })

  test('has the time of shutdown where it is given none, and makes no call where nothing is to be told', async () => {
    const one = await world()
    await isPolling(one)
    expect(await one.poller.stop()).toEqual({ status: 'stopped' })
    expect(one.inbox.drained).toEqual([10_000])
    expect(one.polls()).toHaveLength(1)
  })

  test('waits for a batch that is being kept, and confirms it', async () => {
    const one = await world({ durable: true })
    const kept = Promise.withResolvers<void>()
    one.inbox.admitting.push(kept.promise)
    await isPolling(one)
    one.telegram.send.text('a')
    await one.telegram.until(() => one.telegram.callsOf('getUpdates')[0]?.state === 'answered')
    await settle()
    await until(() => one.inbox.admitting.length === 0)
    const stopping = one.poller.stop()
    await settle()
    expect(one.inbox.drained).toEqual([])
    kept.resolve()
    await stopping
    expect(one.polls().slice(1)).toEqual([{ offset: 2, limit: 1 }])
  })

  test.each([
    ['fails', { error: 502 }, 0, 'GrammyError'],
    ['never ends', { hang: true }, 10_000, 'StalledError'],
  ] as const)('a confirming call that %s is an event and replaces no other end', async (_, reply, wait, name) => {
    const one = await world()
    await isPolling(one)
    one.telegram.send.text('a')
    await until(() => one.inbox.batches.length === 1)
    one.telegram.next('getUpdates', reply)
    const stopping = one.poller.stop()
    one.inbox.finish(1)
    await isPolling(one, 2)
    await one.skip(wait)
    expect(await stopping).toEqual({ status: 'stopped' })
    expect(one.named('poller.unconfirmed')).toMatchObject([{ path: 'bot', offset: 2, error: { name } }])
  })

  test('twice gives the same end, also when it is over', async () => {
    const one = await world()
    await isPolling(one)
    const [a, b] = await Promise.all([one.poller.stop(), one.poller.stop()])
    expect([a, b, await one.poller.stop()]).toEqual([a, a, a])
  })

  test('kill ends it where it stands: nothing is waited for, nothing confirmed', async () => {
    const one = await world()
    await isPolling(one)
    one.poller.kill()
    expect(await one.poller.done).toEqual({ status: 'stopped' })
    await one.telegram.until(() => one.telegram.callsOf('getUpdates')[0]?.state === 'broken')
    expect(one.inbox.drained).toEqual([])
    expect(one.clock.pending).toBe(0)
  })
})

describe('options', () => {
  test.each([
    [{ timout: 1 }, 'Did you mean "timeout"?'],
    [{ limit: 0 }, 'limit 0 (number)'],
    [{ timeout: -1 }, 'timeout -1 (number)'],
    [{ allowed_updates: 'message' }, 'allowed_updates "message" (string)'],
    [{ onStart: 1 }, 'onStart 1 (number)'],
    [{ stall: 0 }, 'stall 0 (number)'],
    [{ backoff: {} }, 'Use exponential('],
    [{ drop_pending_updates: 1 }, 'drop_pending_updates 1 (number)'],
  ])('%j is refused', (options, said) => {
    expect(() => readPolling('bot "x"', options as never)).toThrow(said)
  })
})
