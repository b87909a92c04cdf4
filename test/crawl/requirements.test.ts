import { createServer, type AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import type { Failure } from 'rootcatch'
import { NetworkError, request, type CrawlRequest, type StatusError } from 'rootcatch/crawl'
import { website, type Website, type WebsiteOptions } from 'rootcatch/testing'
import { crawlOnce, localSpider, startQuietly } from '../support/crawling.ts'

/** What Grab promises (`semantics/crawl.md` §1), each as a test against a real site. */
describe('a spider', () => {
  const sites: Website[] = []
  afterEach(async () => {
    for (const site of sites.splice(0)) await site.close()
  })
  const open = async (options?: WebsiteOptions): Promise<Website> => {
    const site = await website(options)
    sites.push(site)
    return site
  }

  test('G1 calls the handler named like the request, once per good response', async () => {
    const site = await open()
    const called: string[] = []
    const books = localSpider('books', {
      start: [request('list', `${site.url}/shop/1`), request('book', `${site.url}/book/1`)],
    })
    books.on('list', ({ page }) => void called.push(`list ${new URL(page.url).pathname}`))
    books.on('book', ({ page }) => void called.push(`book ${new URL(page.url).pathname}`))
    books.on('constructor', () => void called.push('never'))
    await crawlOnce(books)
    expect(called.toSorted()).toEqual(['book /book/1', 'list /shop/1'])
  })

  test('G2 puts the same request back into the queue after a network error: id, meta and priority stay', async () => {
    const site = await open()
    const seen: CrawlRequest[] = []
    const retried: unknown[] = []
    const books = localSpider('books', {
      start: [request('page', `${site.url}/flaky/2`, { meta: { shelf: 3 }, priority: 7 })],
      concurrency: 1,
    })
    books.on('page', ({ request: page }) => void seen.push(page))
    await using system = await startQuietly(books)
    const ids = new Set<string>()
    system.on('job.started', ({ id }) => ids.add(id))
    system.on('job.retrying', ({ error }) => retried.push((error as NetworkError).code))
    const crawl = system.run(books)
    await crawl
    expect(ids.size).toBe(1)
    expect(retried).toEqual(['http-503', 'http-503'])
    expect(seen).toHaveLength(1)
    expect(seen[0]).toMatchObject({ id: [...ids][0], meta: { shelf: 3 }, priority: 7, networkTryCount: 3 })
    expect(crawl.stats().counters).toMatchObject({ 'retry-network': 2, 'network-try': 3, 'network-ok': 1 })
  })

  test('G3 ends that page alone when its handler throws: no retry, no fallback, reported; what it yielded before stays', async () => {
    const site = await open()
    const fellBack: string[] = []
    const items: unknown[] = []
    const books = localSpider('books', { start: [request('list', `${site.url}/shop/1`)] })
    books.on('list', function* ({ emit, request: page }) {
      emit({ before: true })
      yield page.follow('book', '/book/1')
      throw new TypeError('no such field')
    })
    books.on('book', ({ emit }) => emit({ book: 1 }))
    books.fallback('list', ({ name }) => void fellBack.push(name))
    await using system = await startQuietly(books)
    const failures: Failure[] = []
    system.on('failure.decided', ({ failure }) => failures.push(failure))
    const crawl = system.run(books)
    for await (const item of crawl) items.push(item)
    const { failed } = await crawl
    expect(items).toEqual([{ before: true }, { book: 1 }])
    expect(fellBack).toEqual([])
    expect(failed).toBe(1)
    expect(site.count('/shop/1')).toBe(1)
    expect(failures).toMatchObject([{ kind: 'handler', attempt: 1, job: { url: `${site.url}/shop/1` } }])
    expect(crawl.stats()).toMatchObject({
      counters: { 'page-list-error': 1, 'handler-error-TypeError': 1 },
      lists: { 'handler-error': [`list|TypeError|no such field|${site.url}/shop/1`] },
    })
  })

  test('G4 lets such an error climb past host, spider and tree, and goes on with all other pages', async () => {
    const site = await open({ books: 8, perPage: 8 })
    const books = localSpider('books', { start: [request('list', `${site.url}/shop/1`)] })
    books.on('list', function* ({ links, request: page }) {
      for (const url of links('h3 a')) yield page.follow('book', url)
    })
    books.on('book', ({ page }) => {
      if (page.url.endsWith('/3')) throw new Error('odd one')
    })
    await using system = await startQuietly(books)
    const failures: Failure[] = []
    system.on('failure.decided', ({ failure }) => failures.push(failure))
    const crawl = system.run(books)
    const { failed, requests } = await crawl
    expect({ failed, requests, ok: crawl.stats().ended.ok }).toEqual({ failed: 1, requests: 9, ok: 8 })
    const host = new URL(site.url).host
    expect(failures[0]?.path).toMatch(new RegExp(`^app/books/${host}/request:`))
    expect(failures[0]?.trail.map(({ path, decision }) => `${path} ${decision}`)).toEqual([
      `app/books/${host} escalate`,
      'app/books escalate',
      'app escalate',
      ' resume',
    ])
  })

  describe('G5 takes for a network error', () => {
    const refused = async (): Promise<string> => {
      const server = createServer()
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const { port } = server.address() as AddressInfo
      await new Promise((resolve) => server.close(resolve))
      return `http://127.0.0.1:${port}/`
    }
    test.each([
      ['a refused connection', refused, 'connection-refused', {}],
      ['data cut off before it came', async () => `${(await open()).url}/truncated`, 'truncated', {}],
      ['data too slow', async () => `${(await open()).url}/drip/20`, 'timeout', { timeout: '20s' }],
    ] as const)('%s', async (_, urlOf, code, options) => {
      const failures: Failure[] = []
      const books = localSpider('books', { start: [request('page', await urlOf())], networkTryLimit: 2, ...options })
      books.on('page', () => {})
      books.fallback('page', (_request, failure) => void failures.push(failure))
      const { counters } = await crawlOnce(books)
      expect(counters).toMatchObject({ 'network-try': 2, [`network-error-${code}`]: 2, fallback: 1 })
      expect(failures[0]?.error).toBeInstanceOf(NetworkError)
    })
  })

  test.each([
    [404, 'page'],
    [200, 'page'],
    [204, 'page'],
    [304, 'error'],
    [400, 'error'],
    [403, 'error'],
    [500, 'error'],
  ] as const)('G6 gives status %i to the handler or takes it for a network error: %s', async (status, what) => {
    const site = await open()
    const statuses: number[] = []
    const books = localSpider('books', { start: [request('page', `${site.url}/status/${status}`)], networkTryLimit: 1 })
    books.on('page', ({ page }) => void statuses.push(page.status))
    books.fallback('page', (_request, { error }) => void statuses.push(-((error as StatusError).status ?? 0)))
    await crawlOnce(books)
    expect(statuses).toEqual([what === 'page' ? status : -status])
  })

  test('G7 has a total timeout and isValid; a timeout of the request wins', async () => {
    const site = await open()
    const outcomes: string[] = []
    const books = localSpider('books', {
      start: [
        request('page', `${site.url}/slow/150`, { timeout: '10s' }),
        request('page', `${site.url}/slow/151`),
        request('page', `${site.url}/status/418`),
      ],
      timeout: '5m',
      networkTryLimit: 1,
      isValid: (status, { name }) => status === 200 || (status === 418 && name === 'page'),
    })
    books.on('page', ({ page }) => void outcomes.push(`ok ${page.status} ${new URL(page.url).pathname}`))
    books.fallback('page', ({ url }, { error }) => {
      outcomes.push(`${(error as NetworkError).code} ${new URL(url).pathname}`)
    })
    await crawlOnce(books)
    expect(outcomes.toSorted()).toEqual(['ok 200 /slow/151', 'ok 418 /status/418', 'timeout /slow/150'])
  })

  test('G8 adds further statuses to the good ones, of spider and request, and replaces none', async () => {
    const site = await open()
    const statuses: number[] = []
    const books = localSpider('books', {
      start: [500, 501, 502, 200].map((status) =>
        request('page', `${site.url}/status/${status}`, { validStatus: status === 502 ? [502] : [] }),
      ),
      validStatus: [500],
      networkTryLimit: 1,
    })
    books.on('page', ({ page }) => void statuses.push(page.status))
    const { counters } = await crawlOnce(books)
    expect(statuses.toSorted()).toEqual([200, 500, 502])
    expect(counters).toMatchObject({ 'network-error-http-501': 1, failed: 1 })
  })

  test('G9 G11 fetches ten times by default, the first included, then calls the fallback once with the request', async () => {
    const site = await open()
    const got: [CrawlRequest, Failure][] = []
    const books = localSpider('books', { start: [request('page', `${site.url}/status/500`, { meta: { a: 1 } })] })
    books.on('page', () => {})
    books.fallback('page', (given, failure) => void got.push([given, failure]))
    const { counters, crawl } = await crawlOnce(books)
    expect(site.count('/status/500')).toBe(10)
    expect(got).toHaveLength(1)
    expect(got[0]?.[0]).toMatchObject({ name: 'page', meta: { a: 1 }, networkTryCount: 10 })
    expect(got[0]?.[1]).toMatchObject({ attempt: 10, error: { status: 500, tryCount: 10 } })
    expect(counters).toMatchObject({ 'network-try': 10, 'retry-network': 9, fallback: 1, 'fallback-page': 1 })
    expect(crawl.stats().lists['network-try-limit']).toEqual([`page|${site.url}/status/500|http-500`])
  })

  test('G10 tells the request its try number, 1 during the first fetch', async () => {
    const site = await open()
    const counts: number[] = []
    const books = localSpider('books', {
      start: [request('page', `${site.url}/flaky/1`), request('page', `${site.url}/book/1`)],
    })
    books.on('page', ({ request: { networkTryCount } }) => void counts.push(networkTryCount))
    await crawlOnce(books)
    expect(counts.toSorted()).toEqual([1, 2])
  })

  test('G12 sends a page again by hand: retry(), a clone, or a new request with the count raised', async () => {
    const site = await open()
    const tries: string[] = []
    const books = localSpider('books', {
      start: [
        request('retry', `${site.url}/captcha/1`, { meta: { kept: 1 } }),
        request('clone', `${site.url}/book/1`),
        request('raised', `${site.url}/book/2`),
      ],
    })
    books.on('retry', ({ $, request: page, retry, emit }) => {
      emit('dropped when it is given back')
      tries.push(`retry ${page.taskTryCount} ${page.networkTryCount} ${JSON.stringify(page.meta)}`)
      if ($('.captcha').length > 0) retry()
    })
    books.on('clone', ({ request: page }) => {
      tries.push(`clone ${page.taskTryCount}`)
      return page.taskTryCount < 3 ? page.clone() : undefined
    })
    books.on('raised', ({ request: page }) => {
      tries.push(`raised ${page.taskTryCount}`)
      return page.taskTryCount === 1 ? request('raised', page.url, { taskTryCount: 2 }) : undefined
    })
    const { counters } = await crawlOnce(books)
    expect(tries.toSorted()).toEqual([
      'clone 1',
      'clone 2',
      'clone 3',
      'raised 1',
      'raised 2',
      'retry 1 1 {"kept":1}',
      'retry 2 1 {"kept":1}',
    ])
    expect(counters).toMatchObject({ 'retry-task': 1, item: 1 })
  })

  test('G13 ends by the fallback when a page was sent again as often as taskTryLimit says', async () => {
    const site = await open()
    const counts: number[] = []
    const books = localSpider('books', {
      start: [request('page', `${site.url}/captcha`), request('late', `${site.url}/book/1`, { taskTryCount: 11 })],
    })
    books.on('page', ({ retry }) => retry())
    books.on('late', () => void counts.push(-1))
    books.fallback('page', ({ taskTryCount }) => void counts.push(taskTryCount))
    books.fallback('late', ({ taskTryCount }) => void counts.push(taskTryCount))
    const { crawl } = await crawlOnce(books)
    expect(site.count('/captcha')).toBe(10)
    expect(site.count('/book/1')).toBe(0)
    expect(counts.toSorted()).toEqual([10, 11])
    expect(crawl.stats().lists['task-try-limit']).toHaveLength(2)
  })

  test('G14 takes a raised count as given, and ends a forgotten one as a duplicate', async () => {
    const site = await open()
    const counts: number[] = []
    const books = localSpider('books', { start: [request('page', `${site.url}/book/1`)] })
    books.on('page', ({ request: page }) => {
      counts.push(page.taskTryCount)
      return page.taskTryCount === 1 ? request('page', page.url, { taskTryCount: 7 }) : request('page', page.url)
    })
    const { counters } = await crawlOnce(books)
    expect(counts).toEqual([1, 7])
    expect(counters).toMatchObject({ duplicate: 1, request: 2 })
  })

  test('G15 gives up on a captcha that never goes away, by its fallback', async () => {
    const site = await open({ books: 2, perPage: 2 })
    const log: string[] = []
    const books = localSpider('books', {
      start: [request('list', `${site.url}/shop/1`), request('book', `${site.url}/captcha`)],
      taskTryLimit: 3,
    })
    books.on('list', async function* ({ links, request: page }) {
      for (const url of links('h3 a')) yield page.follow('book', url)
    })
    books.on('book', ({ $, emit, retry }) => ($('.captcha').length > 0 ? retry() : emit({ title: $('h1').text() })))
    books.fallback('book', ({ url }, failure) => void log.push(`gave up on ${new URL(url).pathname}: ${failure.kind}`))
    const { counters } = await crawlOnce(books)
    expect(log).toEqual(['gave up on /captcha: thrown'])
    expect(counters).toMatchObject({ item: 2, 'retry-task': 3, fallback: 1, 'page-book': 5, 'page-book-ok': 2 })
  })

  test('G16 sums up requests and kinds of error before, during and after a crawl', async () => {
    const site = await open()
    const during: string[] = []
    const books = localSpider('books', {
      start: [
        request('page', `${site.url}/book/1`),
        request('page', 'mailto:nobody'),
        request('page', `${site.url}/status/500`),
      ],
      networkTryLimit: 2,
    })
    books.on('page', () => {
      during.push(books.renderStats())
    })
    expect(books.renderStats()).toBe(
      [
        'Spider "books": waits for its first run',
        '',
        'Network download: 0 B (0 B decoded)\nQueue size: 0\nRunning: 0',
      ].join('\n'),
    )
    const { crawl } = await crawlOnce(books)
    expect(during[0]).toContain('Running: ')
    expect(books.renderStats()).toBe(crawl.renderStats())
    expect(crawl.renderStats()).toContain(
      '  bad-url: 1\n  failed: 1\n  network-error: 2\n  network-error-http-500: 2\n',
    )
    expect(crawl.renderStats()).toContain('Lists:\n  bad-url: 1\n  network-try-limit: 1\n')
  })
})
