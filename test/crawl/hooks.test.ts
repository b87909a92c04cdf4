import { afterEach, describe, expect, test } from 'vitest'
import { plugin, type Plugin } from 'rootcatch'
import { circuitBreaker } from 'rootcatch/plugins'
import { request, type CrawlRequest } from 'rootcatch/crawl'
import { website, type Website, type WebsiteOptions } from 'rootcatch/testing'
import { crawlOnce, hurriedClock, localSpider, startQuietly } from '../support/crawling.ts'

const sites: Website[] = []
afterEach(async () => {
  for (const site of sites.splice(0)) await site.close()
})
const open = async (options?: WebsiteOptions): Promise<Website> => {
  const site = await website(options)
  sites.push(site)
  return site
}

function shop(site: Website, plugins: readonly Plugin[], options: Parameters<typeof localSpider>[1] = {}) {
  const books = localSpider('books', { start: [request('list', `${site.url}/shop/1`)], plugins, ...options })
  books.on('list', function* ({ links, request: page }) {
    for (const url of links('h3 a')) yield page.follow('book', url)
  })
  books.on('book', ({ emit, page }) => emit(new URL(page.url).pathname))
  return books
}

describe('enqueue, for pages', () => {
  test('sees each request of start and of pages, with the spider as its task', async () => {
    const site = await open()
    const seen: unknown[] = []
    const watcher = plugin('watcher', {
      enqueue: ({ task, run, broker, input, options }) => {
        const { name, url } = input as { name: string; url: string }
        seen.push([task.path, run.attempt, broker.name, name, new URL(url).pathname, options.priority])
      },
    })
    const { counters } = await crawlOnce(shop(site, [watcher]))
    const told = (name: string, path: string): unknown => ['app/books', 0, 'memory', name, path, 0]
    expect(seen).toEqual([told('list', '/shop/1'), ...[1, 2, 3, 4].map((book) => told('book', `/book/${book}`))])
    expect(counters).toMatchObject({ request: 5, item: 4 })
  })

  test.each([
    [
      'a request',
      (asked: { input: unknown }) => ({
        input: request('book', (asked.input as { url: string }).url.replace('/book/1', '/book/7')),
      }),
    ],
    [
      'its JSON',
      async ({ input }: { input: unknown }) => {
        const json = input as { url: string }
        return { input: { ...json, url: json.url.replace('/book/1', '/book/7') } }
      },
    ],
  ])('changes a request: by %s, and its priority and delay by options', async (_, change) => {
    const site = await open({ books: 8, perPage: 4 })
    const changer = plugin('changer', {
      enqueue: (event) => {
        const { url, name } = event.input as { url: string; name: string }
        if (name === 'list') return undefined
        if (url.endsWith('/1')) return change(event)
        return { options: { priority: url.endsWith('/4') ? -1 : 1 } }
      },
    })
    await crawlOnce(shop(site, [changer], { concurrency: 1 }))
    expect(site.requests.map(({ path }) => path)).toEqual(['/shop/1', '/book/4', '/book/7', '/book/2', '/book/3'])
  })

  test.each<[string, Plugin]>([
    [
      'throws',
      plugin('guard', {
        enqueue: ({ input }) => {
          if (/[23]$/.test((input as { url: string }).url)) throw new Error('not these')
        },
      }),
    ],
    [
      'rejects',
      plugin('guard', {
        enqueue: async ({ input }) => {
          if (/[23]$/.test((input as { url: string }).url)) throw new Error('not these')
        },
      }),
    ],
    [
      'names a handler that is not there',
      plugin('guard', {
        enqueue: ({ input }) =>
          /[23]$/.test((input as { url: string }).url)
            ? { input: { ...(input as object), name: 'constructor' } }
            : undefined,
      }),
    ],
    [
      'gives nonsense',
      plugin('guard', {
        enqueue: ({ input }) =>
          /[23]$/.test((input as { url: string }).url) ? ({ options: { lane: 'x' } } as never) : undefined,
      }),
    ],
  ])('refuses a request where it %s: dropped, counted, and nothing else happens', async (_, guard) => {
    const site = await open()
    const books = shop(site, [guard])
    await using system = await startQuietly(books)
    const dropped: string[] = []
    system.on('request.dropped', ({ because, url }) => dropped.push(`${because} ${new URL(url).pathname}`))
    const crawl = system.run(books)
    expect(await crawl).toMatchObject({ items: 2, failed: 0 })
    expect(dropped).toEqual(['refused /book/2', 'refused /book/3'])
    expect(crawl.stats().counters).toMatchObject({ request: 3, refused: 2 })
    expect(site.count('/book/2') + site.count('/book/3')).toBe(0)
  })

  test('that takes its time holds up its page only, and a crawl whose whole start is refused ends', async () => {
    const site = await open()
    const nothing = plugin('nothing', {
      enqueue: async () => {
        await new Promise((resolve) => setTimeout(resolve, 5))
        throw new Error('no')
      },
    })
    const { outcome, counters } = await crawlOnce(shop(site, [nothing]))
    expect(outcome).toMatchObject({ status: 'done', value: { requests: 0 } })
    expect(counters).toEqual({ refused: 1 })
    expect(site.requests).toEqual([])
  })
})

describe('take, for pages', () => {
  test('limits how many begin, and is asked again when it said', async () => {
    const site = await open({ books: 12, perPage: 12 })
    const clock = hurriedClock()
    const starts: number[] = []
    let left = 0
    let refilledAt = -Infinity
    const rate = plugin('rate', {
      take: ({ task, free }) => {
        expect(task).toMatchObject({ name: 'books', path: 'app/books' })
        expect(free).toBeGreaterThan(0)
        if (clock.now() - refilledAt >= 10_000) [left, refilledAt] = [3, clock.now()]
        return { limit: left, again: 10_000 }
      },
      before: () => {
        left -= 1
        starts.push(clock.now())
      },
    })
    await crawlOnce(shop(site, [rate]), { clock })
    expect(starts).toHaveLength(13)
    for (let start = 3; start < starts.length; start += 1) {
      expect((starts[start] as number) - (starts[start - 3] as number)).toBeGreaterThan(9_000)
    }
  })

  test('of a circuit breaker leaves a site alone that is down, and spends no tries of what waits', async () => {
    let isDown = true
    const clock = hurriedClock()
    const site = await open({
      routes: Object.fromEntries(
        Array.from({ length: 20 }, (_, page) => [
          `/page/${page}`,
          (_request, response) => void response.writeHead(isDown ? 500 : 200).end('<h1>x</h1>'),
        ]) as [string, NonNullable<WebsiteOptions['routes']>[string]][],
      ),
    })
    const states: string[] = []
    const breaker = circuitBreaker('site', {
      failures: 3,
      reset: '1m',
      clock,
      onChange: ({ state }) => {
        states.push(state)
        if (state === 'half-open') isDown = states.filter((each) => each === 'half-open').length < 2
      },
    })
    const pages = localSpider('pages', {
      start: Array.from({ length: 20 }, (_, page): CrawlRequest => request('page', `${site.url}/page/${page}`)),
      plugins: [breaker],
      concurrency: 2,
      networkTryLimit: 4,
    })
    pages.on('page', () => {})
    const { counters } = await crawlOnce(pages, { clock })
    expect(counters).toMatchObject({ page: 20, 'page-page-ok': 20 })
    expect(counters['network-error']).toBeLessThanOrEqual(6)
    expect(states).toEqual(['open', 'half-open', 'open', 'half-open', 'closed'])
  })
})
