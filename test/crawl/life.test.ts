import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import { FatalError, memory, resume, restart, start, supervisor, type Failure } from 'rootcatch'
import { request, spider, type Crawl } from 'rootcatch/crawl'
import { sqlite } from 'rootcatch/sqlite'
import { website, type Website, type WebsiteOptions } from 'rootcatch/testing'
import { crawlOnce, hurriedClock, localSpider, startQuietly } from '../support/crawling.ts'
import { newFiles } from '../support/sqlite-store.ts'

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
const shop = (site: Website, options: Parameters<typeof localSpider>[1] = {}) => {
  const books = localSpider('books', { start: [request('list', `${site.url}/shop/1`)], ...options })
  books.on('list', function* ({ links, request: page }) {
    for (const url of links('h3 a')) yield page.follow('book', url)
    for (const url of links('a[rel=next]')) yield page.follow('list', url)
  })
  return books
}

describe('options of a spider', () => {
  test.each([
    [{ concurency: 2 }, 'spider "books" got an unknown option "concurency". Did you mean "concurrency"?'],
    [{ networkTryLimit: 0 }, 'got networkTryLimit 0'],
    [{ start: 'https://x.example/' }, 'got start "https://x.example/"'],
    [{ parser: 'quick' }, `Use 'html5' or 'fast'.`],
    [{ perHost: { concurency: 1 } }, 'Did you mean "concurrency"?'],
    [{ domains: { 'x.example': { cach: 1 } } }, 'Did you mean "catch"?'],
    [{ allowPrivate: ['not an address/99'] }, 'not an address/99'],
  ])('%j is refused, with what was given', (options, text) => {
    expect(() => spider('books', options as never)).toThrow(text)
  })

  test('a second handler of one name is refused', () => {
    const books = spider('books').on('page', () => {})
    expect(() => books.on('page', () => {})).toThrow('It has one already')
  })
})

describe('system.run(spider)', () => {
  test('refuses a second crawl while there is one, and a spider that is not in the tree', async () => {
    const site = await open()
    const books = shop(site)
    books.on('book', () => {})
    await using system = await startQuietly(books)
    const crawl = system.run(books)
    expect(() => system.run(books)).toThrow(
      'app/books is crawling, 0 pages so far. Await that crawl, or cancel it first.',
    )
    await crawl
    await system.run(books)
    expect(site.count('/shop/1')).toBe(2)
    expect(() => system.run(spider('others'))).toThrow('this system has no spider "others"')
    expect(() => system.run(books, { frsh: true } as never)).toThrow('Did you mean "fresh"?')
  })

  test('rejects at once where start names a handler that is not there; the spider lives on', async () => {
    const books = localSpider('books', { start: [request('bok', 'https://books.example/')] })
    books.on('book', () => {})
    await using system = await startQuietly(books)
    await expect(system.run(books)).rejects.toThrow('spider "books" has no handler "bok". Did you mean "book"?')
    expect(system.failures()).toEqual([])
  })

  test('ends at once with an empty start', async () => {
    const { outcome } = await crawlOnce(localSpider('books'))
    expect(outcome).toMatchObject({ status: 'done', value: { reason: 'finished', requests: 0 } })
  })

  test('goes through the states of the chart', async () => {
    const site = await open()
    const books = shop(site)
    const states: unknown[] = []
    await using system = await startQuietly(books)
    books.on('book', () => void states.push(system.tree().children?.[0]?.state))
    await system.run(books)
    expect(new Set(states)).toEqual(new Set(['crawling']))
    expect(system.tree().children?.[0]?.state).toBe('done')
  })
})

describe('a crawl', () => {
  test('that is cancelled ends, tells its pages, and leaves nothing behind', async () => {
    const site = await open({ books: 50, perPage: 50 })
    const broker = memory()
    const books = shop(site)
    let aborted = 0
    const crawls: Crawl[] = []
    books.on('book', async ({ signal }) => {
      signal.addEventListener('abort', () => (aborted += 1))
      crawls[0]?.cancel('enough')
      await new Promise(() => {})
    })
    await using system = await startQuietly(books, { broker })
    crawls.push(system.run(books))
    expect(await crawls[0]?.settled()).toEqual({ status: 'cancelled', reason: 'enough' })
    await expect(crawls[0]).rejects.toMatchObject({ code: 'cancelled' })
    expect(aborted).toBeGreaterThan(0)
    expect((await system.queues()).filter(({ waiting, leased }) => waiting + leased > 0)).toEqual([])
  })

  test('is cancelled by leaving its loop, and by a signal', async () => {
    const site = await open({ books: 50, perPage: 50 })
    const books = shop(site)
    books.on('book', ({ emit }) => emit(1))
    await using system = await startQuietly(books)
    const left = system.run(books)
    for await (const item of left) {
      expect(item).toBe(1)
      break
    }
    expect((await left.settled()).status).toBe('cancelled')
    const controller = new AbortController()
    const signalled = system.run(books, { signal: controller.signal })
    controller.abort('by signal')
    expect(await signalled.settled()).toEqual({ status: 'cancelled', reason: 'by signal' })
  })

  test('on sqlite goes on after a stop: nothing twice, numbers and cookies known; fresh begins anew', async () => {
    const site = await open({ books: 30, perPage: 10 })
    const file = newFile()
    const books = shop(site, {
      start: [
        request('login', `${site.url}/login`, {
          method: 'POST',
          body: new URLSearchParams({ user: 'reader', password: 'secret' }),
        }),
        request('list', `${site.url}/shop/1`),
      ],
      concurrency: 2,
    })
    books.on('login', () => {})
    let handled = 0
    let stop = (): void => {}
    const isHalf = new Promise<void>((resolve) => (stop = resolve))
    books.on('book', ({ emit, $ }) => {
      handled += 1
      if (handled === 10) stop()
      emit($('h1').text())
    })
    const first = await startQuietly(books, { broker: sqlite(file), clock: undefined as never })
    const crawl = first.run(books)
    await isHalf
    await first.stop()
    expect(await crawl.settled()).toMatchObject({ status: 'cancelled', reason: { code: 'system-stopped' } })
    const before = crawl.stats().counters

    const account = shop(site, { start: [request('list', `${site.url}/shop/1`)] })
    account.on('login', () => {})
    account.on('book', ({ request: page }) => [request('account', new URL('/account', page.url).href)])
    account.on('account', ({ $, emit }) => emit($('.user').text()))
    const second = await startQuietly(account, { broker: sqlite(file), clock: undefined as never })
    const again = second.run(account)
    const items: unknown[] = []
    for await (const item of again) items.push(item)
    expect(items).toEqual(['reader'])
    const { counters, ended, queued } = again.stats()
    expect(counters['page']).toBe(1 + 3 + 30 + 1)
    expect((counters['page'] as number) >= (before['page'] as number)).toBe(true)
    expect(ended.ok + queued).toBe(counters['request'])
    for (let book = 1; book <= 30; book += 1) expect(site.count(`/book/${book}`)).toBe(1)
    expect(again.renderStats()).toContain('done in')

    const anew = second.run(account, { fresh: true })
    await anew
    expect(anew.stats().counters['request-book']).toBe(30)
    await second.stop()
  })

  test('whose page throws a FatalError fails the spider once: the queue is kept, and the next run goes on', async () => {
    const site = await open({ books: 20, perPage: 20 })
    const books = shop(site, { concurrency: 2 })
    let isBroken = true
    books.on('book', ({ page }) => {
      if (isBroken && page.url.endsWith('/5')) throw new FatalError('the site is another one')
    })
    const failures: Failure[] = []
    await using system = await start(supervisor('app', { catch: () => restart }, [books]), { catch: () => resume })
    system.on('failure.decided', ({ failure }) => failures.push(failure))
    const crawl = system.run(books)
    await expect(crawl).rejects.toMatchObject({ error: { message: 'the site is another one' } })
    expect(() => system.run(books)).toThrow('app/books is down')
    expect(failures).toHaveLength(1)
    const done = crawl.stats().counters['page'] as number
    expect(done).toBeLessThan(20)
    await expect.poll(() => system.supervisor('app').children()[0]?.generation).toBe(2)
    isBroken = false
    const again = system.run(books)
    await again
    expect(again.stats().counters['page']).toBe(21)
    expect(site.count('/book/1')).toBe(1)
  })

  test('whose start throws fails the spider; its supervisor decides', async () => {
    const books = localSpider('books', {
      *start() {
        yield* []
        throw new RangeError('no seeds')
      },
    })
    await using system = await start(supervisor('app', { catch: () => restart }, [books]))
    await expect(system.run(books)).rejects.toMatchObject({ error: { message: 'no seeds' }, path: 'app/books' })
  })
})

describe('items', () => {
  test('that nobody reads pause the crawl at a thousand, said once, until they are read', async () => {
    const site = await open({ books: 300, perPage: 300 })
    const books = shop(site)
    books.on('book', ({ emit }) => {
      for (let copy = 0; copy < 10; copy += 1) emit(copy)
    })
    await using system = await startQuietly(books)
    const paused: number[] = []
    system.on('crawl.paused', ({ unread }) => paused.push(unread))
    const crawl = system.run(books)
    const items = crawl[Symbol.asyncIterator]()
    await items.next()
    await expect.poll(() => paused).toHaveLength(1)
    expect(paused[0]).toBeGreaterThanOrEqual(1000)
    const settled = (): number => crawl.stats().counters['page'] as number
    expect(settled()).toBeLessThan(200)
    let read = 1
    for (;;) {
      const { done } = await items.next()
      if (done === true) break
      read += 1
    }
    expect(read).toBe(3000)
    expect(await crawl).toMatchObject({ items: 3000 })
  })

  test('go to a file, a line each, before their page is settled; a torn last line is cut', async () => {
    const site = await open({ books: 12 })
    const file = newFile()
    writeFileSync(file, '{"title":"earlier"}\n{"title":"to')
    const books = shop(site, { jsonl: file })
    books.on('book', ({ emit, $ }) => emit({ title: $('h1').text() }))
    await using system = await startQuietly(books)
    let ahead = true
    system.on('job.done', () => {
      const lines = readFileSync(file, 'utf8').split('\n').length - 2
      ahead &&= lines >= (crawl.stats().counters['item'] ?? 0)
    })
    const crawl = system.run(books)
    await crawl
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
    expect(lines).toHaveLength(13)
    expect(lines[0]).toBe('{"title":"earlier"}')
    expect(ahead).toBe(true)
    expect(existsSync(file)).toBe(true)
  })

  test('that JSON cannot keep end their page by an error at emit()', async () => {
    const site = await open()
    const books = localSpider('books', { start: [request('page', `${site.url}/book/1`)] })
    books.on('page', ({ emit }) => emit({ at: new Date(0) }))
    const { crawl } = await crawlOnce(books, { clock: hurriedClock() })
    expect(crawl.stats().lists['handler-error']?.[0]).toContain('item.at of spider "books" is a Date')
  })
})

describe('on sqlite', () => {
  test('a page is settled once its items were read: a stop does not wait for the reader, and they come again', async () => {
    const site = await open({ books: 6, perPage: 6 })
    const file = newFile()
    const books = shop(site)
    books.on('book', ({ emit, $ }) => emit($('h1').text()))
    const first = await startQuietly(books, { broker: sqlite(file), clock: undefined as never })
    const items = first.run(books)[Symbol.asyncIterator]()
    const { value: read } = await items.next() // and it is never done with
    await first.stop()
    expect(read).toMatch(/^Book/)
    const second = await startQuietly(books, { broker: sqlite(file), clock: undefined as never })
    const all: unknown[] = []
    for await (const item of second.run(books)) all.push(item)
    expect(all.toSorted()).toEqual([1, 2, 3, 4, 5, 6].map((book) => `Book ${book}`))
    expect(site.count('/shop/1')).toBe(1)
    await second.stop()
  })
})
