import { isIP, type Socket } from 'node:net'
import type { SecureContextOptions } from 'node:tls'
import { Agent, buildConnector, type Dispatcher } from 'undici'
import { BlockedAddress, type Guard } from './guard.ts'
import { openTunnel, ProxyAway, proxyAuthorization } from './tunnel.ts'
import { hostOf, originOf, targetOf } from './url-parts.ts'

/** Certificates and the like, as `tls.connect` takes them. */
export interface TlsOptions extends SecureContextOptions {
  /** @default true */
  readonly rejectUnauthorized?: boolean
}

/** Where a request is handed to undici, and what it looks like there. */
export interface Route {
  readonly dispatcher: Dispatcher
  readonly origin: string
  readonly path: string
  /** What a proxy that is spoken to in clear wants to hear. */
  readonly headers: Readonly<Record<string, string>> | undefined
}

/** Head of an answer, all its lines together. A flood of them ends the connection. */
const MAX_HEADER_SIZE = 64 * 1024

/**
 * The connections of a crawl: kept alive, one pool per origin, apart for each proxy. Every socket is made by the guard's
 * rules, and looked at once more when it stands.
 */
export class Connections {
  readonly #agents = new Map<number | string, Agent>()
  readonly #guard: Guard
  readonly #tls: TlsOptions
  readonly #most: number | undefined

  /** `most` is how many fetches there are at once: more connections to one site are never needed. */
  constructor(guard: Guard, tls: TlsOptions = {}, most?: number) {
    this.#guard = guard
    this.#tls = tls
    this.#most = most
  }

  /** The way to a URL, through a proxy or not. */
  route(url: string, proxy: string | undefined, connectTimeout: number): Route {
    const dispatcher = this.#agent(proxy, connectTimeout)
    const origin = originOf(url)
    const path = targetOf(url)
    if (proxy === undefined || origin.startsWith('https:')) return { dispatcher, origin, path, headers: undefined }
    const to = new URL(proxy)
    const authorization = proxyAuthorization(to)
    const signsIn = authorization === undefined ? {} : { 'proxy-authorization': authorization }
    return { dispatcher, origin: to.origin, path: `${origin}${path}`, headers: { host: hostOf(url), ...signsIn } }
  }

  /** Ends every connection, also those in use. */
  async close(): Promise<void> {
    const agents = [...this.#agents.values()]
    this.#agents.clear()
    await Promise.all(agents.map((agent) => agent.destroy()))
  }

  #agent(proxy: string | undefined, connectTimeout: number): Agent {
    // A request's own timer is exact; undici's only ends sockets that nobody waits for, so few sizes of it are enough.
    const timeout = 2 ** Math.ceil(Math.log2(Math.min(Math.max(connectTimeout, 1000), 2 ** 30)))
    const key = proxy === undefined ? timeout : `${timeout} ${proxy}`
    const known = this.#agents.get(key)
    if (known !== undefined) return known
    const agent = new Agent({
      connect: proxy === undefined ? this.#direct(timeout) : this.#through(new URL(proxy), timeout),
      maxHeaderSize: MAX_HEADER_SIZE,
      // A connection is free only a turn of the event loop after its answer: without a limit a new one is opened then.
      connections: this.#most ?? null,
      headersTimeout: 0, // a try has one deadline, and it is not undici's
      bodyTimeout: 0,
    })
    this.#agents.set(key, agent)
    return agent
  }

  #direct(timeout: number): buildConnector.connector {
    const guard = this.#guard
    const connect = buildConnector({ ...this.#tls, lookup: guard.lookup, timeout, allowH2: true })
    return (target, callback) => {
      const host = target.hostname
      if (isIP(host) !== 0 && !guard.allows(host, host)) return void callback(new BlockedAddress(host), null)
      connect(target, (...[error, socket]) => {
        if (error !== null) return callback(error, null)
        const refusal = refusalOf(socket, host, guard)
        if (refusal === undefined) return callback(null, socket)
        socket.destroy()
        return callback(refusal, null)
      })
    }
  }

  /** A site over TLS is reached by a tunnel; one without is asked for at the proxy itself, which undici takes for it. */
  #through(proxy: URL, timeout: number): buildConnector.connector {
    const toProxy = this.#direct(timeout)
    const upgrade = buildConnector({ ...this.#tls, timeout, allowH2: true })
    const proxyTarget: buildConnector.Options = {
      hostname: proxy.hostname.replace(/^\[|\]$/g, ''),
      host: proxy.host,
      protocol: proxy.protocol,
      port: proxy.port,
    }
    return (target, callback) => {
      toProxy(proxyTarget, (...[error, socket]) => {
        if (error !== null) return callback(error instanceof BlockedAddress ? error : away(error), null)
        if (target.protocol !== 'https:') return callback(null, socket)
        const host = `${isIP(target.hostname) === 6 ? `[${target.hostname}]` : target.hostname}:${target.port || '443'}`
        openTunnel(socket, { target: host, proxy, timeout }, (refusal) => {
          if (refusal !== null) return callback(refusal, null)
          return upgrade({ ...target, httpSocket: socket }, callback)
        })
      })
    }
  }
}

function refusalOf(socket: Socket, host: string, guard: Guard): BlockedAddress | undefined {
  const address = socket.remoteAddress
  return address === undefined || guard.allows(address, host) ? undefined : new BlockedAddress(address)
}

function away(error: Error): ProxyAway {
  return new ProxyAway(error.message, { cause: error })
}
