import type { CheerioAPI } from 'cheerio'

/** How the links of a page are got: not parsed, or by cheerio in one of its forms; `links` takes nothing else. */
export type Handling = 'plain' | 'fast' | 'html5' | 'links'

/** Links by a regular expression. */
export function linksIn(html: string, base: string): readonly string[] {
  return [...html.matchAll(/<a href="([^"]+)"/g)].map(([, href = '']) => new URL(href, base).href)
}

/** Title and links, as both contenders take them. */
export function linksOf($: CheerioAPI, base: string): readonly string[] {
  if ($('h1').text() === '') throw new Error('no title')
  return $('h3 a')
    .toArray()
    .map((element) => new URL($(element).attr('href') ?? '', base).href)
}
