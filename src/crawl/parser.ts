import type { CheerioAPI } from 'cheerio'

/**
 * How a page is read. `html5` reads it as browsers do, whatever is wrong with it: selectors from a browser's tools fit,
 * as it too adds a `<tbody>` to a table. `fast` takes half the time, and broken markup as it stands.
 */
export type ParserKind = 'html5' | 'fast'

/** Makes the `$` of a page's text. */
export type Parse = (html: string) => CheerioAPI

/** Loads a parser; a crawl that never parses pays for none. */
export async function loadParser(kind: ParserKind): Promise<Parse> {
  if (kind === 'html5') {
    const { load } = await import('cheerio')
    return (html) => load(html)
  }
  const { load } = await import('cheerio/slim')
  return (html) => load(html)
}
