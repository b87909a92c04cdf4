import { Parser } from 'htmlparser2'

/** A page that a sitemap names. */
export interface SitemapEntry {
  readonly url: string
  /** When it last changed, as the sitemap writes it. */
  readonly lastmod: string | undefined
}

/** What stands in a sitemap: pages, or further sitemaps. */
export interface SitemapParts {
  readonly pages: readonly SitemapEntry[]
  readonly sitemaps: readonly string[]
}

/** So much is read at once; then others have their turn. */
const SLICE = 64 * 1024
const LONGEST_VALUE = 8 * 1024
/** A sitemap has four levels. Looking through many open ones at each end costs what a stranger decides. */
const DEEPEST = 32

/** Reads a sitemap part by part, as far as it is one: what is broken ends it, what is odd is left out. */
export function* readSitemap(text: string, base: string): Generator<SitemapParts, void, undefined> {
  if (!/^\s*</.test(text.slice(0, 1000))) return yield { pages: linesOf(text, base), sitemaps: [] }
  const reader = new Reader(base)
  for (let at = 0; at < text.length && !reader.isBroken; at += SLICE) {
    reader.write(text.slice(at, at + SLICE))
    yield reader.take()
  }
}

class Reader {
  isBroken = false
  readonly #base: string
  readonly #parser: Parser
  readonly #open: string[] = []
  #values: Record<string, string> = {}
  #pages: SitemapEntry[] = []
  #sitemaps: string[] = []

  constructor(base: string) {
    this.#base = base
    this.#parser = new Parser(
      {
        onopentag: (name) => this.#opens(localName(name)),
        ontext: (text) => this.#reads(text),
        onclosetag: (_name, isImplied) => this.#closes(isImplied),
      },
      { xmlMode: true },
    )
  }

  write(text: string): void {
    this.#parser.write(text)
  }

  take(): SitemapParts {
    const parts = { pages: this.#pages, sitemaps: this.#sitemaps }
    this.#pages = []
    this.#sitemaps = []
    return parts
  }

  #opens(name: string): void {
    if (name === 'url' || name === 'sitemap') this.#values = {}
    this.#open.push(name)
    if (this.#open.length <= DEEPEST) return
    this.isBroken = true
    this.#parser.pause()
  }

  #reads(text: string): void {
    const [parent, name = ''] = this.#open.slice(-2)
    if ((parent !== 'url' && parent !== 'sitemap') || (name !== 'loc' && name !== 'lastmod')) return
    this.#values[name] = ((this.#values[name] ?? '') + text).slice(0, LONGEST_VALUE)
  }

  #closes(isImplied: boolean): void {
    const name = this.#open.pop()
    if (isImplied || (name !== 'url' && name !== 'sitemap')) return
    const { loc = '', lastmod } = this.#values
    const url = loc.length < LONGEST_VALUE ? httpUrl(loc, this.#base) : undefined
    if (url === undefined) return
    if (name === 'sitemap') this.#sitemaps.push(url)
    else this.#pages.push({ url, lastmod: lastmod?.trim() })
  }
}

/** `image:loc` is no `loc`; of the sitemap's own names some write a prefix. */
const localName = (name: string): string => name.replace(/^(?:sm|sitemap|s):/, '')

/** A sitemap may be a list of URLs, too. */
function linesOf(text: string, base: string): readonly SitemapEntry[] {
  return text
    .split(/[\r\n]+/)
    .filter((line) => /^\s*https?:/i.test(line))
    .flatMap((line) => httpUrl(line, base) ?? [])
    .map((url) => ({ url, lastmod: undefined }))
}

function httpUrl(text: string, base: string): string | undefined {
  const url = text.trim() === '' ? null : URL.parse(text.trim(), base)
  return url === null || !/^https?:$/.test(url.protocol) ? undefined : url.href
}
