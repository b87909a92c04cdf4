import type { ApiClientOptions } from 'grammy'
import { Dispatcher, errors, Pool } from 'undici'
import type { Clock } from '../clock.ts'
import { InvalidOptionError } from '../errors.ts'
import { cut, peek } from '../evidence.ts'
import { redact } from '../secrets.ts'
import { AnswerError } from './errors.ts'
import { Gate, type AnySignal } from './gate.ts'
import { toldWait } from './told-wait.ts'

/** grammY's options of the client; requests can be sent through any dispatcher of undici's, a proxy's too. */
export type ClientOptions = Omit<ApiClientOptions, 'baseFetchConfig'> & {
  readonly baseFetchConfig?: Omit<NonNullable<ApiClientOptions['baseFetchConfig']>, 'agent'> & {
    readonly dispatcher?: Dispatcher
  }
}

/** The connections of one bot to the servers of the Bot API. */
export interface BotHttp {
  /** The options for grammY's client. */
  readonly client: ApiClientOptions
  /** Lets calls under way end for so many ms, then breaks them. A later call opens connections again. */
  close(within?: number): Promise<void>
}

/** What grammY's client asks of a fetch. */
interface Init {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: string | AsyncIterable<Uint8Array>
  readonly signal?: AnySignal
  readonly dispatcher?: Dispatcher
}

/** How grammY's client, and nobody else, reads an answer. */
interface Answer {
  json(): Promise<unknown>
}

/** Long polls have connections of their own, so that ending one never costs a call its place. */
interface Pools {
  readonly calls: Pool
  readonly polls: Pool
}

/** With the origin apart: the address as a whole would be parsed, and shown by the error when that fails. */
const requestBy = Dispatcher.prototype.request as (
  this: Dispatcher,
  options: Dispatcher.RequestOptions & { readonly origin: string },
) => Promise<Dispatcher.ResponseData>

/** Time to come to an end for calls that are under way when a bot is stopped. */
const LAST_CALLS = 1_000

// grammY's `timeoutSeconds` rules, which is longer than what undici allows by default.
const timeouts = { headersTimeout: 0, bodyTimeout: 0 }

/** Makes the connections of a bot. A user's own `fetch` is left alone. */
export function botHttp(subject: string, options: ClientOptions | undefined, clock: () => Clock): BotHttp {
  if (options?.fetch !== undefined) return { client: options as ApiClientOptions, close: async () => {} }
  const agent = peek(options?.baseFetchConfig, 'agent')
  if (agent !== undefined) {
    throw new InvalidOptionError(
      `client.baseFetchConfig of ${subject}`,
      'agent',
      agent,
      `Pass a dispatcher of undici's instead: { dispatcher: new ProxyAgent(url) }.`,
    )
  }
  const http = new Http(clock)
  const fetch = (url: string | URL, init: Init): Promise<Answer> => http.fetch(String(url), init)
  return { client: { ...options, fetch: fetch as never } as ApiClientOptions, close: (within) => http.close(within) }
}

class Http {
  readonly #gate: Gate
  readonly #clock: () => Clock
  readonly #pools = new Map<string, Pools>()

  constructor(clock: () => Clock) {
    this.#clock = clock
    this.#gate = new Gate(clock)
  }

  async fetch(url: string, init: Init): Promise<Answer> {
    // By hand: the error of a URL that is none would show it, with the token in it.
    const afterScheme = url.indexOf('://') + 3
    const at = url.indexOf('/', afterScheme)
    const [origin, path] = at < 0 ? [url, '/'] : [url.slice(0, at), url.slice(at)]
    const method = path.slice(path.lastIndexOf('/') + 1)
    const isPoll = method === 'getUpdates'
    const { signal } = init
    if (!isPoll && this.#gate.isShut) await this.#gate.pass(signal)
    const request = {
      path,
      method: (init.method ?? 'GET') as Dispatcher.HttpMethod,
      headers: init.headers ?? null,
      body: (init.body ?? null) as Dispatcher.DispatchOptions['body'],
      signal: signal ?? null,
      ...timeouts,
    }
    try {
      const { statusCode, statusText, body } = await this.#send(origin, request as never, isPoll, init.dispatcher)
      const text = await body.text()
      const json = readJson(text)
      if (json === undefined)
        throw AnswerError.ofCall(method, { status: statusCode, statusText, text: excerpt(text, path) })
      if (!isPoll) this.#holdBack(json)
      return { json: async () => json }
    } catch (error) {
      throw signal?.aborted === true ? asAbort(error) : error
    }
  }

  async close(within = LAST_CALLS): Promise<void> {
    const pools = [...this.#pools.values()].flatMap(({ calls, polls }) => [calls, polls])
    this.#pools.clear()
    const ended = Promise.all(pools.map((pool) => pool.close()))
    const clock = this.#clock()
    let timer: unknown
    const late = new Promise<void>((resolve) => (timer = clock.setTimeout(resolve, within)))
    await Promise.race([ended, late])
    clock.clearTimeout(timer)
    await Promise.all(pools.map((pool) => pool.destroyed || pool.destroy()))
  }

  #send(
    origin: string,
    request: Dispatcher.RequestOptions,
    isPoll: boolean,
    dispatcher: Dispatcher | undefined,
  ): Promise<Dispatcher.ResponseData> {
    if (dispatcher !== undefined) return requestBy.call(dispatcher, { ...request, origin })
    const pools = this.#pools.get(origin) ?? this.#open(origin)
    return (isPoll ? pools.polls : pools.calls).request(request)
  }

  #open(origin: string): Pools {
    const options = { ...timeouts, allowH2: false }
    const pools = { calls: new Pool(origin, options), polls: new Pool(origin, options) }
    this.#pools.set(origin, pools)
    return pools
  }

  #holdBack(answer: unknown): void {
    const wait = peek(answer, 'ok') === false ? toldWait(answer) : undefined
    if (wait !== undefined) this.#gate.hold(wait)
  }
}

/** The value a text stands for; undefined if it is no JSON. */
function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The beginning of what was answered; a page of a proxy may show the address it was asked for, and so the token. */
function excerpt(text: string, path: string): string {
  const secrets = path.split('/').filter((part) => part.startsWith('bot') && part.length > 'bot'.length)
  const clean = secrets.reduce((rest, secret) => rest.replaceAll(secret.slice('bot'.length), '[redacted]'), text)
  return cut(redact(clean), 200)
}

function asAbort(error: unknown): unknown {
  if (peek(error, 'name') === 'AbortError') return error
  return Object.assign(new errors.RequestAbortedError('The call was aborted'), { cause: error })
}
