import type { CheerioAPI } from 'cheerio'
import { decodeText } from './charset.ts'
import { SelectorError } from './errors.ts'
import type { ResponseHeaders } from './exchange.ts'
import { extract, type Extracted, type Spec } from './extract.ts'
import type { FoundLinks } from './found-links.ts'
import type { Parse } from './parser.ts'
import type { CrawlRequest, PageBase } from './request.ts'
import { headerOf, type Response } from './response.ts'
import { withoutFragment } from './url-identity.ts'
import { originOf } from './url-parts.ts'

/** What came back for a request, each view of it made when it is first looked at. */
export class Page implements PageBase {
  /** The final URL, after redirects. */
  readonly url: string
  readonly status: number
  /** Names in lower case. */
  readonly headers: ResponseHeaders
  /** As it came, decoded from its content encoding. */
  readonly body: Buffer
  /** The URLs that sent on to the next one, in order. */
  readonly redirects: readonly string[]
  readonly fromCache: boolean
  readonly #encoding: string | undefined
  readonly #parse: Parse
  #text: string | undefined
  #$: CheerioAPI | undefined
  #base: string | undefined
  #found: FoundLinks | 'unknown' | undefined

  constructor(response: Response, request: CrawlRequest, parse: Parse) {
    this.url = response.url
    this.status = response.status
    this.headers = response.headers
    this.body = response.body
    this.redirects = response.redirects
    this.fromCache = response.fromCache
    this.#encoding = request.encoding
    this.#parse = parse
  }

  /** The body as text, in the charset it is most likely in. */
  get text(): string {
    this.#text ??= decodeText(this.body, headerOf(this.headers, 'content-type'), this.#encoding)
    return this.#text
  }

  /** The page as a document; parsed at the first look, so that who never looks pays nothing. */
  get $(): CheerioAPI {
    this.#$ ??= this.#parse(this.text)
    return this.#$
  }

  /** What relative links are read against: `<base href>`, else the final URL. */
  get base(): string {
    if (this.#base === undefined) {
      const href = this.#found === undefined && !/<base\b/i.test(this.text) ? undefined : this.#baseHref()
      this.#base = (href === undefined ? undefined : httpUrl(href, this.url)) ?? this.url
    }
    return this.#base
  }

  /** The body as JSON; it throws what `JSON.parse` throws. */
  json(): unknown {
    return JSON.parse(this.text)
  }

  /**
   * Absolute http URLs of the links a selector finds, in page order, each once. Fragments alone make no other page;
   * what is empty, no http or no URL at all is left out.
   */
  links(selector = 'a[href]'): readonly string[] {
    const hrefs = this.#hrefs(selector)
    const { base } = this
    const origin = originOf(base)
    const urls = new Set<string>()
    for (const href of hrefs) {
      // A plain path needs no base to be parsed beside it, which is half of the work.
      const url = plainPath.test(href) ? httpUrl(origin + href) : href.trim() === '' ? undefined : httpUrl(href, base)
      if (url !== undefined) urls.add(url)
    }
    return [...urls]
  }

  /**
   * Takes fields out of the page, each at a selector. What is required and missing is a `SelectorError`.
   *
   * @example
   * const { title, price, tags } = page.extract({ title: 'h1', price: { at: '.price', as: Number }, tags: ['.tag'] })
   */
  extract<const Fields extends Spec>(fields: Fields): Extracted<Fields> {
    return extract(this.$, fields, this)
  }

  #hrefs(selector: string): readonly string[] {
    if (selector === 'a[href]') {
      const found = this.#findLinks()
      if (found !== undefined) return found.hrefs
    }
    return this.#find(selector).map(({ attribs }) => attribs['href'] ?? attribs['src'] ?? '')
  }

  #baseHref(): string | undefined {
    const found = this.#findLinks()
    return found === undefined ? this.$('base[href]').first().attr('href') : found.base
  }

  /** Undefined where `$` is there already, or only `$` can tell. */
  #findLinks(): FoundLinks | undefined {
    if (this.#$ !== undefined) return undefined
    this.#found ??= this.#parse.findLinks?.(this.text) ?? 'unknown'
    return this.#found === 'unknown' ? undefined : this.#found
  }

  #find(selector: string): readonly { readonly attribs: Readonly<Record<string, string>> }[] {
    try {
      return this.$(selector).toArray() as unknown as readonly { readonly attribs: Record<string, string> }[]
    } catch (error) {
      throw SelectorError.ofSyntax(this.url, selector, error)
    }
  }
}

const plainPath = /^\/[\w.~-]/

/** An absolute http URL without its fragment; undefined for anything else. */
function httpUrl(href: string, base?: string): string | undefined {
  const url = URL.parse(href, base)?.href
  if (url === undefined || !(url.startsWith('http:') || url.startsWith('https:'))) return undefined
  return withoutFragment(url)
}
