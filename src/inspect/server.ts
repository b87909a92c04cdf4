import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocketServer, type WebSocket } from 'ws'
import type { Gate, Verdict } from './gate.ts'
import { bridgeHeaders, headers } from './headers.ts'
import { pageFiles, type PageFile } from './page-files.ts'

/** What is behind the routes. What is switched off is undefined, and its route does not exist. */
export interface Routes {
  live(socket: WebSocket): void
  readonly stately: URL | undefined
  statelyLive(socket: WebSocket, under: string): void
  readonly accepts: ((request: IncomingMessage) => Verdict) | undefined
  accept(socket: WebSocket): void
  recording(): string
  readonly act: ((request: IncomingMessage, body: string) => Promise<Answer>) | undefined
  failed(error: unknown): void
}

export interface Answer {
  readonly status: number
  readonly body: unknown
}

const FROM_PAGE = 64 * 1024
const FROM_PROCESS = 1024 * 1024
const MOST_VIEWERS = 8

/** The server of the page: a fixed list of routes behind a gate. */
export class PageServer {
  readonly #gate: Gate
  readonly #routes: Routes
  readonly #files: ReadonlyMap<string, PageFile> = pageFiles()
  readonly #server: Server
  readonly #pageSockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: FROM_PAGE })
  readonly #processSockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: FROM_PROCESS })
  readonly #waits = new Set<NodeJS.Timeout>()

  constructor(gate: Gate, routes: Routes) {
    this.#gate = gate
    this.#routes = routes
    this.#server = createServer({ maxHeaderSize: 16 * 1024, requestTimeout: 10_000 }, (request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        this.#routes.failed(error)
        if (!response.headersSent) send(response, 500, 'It did not work; the process says why.')
        else response.destroy()
      })
    })
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
    // Somebody who could look on is no reason for a process to live on.
    this.#server.on('connection', (socket) => socket.unref())
    this.#server.on('clientError', (_error, socket) => socket.destroy())
  }

  /** Listens there, or where a port is free. Gives the port. */
  async listen(host: string, port: number): Promise<number> {
    try {
      return await this.#listenAt(host, port)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' && (error as NodeJS.ErrnoException).code !== 'EACCES')
        throw error
      return this.#listenAt(host, 0)
    }
  }

  async close(): Promise<void> {
    for (const wait of this.#waits) clearTimeout(wait)
    for (const sockets of [this.#pageSockets, this.#processSockets]) {
      for (const socket of sockets.clients) socket.terminate()
      sockets.close()
    }
    if (!this.#server.listening) return
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await closed
  }

  async #listenAt(host: string, port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ host, port }, () => {
        this.#server.off('error', reject)
        resolve()
      })
    })
    this.#server.on('error', (error) => this.#routes.failed(error))
    this.#server.unref()
    const { port: own } = this.#server.address() as AddressInfo
    this.#gate.port = own
    return own
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '' } = request
    if (!this.#gate.knowsHost(request)) return send(response, 421, 'Not here.')
    const isPost = method === 'POST'
    if (!this.#gate.isOwnOrigin(request, isPost)) return send(response, 403, 'Only from its own page.')
    const { path, query } = placeOf(request)
    if (path === '/do' && this.#routes.act !== undefined) {
      if (!isPost) return send(response, 405, 'POST only.', { Allow: 'POST' })
    } else {
      if (!this.#has(path)) return send(response, 404, 'Nothing here.')
      if (method !== 'GET' && method !== 'HEAD') return send(response, 405, 'GET only.', { Allow: 'GET, HEAD' })
    }
    const token = path === '/' ? query.get('token') : null
    if (token !== null && !this.#gate.knows(request)) {
      if (method === 'HEAD') return send(response, 200, '') // looks ahead, as chats do: the link stays good
      const answer = this.#gate.exchange(token)
      if ('cookie' in answer) return send(response, 303, '', { Location: '/', 'Set-Cookie': answer.cookie })
      return this.#refuse(response, answer)
    }
    const cookie = this.#gate.admits(request)
    if (!('in' in cookie)) return this.#refuse(response, cookie)
    if (token !== null) return send(response, 303, '', { Location: '/' })
    if (path === '/do') return this.#act(request, response)
    if (path === '/export') return this.#export(response)
    if (path === '/stately/viewer') return send(response, 200, this.#routes.stately?.href ?? '')
    await this.#serve(path, method, response)
  }

  #has(path: string): boolean {
    if (path === '/export') return true
    if (path === '/stately' || path === '/stately/viewer' || path === '/app/bridge.js')
      return this.#routes.stately !== undefined
    return this.#files.has(path)
  }

  async #serve(path: string, method: string, response: ServerResponse): Promise<void> {
    const { type, read } = this.#files.get(path) as PageFile
    const own = path === '/stately' && this.#routes.stately ? bridgeHeaders(this.#routes.stately) : headers
    const body = await read()
    response.writeHead(200, { ...own, 'Content-Type': type, 'Content-Length': body.length })
    response.end(method === 'HEAD' ? undefined : body)
  }

  #export(response: ServerResponse): void {
    const name = `rootcatch-${new Date().toISOString().slice(0, 19).replaceAll(':', '')}.jsonl`
    response.writeHead(200, {
      ...headers,
      'Content-Type': 'application/jsonl; charset=utf-8',
      'Content-Disposition': `attachment; filename="${name}"`,
    })
    response.end(this.#routes.recording())
  }

  async #act(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const act = this.#routes.act
    const body = await readBody(request)
    if (act === undefined || body === undefined) return send(response, 413, 'Too long.')
    const { status, body: answer } = await act(request, body)
    response.writeHead(status, { ...headers, 'Content-Type': 'application/json; charset=utf-8' })
    response.end(JSON.stringify(answer))
  }

  #refuse(response: ServerResponse, verdict: Verdict): void {
    if ('in' in verdict) return
    const { status, text, wait } = verdict
    if (wait === undefined) return send(response, status, text)
    const timer = setTimeout(() => {
      this.#waits.delete(timer)
      send(response, status, text)
    }, wait)
    this.#waits.add(timer)
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy())
    const { path, query } = placeOf(request)
    const { live, accept, accepts, stately } = this.#routes
    const statelyLive = (one: WebSocket): void => this.#routes.statelyLive(one, query.get('under') ?? '')
    if (!this.#gate.knowsHost(request)) return refuseUpgrade(socket, 421)
    if (path === '/in' && accepts !== undefined) {
      const verdict = accepts(request)
      if (!('in' in verdict)) return refuseUpgrade(socket, verdict.status)
      return this.#processSockets.handleUpgrade(request, socket, head, (one) => this.#guard(one, accept))
    }
    if (!this.#gate.isOwnOrigin(request, true)) return refuseUpgrade(socket, 403)
    const viewer = path === '/live' ? live : path === '/stately/live' && stately !== undefined ? statelyLive : undefined
    if (viewer === undefined) return refuseUpgrade(socket, 404)
    const cookie = this.#gate.admits(request)
    if (!('in' in cookie)) return refuseUpgrade(socket, cookie.status)
    if (this.#pageSockets.clients.size >= MOST_VIEWERS) return refuseUpgrade(socket, 503)
    this.#pageSockets.handleUpgrade(request, socket, head, (one) => this.#guard(one, viewer))
  }

  /** Whatever a socket sends, or however it ends, is its own affair. */
  #guard(socket: WebSocket, begin: (socket: WebSocket) => void): void {
    socket.on('error', () => socket.terminate())
    try {
      begin.call(this.#routes, socket)
    } catch (error) {
      this.#routes.failed(error)
      socket.terminate()
    }
  }
}

const reasons: Readonly<Record<number, string>> = {
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  421: 'Misdirected Request',
  503: 'Service Unavailable',
}

function refuseUpgrade(socket: Duplex, status: number): void {
  socket.end(`HTTP/1.1 ${status} ${reasons[status] ?? 'No'}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}

function send(
  response: ServerResponse,
  status: number,
  text: string,
  more: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { ...headers, 'Content-Type': 'text/plain; charset=utf-8', ...more })
  response.end(text === '' ? undefined : `${text}\n`)
}

/** The path as it was sent: nothing in it is decoded or resolved, so nothing in it can be hidden. */
function placeOf(request: IncomingMessage): { readonly path: string; readonly query: URLSearchParams } {
  const { url = '' } = request
  const at = url.indexOf('?')
  if (at < 0) return { path: url, query: new URLSearchParams() }
  return { path: url.slice(0, at), query: new URLSearchParams(url.slice(at)) }
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    size += (chunk as Buffer).length
    if (size > FROM_PAGE) return undefined
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString('utf8')
}
