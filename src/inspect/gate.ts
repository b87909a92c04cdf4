import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

/** What the gate says to a request: come in, or the status to send. */
export type Verdict = { readonly in: true } | { readonly status: number; readonly text: string; readonly wait?: number }

/** Decides who gets in: by the name they call us, the page they come from, and what they hold. */
export class Gate {
  #port = 0
  readonly #allowedHosts: readonly string[]
  readonly #now: () => number
  readonly #links = new Hashes(100)
  readonly #usedLinks = new Hashes(100)
  readonly #cookies = new Hashes(100)
  /** When a wrong cookie or link was shown, within the last minute. */
  #misses: number[] = []
  #toldAt = -Infinity
  /** Told when a used link was tried again, so that its owner gets a new one. */
  readonly #wasUsed: () => void

  constructor(allowedHosts: readonly string[], now: () => number, wasUsed: () => void) {
    this.#allowedHosts = allowedHosts
    this.#now = now
    this.#wasUsed = wasUsed
  }

  set port(port: number) {
    this.#port = port
  }

  /** The secret of a new link; only its hash is kept. */
  newToken(): string {
    const token = randomBytes(32).toString('base64url')
    this.#links.add(token)
    return token
  }

  /** Whether the request calls us by our own name: a page that rebinds its name to this address does not. */
  knowsHost(request: IncomingMessage): boolean {
    const host = request.headers.host?.toLowerCase() ?? ''
    return this.#hosts().includes(host)
  }

  /** Whether it comes from our own page, or from a person who typed the address. */
  isOwnOrigin({ headers, method }: IncomingMessage, mustSay: boolean): boolean {
    const { origin } = headers
    if (origin === undefined) {
      if (mustSay) return false
    } else if (!this.#hosts().some((host) => origin === `http://${host}`)) return false
    const site = headers['sec-fetch-site']
    return site === undefined || site === 'same-origin' || (site === 'none' && (method === 'GET' || method === 'HEAD'))
  }

  /** Whether it holds a cookie of ours. */
  knows(request: IncomingMessage): boolean {
    const { name } = this
    const held = (request.headers.cookie ?? '')
      .split(';')
      .map((pair) => pair.trim())
      .filter((pair) => pair.startsWith(`${name}=`))
    return held.some((pair) => this.#cookies.has(pair.slice(name.length + 1)))
  }

  /** Who holds a cookie of ours comes in; who does not is counted. */
  admits(request: IncomingMessage): Verdict {
    return this.knows(request) ? { in: true } : this.#miss()
  }

  /** Exchanges a link for a cookie, once. */
  exchange(token: string): { readonly cookie: string } | Verdict {
    if (this.#links.delete(token)) {
      this.#usedLinks.add(token)
      const value = randomBytes(32).toString('base64url')
      this.#cookies.add(value)
      return { cookie: `${this.name}=${value}; HttpOnly; SameSite=Strict; Path=/` }
    }
    if (this.#usedLinks.has(token) && this.#now() - this.#toldAt >= 10_000) {
      this.#toldAt = this.#now()
      this.#wasUsed()
    }
    return this.#miss()
  }

  get name(): string {
    return `rootcatch-${this.#port}`
  }

  #miss(): Verdict {
    const now = this.#now()
    this.#misses = this.#misses.filter((at) => now - at < 60_000)
    const wait = this.#misses.length >= 20 ? { wait: 1_000 } : {}
    if (this.#misses.length < 100) this.#misses.push(now)
    return { status: 401, text: 'This needs a link that was not used yet; the process prints it.', ...wait }
  }

  #hosts(): readonly string[] {
    const names = ['127.0.0.1', 'localhost', '[::1]', ...this.#allowedHosts]
    return names.flatMap((name) => (name.includes(':') && !name.startsWith('[') ? [name] : [`${name}:${this.#port}`]))
  }
}

/** Whether a secret is the one whose hash is known, in the same time for any two. */
export function isSame(hash: Buffer, secret: string): boolean {
  return timingSafeEqual(hash, hashOf(secret))
}

export function hashOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}

/** Secrets of which only the hashes are kept; the oldest go first. */
class Hashes {
  #hashes: Buffer[] = []
  readonly #most: number

  constructor(most: number) {
    this.#most = most
  }

  add(secret: string): void {
    if (this.#hashes.length === this.#most) this.#hashes.shift()
    this.#hashes.push(hashOf(secret))
  }

  has(secret: string): boolean {
    let isThere = false
    for (const hash of this.#hashes) if (isSame(hash, secret)) isThere = true // all of them: time tells nothing
    return isThere
  }

  delete(secret: string): boolean {
    const rest = this.#hashes.filter((hash) => !isSame(hash, secret))
    const isThere = rest.length < this.#hashes.length
    this.#hashes = rest
    return isThere
  }
}
