import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { FatalError, type System } from 'rootcatch'
import { request, type CrawlRequest, type Crawl, type Spider, type SpiderOptions } from 'rootcatch/crawl'
import { sqlite } from 'rootcatch/sqlite'
import { website, type Website } from 'rootcatch/testing'
import { localSpider, startQuietly } from '../support/crawling.ts'
import { newFiles, readRow } from '../support/sqlite-store.ts'

const newFile = newFiles()
const open: (() => unknown)[] = []

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

/** One of several that stand for processes: a system of its own on the store. */
interface Side {
  readonly books: Spider<string>
  readonly system: System
  /** Names of the pages that were handled there. */
  readonly pages: string[]
  crawl(): Crawl<string>
}

/** So many that others are there before all is over. */
const BOOKS = 120

async function site(books = BOOKS): Promise<Website> {
  const opened = await website({ books, perPage: 200 })
  open.push(() => opened.close())
  return opened
}

async function side(
  file: string,
  url: string,
  {
    takes = 40,
    onBook = () => {},
    ...options
  }: SpiderOptions & { readonly takes?: number; onBook?(nth: number): void } = {},
): Promise<Side> {
  const start = [request('list', `${url}/shop/1`)]
  const books = localSpider('books', { start, concurrency: 3, ...options }) as Spider<string>
  const pages: string[] = []
  books.on('list', function* ({ links, request: page }) {
    pages.push('list')
    for (const link of links('h3 a')) yield page.follow('book', link)
  })
  books.on('book', async ({ emit, request: page }) => {
    pages.push(page.url)
    onBook(pages.length)
    await sleep(takes)
    emit(page.url)
  })
  const broker = sqlite(file, { lease: '10s' })
  const system = await startQuietly(books, { broker, clock: undefined as never })
  open.push(() => system.stop())
  return { books, system, pages, crawl: () => system.run(books) as Crawl<string> }
}

const rows = (file: string): unknown =>
  readRow(file, 'SELECT (SELECT count(*) FROM notes) AS notes, (SELECT count(*) FROM keys) AS keys')

async function takesPart(one: Side): Promise<void> {
  await expect.poll(() => one.pages.length).toBeGreaterThan(0)
}

describe('a crawl on a store that others have, too', () => {
  test('is joined by a system that has the spider, and by its run(): the numbers of both handles are those of all', async () => {
    const [file, { url }] = [newFile(), await site()]
    const [one, other] = [await side(file, url), await side(file, url)]
    const first = one.crawl()
    await takesPart(other)
    const second = other.crawl()
    const results = await Promise.all([first, second])
    for (const result of results)
      expect(result).toMatchObject({ reason: 'finished', requests: BOOKS + 1, items: BOOKS, failed: 0 })
    expect(new Set([...one.pages, ...other.pages]).size).toBe(BOOKS + 1)
    expect(one.pages.length + other.pages.length).toBe(BOOKS + 1)
    expect(rows(file)).toEqual({ notes: 0, keys: 0 })
    const again = await other.crawl()
    expect(again).toMatchObject({ requests: BOOKS + 1, items: BOOKS })
  })

  test('cannot be begun anew meanwhile', async () => {
    const [file, { url }] = [newFile(), await site()]
    const [one, other] = [await side(file, url), await side(file, url)]
    const first = one.crawl()
    await takesPart(other)
    expect(() => other.system.run(other.books, { fresh: true })).toThrow(/is crawling/)
    await first
  })

  test('gives its reader the items of all pages, whoever handled them', async () => {
    const [file, { url }] = [newFile(), await site()]
    const [one, other] = [await side(file, url), await side(file, url)]
    const items: string[] = []
    for await (const item of one.crawl()) items.push(item)
    expect(other.pages.length).toBeGreaterThan(0)
    expect(items).toHaveLength(BOOKS)
    expect(new Set(items).size).toBe(BOOKS)
  })

  test('is cancelled in all of them by the handle of one', async () => {
    const [file, { url }] = [newFile(), await site()]
    const [one, other] = [await side(file, url), await side(file, url)]
    const first = one.crawl()
    await takesPart(other)
    const second = other.crawl()
    second.cancel('enough')
    expect(await first.settled()).toMatchObject({ status: 'cancelled', reason: 'enough' })
    expect(await second.settled()).toMatchObject({ status: 'cancelled', reason: 'enough' })
    expect(rows(file)).toEqual({ notes: 0, keys: 0 })
  })

  test('ends for all by a FatalError in one of them, and its queue is kept', async () => {
    const [file, { url }] = [newFile(), await site()]
    const onBook = (nth: number): void => {
      if (nth === 3) throw new FatalError('the shop has closed')
    }
    const [one, other] = [await side(file, url, { takes: 200 }), await side(file, url, { takes: 5, onBook })]
    const outcome = await one.crawl().settled()
    expect(outcome).toMatchObject({ status: 'failed', error: { code: 'failed-elsewhere' } })
    expect(String((outcome as { error: unknown }).error)).toContain('the shop has closed')
    await other.system.stop()
    await expect(one.crawl()).resolves.toMatchObject({ reason: 'finished', requests: BOOKS + 1 })
  })

  test('goes on when the system that was asked stops, and reads on in start', async () => {
    const [file, { url }] = [newFile(), await site()]
    let read = 0
    const start = function* (): Generator<CrawlRequest, void, undefined> {
      for (let book = 1; book <= 150; book += 1) {
        read += 1
        yield request('book', `${url}/book/1?copy=${book}`)
      }
    }
    const [one, other] = [await side(file, url, { start }), await side(file, url, { start })]
    const first = one.crawl()
    await takesPart(other)
    await one.system.stop()
    expect((await first.settled()).status).toBe('cancelled')
    expect(read).toBeLessThan(150)
    await expect.poll(() => new Set([...one.pages, ...other.pages]).size).toBe(150)
    expect(one.pages.length + other.pages.length).toBeLessThanOrEqual(150 + 3)
    await expect.poll(() => rows(file)).toEqual({ notes: 0, keys: 0 })
  })

  test('that nobody is at any more waits for the next run()', async () => {
    const [file, { url }] = [newFile(), await site()]
    const one = await side(file, url)
    const first = one.crawl()
    await takesPart(one)
    await one.system.stop()
    expect((await first.settled()).status).toBe('cancelled')
    const other = await side(file, url)
    await sleep(700)
    expect(other.pages).toEqual([])
    await expect(other.crawl()).resolves.toMatchObject({ requests: BOOKS + 1, items: BOOKS })
  })
})
