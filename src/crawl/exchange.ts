import type { Dispatcher } from 'undici'
import type { Route } from './connections.ts'
import type { Deadline, Deadlines } from './deadlines.ts'
import { isRedirect, type Hop } from './redirects.ts'

/** Lines of an answer's head: names in lower case, what came more than once as a list. */
export type ResponseHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

/** What one hop was answered: the body as it was on the wire. */
export interface Answer {
  readonly status: number
  readonly headers: ResponseHeaders
  readonly wire: Buffer
}

/** Why we ended an exchange ourselves; where its URL is known it becomes a `NetworkError`. */
export class ExchangeEnded extends Error {
  readonly why: 'connect-timeout' | 'timeout' | 'wire' | 'cancelled'

  constructor(why: ExchangeEnded['why']) {
    super(why)
    this.why = why
  }
}

/** How far an exchange had come when it broke. */
export interface Progress {
  readonly connected: boolean
  /** The status, once the head had come. */
  readonly status: number | undefined
  readonly bytes: number
}

/** An exchange that broke: by an error of undici or Node, or by `ExchangeEnded`. */
export class ExchangeError extends Error {
  override readonly cause: unknown
  readonly progress: Progress

  constructor(cause: unknown, progress: Progress) {
    super('the exchange broke')
    this.cause = cause
    this.progress = progress
  }
}

export interface ExchangeLimits {
  readonly deadlines: Deadlines
  /** Until the connection stands, in ms. */
  readonly connectTimeout: number
  /** Bytes of the body on the wire. */
  readonly mostBytes: number
}

/** More of a redirect's body is not read; its connection is given up instead. */
const MOST_OF_REDIRECT = 64 * 1024

/** Sends one hop and reads what comes back, within its limits; as undici tells about it, without a stream. */
export class Exchange implements Dispatcher.DispatchHandler {
  /** Resolves when it is over, one way or the other. What came of it is taken: a promise would hold on to that. */
  readonly over: Promise<void>
  readonly #limits: ExchangeLimits
  #resolve!: () => void
  #taken: Answer | ExchangeError | undefined
  #connecting: Deadline | undefined
  #first: Buffer | undefined
  #rest: Buffer[] | undefined
  #controller: Dispatcher.DispatchController | undefined
  #ended: Error | undefined
  #settled = false
  #connected = false
  #status: number | undefined
  #headers: ResponseHeaders = {}
  #bytes = 0

  constructor(hop: Omit<Hop, 'url'>, route: Route, limits: ExchangeLimits) {
    this.#limits = limits
    this.over = new Promise((resolve) => (this.#resolve = resolve))
    this.#send(hop, route)
  }

  /** Once it is over, and once. Throws an `ExchangeError` only. */
  take(): Answer {
    const taken = this.#taken as Answer | ExchangeError
    this.#taken = undefined
    if (taken instanceof ExchangeError) throw taken
    return taken
  }

  /** Ends it from our side: at once for who waits, and on the wire as soon as undici lets us. */
  end(why: ExchangeEnded['why']): void {
    if (this.#settled) return
    this.#ended = new ExchangeEnded(why)
    this.#fail(this.#ended)
    this.#controller?.abort(this.#ended)
  }

  #send({ method, headers, body }: Omit<Hop, 'url'>, { dispatcher, origin, path }: Route): void {
    try {
      dispatcher.dispatch({ origin, path, method, headers, body: body ?? null }, this)
    } catch (error) {
      return this.#fail(error)
    }
    if (this.#connected || this.#settled) return // as over a connection that stands already
    const { deadlines, connectTimeout } = this.#limits
    this.#connecting = deadlines.begin(connectTimeout, () => this.end('connect-timeout'))
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#connected = true
    this.#controller = controller
    this.#connecting?.end()
    if (this.#ended !== undefined) controller.abort(this.#ended)
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
  ): void {
    if (status < 200) return
    this.#status = status
    this.#headers = headers
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#settled) return
    this.#bytes += chunk.length
    if (this.#bytes > MOST_OF_REDIRECT && this.#status !== undefined && isRedirect(this.#status)) {
      this.#answer(Buffer.alloc(0))
      this.#controller?.abort(new ExchangeEnded('wire'))
    } else if (this.#bytes > this.#limits.mostBytes) {
      this.end('wire')
    } else if (this.#first === undefined) {
      this.#first = chunk
    } else {
      this.#rest ??= [this.#first]
      this.#rest.push(chunk)
    }
  }

  onResponseEnd(): void {
    if (this.#settled) return
    this.#answer(this.#rest === undefined ? (this.#first ?? Buffer.alloc(0)) : Buffer.concat(this.#rest, this.#bytes))
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#fail(error)
  }

  #answer(wire: Buffer): void {
    const status = this.#status
    if (status !== undefined) this.#settle({ status, headers: this.#headers, wire })
  }

  #fail(error: unknown): void {
    const progress = { connected: this.#connected, status: this.#status, bytes: this.#bytes }
    this.#settle(new ExchangeError(error, progress))
  }

  #settle(taken: Answer | ExchangeError): void {
    if (this.#settled) return
    this.#settled = true
    this.#taken = taken
    this.#first = this.#rest = undefined
    this.#headers = {}
    this.#connecting?.end()
    this.#resolve()
  }
}
