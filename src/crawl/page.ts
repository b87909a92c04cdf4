import type { CheerioAPI } from 'cheerio'
import { decodeText } from './charset.ts'
import { SelectorError } from './errors.ts'
import type { ResponseHeaders } from './exchange.ts'
import { extract, type Extracted, type Spec } from './extract.ts'
import type { Parse } from './parser.ts'
import type { CrawlRequest, PageBase } from './request.ts'
import { headerOf, type Response } from './response.ts'

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
      const href = /<base\b/i.test(this.text) ? this.$('base[href]').first().attr('href') : undefined
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
    const { base } = this
    const { origin } = new URL(base)
    const urls = new Set<string>()
    for (const { attribs } of this.#find(selector)) {
      const href = attribs['href'] ?? attribs['src'] ?? ''
      // A plain path needs no base to be parsed beside it, which is half of the work.
      const url = /^\/[\w.~-]/.test(href)
        ? httpUrl(origin + href)
        : href.trim() === ''
          ? undefined
          : httpUrl(href, base)
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

  #find(selector: string): readonly { readonly attribs: Readonly<Record<string, string>> }[] {
    try {
      return this.$(selector).toArray() as unknown as readonly { readonly attribs: Record<string, string> }[]
    } catch (error) {
      throw SelectorError.ofSyntax(this.url, selector, error)
    }
  }
}

/** An absolute http URL without its fragment; undefined for anything else. */
function httpUrl(href: string, base?: string): string | undefined {
  const url = URL.parse(href, base)
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return undefined
  url.hash = ''
  return url.href
}
