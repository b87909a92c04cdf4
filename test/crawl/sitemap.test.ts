import type { IncomingMessage, ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import type { Failure } from 'rootcatch'
import { BlockedAddressError, request, StatusError, type StartContext } from 'rootcatch/crawl'
import { website, type Website } from 'rootcatch/testing'
import { readSitemap } from '../../src/crawl/sitemap-text.ts'
import { crawlOnce, hurriedClock, localSpider, startQuietly } from '../support/crawling.ts'

const base = 'https://shop.example/sitemap.xml'
const read = (text: string): { pages: string[]; sitemaps: string[] } => {
  const parts = [...readSitemap(text, base)]
  return {
    pages: parts.flatMap(({ pages }) => pages.map(({ url }) => url)),
    sitemaps: parts.flatMap(({ sitemaps }) => sitemaps),
  }
}
const urlset = (...urls: string[]): string =>
  `<?xml version="1.0" encoding="UTF-8"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">${urls
    .map((url) => `<url><loc>${url}</loc></url>`)
    .join('\n')}</urlset>`
const index = (...urls: string[]): string =>
  `<sitemapindex>${urls.map((url) => `<sitemap><loc>${url}</loc></sitemap>`).join('')}</sitemapindex>`

describe('readSitemap', () => {
  test('gives pages with their lastmod, and sitemaps, as absolute http URLs', () => {
    const text = `<urlset xmlns:image="x"><url>
      <loc> https://shop.example/a?x=1&amp;y=2 </loc><lastmod>2026-01-02</lastmod><image:image><image:loc>https://cdn.example/i.png</image:loc></image:image>
      </url><url><loc><![CDATA[https://shop.example/b?x=1&y=2]]></loc></url><url><loc>/c</loc></url>
      <url><loc>javascript:x</loc></url><url><loc></loc></url><url/></urlset>`
    expect([...readSitemap(text, base)].flatMap(({ pages }) => pages)).toEqual([
      { url: 'https://shop.example/a?x=1&y=2', lastmod: '2026-01-02' },
      { url: 'https://shop.example/b?x=1&y=2', lastmod: undefined },
      { url: 'https://shop.example/c', lastmod: undefined },
    ])
    expect(read(index('https://shop.example/1.xml', '/2.xml.gz'))).toEqual({
      pages: [],
      sitemaps: ['https://shop.example/1.xml', 'https://shop.example/2.xml.gz'],
    })
    expect(read('https://shop.example/1\r\n# no\nhttps://shop.example/2\n').pages).toHaveLength(2)
  })

  test.each([
    ['cut short', urlset('https://shop.example/1', 'https://shop.example/2').slice(0, -20), 1],
    ['broken within', '<urlset><url><loc>https://shop.example/1</loc></url><<>&;<url <loc>x', 1],
    ['a web page', '<!doctype html><html><body><a href="/x">x</a><br><p>', 0],
    ['empty', '', 0],
    ['no text', '\u0000\u0001\ufffd'.repeat(100), 0],
    ['a bomb of entities', '<!DOCTYPE x [<!ENTITY a "&b;&b;"><!ENTITY b "x">]><urlset><url><loc>&a;</loc></url>', 1],
  ])('that is %s is read as far as it is one', (_, text, count) => {
    expect(read(text).pages).toHaveLength(count)
  })

  test.each([
    ['tags in each other', '<a>'.repeat(3_000_000)],
    ['ends of nothing', `${'<a>'.repeat(30)}${'</b>'.repeat(3_000_000)}`],
    ['one long name', `<urlset><url><loc>https://shop.example/${'x'.repeat(20_000_000)}</loc></url>`],
    ['attributes', `<urlset ${'a="b" '.repeat(2_000_000)}>`],
    ['pages', urlset(...Array.from({ length: 50_000 }, (_, page) => `https://shop.example/${page}`))],
  ])('full of %s is read soon', (_, text) => {
    const { cpuUsage } = process
    const before = cpuUsage()
    read(text)
    expect(cpuUsage(before).user / 1000).toBeLessThan(10_000)
  })

  test('never throws, whatever it is given, and gives http URLs only', () => {
    const piece = fc.constantFrom(
      '<url>',
      '</url>',
      '<loc>',
      '</loc>',
      '<',
      '>',
      '&',
      'https://a.example/',
      '<![CDATA[',
      ']]>',
      '/',
      'x',
    )
    fc.assert(
      fc.property(fc.array(fc.oneof(piece, fc.string()), { maxLength: 40 }), (pieces) => {
        for (const url of read(`<${pieces.join('')}`).pages) expect(url).toMatch(/^https?:/)
      }),
    )
  })
})

describe('sitemap(), given to start', () => {
  const sites: Website[] = []
  afterEach(async () => {
    for (const site of sites.splice(0)) await site.close()
  })
  type Answer = string | Buffer | ((request: IncomingMessage, response: ServerResponse) => void)
  const open = async (answers: (url: string) => Readonly<Record<string, Answer>>): Promise<Website> => {
    const routes: Record<string, (asked: IncomingMessage, response: ServerResponse) => void> = {}
    const site = await website({ books: 40, routes })
    sites.push(site)
    for (const [path, answer] of Object.entries(answers(site.url))) {
      routes[path] = (asked, response) =>
        typeof answer === 'function' ? answer(asked, response) : void response.end(answer)
    }
    return site
  }
  const books = (options: Parameters<typeof localSpider>[1], sitemap: string) => {
    const spider = localSpider('books', {
      async *start(context: StartContext) {
        for await (const { url } of context.sitemap(sitemap)) yield request('book', url)
      },
      ...options,
    })
    return spider.on('book', ({ page, emit }) => emit(new URL(page.url).pathname))
  }
  const list = (site: string, from: number, to: number): string =>
    urlset(...Array.from({ length: to - from + 1 }, (_, at) => `${site}/book/${from + at}`))

  test('reads an index, packed sitemaps, and robots.txt', async () => {
    const site = await open((url) => ({
      '/robots.txt': `User-agent: *\nAllow: /\nSitemap: ${url}/index.xml\nSitemap: /more.txt\n`,
      '/index.xml': index(`${url}/1.xml`, `${url}/2.xml.gz`, `${url}/index.xml`, `${url}/none.xml`),
      '/1.xml': list(url, 1, 3),
      '/2.xml.gz': gzipSync(list(url, 4, 6)),
      '/more.txt': `${url}/book/7\n${url}/book/1\n`,
    }))
    const { crawl, counters } = await crawlOnce(books({}, `${site.url}/robots.txt`))
    expect(counters).toMatchObject({ item: 7, request: 7, duplicate: 1 })
    expect(crawl.stats().ended).toEqual({ ok: 7, error: 0, fallback: 0, failed: 0 })
    expect(site.count('/index.xml')).toBe(1)
  })

  test('tries again what failed or was throttled, and leaves out what cannot be had', async () => {
    let asked = 0
    const site = await open((url) => ({
      '/index.xml': index(
        `${url}/bad.xml`,
        `${url}/1.xml`,
        `http://10.0.0.1/x.xml`,
        `${url}/torn.xml.gz`,
        `${url}/2.xml`,
      ),
      '/bad.xml': (_asked, response) => void response.writeHead(500).end(),
      '/1.xml': (_asked, response) => {
        asked += 1
        if (asked === 1) return void response.writeHead(429, { 'retry-after': '30' }).end()
        if (asked === 2) return void response.writeHead(503).end()
        return void response.end(list(url, 1, 2))
      },
      '/torn.xml.gz': gzipSync(list(url, 10, 30)).subarray(0, 60),
      '/2.xml': list(url, 3, 4),
    }))
    const { counters } = await crawlOnce(books({ networkTryLimit: 3 }, `${site.url}/index.xml`))
    expect(counters).toMatchObject({ item: 4, request: 4 })
    expect([site.count('/bad.xml'), site.count('/1.xml')]).toEqual([3, 3])
  })

  test.each<[string, string, (error: unknown) => boolean]>([
    ['cannot be had', '/status/500', (error) => error instanceof StatusError],
    ['is on a private address', 'http://10.0.0.1/sitemap.xml', (error) => error instanceof BlockedAddressError],
    [
      'leads to a private address',
      '/redirect-to?url=http://10.0.0.1/',
      (error) => error instanceof BlockedAddressError,
    ],
    ['has no URL', 'nowhere', (error) => (error as { code?: string }).code === 'invalid-option'],
  ])('fails the spider where the first one %s, and a start may catch that', async (_, path, fits) => {
    const site = await open(() => ({}))
    const url = path.startsWith('/') ? `${site.url}${path}` : path
    const { outcome } = await crawlOnce(books({ networkTryLimit: 2 }, url))
    if (outcome.status !== 'failed') throw new Error(outcome.status)
    expect(fits((outcome.error as Failure).error)).toBe(true)
    let caught: unknown
    const patient = books(
      {
        networkTryLimit: 1,
        async *start({ sitemap }) {
          try {
            for await (const entry of sitemap(url)) yield request('book', entry.url)
          } catch (error) {
            caught = error
          }
        },
      },
      url,
    )
    expect((await crawlOnce(patient)).outcome.status).toBe('done')
    expect(fits(caught)).toBe(true)
  })

  test('that is not there is empty', async () => {
    const site = await open(() => ({}))
    const { outcome } = await crawlOnce(books({}, `${site.url}/sitemap.xml`))
    expect(outcome).toMatchObject({ status: 'done', value: { requests: 0 } })
  })

  test('is given up when the crawl ends: nothing is left behind', async () => {
    let isAsked = (): void => {}
    const asked = new Promise<void>((resolve) => (isAsked = resolve))
    const site = await open(() => ({ '/slow.xml': () => isAsked() }))
    const spider = books({}, `${site.url}/slow.xml`)
    const system = await startQuietly(spider, { clock: hurriedClock() })
    const crawl = system.run(spider)
    await asked
    crawl.cancel('enough')
    expect((await crawl.settled()).status).toBe('cancelled')
    await system.stop()
    expect(system.failures()).toEqual([])
  })
})
