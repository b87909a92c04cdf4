import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  webhookCallback as grammyWebhookCallback,
  type Bot as GrammyBot,
  type Context,
  type WebhookOptions as GrammyWebhookOptions,
  type WebhookReplyEnvelope,
} from 'grammy'
import type { Update } from 'grammy/types'
import { systemClock, type Clock } from '../clock.ts'
import { InvalidOptionError } from '../errors.ts'
import { peek, textOf } from '../evidence.ts'
import { checkKeys, readBoolean, readDuration, readOneOf } from '../options.ts'
import { redact } from '../secrets.ts'
import { WatchedPromise } from './watched-promise.ts'
import { httpAdapter, refuse, Refusal } from './webhook-http.ts'

/** grammY's options of webhooks, and ours. */
export interface WebhookOptions extends GrammyWebhookOptions {
  /**
   * Who is given an error of middleware: the web framework, or `bot.catch`, after which the request ends with 200 and
   * Telegram does not send the update again. @default 'throw'
   */
  readonly onError?: 'throw' | 'catch'
  /**
   * Answers as soon as the broker keeps the update, which is then handled as a polled one is, by any process of its store
   * and in the order of its chat; errors go to `bot.catch`. Needs a durable broker. @default false
   */
  readonly keep?: boolean
}

/** What webhooks need of a bot of ours; a bot has it under `webhookTarget`. */
export interface WebhookTarget {
  readonly clock: Clock
  /** Runs an update as the inbox's `handle` does; `reply` may carry one call of the API in the answer. */
  handle(update: Update, reply: WebhookReplyEnvelope | undefined): Promise<void>
  /** Keeps an update with the broker. */
  keep(update: Update): Promise<void>
  /** Decides about a failure as if its update had been polled: `bot.catch`, supervisors, root catch. */
  decide(error: unknown): Promise<void> | void
}

export const webhookTarget: unique symbol = Symbol('rootcatch.webhookTarget')

type Adapter = Parameters<typeof grammyWebhookCallback>[1]
type AdapterFunction = Extract<Adapter, (...args: never[]) => unknown>

const KEYS = ['onTimeout', 'timeoutMilliseconds', 'secretToken', 'onError', 'keep'] as const
const TIMEOUT = 10_000

/**
 * Makes a callback for a web framework, as grammY's `webhookCallback` does, with all of its adapters. An error of
 * middleware rejects what the callback returns, so that the framework answers and Telegram sends the update again. What
 * fails after the timeout goes to `bot.catch` and the supervisors above, as if it had been polled.
 *
 * @example
 * createServer(webhookCallback(bot, 'http', { secretToken })).listen(8443)
 */
export function webhookCallback<C extends Context = Context, A extends Adapter = Adapter>(
  bot: GrammyBot<C>,
  adapter: A,
  options?: WebhookOptions,
): ReturnType<typeof grammyWebhookCallback<C, A>>
/** @deprecated Pass the options as an object. */
export function webhookCallback<C extends Context = Context, A extends Adapter = Adapter>(
  bot: GrammyBot<C>,
  adapter: A,
  onTimeout?: GrammyWebhookOptions['onTimeout'],
  timeoutMilliseconds?: GrammyWebhookOptions['timeoutMilliseconds'],
  secretToken?: GrammyWebhookOptions['secretToken'],
): ReturnType<typeof grammyWebhookCallback<C, A>>
export function webhookCallback(
  bot: GrammyBot,
  adapter: Adapter = 'express',
  first?: WebhookOptions | GrammyWebhookOptions['onTimeout'],
  timeoutMilliseconds?: number,
  secretToken?: string,
): unknown {
  const given = typeof first === 'object' ? first : { onTimeout: first, timeoutMilliseconds, secretToken }
  const options = given as WebhookOptions
  checkKeys('webhookCallback()', options, KEYS)
  readBoolean('webhookCallback()', 'keep', options.keep)
  readOneOf('webhookCallback()', 'onError', options.onError, ['throw', 'catch'])
  readDuration('webhookCallback()', 'timeoutMilliseconds', options.timeoutMilliseconds, { infinite: true })
  const entry = new Entry(bot, options)
  return adapter === 'http' || adapter === 'https' ? entry.httpCallback() : entry.callback(adapter)
}

type Handler = (...args: readonly unknown[]) => Promise<unknown>
type HttpHandler = (request: IncomingMessage, response: ServerResponse) => Promise<unknown>

/** One run of an update, and the requests that wait for it. */
interface SharedRun {
  over: Promise<void>
  /** Requests that would still tell of a failure. */
  inTime: number
}

/** Where the updates of one webhook come in. */
class Entry {
  readonly #bot: GrammyBot
  readonly #options: WebhookOptions
  readonly #runs = new Map<unknown, SharedRun>()
  /** Errors that were handed over: several requests may share one. */
  readonly #decided = new WeakSet<object>()

  constructor(bot: GrammyBot, options: WebhookOptions) {
    this.#bot = bot
    this.#options = options
  }

  /** grammY's callback around a bot that has our clock and our way with failures. */
  callback(adapter: Adapter): Handler {
    const { secretToken } = this.#options
    const isOurs = typeof adapter === 'function'
    const safe = isOurs && secretToken !== undefined ? withSafeSecret(adapter, secretToken) : adapter
    const secret = secretToken === undefined ? {} : { secretToken: isOurs ? RIGHT : secretToken }
    const make = (facade: object): Handler =>
      grammyWebhookCallback(facade as never, safe, { timeoutMilliseconds: Infinity, ...secret }) as Handler
    make(this.#bot) // refuses a bot that polls, and refuses polling from now on
    return (...args) => {
      const handleUpdate = (update: Update, reply: WebhookReplyEnvelope): Promise<void> =>
        this.#handle(update, reply, args)
      // Who the bot is, is asked later: when the secret was right.
      return make({ isRunning: () => false, init: async () => {}, handleUpdate })(...args)
    }
  }

  /** Answers what is no update, and what nobody else would. */
  httpCallback(): Handler {
    const callback = this.callback(httpAdapter as never) as HttpHandler
    const answer: HttpHandler = (request, response) => {
      const answered = callback(request, response).catch((error: unknown) => {
        if (!(error instanceof Refusal)) throw error
        refuse(request, response, error)
      })
      return WatchedPromise.of(answered, (error) => {
        refuse(request, response, new Refusal(500, 'the update was not handled'))
        if (!(error instanceof TimedOut)) void this.#decide(error)
      })
    }
    return answer as Handler
  }

  async #handle(update: Update, reply: WebhookReplyEnvelope, args: readonly unknown[]): Promise<void> {
    await this.#bot.init()
    const { onTimeout = 'throw', timeoutMilliseconds = TIMEOUT } = this.#options
    const run = this.#join(update, reply)
    if (await this.#isOver(run, timeoutMilliseconds)) return
    run.inTime -= 1
    if (onTimeout === 'throw') throw new TimedOut(timeoutMilliseconds)
    if (typeof onTimeout === 'function') onTimeout(...args)
  }

  /** Whether it was over in time; throws what it failed with then. */
  async #isOver(run: SharedRun, ms: number): Promise<boolean> {
    const over = run.over.then(() => true)
    if (ms === Infinity) return over
    const { clock } = targetOf(this.#bot)
    const late = Promise.withResolvers<false>()
    const timer = clock.setTimeout(() => late.resolve(false), ms)
    try {
      return await Promise.race([over, late.promise])
    } finally {
      clock.clearTimeout(timer)
    }
  }

  /** Telegram sends an update again that it has no answer for: while it runs, that is the same run. */
  #join(update: Update, reply: WebhookReplyEnvelope): SharedRun {
    const id = peek(update, 'update_id')
    const known = typeof id === 'number' ? this.#runs.get(id) : undefined
    const run = known ?? { over: Promise.resolve(), inTime: 0 }
    run.inTime += 1
    if (known !== undefined) return run
    if (typeof id === 'number') this.#runs.set(id, run)
    run.over = this.#run(update, reply, run).finally(() => this.#runs.delete(id))
    run.over.catch(() => {}) // every request may have gone by then
    return run
  }

  async #run(update: Update, reply: WebhookReplyEnvelope, run: SharedRun): Promise<void> {
    try {
      const target = targetOf(this.#bot)
      await (this.#options.keep === true ? target.keep(update) : target.handle(update, reply))
    } catch (error) {
      if (this.#options.onError !== 'catch' && run.inTime > 0) throw error
      await this.#decide(error)
    }
  }

  /** It does not fail itself: nobody is left who could be told. */
  async #decide(error: unknown): Promise<void> {
    if (typeof error === 'object' && error !== null) {
      if (this.#decided.has(error)) return
      this.#decided.add(error)
    }
    try {
      await targetOf(this.#bot).decide(error)
    } catch (thrown) {
      process.stderr.write(`an error of a webhook reached nobody: ${redact(textOf(thrown))}\n`)
    }
  }
}

/** As grammY says it. */
class TimedOut extends Error {
  constructor(ms: number) {
    super(`Request timed out after ${ms} ms`)
  }
}

/** What a bot of ours has; one of grammY's has its middleware and its handler of errors. */
function targetOf(bot: GrammyBot & { readonly [webhookTarget]?: WebhookTarget }): WebhookTarget {
  return (
    bot[webhookTarget] ?? {
      clock: systemClock,
      handle: (update, reply) => bot.handleUpdate(update, reply),
      keep: () => Promise.reject(notKept('a bot of grammY')),
      decide: (error) => bot.errorHandler(error as never) as Promise<void> | void,
    }
  )
}

/** Only what outlives the process is kept. */
export const notKept = (what: string): InvalidOptionError =>
  new InvalidOptionError('webhookCallback()', 'keep', true, `${what} keeps nothing; give start() a durable broker.`)

const RIGHT = 'right'

/** grammY's comparison tells the length of the secret by its time. */
function withSafeSecret(adapter: AdapterFunction, secretToken: string): AdapterFunction {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  const expected = digest(secretToken)
  return (...args) => {
    const handler = adapter(...args)
    const isRight = timingSafeEqual(digest(handler.header ?? ''), expected) && handler.header !== undefined
    return Object.create(handler, { header: { value: isRight ? RIGHT : undefined } }) as typeof handler
  }
}
