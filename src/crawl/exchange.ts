import type { Dispatcher } from 'undici'
import type { Clock } from '../clock.ts'
import type { Route } from './connections.ts'
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
  readonly clock: Clock
  readonly connectTimeout: number
  /** When the try is over, by the clock. */
  readonly deadline: number
  /** Bytes of the body on the wire. */
  readonly mostBytes: number
  readonly signal: AbortSignal | undefined
}

/** More of a redirect's body is not read; its connection is given up instead. */
const MOST_OF_REDIRECT = 64 * 1024

/** Sends one hop and reads what comes back, within its limits. Rejects with an `ExchangeError` only. */
export function exchange(hop: Hop, route: Route, limits: ExchangeLimits): Promise<Answer> {
  return new Promise((resolve, reject) => new Exchange(hop, limits, resolve, reject).send(route))
}

/** One request on the wire, as undici tells about it. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #hop: Hop
  readonly #limits: ExchangeLimits
  readonly #resolve: (answer: Answer) => void
  readonly #reject: (error: ExchangeError) => void
  readonly #timers: unknown[] = []
  readonly #chunks: Buffer[] = []
  #controller: Dispatcher.DispatchController | undefined
  #ended: Error | undefined
  #settled = false
  #connected = false
  #status: number | undefined
  #headers: ResponseHeaders = {}
  #bytes = 0

  constructor(
    hop: Hop,
    limits: ExchangeLimits,
    resolve: (answer: Answer) => void,
    reject: (error: ExchangeError) => void,
  ) {
    this.#hop = hop
    this.#limits = limits
    this.#resolve = resolve
    this.#reject = reject
  }

  send(route: Route): void {
    const { clock, connectTimeout, deadline, signal } = this.#limits
    if (signal?.aborted === true) return this.#end('cancelled')
    signal?.addEventListener('abort', this.#cancel)
    this.#timers.push(
      clock.setTimeout(() => this.#end('timeout'), Math.max(0, deadline - clock.now())),
      clock.setTimeout(() => this.#connected || this.#end('connect-timeout'), connectTimeout),
    )
    const { method, headers, body } = this.#hop
    try {
      route.dispatcher.dispatch(
        {
          origin: route.origin,
          path: route.path,
          method,
          headers: { ...headers, ...route.headers },
          body: body ?? null,
        },
        this,
      )
    } catch (error) {
      this.#fail(error)
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#connected = true
    this.#controller = controller
    this.#limits.clock.clearTimeout(this.#timers[1])
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
    if (this.#status !== undefined && isRedirect(this.#status) && this.#bytes > MOST_OF_REDIRECT) {
      this.#answer(Buffer.alloc(0))
      this.#controller?.abort(new ExchangeEnded('wire'))
    } else if (this.#bytes > this.#limits.mostBytes) {
      this.#end('wire')
    } else {
      this.#chunks.push(chunk)
    }
  }

  onResponseEnd(): void {
    this.#answer(this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks))
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#fail(error)
  }

  readonly #cancel = (): void => this.#end('cancelled')

  /** Ends it from our side: at once for who waits, and on the wire as soon as undici lets us. */
  #end(why: ExchangeEnded['why']): void {
    if (this.#settled) return
    this.#ended = new ExchangeEnded(why)
    this.#fail(this.#ended)
    this.#controller?.abort(this.#ended)
  }

  #answer(wire: Buffer): void {
    if (this.#settle() && this.#status !== undefined) {
      this.#resolve({ status: this.#status, headers: this.#headers, wire })
    }
  }

  #fail(error: unknown): void {
    const progress = { connected: this.#connected, status: this.#status, bytes: this.#bytes }
    if (this.#settle()) this.#reject(new ExchangeError(error, progress))
  }

  #settle(): boolean {
    if (this.#settled) return false
    this.#settled = true
    this.#chunks.length = this.#status === undefined ? 0 : this.#chunks.length
    for (const timer of this.#timers) this.#limits.clock.clearTimeout(timer)
    this.#limits.signal?.removeEventListener('abort', this.#cancel)
    return true
  }
}
