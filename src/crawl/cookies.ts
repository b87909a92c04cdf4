import { CookieJar, type SerializedCookieJar } from 'tough-cookie'

/** More cookies for one site, or longer ones, are no session but a flood; browsers stop at about as many. */
const MOST_PER_SITE = 180
const MOST_PER_ANSWER = 50
const LONGEST = 4096
const MOST = 20_000

/** The cookies of a crawl: a jar per proxy, since a session that changes its address is thrown out by many sites. */
export class Cookies {
  readonly #jars = new Map<string, Jar>()

  /** What `toJSON` wrote; anything else gives an empty one. */
  static fromJSON(json: unknown): Cookies {
    const cookies = new Cookies()
    if (typeof json !== 'object' || json === null) return cookies
    for (const [proxy, jar] of Object.entries(json)) cookies.#jars.set(proxy, new Jar(jar as SerializedCookieJar))
    return cookies
  }

  /** The `Cookie` line for a URL; undefined when there is none. */
  headerFor(url: string, proxy: string | undefined): string | undefined {
    return this.#jars.get(proxy ?? '')?.headerFor(url)
  }

  /** Keeps what an answer set; what a site may not set is passed over. */
  keep(setCookie: string | readonly string[] | undefined, url: string, proxy: string | undefined): void {
    if (setCookie === undefined) return
    const key = proxy ?? ''
    const jar = this.#jars.get(key) ?? new Jar()
    this.#jars.set(key, jar)
    const lines = typeof setCookie === 'string' ? [setCookie] : setCookie
    for (const line of lines.slice(0, MOST_PER_ANSWER)) jar.keep(line, url)
  }

  /** What is stored, so that a crawl that is taken up again is still signed in. */
  toJSON(): Readonly<Record<string, SerializedCookieJar>> {
    return Object.fromEntries([...this.#jars].map(([proxy, jar]) => [proxy, jar.toJSON()]))
  }
}

/** A jar that a hostile site cannot fill without end. */
class Jar {
  readonly #jar: CookieJar
  #kept = 0

  constructor(json?: SerializedCookieJar) {
    this.#jar = json === undefined ? new CookieJar() : CookieJar.deserializeSync(json)
    this.#kept = json?.cookies.length ?? 0
  }

  headerFor(url: string): string | undefined {
    return this.#jar.getCookieStringSync(url) || undefined
  }

  keep(line: string, url: string): void {
    if (line.length > LONGEST) return
    const there = this.#jar.getCookiesSync(url, { allPaths: true })
    const name = line.slice(0, Math.max(0, line.search(/[=;]|$/))).trim()
    const isNew = !there.some(({ key }) => key === name)
    if (isNew && (there.length >= MOST_PER_SITE || this.#kept >= MOST)) return
    const cookie = this.#jar.setCookieSync(line, url, { ignoreError: true })
    if (isNew && cookie !== undefined) this.#kept += 1
  }

  toJSON(): SerializedCookieJar {
    return this.#jar.serializeSync() as SerializedCookieJar
  }
}
