import { createServer, request as sendRequest, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Bot, BotError, webhookCallback as grammyWebhookCallback } from 'grammy'
import type { Update } from 'grammy/types'
import { afterEach, describe, expect, test } from 'vitest'
import { fakeTelegram, manualClock, settle, type FakeTelegram, type ManualClock } from 'rootcatch/testing'
import { webhookCallback, webhookTarget, type WebhookOptions, type WebhookTarget } from '../../src/bot/webhook.ts'
import { failOnUnhandled } from '../support/unhandled.ts'

failOnUnhandled()

const open: (() => Promise<unknown> | unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

interface World {
  readonly bot: Bot
  readonly telegram: FakeTelegram
  readonly clock: ManualClock
  /** The ids of the updates that were run, in order. */
  readonly handled: number[]
  /** What was decided as if it had been polled. */
  readonly decided: unknown[]
  post(body: unknown, options?: Sent): Promise<Answer>
}

interface Sent {
  readonly method?: string
  readonly headers?: Record<string, string>
}

interface Answer {
  readonly status: number
  readonly body: string
  readonly headers: IncomingHttpHeaders
}

type Handle = (update: Update) => unknown

/** A bot of grammY's, with what a bot of ours has for webhooks. */
async function botOf(handle: Handle): Promise<Omit<World, 'post'>> {
  const telegram = await fakeTelegram()
  const clock = manualClock()
  const bot = new Bot(telegram.token, { client: { apiRoot: telegram.url } })
  const [handled, decided]: [number[], unknown[]] = [[], []]
  bot.use((ctx) => {
    handled.push(ctx.update.update_id)
    return handle(ctx.update) as never
  })
  const target: WebhookTarget = {
    clock,
    handle: (update, reply) => bot.handleUpdate(update, reply),
    keep: () => Promise.reject(new Error('not durable')),
    decide: (error) => void decided.push(error),
  }
  Object.assign(bot, { [webhookTarget]: target })
  open.push(() => telegram.close())
  return { bot, telegram, clock, handled, decided }
}

async function world(handle: Handle, options?: WebhookOptions): Promise<World> {
  const own = await botOf(handle)
  const server = createServer(webhookCallback(own.bot, 'http', options))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push(() => server.close().closeAllConnections())
  const { port } = server.address() as AddressInfo
  return { ...own, post: (body, sent) => post(port, body, sent) }
}

function post(port: number, body: unknown, { method = 'POST', headers = {} }: Sent = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const all = { 'content-type': 'application/json', ...headers }
    const sending = sendRequest({ port, method, headers: all, host: '127.0.0.1' }, async (response) => {
      let text = ''
      for await (const chunk of response) text += String(chunk)
      resolve({ status: response.statusCode ?? 0, body: text, headers: response.headers })
    })
    sending.on('error', reject)
    sending.end(typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body))
  })
}

const update = (id: number): Update => ({ update_id: id, message: { text: 'x', chat: { id: 1 } } }) as never

const failed = (promise: Promise<unknown>): Promise<any> =>
  promise.then(
    () => 'it did not fail',
    (error: unknown) => error,
  )

describe('adapter http', () => {
  test('runs an update and answers 200', async () => {
    const one = await world(() => {})
    expect(await one.post(update(1))).toMatchObject({ status: 200, body: '' })
    expect(one.handled).toEqual([1])
  })

  test('may carry one call of the API in the answer', async () => {
    const { bot } = await botOf(() => {})
    const own = new Bot(bot.token, { botInfo: { id: 1 } as never, client: { canUseWebhookReply: () => true } })
    own.on('message', async (ctx) => void (await ctx.reply('hi')))
    const server = createServer(webhookCallback(own, 'http'))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    open.push(() => server.close())
    const { body, headers } = await post((server.address() as AddressInfo).port, update(1))
    expect(JSON.parse(body)).toEqual({ chat_id: 1, text: 'hi', method: 'sendMessage' })
    expect(headers['content-type']).toBe('application/json')
  })

  test.each([
    ['GET', '', 405],
    ['PUT', '{}', 405],
    ['POST', '{oops', 400],
    ['POST', 'null', 400],
    ['POST', '[]', 400],
    ['POST', '"x"', 400],
    ['POST', '{}', 400],
    ['POST', '{"update_id":"1"}', 400],
    ['POST', '{"update_id":1.5}', 400],
    ['POST', '', 400],
  ])('answers %s with body %j: %i, and nothing is run', async (method, body, status) => {
    const one = await world(() => {})
    expect(await one.post(body, { method })).toMatchObject({ status })
    expect(one.handled).toEqual([])
    expect(one.decided).toEqual([])
    expect(one.telegram.calls).toEqual([])
    expect(await one.post(update(1))).toMatchObject({ status: 200 })
  })

  test('answers 405 with the method that is allowed', async () => {
    const one = await world(() => {})
    expect((await one.post('', { method: 'GET' })).headers).toMatchObject({ allow: 'POST' })
  })

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp'])(
    'answers 415 to a body of type %s',
    async (type) => {
      const one = await world(() => {})
      expect(await one.post(update(1), { headers: { 'content-type': type } })).toMatchObject({ status: 415 })
      expect(one.handled).toEqual([])
    },
  )

  test.each([{}, { 'transfer-encoding': 'chunked' }])(
    'answers 413 to a body of 5 MB sent with %j, without keeping it',
    async (headers) => {
      const one = await world(() => {})
      const text = JSON.stringify({ ...update(1), padding: 'x'.repeat(5_000_000) })
      const length = 'transfer-encoding' in headers ? {} : { 'content-length': String(text.length) }
      const answer = await one
        .post(text, { headers: { ...headers, ...length } })
        .catch((error: NodeJS.ErrnoException) => error)
      // A client that still sends may be cut off before it reads: either way it is told no.
      const said = answer instanceof Error ? answer.code : answer.status
      expect([413, 'EPIPE', 'ECONNRESET']).toContain(said)
      expect(one.handled).toEqual([])
    },
  )

  test('a request that breaks off is nobody’s error', async () => {
    const one = await world(() => {})
    const { port } = (await listen(one)).address() as AddressInfo
    const gone = Promise.withResolvers<void>()
    const sending = sendRequest({ port, method: 'POST', headers: { 'content-length': '100' }, host: '127.0.0.1' })
    sending.on('error', () => gone.resolve())
    sending.write('{"upd', () => sending.destroy(new Error('gone')))
    await gone.promise
    expect(await one.post(update(1))).toMatchObject({ status: 200 })
    expect(one.decided).toEqual([])
  })

  test('a client that stays and trickles its body is cut off by requestTimeout of the server, and is nobody’s error', async () => {
    const { bot, handled, decided } = await botOf(() => {})
    const callback = webhookCallback(bot, 'http')
    const answered: Promise<unknown>[] = []
    const server = createServer({ requestTimeout: 100, connectionsCheckingInterval: 10 }, (...both) => {
      answered.push(callback(...both) as Promise<unknown>)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    open.push(() => server.close().closeAllConnections())
    const { port } = server.address() as AddressInfo
    const gone = Promise.withResolvers<void>()
    const sending = sendRequest({ port, method: 'POST', headers: { 'content-length': '10000' }, host: '127.0.0.1' })
    sending.on('error', () => gone.resolve()).on('close', () => gone.resolve())
    const trickle = setInterval(() => sending.write(' '), 10)
    await gone.promise
    clearInterval(trickle)
    expect(answered).toHaveLength(1)
    await Promise.all(answered)
    expect([handled, decided]).toEqual([[], []])
  })

  test('R12 a rejection nobody takes is answered 500 and decided as if it had been polled; the process lives', async () => {
    const bug = new Error('bug')
    const one = await world(() => {
      throw bug
    })
    expect(await one.post(update(1))).toMatchObject({ status: 500 })
    expect(one.decided).toEqual([expect.objectContaining({ name: 'BotError', error: bug })])
  })

  test('R12 two requests of one run are answered 500 each, and its failure is decided once', async () => {
    const end = Promise.withResolvers<void>()
    const one = await world(() => end.promise)
    const answers = [one.post(update(1)), one.post(update(1))]
    await expect.poll(() => one.clock.pending).toBe(2)
    end.reject(new Error('bug'))
    expect(await Promise.all(answers)).toMatchObject([{ status: 500 }, { status: 500 }])
    await settle()
    expect(one.decided).toHaveLength(1)
  })

  test('a timeout nobody takes is answered 500, and is no failure of the update', async () => {
    const end = Promise.withResolvers<void>()
    const one = await world(() => end.promise)
    const answer = one.post(update(1))
    await expect.poll(() => one.clock.pending).toBe(1)
    await one.clock.advance('10s')
    expect(await answer).toMatchObject({ status: 500 })
    end.resolve()
    await settle()
    expect(one.decided).toEqual([])
  })

  test('R12 a rejection that somebody takes is theirs, and nothing is answered or decided for them', async () => {
    const one = await botOf(() => {
      throw new Error('bug')
    })
    const callback = webhookCallback(one.bot, 'http')
    const server = createServer(async (request, response) => {
      try {
        await callback(request, response)
      } catch (error) {
        response.writeHead(418).end(String((error as BotError).error))
      }
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    open.push(() => server.close())
    const answer = await post((server.address() as AddressInfo).port, update(1))
    expect(answer).toMatchObject({ status: 418, body: 'Error: bug' })
    await settle()
    expect(one.decided).toEqual([])
  })
})

async function listen({ bot }: World): Promise<ReturnType<typeof createServer>> {
  const server = createServer(webhookCallback(bot, 'http'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push(() => server.close().closeAllConnections())
  return server
}

describe('secretToken', () => {
  test.each([
    [undefined, 401],
    ['', 401],
    ['wrong', 401],
    ['s3cret!', 401],
    ['right', 401],
    ['s3cret', 200],
  ])('%j is answered %i', async (secret, status) => {
    const one = await world(() => {}, { secretToken: 's3cret' })
    const headers = secret === undefined ? {} : { 'x-telegram-bot-api-secret-token': secret }
    expect(await one.post(update(1), { headers })).toMatchObject({ status })
    expect(one.handled).toHaveLength(status === 200 ? 1 : 0)
  })

  test('is looked at before anything else: no getMe, no method, no body', async () => {
    const one = await world(() => {}, { secretToken: 's3cret' })
    for (const [body, sent] of [
      ['{oops', {}],
      ['', { method: 'GET' }],
      [update(1), { headers: { 'content-type': 'text/plain' } }],
    ] as const) {
      expect(await one.post(body, sent)).toMatchObject({ status: 401 })
    }
    expect(one.telegram.calls).toEqual([])
    const headers = { 'x-telegram-bot-api-secret-token': 's3cret' }
    expect(await one.post(update(1), { headers })).toMatchObject({ status: 200 })
    expect(one.telegram.callsOf('getMe')).toHaveLength(1)
  })

  test.each(['aws-lambda-async', 'hono', 'std/http'] as const)("holds for grammY's adapter %s too", async (name) => {
    const one = await botOf(() => {})
    const callback = webhookCallback(one.bot, name, { secretToken: 's3cret' }) as (...args: unknown[]) => Promise<any>
    const said = (secret: string): Promise<{ status?: number; statusCode?: number }> => {
      const headers = { 'X-Telegram-Bot-Api-Secret-Token': secret }
      if (name === 'aws-lambda-async') return callback({ headers, body: JSON.stringify(update(1)) }, {})
      const request = new Request('http://x', { method: 'POST', headers, body: JSON.stringify(update(1)) })
      if (name === 'std/http') return callback(request)
      let status = 200
      return callback({
        req: { json: () => request.json(), header: (key: string) => request.headers.get(key) },
        status: (code: number) => void (status = code),
        body: () => ({ status }),
      })
    }
    const statusOf = (answer: { status?: number; statusCode?: number }): unknown => answer.status ?? answer.statusCode
    expect(statusOf(await said('wrong'))).toBe(401)
    expect(one.telegram.calls).toEqual([])
    expect(statusOf(await said('s3cret'))).toBe(200)
    expect(one.handled).toEqual([1])
  })
})

/** An adapter of one's own, so that a test calls the callback as a framework does. */
const plain = (given: Update): object => ({ update: given, respond: () => {}, unauthorized: () => {} })

type Callback = (given: Update) => Promise<void>

function callbackOf({ bot }: Omit<World, 'post'>, options?: WebhookOptions): Callback {
  return webhookCallback(bot, plain as never, options) as never as Callback
}

describe('errors', () => {
  test('R12 an error in time rejects the callback with the BotError; bot.catch is not asked', async () => {
    const bug = new Error('bug')
    const one = await botOf(() => {
      throw bug
    })
    const error = await failed(callbackOf(one)(update(1)))
    expect(error).toBeInstanceOf(BotError)
    expect(error).toMatchObject({ error: bug, ctx: { update: update(1) } })
    await settle()
    expect(one.decided).toEqual([])
  })

  test("onError: 'catch' decides as if it had been polled, and the request ends well after that", async () => {
    const one = await botOf(() => {
      throw new Error('bug')
    })
    await callbackOf(one, { onError: 'catch' })(update(1))
    expect(one.decided).toHaveLength(1)
    expect(one.decided[0]).toBeInstanceOf(BotError)
  })
})

describe('timeout', () => {
  /** An update that ends when it is told to. */
  async function slow(): Promise<Omit<World, 'post'> & { readonly end: PromiseWithResolvers<void> }> {
    const end = Promise.withResolvers<void>()
    return { ...(await botOf(() => end.promise)), end }
  }

  test("'throw', the default, rejects after 10 s; the update runs on", async () => {
    const one = await slow()
    const call = failed(callbackOf(one)(update(1)))
    await expect.poll(() => one.clock.pending).toBe(1)
    await one.clock.advance('9999ms')
    expect(await Promise.race([call, 'waits'])).toBe('waits')
    await one.clock.advance(1)
    expect(await call).toEqual(new Error('Request timed out after 10000 ms'))
    one.end.resolve()
    await settle()
    expect(one.decided).toEqual([])
    expect(one.clock.pending).toBe(0)
  })

  test("'return' ends the request well, after the time that was given", async () => {
    const one = await slow()
    const call = callbackOf(one, { onTimeout: 'return', timeoutMilliseconds: 50 })(update(1))
    await expect.poll(() => one.clock.pending).toBe(1)
    await one.clock.advance(50)
    expect(await call).toBeUndefined()
  })

  test('a function is called with what the framework gave', async () => {
    const one = await slow()
    const seen: unknown[] = []
    const call = callbackOf(one, { onTimeout: (...args) => seen.push(args) })(update(7))
    await expect.poll(() => one.clock.pending).toBe(1)
    await one.clock.advance('10s')
    await call
    expect(seen).toEqual([[update(7)]])
  })

  test('Infinity waits for ever', async () => {
    const one = await slow()
    const call = callbackOf(one, { timeoutMilliseconds: Infinity })(update(1))
    await expect.poll(() => one.handled.length).toBe(1)
    expect(one.clock.pending).toBe(0)
    one.end.resolve()
    expect(await call).toBeUndefined()
  })

  test.each(['throw', 'return'] as const)(
    'a failure after it (%s) is decided as if it had been polled, once, and never unhandled',
    async (onTimeout) => {
      const one = await slow()
      const callback = callbackOf(one, { onTimeout })
      const calls = [failed(callback(update(1))), failed(callback(update(1)))]
      await expect.poll(() => one.clock.pending).toBe(2)
      await one.clock.advance('10s')
      await Promise.all(calls)
      const bug = new Error('late')
      one.end.reject(bug)
      await expect.poll(() => one.decided.length).toBe(1)
      await settle()
      expect(one.decided).toMatchObject([{ error: bug }])
    },
  )
})

describe('the same update_id again', () => {
  test('while it runs shares the run, and what it comes to', async () => {
    const end = Promise.withResolvers<void>()
    const one = await botOf(() => end.promise)
    const callback = callbackOf(one)
    const calls = [failed(callback(update(1))), failed(callback(update(1))), failed(callback(update(2)))]
    await expect.poll(() => one.handled.length).toBe(2)
    await expect.poll(() => one.clock.pending).toBe(3)
    end.reject(new Error('bug'))
    const errors = await Promise.all(calls)
    expect(one.handled).toEqual([1, 2])
    expect(errors[0]).toBe(errors[1])
    expect(errors[2]).not.toBe(errors[1])
    expect(one.decided).toEqual([])
  })

  test('a failure is told by the request that is in time, though the first was not', async () => {
    const end = Promise.withResolvers<void>()
    const one = await botOf(() => end.promise)
    const callback = callbackOf(one)
    const first = failed(callback(update(1)))
    await expect.poll(() => one.clock.pending).toBe(1)
    await one.clock.advance('10s')
    expect(await first).toEqual(new Error('Request timed out after 10000 ms'))
    const second = failed(callback(update(1)))
    await expect.poll(() => one.clock.pending).toBe(1)
    end.reject(new Error('bug'))
    expect(await second).toBeInstanceOf(BotError)
    expect(one.handled).toEqual([1])
    expect(one.decided).toEqual([])
  })

  test('after it failed is a new run', async () => {
    let runs = 0
    const one = await botOf(() => {
      runs += 1
      if (runs === 1) throw new Error('bug')
    })
    const callback = callbackOf(one)
    expect(await failed(callback(update(1)))).toBeInstanceOf(BotError)
    expect(await callback(update(1))).toBeUndefined()
    expect(runs).toBe(2)
  })
})

describe('webhookCallback', () => {
  test('refuses a bot that polls, and the bot refuses to poll from then on', async () => {
    const polling = await botOf(() => {})
    void polling.bot.start()
    await polling.telegram.called('getUpdates')
    expect(() => webhookCallback(polling.bot, 'http')).toThrow('Bot is already running via long polling')
    await polling.bot.stop()
    const { bot } = await botOf(() => {})
    webhookCallback(bot, 'http')
    expect(() => bot.start()).toThrow('You already started the bot via webhooks')
  })

  test("works with a bot of grammY's, and grammY's own works with its options by position", async () => {
    const { bot } = await botOf(() => {})
    const stranger = new Bot('1:a', { botInfo: { id: 1 } as never })
    const seen: number[] = []
    stranger.use((ctx) => void seen.push(ctx.update.update_id))
    await (webhookCallback(stranger, plain as never, 'return', 10) as never as Callback)(update(1))
    expect(seen).toEqual([1])
    expect(typeof grammyWebhookCallback(bot, 'http', 'return', 10)).toBe('function')
  })

  test.each([
    [{ secretTokn: 'x' }, 'Did you mean "secretToken"?'],
    [{ onError: 'log' }, `Use 'throw' or 'catch'.`],
    [{ timeoutMilliseconds: '1 s' }, 'timeoutMilliseconds "1 s" (string)'],
  ])('refuses %j', async (options, said) => {
    const { bot } = await botOf(() => {})
    expect(() => webhookCallback(bot, 'http', options as never)).toThrow(said)
  })
})
