import type { Tree } from '../actors/tree.ts'
import { InvalidOptionError } from '../errors.ts'
import { delayOf } from '../retry.ts'
import { decodeText } from './charset.ts'
import { decodeBody } from './decoding.ts'
import { StatusError } from './errors.ts'
import type { Fetcher } from './fetcher.ts'
import { MOST_DECODED } from './fetcher-options.ts'
import type { Politeness } from './politeness.ts'
import { request } from './request.ts'
import { headerOf, type Response } from './response.ts'
import { parseRobots } from './robots-rules.ts'
import { readSitemap, type SitemapEntry } from './sitemap-text.ts'
import type { SpiderDefinition } from './spider-definition.ts'

/** What reading sitemaps stands on: the crawl's own client, so that guard, proxies and limits are the same. */
export interface SitemapTools {
  readonly tree: Tree
  readonly path: string
  readonly spider: SpiderDefinition
  readonly fetcher: Fetcher
  readonly politeness: Politeness
  readonly signal: AbortSignal
}

/** As many as an index may name. */
const MOST_SITEMAPS = 50_000
const THROTTLED_WAIT = 5_000

/**
 * The pages that a sitemap names, and those of the sitemaps it names; of a robots.txt those of all its sitemaps. The first
 * one throws where it cannot be had, others are left out with a warning.
 */
export async function* readSitemaps(first: string, tools: SitemapTools): AsyncGenerator<SitemapEntry, void, undefined> {
  if (request('sitemap', first).badUrl !== undefined) {
    throw new InvalidOptionError(
      'sitemap()',
      'url',
      first,
      `Write an http URL, as in 'https://shop.example/sitemap.xml'.`,
    )
  }
  const known = new Set([first])
  for (const url of known) {
    const response = await (url === first ? fetchSitemap(url, tools) : fetchOrWarn(url, tools))
    if (response === undefined) continue
    const text = await textOf(response, tools)
    if (new URL(first).pathname === '/robots.txt' && url === first) {
      const { agent } = tools.spider.settings
      for (const named of parseRobots(text, agent).sitemaps) addTo(known, URL.parse(named, response.url)?.href)
      continue
    }
    for (const { pages, sitemaps } of readSitemap(text, response.url)) {
      for (const named of sitemaps) addTo(known, named)
      yield* pages
      await new Promise((resolve) => void setImmediate(resolve)) // a large one is read slice by slice
    }
  }
}

function addTo(known: Set<string>, url: string | undefined): void {
  if (url !== undefined && known.size < MOST_SITEMAPS) known.add(url)
}

/** Undefined where there is none. Tried again as a page would be; throws what the last try came to. */
async function fetchSitemap(url: string, tools: SitemapTools): Promise<Response | undefined> {
  const { tree, spider, fetcher, politeness, signal } = tools
  const { networkTryLimit, backoff } = spider.settings
  const asked = request('sitemap', url, {
    cache: 'skip',
    headers: { accept: 'application/xml,text/xml,text/plain,*/*' },
  })
  for (let tryCount = 1; ; tryCount += 1) {
    const outcome = await fetcher.fetch(asked, { signal, tryCount })
    if (outcome.kind === 'page') return outcome.response.status < 300 ? outcome.response : undefined
    if (outcome.kind === 'refused') return undefined
    const error =
      outcome.kind === 'error' ? outcome.error : new StatusError({ url, status: outcome.response.status, tryCount })
    if (error.permanent || tryCount >= networkTryLimit) throw error
    const wait = delayOf(backoff, tryCount, tree.random)
    const asks = outcome.kind === 'throttled' ? politeness.capped(outcome.retryAfter ?? THROTTLED_WAIT) : 0
    await pause(Math.max(wait, asks), tools)
  }
}

async function fetchOrWarn(url: string, tools: SitemapTools): Promise<Response | undefined> {
  try {
    return await fetchSitemap(url, tools)
  } catch (error) {
    tools.signal.throwIfAborted()
    tools.tree.write('warn', { path: tools.path, url, err: error }, 'A sitemap could not be had and is left out.')
    return undefined
  }
}

/** Files that end in .gz come as they are: the body itself is packed. One that is broken has no text. */
async function textOf({ body, url, headers }: Response, tools: SitemapTools): Promise<string> {
  const { signal, spider, tree, path } = tools
  if (body[0] !== 0x1f || body[1] !== 0x8b) return decodeText(body, headerOf(headers, 'content-type'))
  const most = spider.settings.fetcher.bodyLimit?.decoded ?? MOST_DECODED
  try {
    const cutBy = (cut: () => void): void => signal.addEventListener('abort', cut)
    return decodeText(await decodeBody(body, 'gzip', most, cutBy), undefined)
  } catch (error) {
    tree.write('warn', { path, url, err: error }, 'A sitemap could not be unpacked and is left out.')
    return ''
  }
}

function pause(ms: number, { tree, signal }: SitemapTools): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      cancel()
      reject(signal.reason)
    }
    const cancel = tree.sleep(ms, () => {
      signal.removeEventListener('abort', leave)
      resolve()
    })
    if (signal.aborted) return leave()
    return signal.addEventListener('abort', leave, { once: true })
  })
}
