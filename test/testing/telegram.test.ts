import { Bot, GrammyError, HttpError, InputFile } from 'grammy'
import { describe, expect, test } from 'vitest'
import { fakeTelegram, manualClock, type FakeTelegram } from 'rootcatch/testing'

/** One call as any HTTP client would make it. */
async function call(telegram: FakeTelegram, method: string, payload: object = {}, token = telegram.token) {
  const response = await fetch(`${telegram.url}/bot${token}/${method}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(payload),
  })
  return { status: response.status, body: (await response.json()) as Record<string, any> }
}

const idsOf = (body: Record<string, any>): number[] => body['result'].map((one: { update_id: number }) => one.update_id)

const poll = async (telegram: FakeTelegram, payload: object = {}): Promise<number[]> =>
  idsOf((await call(telegram, 'getUpdates', payload)).body)

describe('fakeTelegram', () => {
  test("runs a bot of grammY's from start to stop", async () => {
    await using telegram = await fakeTelegram()
    const bot = new Bot(telegram.token, { client: { apiRoot: telegram.url } })
    bot.command('start', (ctx) => ctx.reply(`Hello, ${ctx.from?.first_name}!`))
    const running = bot.start()
    telegram.send.text('/start')
    const { payload } = await telegram.called('sendMessage')
    expect(payload).toEqual({ chat_id: 1, text: 'Hello, Ada!' })
    expect(bot.botInfo).toEqual(telegram.me)
    await bot.stop()
    await running
    expect(telegram.unconfirmed).toEqual([])
  })

  test('keeps an update until a higher offset confirms it, and gives it again until then', async () => {
    await using telegram = await fakeTelegram({ firstUpdate: 7 })
    for (const text of ['a', 'b', 'c']) telegram.send.text(text)
    expect(await poll(telegram)).toEqual([7, 8, 9])
    expect(await poll(telegram, { offset: 0 })).toEqual([7, 8, 9])
    expect(await poll(telegram, { offset: 8 })).toEqual([8, 9])
    expect(telegram.unconfirmed.map(({ update_id }) => update_id)).toEqual([8, 9])
    expect(await poll(telegram, { offset: 10 })).toEqual([])
    expect(telegram.unconfirmed).toEqual([])
  })

  test('keeps as many from the end as a negative offset says', async () => {
    await using telegram = await fakeTelegram()
    for (const text of ['a', 'b', 'c']) telegram.send.text(text)
    expect(await poll(telegram, { offset: -2 })).toEqual([2, 3])
    expect(await poll(telegram)).toEqual([2, 3])
  })

  test.each([
    [2, 2],
    [0, 1],
    [1_000, 100],
  ])('gives %i updates at once when asked for a limit: %i', async (limit, given) => {
    await using telegram = await fakeTelegram()
    for (let n = 0; n < 150; n += 1) telegram.send.text('x')
    expect(await poll(telegram, { limit })).toHaveLength(given)
  })

  test('ends a long poll with the updates of one turn together', async () => {
    await using telegram = await fakeTelegram()
    const polling = poll(telegram, { timeout: 30 })
    await telegram.called('getUpdates')
    telegram.send.text('a')
    telegram.send.text('b')
    expect(await polling).toEqual([1, 2])
  })

  test('ends a long poll empty when its timeout is over, by the clock it got', async () => {
    const clock = manualClock()
    await using telegram = await fakeTelegram({ clock })
    const polling = poll(telegram, { timeout: 30 })
    await telegram.until(() => clock.pending === 1)
    await clock.advance('30s')
    expect(await polling).toEqual([])
  })

  test('remembers allowed_updates until they are given again, and never keeps what is not among them', async () => {
    await using telegram = await fakeTelegram()
    telegram.send({ message_reaction: { message_id: 1 } })
    expect(await poll(telegram, { allowed_updates: ['callback_query'] })).toEqual([])
    telegram.send.text('no')
    telegram.send.callback('yes')
    expect(await poll(telegram)).toEqual([3])
    await poll(telegram, { offset: 4, allowed_updates: [] })
    telegram.send.text('yes')
    expect(await poll(telegram)).toEqual([4])
  })

  test('refuses the older of two polls with 409', async () => {
    await using telegram = await fakeTelegram()
    const older = call(telegram, 'getUpdates', { timeout: 30 })
    await telegram.called('getUpdates')
    const younger = poll(telegram, { timeout: 30 })
    expect((await older).body).toMatchObject({ ok: false, error_code: 409 })
    telegram.send.text('a')
    expect(await younger).toEqual([1])
  })

  test('refuses polls with 409 while there is a webhook, and ends the one that waits', async () => {
    await using telegram = await fakeTelegram()
    const waiting = call(telegram, 'getUpdates', { timeout: 30 })
    await telegram.called('getUpdates')
    await call(telegram, 'setWebhook', { url: 'https://bot.example' })
    expect((await waiting).body['error_code']).toBe(409)
    expect((await call(telegram, 'getUpdates')).body['description']).toContain('webhook is active')
    telegram.send.text('a')
    expect((await call(telegram, 'getWebhookInfo')).body['result']).toMatchObject({ pending_update_count: 1 })
    await call(telegram, 'deleteWebhook', { drop_pending_updates: true })
    expect(await poll(telegram)).toEqual([])
  })

  test('knows one token and answers 401 to any other', async () => {
    await using telegram = await fakeTelegram({ token: '42:abc' })
    expect(await call(telegram, 'getMe', {}, '42:other')).toMatchObject({ status: 401, body: { error_code: 401 } })
    expect((await call(telegram, 'getMe')).body['result']['id']).toBe(42)
  })

  test('gives scripted replies once each, in order, then what Telegram would answer', async () => {
    await using telegram = await fakeTelegram()
    const { api } = new Bot(telegram.token, { client: { apiRoot: telegram.url } })
    telegram.next('sendMessage', { error: 429, retryAfter: 3 }, { body: '<html>', status: 502 }, { drop: 'before' })
    const limited = await api.sendMessage(5, 'a').catch((error: unknown) => error)
    expect(limited).toBeInstanceOf(GrammyError)
    expect(limited).toMatchObject({ error_code: 429, parameters: { retry_after: 3 } })
    expect(await api.sendMessage(5, 'b').catch((error: unknown) => error)).toBeInstanceOf(HttpError)
    expect(await api.sendMessage(5, 'c').catch((error: unknown) => error)).toBeInstanceOf(HttpError)
    expect(await api.sendMessage(5, 'd')).toMatchObject({ text: 'd', chat: { id: 5 } })
    expect(telegram.callsOf('sendMessage').map(({ state }) => state)).toEqual([
      'answered',
      'answered',
      'broken',
      'answered',
    ])
  })

  test('gives the reply of always to every call, made by a function where the call matters', async () => {
    await using telegram = await fakeTelegram()
    telegram.always('sendMessage', ({ payload }) => (payload['chat_id'] === 2 ? { error: 403 } : undefined))
    expect((await call(telegram, 'sendMessage', { chat_id: 2 })).status).toBe(403)
    expect((await call(telegram, 'sendMessage', { chat_id: 3 })).status).toBe(200)
    telegram.always('sendMessage', undefined)
    expect((await call(telegram, 'sendMessage', { chat_id: 2 })).status).toBe(200)
  })

  test('carries a call out whose answer is lost', async () => {
    await using telegram = await fakeTelegram()
    telegram.send.text('a')
    telegram.next('getUpdates', { drop: 'after' })
    await expect(poll(telegram, { offset: 2 })).rejects.toThrow('fetch failed')
    expect(telegram.unconfirmed).toEqual([])
  })

  test('reads a file that is uploaded, and where it was attached', async () => {
    await using telegram = await fakeTelegram()
    const { api } = new Bot(telegram.token, { client: { apiRoot: telegram.url } })
    const content = Buffer.from('--boundary\r\nnot the end\r\n\r\n')
    await api.sendDocument(5, new InputFile(content, 'notes.txt'), { caption: '12' })
    const [{ payload, files }] = telegram.callsOf('sendDocument') as [(typeof telegram.calls)[number]]
    expect(payload).toMatchObject({ chat_id: 5, caption: '12', document: `attach://${files[0]?.field}` })
    expect(files).toMatchObject([{ name: 'notes.txt', size: content.length, head: content }])
  })

  test('waits for its latency before each answer', async () => {
    await using telegram = await fakeTelegram({ latency: '50ms' })
    const from = performance.now()
    await call(telegram, 'getMe')
    expect(performance.now() - from).toBeGreaterThan(45)
  })

  test('makes updates as Telegram does: commands have entities, groups negative ids, queries their sender', async () => {
    await using telegram = await fakeTelegram()
    const { send } = telegram
    send.text('hi /go@fake_bot', { chat: -5, from: { id: 9, first_name: 'Bo' } })
    send.edited('ho')
    send.photo('see', { with: { has_media_spoiler: true } })
    send.callback('press', { from: 9 })
    send.inlineQuery('cats')
    send.channelPost('news')
    expect(telegram.unconfirmed).toMatchObject([
      {
        message: {
          chat: { id: -5, type: 'group' },
          from: { id: 9, first_name: 'Bo' },
          entities: [{ type: 'bot_command', offset: 3, length: 12 }],
        },
      },
      { edited_message: { text: 'ho', chat: { id: 1, type: 'private' } } },
      { message: { photo: [{}], caption: 'see', has_media_spoiler: true } },
      { callback_query: { data: 'press', from: { id: 9 }, message: { chat: { id: 9 } } } },
      { inline_query: { query: 'cats', from: { id: 1 } } },
      { channel_post: { text: 'news', chat: { type: 'channel' } } },
    ])
    expect(telegram.unconfirmed.map(({ update_id }) => update_id)).toEqual([1, 2, 3, 4, 5, 6])
  })

  test('tells what it was waiting for when it is closed', async () => {
    const telegram = await fakeTelegram()
    await call(telegram, 'getMe')
    const waiting = telegram.called('sendMessage', 2)
    void telegram.close()
    await expect(waiting).rejects.toThrow('closed before call 2 of sendMessage. It was called: getMe 1.')
  })

  test('refuses options nobody knows', async () => {
    await expect(fakeTelegram({ tokn: 'x' } as never)).rejects.toThrow('Did you mean "token"?')
  })
})
