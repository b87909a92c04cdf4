import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { InvalidOptionError } from '../errors.ts'
import { checkKeys, readWholeNumber } from '../options.ts'
import { answerShop, type Shop } from './website-shop.ts'
import { answerTrouble } from './website-trouble.ts'

export interface WebsiteOptions {
  /** Books in the shop. @default 12 */
  readonly books?: number
  /** Books on a list page. @default 4 */
  readonly perPage?: number
  /** Text of `/robots.txt`. @default everything is allowed */
  readonly robots?: string
  /** Pages of your own by their path: the page, or a function that answers. */
  readonly routes?: Readonly<Record<string, string | WebsiteRoute>>
  /** Key and certificate; with them the site speaks https. */
  readonly tls?: { readonly key: string; readonly cert: string }
  /** @default a free one */
  readonly port?: number
}

/** Answers a request of a path of your own. */
export type WebsiteRoute = (request: IncomingMessage, response: ServerResponse) => void

/** A request as the site got it. */
export interface WebsiteRequest {
  readonly method: string
  /** Path and query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: string
  /** Milliseconds since 1970. */
  readonly at: number
}

/** A site to crawl in tests: a small shop, and beside it everything that sites do to crawlers. */
export interface Website extends AsyncDisposable {
  /** `http://127.0.0.1:<port>`, without a slash at its end. */
  readonly url: string
  /** What was asked for, in order. */
  readonly requests: readonly WebsiteRequest[]
  /** How often a path was asked for, whatever its query. */
  count(path: string): number
  /** Connections that were opened. */
  readonly connections: number
  /** Closes the site and every connection to it. */
  close(): Promise<void>
}

/**
 * Starts a website on a free port of this machine. Its shop begins at `/shop/1`; `/` lists its other pages.
 *
 * @example
 * await using site = await website({ books: 20 })
 * const books = spider('books', { start: [request('list', `${site.url}/shop/1`)], allowPrivate: ['127.0.0.1'] })
 */
export async function website(options: WebsiteOptions = {}): Promise<Website> {
  const site = new Site(readOptions(options))
  await site.listen(readWholeNumber('website()', 'port', options.port, { min: 0, max: 65_535 }) ?? 0)
  return site
}

interface Settings {
  readonly shop: Shop
  readonly robots: string
  readonly routes: Readonly<Record<string, string | WebsiteRoute>>
  readonly tls: { readonly key: string; readonly cert: string } | undefined
}

function readOptions(options: WebsiteOptions): Settings {
  const subject = 'website()'
  checkKeys(subject, options, ['books', 'perPage', 'robots', 'routes', 'tls', 'port'])
  const wrong = Object.keys(options.routes ?? {}).find((path) => !path.startsWith('/'))
  if (wrong !== undefined) throw new InvalidOptionError(subject, 'routes', wrong, `Begin a path with '/'.`)
  return {
    shop: {
      books: readWholeNumber(subject, 'books', options.books, { min: 0 }) ?? 12,
      perPage: readWholeNumber(subject, 'perPage', options.perPage, { min: 1 }) ?? 4,
    },
    robots: options.robots ?? 'User-agent: *\nAllow: /\n',
    routes: options.routes ?? {},
    tls: options.tls,
  }
}

/** Taken when there is a site to serve: most tests that import this want a clock. */
function newServer(tls: Settings['tls'], onRequest: RequestListener): Server {
  if (tls === undefined) return process.getBuiltinModule('node:http').createServer(onRequest)
  return process.getBuiltinModule('node:https').createServer(tls, onRequest)
}

class Site implements Website {
  readonly requests: WebsiteRequest[] = []
  connections = 0
  readonly #settings: Settings
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #counts = new Map<string, number>()

  constructor(settings: Settings) {
    this.#settings = settings
    const onRequest = (request: IncomingMessage, response: ServerResponse): void => void this.#answer(request, response)
    this.#server = newServer(settings.tls, onRequest)
    this.#server.on('connection', (socket: Socket) => {
      this.connections += 1
      this.#sockets.add(socket)
      socket.on('error', ignore).on('close', () => this.#sockets.delete(socket))
    })
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo
    return `${this.#settings.tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`
  }

  listen(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, '127.0.0.1', resolve)
    })
  }

  count(path: string): number {
    return this.#counts.get(path) ?? 0
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', ignore)
    const url = new URL(request.url ?? '/', 'http://site.invalid')
    const count = this.count(url.pathname) + 1
    this.#counts.set(url.pathname, count)
    const { method = 'GET', headers } = request
    const seen = { method, path: `${url.pathname}${url.search}`, headers, at: Date.now() }
    const record = { ...seen, body: '' }
    this.requests.push(record)
    record.body = await readBody(request)
    const visit = { url, count, method, body: record.body, cookie: headers.cookie ?? '', headers }
    const { routes, robots, shop } = this.#settings
    const route = routes[url.pathname]
    if (typeof route === 'function') return route(request, response)
    if (typeof route === 'string') return sendPage(response, route)
    if (url.pathname === '/robots.txt') return void response.setHeader('content-type', 'text/plain').end(robots)
    if (answerShop(visit, response, shop) || answerTrouble(visit, response)) return undefined
    return sendPage(response, '<!doctype html><title>Not here</title><h1>Not here</h1>', 404)
  }
}

function sendPage(response: ServerResponse, html: string, status = 200): void {
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8' }).end(html)
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer)
  } catch {
    // The crawler went away in the middle of its form; what had come is the record.
  }
  return Buffer.concat(chunks).toString()
}

const ignore = (): void => {}
