import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { request, type Crawl } from 'rootcatch/crawl'
import { manualClock, settle, type ManualClock } from 'rootcatch/testing'
import { localSpider, startQuietly } from '../support/crawling.ts'

interface Asked {
  readonly path: string
  /** By the crawl's clock. */
  readonly at: number
  readonly status: number
  /** Until when it wants to be left alone. */
  readonly until: number
}

/** A site that writes down when it was asked, by the clock of the crawl. Its answer names a wait, or is a page. */
async function openSite(
  clock: ManualClock,
  answer: (count: number, path: string) => string | number | undefined,
): Promise<{ readonly url: string; readonly asked: readonly Asked[]; readonly most: () => number }> {
  const asked: Asked[] = []
  let [now, most] = [0, 0]
  const server = createServer(({ url: path = '/' }, response) => {
    const wait = answer(asked.length, path)
    const status = wait === undefined ? 200 : 429
    const at = clock.now()
    const until = typeof wait === 'string' ? Date.parse(wait) : at + (wait ?? 0) * 1000
    asked.push({ path, at, status, until })
    now += 1
    most = Math.max(most, now)
    setTimeout(() => {
      now -= 1
      response.writeHead(status, wait === undefined ? {} : { 'retry-after': String(wait) }).end('<h1>x</h1>')
    }, 1)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, asked, most: () => most }
}

/** Goes on to the next moment only when nothing is on its way, so that the clock stands still for all that is. */
async function drive(crawl: Crawl, clock: ManualClock, step = 500): Promise<void> {
  let isOver = false
  void crawl.settled().then(() => (isOver = true))
  const rest = async (): Promise<void> => {
    await expect.poll(() => (isOver ? 0 : crawl.stats().running), { interval: 1 }).toBe(0)
  }
  for (let steps = 0; !isOver && steps < 20_000; steps += 1) {
    await settle()
    await rest()
    await settle()
    if (!isOver && crawl.stats().running === 0) await clock.advance(step)
  }
  expect(isOver).toBe(true)
}

const MIDNIGHT = Date.UTC(2026, 0, 1)
const inSeconds = (clock: ManualClock, seconds: number): string => new Date(clock.now() + seconds * 1000).toUTCString()

describe('a site that answers every third request with 429', () => {
  test.each<[string, (clock: ManualClock, count: number) => string | number]>([
    ['seconds', () => 7],
    ['a date', (clock) => inSeconds(clock, 11)],
    ['either', (clock, count) => (count % 2 === 0 ? 3 : inSeconds(clock, 20))],
  ])('gives all of its pages, without a try spent, and is left alone as long as it asked (%s)', async (_, after) => {
    const clock = manualClock(MIDNIGHT)
    const site = await openSite(clock, (count) => (count % 3 === 2 ? after(clock, count) : undefined))
    const other = await openSite(clock, () => undefined)
    const counts: number[] = []
    const books = localSpider('books', {
      start: Array.from({ length: 60 }, (_, page) => [
        request('page', `${site.url}/${page}`),
        request('other', `${other.url}/${page}`),
      ]).flat(),
      networkTryLimit: 1,
      perHost: { concurrency: 4 },
    })
    books.on('page', ({ request: { networkTryCount } }) => void counts.push(networkTryCount))
    books.on('other', () => {})
    await using system = await startQuietly(books, { clock })
    const crawl = system.run(books)
    await drive(crawl, clock)

    expect(counts).toEqual(Array.from({ length: 60 }, () => 1))
    const throttled = site.asked.filter(({ status }) => status === 429)
    const { counters } = crawl.stats()
    expect(throttled.length).toBeGreaterThan(20)
    expect(counters).toMatchObject({ throttled: throttled.length, 'network-try': 120, 'network-ok': 120, page: 120 })
    expect(Object.keys(counters).filter((name) => /error|fallback|failed|retry/.test(name))).toEqual([])
    const early = throttled.flatMap(({ at, until }) => site.asked.filter((later) => later.at > at && later.at < until))
    expect(early, 'nothing comes while it wants to be left alone').toEqual([])
    expect(site.most()).toBeLessThanOrEqual(4)
    expect(new Set(site.asked.map(({ path }) => path)).size).toBe(60)
    expect(other.asked.at(-1)?.at, 'other hosts go on').toBe(MIDNIGHT)
  })
})

describe('a request', () => {
  test('that is throttled 45 times in a row has two tries less, and is got', async () => {
    const clock = manualClock(MIDNIGHT)
    const site = await openSite(clock, (count) => (count < 45 ? 1 : undefined))
    const counts: number[] = []
    const books = localSpider('books', { start: [request('page', site.url)], networkTryLimit: 3 })
    books.on('page', ({ request: { networkTryCount } }) => void counts.push(networkTryCount))
    await using system = await startQuietly(books, { clock })
    const crawl = system.run(books)
    await drive(crawl, clock)
    expect(counts).toEqual([3])
    expect(crawl.stats().counters).toMatchObject({ throttled: 45, 'network-try': 1, 'network-ok': 1 })
  })

  test.each([
    ['the spider', { maxRetryAfter: '1m' as const }, 60_000],
    ['the default', {}, 600_000],
  ])('waits no longer than maxRetryAfter of %s, whatever its host asks for', async (_, options, most) => {
    const clock = manualClock(MIDNIGHT)
    const site = await openSite(clock, (count) => (count === 0 ? 99_999_999_999 : undefined))
    const books = localSpider('books', { start: [request('page', site.url)], ...options })
    books.on('page', () => {})
    await using system = await startQuietly(books, { clock })
    await drive(system.run(books), clock, 5000)
    expect(site.asked.map(({ at }) => at - MIDNIGHT)).toEqual([0, most])
  })

  test('whose robots.txt is throttled waits as for a page: no try is spent', async () => {
    const clock = manualClock(MIDNIGHT)
    const site = await openSite(clock, (count) => (count < 2 ? 90 : undefined))
    const books = localSpider('books', {
      start: [request('page', `${site.url}/1`), request('page', `${site.url}/2`)],
      networkTryLimit: 1,
      robots: true,
    })
    const counts: number[] = []
    books.on('page', ({ request: { networkTryCount } }) => void counts.push(networkTryCount))
    await using system = await startQuietly(books, { clock })
    const crawl = system.run(books)
    await drive(crawl, clock)
    expect(counts).toEqual([1, 1])
    expect(site.asked.map(({ path }) => path)).toEqual(['/robots.txt', '/robots.txt', '/robots.txt', '/1', '/2'])
    expect(site.asked.map(({ at }) => at - MIDNIGHT)).toEqual([0, 90_000, 180_000, 180_000, 180_000])
    expect(crawl.stats().counters).toMatchObject({ 'network-try': 2, 'network-ok': 2 })
  })
})
