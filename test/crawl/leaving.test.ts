import { createServer as createHttpServer, request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { request, type CrawlStats } from 'rootcatch/crawl'
import { website } from 'rootcatch/testing'
import { startChild } from '../support/child-lines.ts'
import { crawlOnce, hurriedClock, localSpider, startQuietly } from '../support/crawling.ts'
import { newFiles } from '../support/sqlite-store.ts'

const newFile = newFiles()
const DEADLY = fileURLToPath(import.meta.resolve('../support/deadly-child.ts'))
const LEAVING = fileURLToPath(import.meta.resolve('../support/leaving-child.ts'))

test('a page that kills its process is buried after lostLimit losses, kind lost; the others are got', async () => {
  await using site = await website()
  const store = newFile()
  let deaths = 0
  let child = startChild(DEADLY, [site.url, store])
  while (deaths < 5 && (await child.ended) === null) {
    deaths += 1
    child = startChild(DEADLY, [site.url, store])
  }
  const { stats, ...rest } = JSON.parse(child.lines.at(-1) as string) as { stats: CrawlStats }
  expect(rest).toEqual({ items: 4, failed: 1, dead: [['lost', 'app/books']] })
  expect(stats.ended).toEqual({ ok: 4, error: 0, fallback: 0, failed: 1 })
  expect(stats.counters).toMatchObject({ request: 5, failed: 1, page: 4 })
  expect(deaths).toBe(3)
  expect(site.count('/book/3')).toBe(3)
})

test('crawls that are finished, cancelled or stopped leave no socket, timer or listener: the process ends by itself', async () => {
  await using site = await website()
  const child = startChild(LEAVING, [site.url, newFile()])
  await child.until((line) => line.startsWith('held '))
  expect(child.lines.at(-1)).toBe('held [] listeners 0')
  expect(await child.ended).toBe(0)
})

test('a crawl goes by its proxies, each try by another one, and leaves out those that are away', async () => {
  const seen: string[][] = []
  const proxy = async (refuses: boolean): Promise<string> => {
    const asked: string[] = []
    seen.push(asked)
    const server = createHttpServer((incoming, response) => {
      asked.push(new URL(incoming.url ?? '').pathname)
      if (refuses) return void response.writeHead(407).end()
      const onward = httpRequest(incoming.url ?? '', { headers: incoming.headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers)
        answer.pipe(response)
      })
      return void incoming.pipe(onward)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }
  await using site = await website()
  const proxies = [await proxy(false), await proxy(true), await proxy(false)]
  const books = localSpider('books', {
    start: [
      ...[1, 2, 3, 4, 5, 6].map((book) => request('book', `${site.url}/book/${book}`)),
      request('book', `${site.url}/flaky/2`),
    ],
    proxies,
    networkTryLimit: 3,
    concurrency: 1,
  })
  books.on('book', () => {})
  const { crawl, counters } = await crawlOnce(books)
  expect(crawl.stats().ended).toEqual({ ok: 7, error: 0, fallback: 0, failed: 0 })
  expect(counters).toMatchObject({ 'network-try': 9, 'network-error': 2, 'network-error-http-503': 2 })
  const [one = [], away = [], other = []] = seen
  expect(away.length, 'it rests a minute').toBeLessThan(4)
  expect([...one, ...other].filter((each) => each.startsWith('/book/'))).toHaveLength(6)
  const tries = [one, other].map((asked) => asked.filter((each) => each === '/flaky/2').length)
  expect(tries.toSorted()).toEqual([1, 2])
})

test('a crawl takes pages from its cache: no fetch, no try, no wait, and a retry by hand fetches anew', async () => {
  let version = 0
  await using site = await website({
    routes: {
      '/page': (_asked, response) => {
        version += 1
        response.setHeader('cache-control', 'max-age=3600').end(`<h1>${version}</h1>`)
      },
    },
  })
  const url = `${site.url}/page`
  const books = localSpider('books', {
    start: [request('page', url)],
    cache: true,
    perHost: { concurrency: 1, delay: '1h' },
  })
  let retried = false
  books.on('page', ({ $, page, emit, request: asked }) => {
    emit([$('h1').text(), page.fromCache, asked.networkTryCount])
    return page.fromCache ? [request('again', url)] : [request('page', url, { dedupe: false })]
  })
  books.on('again', ({ $, page, emit, retry }) => {
    if (!retried) {
      retried = true
      retry()
    }
    emit([$('h1').text(), page.fromCache])
  })
  const items: unknown[] = []
  await using system = await startQuietly(books, { clock: hurriedClock(10_000) })
  const crawl = system.run(books)
  for await (const item of crawl) items.push(item)
  expect(items).toEqual([
    ['1', false, 1],
    ['1', true, 0],
    ['2', false],
  ])
  expect(crawl.stats().counters).toMatchObject({ 'cache-hit': 2, 'cache-miss': 1, 'network-try': 2, 'retry-task': 1 })
})
