import { afterEach, describe, expect, test } from 'vitest'
import { memory } from 'rootcatch'
import { request, type CrawlRequest } from 'rootcatch/crawl'
import { sqlite } from 'rootcatch/sqlite'
import { website, type Website, type WebsiteOptions } from 'rootcatch/testing'
import { newFiles } from '../support/sqlite-store.ts'
import { crawlOnce, hurriedClock, localSpider, startQuietly } from '../support/crawling.ts'

const newFile = newFiles()
const sites: Website[] = []
afterEach(async () => {
  for (const site of sites.splice(0)) await site.close()
})
const open = async (options?: WebsiteOptions): Promise<Website> => {
  const site = await website(options)
  sites.push(site)
  return site
}
const pathsOf = (site: Website): readonly string[] => site.requests.map(({ path }) => path)

describe('requests', () => {
  test('come by priority, then by arrival: breadth first', async () => {
    const site = await open({ books: 4, perPage: 2 })
    const books = localSpider('books', {
      start: [request('list', `${site.url}/shop/1`), request('book', `${site.url}/book/4`, { priority: 5 })],
      concurrency: 1,
    })
    books.on('list', function* ({ links, request: page }) {
      for (const url of links('a[rel=next]')) yield page.follow('list', url)
      for (const url of links('h3 a')) yield page.follow('book', url)
      yield page.follow('book', '/login', { priority: -1 })
    })
    books.on('book', () => {})
    await crawlOnce(books)
    expect(pathsOf(site)).toEqual(['/shop/1', '/login', '/shop/2', '/book/1', '/book/2', '/book/3', '/book/4'])
  })

  test('that are known are dropped: by identity, counted, told as events; without dedupe they are not', async () => {
    const site = await open()
    const books = localSpider('books', {
      start: [
        request('page', `${site.url}/book/1`),
        request('page', `${site.url}/book/1#part`),
        request('page', `${site.url}/book/1?`),
        request('page', `${site.url}/book/1`, { dedupe: false }),
        request('other', `${site.url}/book/1`),
        request('page', `${site.url}/book/2`, { uniqueKey: 'two' }),
        request('page', `${site.url}/book/3`, { uniqueKey: 'two' }),
      ],
    })
    books.on('page', () => {})
    books.on('other', () => {})
    await using system = await startQuietly(books)
    const dropped: string[] = []
    system.on('request.dropped', ({ because, url }) => dropped.push(`${because} ${new URL(url).pathname}`))
    const crawl = system.run(books)
    await crawl
    expect(dropped).toEqual(['duplicate /book/1', 'duplicate /book/3'])
    expect(crawl.stats().counters).toMatchObject({ duplicate: 2, request: 5, page: 5 })
  })

  test('beyond maxDepth, of another domain, or with a bad URL are dropped and counted', async () => {
    const site = await open({ books: 8, perPage: 2 })
    const books = localSpider('books', {
      start: [request('list', `${site.url}/shop/1`)],
      maxDepth: 2,
      sameDomain: true,
    })
    books.on('list', function* ({ links, request: page }) {
      for (const url of links('a[rel=next]')) yield page.follow('list', url)
      yield page.follow('list', 'https://elsewhere.example/')
      yield page.follow('list', 'ftp://files.example/')
    })
    const { counters } = await crawlOnce(books)
    expect(counters).toMatchObject({ request: 3, depth: 2, domain: 2, 'bad-url': 3 })
  })

  test('maxRequests ends the crawl once those that were accepted are over', async () => {
    const site = await open({ books: 40, perPage: 10 })
    const books = localSpider('books', { start: [request('list', `${site.url}/shop/1`)], maxRequests: 7 })
    books.on('list', function* ({ links, request: page }) {
      for (const url of [...links('h3 a'), ...links('h3 a')]) yield page.follow('book', url)
    })
    books.on('book', () => {})
    const { outcome, counters } = await crawlOnce(books)
    expect(outcome).toMatchObject({ status: 'done', value: { reason: 'maxRequests', requests: 7 } })
    expect(counters).toMatchObject({ request: 7, page: 7 })
  })

  test('maxItems lets running pages finish and begins no more', async () => {
    const site = await open({ books: 40, perPage: 40 })
    const books = localSpider('books', { start: [request('list', `${site.url}/shop/1`)], maxItems: 5, concurrency: 2 })
    books.on('list', function* ({ links, request: page }) {
      for (const url of links('h3 a')) yield page.follow('book', url)
    })
    books.on('book', ({ emit }) => emit(1))
    const { outcome } = await crawlOnce(books)
    if (outcome.status !== 'done') throw new Error(outcome.status)
    expect(outcome.value.reason).toBe('maxItems')
    expect(outcome.value.items).toBeGreaterThanOrEqual(5)
    expect(outcome.value.items).toBeLessThanOrEqual(6)
  })

  test('of start are read only as the queue empties', async () => {
    const site = await open({ books: 100 })
    const ahead: number[] = []
    let handled = 0
    async function* seeds(): AsyncGenerator<CrawlRequest, void, undefined> {
      for (let book = 1; book <= 30; book += 1) {
        ahead.push(book - handled)
        yield request('book', `${site.url}/book/${book}`)
      }
    }
    const books = localSpider('books', { start: seeds, concurrency: 3 })
    books.on('book', () => void (handled += 1))
    const { counters } = await crawlOnce(books)
    expect(counters['page']).toBe(30)
    expect(Math.max(...ahead)).toBeLessThanOrEqual(8)
  })
})

describe('hosts', () => {
  test('that wait take no slot: another host goes on', async () => {
    const [slow, fast] = [await open(), await open()]
    const order: string[] = []
    const books = localSpider('books', {
      start: [1, 2, 3].flatMap((book) => [
        request('slow', `${slow.url}/book/${book}`),
        request('fast', `${fast.url}/book/${book}`),
      ]),
      concurrency: 1,
      perHost: { delay: '20s' },
      domains: {},
    })
    books.on('slow', () => void order.push('slow'))
    books.on('fast', () => void order.push('fast'))
    await using system = await startQuietly(books)
    const paths = new Set<string>()
    system.on('job.started', () => {
      for (const { path } of system.tree().children?.[0]?.children ?? []) paths.add(path)
    })
    await system.run(books)
    expect(order).toEqual(['slow', 'fast', 'slow', 'fast', 'slow', 'fast'])
    expect(paths.size, 'each host is a supervisor').toBe(2)
    expect(system.tree().children?.[0]?.children, 'removed when it is empty').toEqual([])
  })

  describe.each([
    ['memory', () => memory()],
    ['sqlite', () => sqlite(newFile())],
  ])('of which 5 000 requests wait (%s)', (_, broker) => {
    test.each([
      ['a list', (requests: readonly CrawlRequest[]) => requests],
      [
        'a generator',
        (requests: readonly CrawlRequest[]) =>
          function* () {
            yield* requests
          },
      ],
    ])('hold up nobody behind them in %s, and of what waits little is held', async (_kind, start) => {
      const site = await open()
      const slow = site.url.replace('127.0.0.1', 'localhost')
      const many = (count: number, name: string, at: string): CrawlRequest[] =>
        Array.from({ length: count }, (__, index) => request(name, `${at}/${name}/${index}`))
      const books = localSpider('books', {
        start: start([...many(5000, 'slow', slow), ...many(50, 'fast', site.url)]),
        allowPrivate: ['127.0.0.1', 'localhost'],
        domains: { localhost: { delay: '1h' } },
      })
      let [fast, most] = [0, 0]
      books.on('slow', () => {})
      books.on('fast', async () => {
        fast += 1
        const [queue] = await system.queues()
        most = Math.max(most, queue?.leased ?? 0)
        if (fast === 50) crawl.cancel('enough')
      })
      await using system = await startQuietly(books, { broker: broker(), clock: undefined as never })
      const crawl = system.run(books)
      await crawl.settled()
      expect(fast).toBe(50)
      expect(site.requests.filter(({ path }) => path.startsWith('/slow'))).toHaveLength(1)
      expect(most).toBeLessThanOrEqual(50)
    })
  })

  test('are asked for no more pages at once than perHost says', async () => {
    let now = 0
    let most = 0
    const site = await open({
      routes: {
        '/busy': (_request, response) => {
          now += 1
          most = Math.max(most, now)
          setTimeout(() => {
            now -= 1
            response.end('<h1>x</h1>')
          }, 10)
        },
      },
    })
    const start = Array.from({ length: 12 }, (_, index) => request('page', `${site.url}/busy?${index}`))
    const books = localSpider('books', { start, perHost: { concurrency: 3 } })
    books.on('page', () => {})
    await crawlOnce(books)
    expect(most).toBe(3)
  })

  test('that answer 429 with Retry-After are left alone for so long, and it costs no try', async () => {
    const asked: number[] = []
    const clock = hurriedClock()
    const site = await open({
      routes: {
        '/limited': (_request, response) => {
          asked.push(clock.now())
          if (asked.length <= 3) response.writeHead(429, { 'retry-after': '60' }).end()
          else response.end('<h1>x</h1>')
        },
      },
    })
    const books = localSpider('books', { start: [request('page', `${site.url}/limited`)], networkTryLimit: 1 })
    books.on('page', ({ emit, request: { networkTryCount } }) => emit(networkTryCount))
    await using system = await startQuietly(books, { clock })
    const paused: string[] = []
    system.on('host.paused', ({ because }) => paused.push(because))
    const crawl = system.run(books)
    const items: unknown[] = []
    for await (const item of crawl) items.push(item)
    expect(items).toEqual([1])
    expect(paused).toEqual(['throttled', 'throttled', 'throttled'])
    expect(crawl.stats().counters).toMatchObject({ throttled: 3, 'network-try': 1, 'network-ok': 1 })
    const waits = asked.slice(1).map((at, index) => at - (asked[index] as number))
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(59_000)
  })

  test('that are throttled twenty times in a row cost one try, so that nothing waits for ever', async () => {
    const site = await open()
    const books = localSpider('books', {
      start: [request('page', `${site.url}/throttle?after=0`)],
      networkTryLimit: 2,
    })
    books.on('page', () => {})
    books.fallback('page', ({ networkTryCount }, failure, { emit }) => emit([networkTryCount, failure.attempt]))
    const { counters } = await crawlOnce(books, { clock: hurriedClock(1000) })
    expect(counters).toMatchObject({ throttled: 40, fallback: 1 })
    expect(site.count('/throttle')).toBe(40)
  })

  test('are asked for their robots.txt first; what it denies is dropped, unfetched, and is no failure', async () => {
    const site = await open({ robots: 'User-agent: *\nDisallow: /book/' })
    const books = localSpider('books', {
      start: [
        request('page', `${site.url}/shop/1`),
        request('page', `${site.url}/book/1`),
        request('page', `${site.url}/redirect-to?url=/book/2`),
      ],
      robots: true,
      concurrency: 1,
    })
    books.on('page', () => {})
    books.fallback('page', () => {
      throw new Error('never')
    })
    const { outcome, counters } = await crawlOnce(books)
    expect(pathsOf(site)).toEqual(['/robots.txt', '/shop/1', '/redirect-to?url=/book/2'])
    expect(counters).toMatchObject({ robots: 2, request: 1, page: 1 })
    expect(outcome).toMatchObject({ status: 'done', value: { failed: 0 } })
  })

  test('that are redirected to are tried again where their robots.txt cannot be had at first: nothing is dropped', async () => {
    let asked = 0
    const to = await open({
      routes: {
        '/robots.txt': (_request, response) => {
          asked += 1
          if (asked === 1) response.writeHead(500).end()
          else if (asked === 2) response.writeHead(429, { 'retry-after': '30' }).end()
          else response.end('User-agent: *\nAllow: /')
        },
      },
    })
    const site = await open()
    const url = `${site.url}/redirect-to?url=${encodeURIComponent(`${to.url}/book/1`)}`
    const books = localSpider('books', { start: [request('page', url)], robots: true, networkTryLimit: 2 })
    books.on('page', ({ $, emit }) => emit($('h1').text()))
    const { counters } = await crawlOnce(books)
    expect(counters).toMatchObject({ item: 1, request: 1, 'network-error-http-500': 1, throttled: 1, 'network-ok': 1 })
    expect(counters).not.toHaveProperty('robots')
  })

  test('whose robots.txt cannot be had are asked for no page', async () => {
    const site = await open({
      routes: { '/robots.txt': (_request, response) => void response.writeHead(503).end() },
    })
    const books = localSpider('books', {
      start: [request('page', `${site.url}/book/1`)],
      robots: true,
      networkTryLimit: 2,
    })
    books.on('page', () => {})
    const { counters } = await crawlOnce(books, { clock: hurriedClock(1000) })
    expect(site.count('/book/1')).toBe(0)
    expect(counters).toMatchObject({ failed: 1, 'network-error-http-503': 2 })
  })
})
