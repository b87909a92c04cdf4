import {
  Bot as GrammyBot,
  type BotError,
  type Context,
  type ErrorHandler,
  type Middleware,
  type MiddlewareFn,
  type WebhookReplyEnvelope,
} from 'grammy'
import type { Update } from 'grammy/types'
import { takeAnswer } from '../actors/floating.ts'
import { incarnate, type Hosting } from '../actors/hosted.ts'
import type { Incarnation } from '../actors/incarnation.ts'
import type { Place, Reports } from '../actors/reports.ts'
import type { Broker } from '../brokers/broker.ts'
import type { ChildPolicy } from '../child.ts'
import { systemClock, type Clock } from '../clock.ts'
import { stop } from '../decision.ts'
import { definitionBrand } from '../definition.ts'
import type { Duration } from '../duration.ts'
import { SystemStoppedError } from '../errors.ts'
import { checkKeys, readDuration } from '../options.ts'
import type { Plugin } from '../plugin.ts'
import { start, type StartOptions } from '../start.ts'
import type { System } from '../system.ts'
import type { TaskContext } from '../task-context.ts'
import { readBotOptions, type BotOptions, type BotPolicy } from './bot-options.ts'
import { readPolling, type PollingOptions, type PollingPolicy } from './polling-options.ts'
import { Chain } from './chain.ts'
import { addBoundary, addFilter, addFork, partOf, scopeOf, type Composer } from './composer.ts'
import type { Inbox } from './inbox.ts'
import type { BotCatch } from './last-boundary.ts'
import { botHttp, type BotHttp } from './http.ts'
import { BotLife, type BotSide, type Polled } from './life.ts'
import type { Pass } from './pass.ts'
import type { BoundaryHandler } from './scope.ts'
import { updateApi } from './update-api.ts'
import { contextMaker, type NewContext } from './update-context.ts'
import { notKept, webhookTarget, type WebhookTarget } from './webhook.ts'

/** What middleware of our bots finds in its context beside grammY's own. */
export interface JobFlavor {
  /** The update as a job: its signal, log, attempt. Not enumerable. */
  readonly job: TaskContext
}

export interface BotStartOptions extends PollingOptions {
  /** Where updates are kept. @default memory() */
  readonly broker?: Broker
  readonly inspect?: NonNullable<StartOptions['inspect']>
}

export interface BotStopOptions {
  /** How long running updates may take; then their signal aborts, and what is unfinished is handed back. @default shutdown */
  readonly drain?: Duration
}

/**
 * grammY's `Bot`, supervised: each update is a job, updates of one chat are handled in order and chats side by side, and
 * `errorBoundary` makes a supervisor. Put it under a supervisor, give it to `start()`, or start it by itself.
 *
 * @example
 * const bot = new Bot(token)
 * bot.on('message:text', (ctx) => ctx.reply(ctx.message.text))
 * await bot.start()
 */
// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- the static block below defines what it adds
export class Bot<C extends Context = Context & JobFlavor> extends GrammyBot<C> {
  readonly #policy: BotPolicy
  readonly #botId: string
  readonly #http: BotHttp
  /** Of `start()`. */
  #polling: PollingPolicy | undefined
  readonly #listened = new Set<string>()
  #hasConnected = false
  readonly #chain = new Chain<C>([])
  readonly #newContext: NewContext<C>
  #catch: BotCatch | undefined
  #life: BotLife | undefined
  /** Of its life before this one. */
  #offset: BotSide['left']
  /** Where updates are handled that nobody started a system for. */
  #ownSystem: Promise<System> | undefined
  #isAlone = false
  #left: { readonly thrown: unknown } | undefined

  constructor(token: string, options: BotOptions<C> = {}) {
    const botId = String(token).split(':', 1)[0] ?? ''
    const policy = readBotOptions(botId, options)
    const { botInfo, ContextConstructor } = options
    let clock = (): Clock => systemClock // until there is a `this` that knows a better one
    const http = botHttp(`bot "${policy.name}"`, options.client, () => clock())
    super(token, {
      client: http.client,
      ...(botInfo && { botInfo }),
      ...(ContextConstructor && { ContextConstructor }),
    })
    this.#botId = botId
    this.#policy = policy
    this.#http = http
    this.#newContext = contextMaker(ContextConstructor)
    clock = () => this.#life?.tree.clock ?? systemClock
    hideToken(this)
    hideToken(this.api)
    const atFirst = this.errorHandler
    // The runner calls this field, and may set it; what was set is what `bot.catch` set.
    let current = atFirst
    Object.defineProperty(this, 'errorHandler', {
      enumerable: true,
      configurable: true,
      get: () => current,
      set: (handler: ErrorHandler<C>) => {
        current = handler
        this.#catch = handler === atFirst ? undefined : (handler as unknown as BotCatch)
      },
    })
  }

  // As a definition

  static {
    // Not as members: what has a symbol for its name, a declaration made from this file alone cannot tell.
    // And what has types that a compiler compares for minutes (measured with TypeScript 7.0).
    const on = GrammyBot.prototype.on as (this: object, filter: string | string[], ...middleware: unknown[]) => unknown
    Object.defineProperty(this.prototype, 'on', {
      value(this: Bot, filter: string | string[], ...middleware: unknown[]): unknown {
        for (const query of [filter].flat()) this.#listensTo(query)
        return on.call(this, filter, ...middleware)
      },
    })
    Object.defineProperty(this.prototype, webhookTarget, {
      get(this: Bot): WebhookTarget {
        return this.#webhook()
      },
    })
    Object.defineProperty(this.prototype, definitionBrand, { value: 'bot' })
    Object.defineProperty(this.prototype, incarnate, {
      value(this: Bot, place: Place, reports: Reports): Incarnation {
        return new BotLife(this.#side(), place, reports)
      },
    })
  }

  get kind(): 'bot' {
    return 'bot'
  }

  get name(): string {
    return this.#policy.name
  }

  get plugins(): readonly Plugin[] {
    return this.#policy.plugins
  }

  get child(): ChildPolicy {
    return this.#policy.child
  }

  /** Where updates are admitted while the bot is live. @internal */
  get inbox(): Inbox | undefined {
    return this.#life?.inbox
  }

  // As grammY's

  override use(...middleware: Middleware<C>[]): Composer<C> {
    const composer = partOf(this, middleware)
    this.#chain.add(composer)
    return composer
  }

  override middleware(): MiddlewareFn<C> {
    return this.#chain.run
  }

  override filter<D extends C>(predicate: (ctx: C) => ctx is D, ...middleware: Middleware<D>[]): Composer<D>
  override filter(predicate: (ctx: C) => boolean | Promise<boolean>, ...middleware: Middleware<C>[]): Composer<C>
  override filter(predicate: (ctx: C) => boolean | Promise<boolean>, ...middleware: Middleware<never>[]): Composer<C> {
    return addFilter(this, predicate, middleware as Middleware<C>[])
  }

  override fork(...middleware: Middleware<C>[]): Composer<C> {
    return addFork(this, middleware)
  }

  /** As `Composer.errorBoundary`: what it protects has a supervisor of its own. */
  override errorBoundary(handler: BoundaryHandler<C>, ...middleware: Middleware<C>[]): Composer<C>
  override errorBoundary(name: string, handler: BoundaryHandler<C>, ...middleware: Middleware<C>[]): Composer<C>
  override errorBoundary(...given: unknown[]): Composer<C> {
    return addBoundary(this, given)
  }

  /** The last boundary of the bot; may answer with a decision. The latest one counts. */
  override catch(handler: (error: BotError<C>) => unknown): void {
    this.errorHandler = handler as ErrorHandler<C>
  }

  override async init(signal?: Parameters<GrammyBot['init']>[0]): Promise<void> {
    await super.init(signal)
    const life = this.#life
    if (life?.isPolling === false) life.isInited() // what waits for a poller waits for its `onStart` too
  }

  /** Handles one update at once, as a job; rejects with its `BotError`, for who calls it is its last boundary. */
  override handleUpdate(update: Update, envelope?: WebhookReplyEnvelope): Promise<void> {
    if (!this.isInited()) return super.handleUpdate(update, envelope) // grammY says what is missing
    if (this.#life === undefined) return this.#ownLife().then(({ updates }) => updates.handle(update, envelope))
    return this.#life.updates.handle(update, envelope)
  }

  /** Resolves when it was stopped and is idle; rejects with what left all boundaries, or ended the poller. */
  override async start(options: BotStartOptions = {}): Promise<void> {
    if (this.#isAlone || this.#life !== undefined) {
      if (this.#ownSystem === undefined) return this.init()
      await this.#stopOwn()
    }
    const { broker, inspect, ...polling } = options
    this.#polling = readPolling('bot.start()', polling)
    this.#isAlone = true
    this.#hasConnected = false
    this.#left = undefined
    try {
      const system = await start(this, { catch: () => stop, ...(broker && { broker }), ...(inspect && { inspect }) })
      await system.done
      this.#throwLeft()
    } catch (failure) {
      this.#throwLeft()
      if (!(failure instanceof SystemStoppedError)) throw failure // stopped while it connected
    } finally {
      this.#isAlone = false
    }
  }

  #throwLeft(): void {
    if (this.#left !== undefined) throw this.#left.thrown
  }

  /**
   * Lets running updates finish, hands back the others, and ends what this bot has begun. Called from inside of an
   * update it does not wait for that one; `start()` does.
   */
  override async stop(options: BotStopOptions = {}): Promise<void> {
    checkKeys('bot.stop()', options, ['drain'])
    const drain = readDuration('bot.stop()', 'drain', options.drain, { infinite: true })
    const life = this.#life
    if (life === undefined) return
    life.drainWithin = drain
    const stopped =
      this.#ownSystem !== undefined ? this.#stopOwn() : this.#isAlone ? life.tree.stopSystem() : life.end()
    if (!life.isInside()) await stopped // whoever runs in it would wait for itself
  }

  /** Whether it polls, or is about to; a bot that is fed by webhooks does not. */
  override isRunning(): boolean {
    return this.#isAlone || this.#life?.isPolling === true
  }

  async #stopOwn(): Promise<void> {
    const system = this.#ownSystem
    this.#ownSystem = undefined
    await (await system)?.stop()
  }

  async #ownLife(): Promise<BotLife> {
    this.#ownSystem ??= start(this)
    await this.#ownSystem
    return this.#life as BotLife
  }

  #side(): BotSide {
    // oxlint-disable-next-line typescript/no-this-alias -- getters of the object below have a `this` of their own
    const bot = this
    return {
      definition: this,
      botId: this.#botId,
      policy: this.#policy,
      scope: scopeOf(this),
      get handler() {
        return bot.#catch
      },
      get isAlone() {
        return bot.#isAlone
      },
      get left() {
        return bot.#offset
      },
      get isInited() {
        return bot.isInited()
      },
      leaves: (thrown) => (this.#left = { thrown }),
      stopSoon: () => void this.stop(),
      handle: (update, envelope, pass) => this.#handle(update, envelope, pass),
      get polling() {
        return bot.#polled()
      },
      begins: (life) => (this.#life = life),
      ends: async (life) => {
        this.#offset = { offset: life.inbox.confirmable(), at: life.tree.clock.now() }
        await this.#http.close()
        if (this.#life === life) this.#life = undefined
      },
    }
  }

  #listensTo(query: string): void {
    const [kind = ''] = query.split(':', 1)
    if (!SEVERAL_KINDS.has(kind)) this.#listened.add(kind)
  }

  #polled(): Polled | undefined {
    const options = this.#isAlone ? this.#polling : this.#policy.polling
    if (options === undefined || this.#policy.polling === undefined || this.#ownSystem !== undefined) return undefined
    return {
      api: this.api,
      options,
      isFirst: !this.#hasConnected,
      me: () => (this.isInited() ? this.botInfo : undefined),
      isMe: (me) => {
        if (!this.isInited()) this.botInfo = me
      },
      listened: () => this.#listened,
      ready: () => {
        this.#hasConnected = true
        this.use = noUseFunction
      },
    }
  }

  #webhook(): WebhookTarget {
    const life = async (): Promise<BotLife> => this.#life ?? (await this.#ownLife())
    return {
      clock: this.#life?.tree.clock ?? systemClock,
      handle: async (update, envelope) => (await life()).inbox.handle(update, envelope),
      keep: async (update) => {
        const { inbox, path } = await life()
        if (!inbox.durable) throw notKept(path)
        await inbox.admit([update])
      },
      decide: decideUntaken,
    }
  }

  /** As grammY does for each update. */
  #handle(update: Update, envelope: WebhookReplyEnvelope | undefined, pass: Pass): Promise<void> {
    const ctx = this.#newContext(update, updateApi(this.api, envelope), this.botInfo, pass)
    return pass.run(this.middleware(), ctx)
  }
}

/** Decides about an error that a caller was told and did not take as if the update had been polled; no other is ours. */
async function decideUntaken(error: unknown): Promise<void> {
  const decide = takeAnswer(error)
  if (decide === undefined) throw error
  await decide()
}

/** Short words of grammY's for more than one kind of update. */
const SEVERAL_KINDS: ReadonlySet<string> = new Set(['', 'msg', 'edit'])

/** Its name is how grammY's own calls it. */
function noUseFunction(): never {
  throw new Error(
    'bot.use() was called while the bot runs, which would add a listener with every update. ' +
      'Register listeners before bot.start(), or put a composer on the bot and add to that.',
  )
}

/** A definition, to be put under a supervisor or given to `start()`. */
// oxlint-disable-next-line no-unused-vars -- a merged interface has the parameters of its class
export interface Bot<C extends Context = Context & JobFlavor> extends Hosting {}

/** Whoever logs a bot, an `Api` or an error that leads to them must not log the token. */
function hideToken(owner: object): void {
  Object.defineProperty(owner, 'token', { enumerable: false })
}
