import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { systemClock, type Clock } from '../clock.ts'
import { parseDuration, type Duration } from '../duration.ts'
import { InvalidOptionError } from '../errors.ts'
import { checkKeys, readDuration, readWholeNumber } from '../options.ts'
import { Backlog, type FakeUpdate } from './telegram-backlog.ts'
import { readBody } from './telegram-body.ts'
import { errorBody, usualResult, type FakeCall, type FakeReply } from './telegram-replies.ts'
import { makeSend, type FakeSend } from './telegram-updates.ts'

export interface FakeTelegramOptions {
  /** The only token it knows. @default a token of its own */
  readonly token?: string
  /** What every answer waits for. @default none */
  readonly latency?: Duration
  /** The number of the first update. @default 1 */
  readonly firstUpdate?: number
  /** Who measures the timeouts of long polls. @default the machine */
  readonly clock?: Clock
}

type Scripted = FakeReply | ((call: FakeCall) => FakeReply | undefined)

/** A Bot API server for tests, with Telegram's rules of offsets. */
export interface FakeTelegram extends AsyncDisposable {
  readonly token: string
  /** To be given to `new Bot(token, { client: { apiRoot } })`. */
  readonly url: string
  readonly me: {
    readonly id: number
    readonly is_bot: true
    readonly first_name: string
    readonly username: string
    readonly [right: string]: unknown
  }
  /** What every answer waits for; may be changed at any time. */
  latency: Duration
  /** Sends updates to the bot. */
  readonly send: FakeSend
  /** Updates that the bot has not confirmed. */
  readonly unconfirmed: readonly FakeUpdate[]
  /** The kinds that the bot asked for last; empty: what Telegram sends by default. */
  readonly allowedUpdates: readonly string[]
  /** The address that `setWebhook` was given; while there is one, nobody can poll. */
  webhook: string
  /** Every call so far, first to last. */
  readonly calls: readonly FakeCall[]
  callsOf(method: string): readonly FakeCall[]
  /** The n-th call of a method, counted from 1, as soon as it is there. */
  called(method: string, nth?: number): Promise<FakeCall>
  /** Resolves when the condition holds; it is asked whenever something happened here. */
  until(condition: () => boolean): Promise<void>
  /** The next calls of a method, of any with `'*'`, get these replies, one each. */
  next(method: string, ...replies: readonly Scripted[]): void
  /** From now on a method, any with `'*'`, gets this reply; undefined: what Telegram would answer. */
  always(method: string, reply: Scripted | undefined): void
  /** Connections that are open now. */
  readonly connections: number
  /** Breaks every connection that is open. */
  disconnect(): void
  close(): Promise<void>
}

/**
 * Starts a Bot API server on a free port of this machine. What a bot does with it stays here.
 *
 * @example
 * await using telegram = await fakeTelegram()
 * const bot = new Bot(telegram.token, { client: { apiRoot: telegram.url } })
 * bot.command('start', (ctx) => ctx.reply('Hello!'))
 * void bot.start()
 * telegram.send.text('/start')
 * const { payload } = await telegram.called('sendMessage') // { chat_id: 1, text: 'Hello!' }
 * await bot.stop()
 */
export async function fakeTelegram(options: FakeTelegramOptions = {}): Promise<FakeTelegram> {
  const subject = 'fakeTelegram()'
  checkKeys(subject, options, ['token', 'latency', 'firstUpdate', 'clock'])
  readDuration(subject, 'latency', options.latency)
  readWholeNumber(subject, 'firstUpdate', options.firstUpdate, { min: 1 })
  const server = new Server(options)
  await server.listen()
  return server
}

/** A long poll that waits for updates. */
interface OpenPoll {
  readonly limit: number
  readonly offset: number
  readonly answer: (updates: readonly FakeUpdate[] | 'conflict' | 'webhook') => void
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

interface Exchange {
  readonly call: Mutable<FakeCall>
  readonly response: ServerResponse
}

class Server implements FakeTelegram {
  readonly token: string
  url = ''
  readonly me: FakeTelegram['me']
  latency: Duration
  readonly send: FakeSend
  webhook = ''
  readonly calls: FakeCall[] = []
  readonly #clock: Clock
  readonly #backlog = new Backlog()
  /** Taken here: most tests that import this want a clock. */
  readonly #server = process
    .getBuiltinModule('node:http')
    .createServer((request, response) => void this.#serve(request, response).catch(() => {}))
  readonly #sockets = new Map<Socket, number>()
  readonly #scripted = new Map<string, Scripted[]>()
  readonly #fixed = new Map<string, Scripted>()
  readonly #watchers = new Set<() => void>()
  #waits: { readonly said: string; readonly reject: (error: Error) => void }[] = []
  #poll: OpenPoll | undefined
  #lastConnection = 0
  #lastMessage = 10_000

  constructor(options: FakeTelegramOptions) {
    this.token = options.token ?? '123456789:AAFakeFakeFakeFakeFakeFakeFakeFakeFake'
    this.latency = options.latency ?? 0
    this.#clock = options.clock ?? systemClock
    this.me = {
      id: Number(/^\d+/.exec(this.token)?.[0] ?? 1),
      is_bot: true,
      first_name: 'Fake',
      username: 'fake_bot',
      can_join_groups: true,
      can_read_all_group_messages: false,
      supports_inline_queries: true,
    }
    this.send = makeSend(
      (update) => this.#deliver(update),
      options.firstUpdate ?? 1,
      () => this.#clock.now(),
    )
    this.#server.on('connection', (socket) => {
      this.#sockets.set(socket, (this.#lastConnection += 1))
      this.#happened()
      socket.on('close', () => {
        this.#sockets.delete(socket)
        this.#happened()
      })
    })
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(0, '127.0.0.1', resolve)
    })
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  get unconfirmed(): readonly FakeUpdate[] {
    return this.#backlog.updates
  }

  get allowedUpdates(): readonly string[] {
    return this.#backlog.allowed
  }

  get connections(): number {
    return this.#sockets.size
  }

  callsOf(method: string): readonly FakeCall[] {
    return this.calls.filter((call) => call.method === method)
  }

  async called(method: string, nth = 1): Promise<FakeCall> {
    await this.#wait(() => this.callsOf(method).length >= nth, `call ${nth} of ${method}`)
    return this.callsOf(method)[nth - 1] as FakeCall
  }

  until(condition: () => boolean): Promise<void> {
    return this.#wait(condition, 'a condition')
  }

  next(method: string, ...replies: readonly Scripted[]): void {
    this.#scripted.set(method, [...(this.#scripted.get(method) ?? []), ...replies])
  }

  always(method: string, reply: Scripted | undefined): void {
    if (reply === undefined) this.#fixed.delete(method)
    else this.#fixed.set(method, reply)
  }

  disconnect(): void {
    for (const socket of this.#sockets.keys()) socket.destroy()
  }

  async close(): Promise<void> {
    const counts = [...new Set(this.calls.map(({ method }) => method))].map(
      (method) => `${method} ${this.callsOf(method).length}`,
    )
    for (const { said, reject } of this.#waits.splice(0)) {
      reject(new Error(`the fake Telegram was closed before ${said}. It was called: ${counts.join(', ') || 'never'}.`))
    }
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  // One call

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.url)
    const connection = this.#sockets.get(request.socket) ?? 0
    const [, token, method = ''] = /^\/bot([^/]*)\/(?:test\/)?([^/]*)$/.exec(url.pathname) ?? []
    if (token === undefined) return void response.writeHead(404).end()
    const body = await readBody(request, url.searchParams)
    const call: Mutable<FakeCall> = { method, ...body, at: this.#clock.now(), connection, state: 'open' }
    const exchange = { call, response }
    response.on('close', () => {
      call.state = response.writableFinished ? 'answered' : 'broken'
      this.#happened()
    })
    this.calls.push(call)
    this.#happened()
    if (token !== this.token) return this.#reply(exchange, { error: 401 })
    const scripted = this.#scriptOf(call)
    if (scripted !== undefined && !('drop' in scripted && scripted.drop === 'after')) {
      return this.#reply(exchange, scripted)
    }
    const reply = await this.#carryOut(exchange)
    if (reply !== undefined) this.#reply(exchange, scripted ?? reply)
  }

  #scriptOf(call: FakeCall): FakeReply | undefined {
    const queue = [this.#scripted.get(call.method), this.#scripted.get('*')].find((one) => (one?.length ?? 0) > 0)
    const scripted = queue?.shift() ?? this.#fixed.get(call.method) ?? this.#fixed.get('*')
    return typeof scripted === 'function' ? scripted(call) : scripted
  }

  /** Undefined when the client has gone. */
  async #carryOut({ call, response }: Exchange): Promise<FakeReply | undefined> {
    const { method, payload } = call
    if (method === 'getUpdates') return this.#getUpdates(payload, response)
    if (method === 'setWebhook' || method === 'deleteWebhook') {
      this.webhook = method === 'setWebhook' ? String(payload['url'] ?? '') : ''
      if (payload['drop_pending_updates'] === true) this.#backlog.drop()
      if (method === 'setWebhook') this.#backlog.allow(payload['allowed_updates'])
      if (this.webhook !== '') this.#poll?.answer('webhook')
      return { result: true }
    }
    if (method === 'getWebhookInfo') {
      const pending_update_count = this.#backlog.updates.length
      return { result: { url: this.webhook, has_custom_certificate: false, pending_update_count } }
    }
    return { result: usualResult(call, this.me, () => (this.#lastMessage += 1)) }
  }

  async #getUpdates(payload: FakeCall['payload'], response: ServerResponse): Promise<FakeReply | undefined> {
    if (this.webhook !== '') return { error: 409, description: WEBHOOK_IS_ACTIVE }
    this.#poll?.answer('conflict')
    this.#backlog.allow(payload['allowed_updates'])
    const offset = Number(payload['offset'] ?? 0)
    const limit = Number(payload['limit'] ?? 100)
    const timeout = Number(payload['timeout'] ?? 0) * 1_000
    const updates = this.#backlog.take(offset, limit)
    this.#happened()
    if (updates.length > 0 || timeout <= 0) return { result: updates }
    return new Promise((resolve) => {
      const end = (reply: FakeReply | undefined): void => {
        this.#clock.clearTimeout(timer)
        if (this.#poll === poll) this.#poll = undefined
        resolve(reply)
      }
      const poll: OpenPoll = {
        limit,
        offset,
        answer: (what) => {
          if (what === 'conflict') end({ error: 409 })
          else if (what === 'webhook') end({ error: 409, description: WEBHOOK_WAS_SET })
          else end({ result: what })
        },
      }
      const timer = this.#clock.setTimeout(() => end({ result: [] }), timeout)
      response.on('close', () => end(undefined))
      this.#poll = poll
      this.#happened()
    })
  }

  #deliver(update: FakeUpdate): void {
    if (!this.#backlog.add(update)) return
    const poll = this.#poll
    // A burst of one turn comes in one batch, as it does when it waited for the poll.
    if (poll !== undefined) {
      setImmediate(() => poll === this.#poll && poll.answer(this.#backlog.take(poll.offset, poll.limit)))
    }
    this.#happened()
  }

  #reply(exchange: Exchange, reply: FakeReply): void {
    const delay = parseDuration(reply.delay ?? this.latency)
    if (delay === undefined) throw new InvalidOptionError('fakeTelegram()', 'latency', this.latency, 'Use a duration.')
    if (delay > 0) setTimeout(() => this.#write(exchange, reply), delay).unref()
    else this.#write(exchange, reply)
  }

  #write({ response }: Exchange, reply: FakeReply): void {
    if ('hang' in reply) return
    if ('drop' in reply) return void response.destroy()
    if ('body' in reply) {
      return void response.writeHead(reply.status ?? 200, { 'content-type': reply.type ?? 'text/html' }).end(reply.body)
    }
    const isError = 'error' in reply
    const body = isError ? errorBody(reply) : { ok: true, result: reply.result }
    const status = isError ? (reply.status ?? reply.error) : 200
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }

  // Waiting

  #happened(): void {
    for (const watcher of this.#watchers) watcher()
  }

  #wait(condition: () => boolean, said: string): Promise<void> {
    if (condition()) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const wait = { said, reject }
      const watcher = (): void => {
        if (!condition()) return
        this.#watchers.delete(watcher)
        this.#waits = this.#waits.filter((one) => one !== wait)
        resolve()
      }
      this.#watchers.add(watcher)
      this.#waits.push(wait)
    })
  }
}

const WEBHOOK_IS_ACTIVE =
  "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
const WEBHOOK_WAS_SET = 'Conflict: terminated by setWebhook request'
