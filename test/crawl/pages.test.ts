import { afterEach, describe, expect, test } from 'vitest'
import { PermanentError, plugin, restart, resume, type Failure } from 'rootcatch'
import { request, type CrawlRequest, type SpiderOptions } from 'rootcatch/crawl'
import { website, type Website, type WebsiteOptions } from 'rootcatch/testing'
import { crawlOnce, localSpider, startQuietly } from '../support/crawling.ts'

const sites: Website[] = []
afterEach(async () => {
  for (const site of sites.splice(0)) await site.close()
})
const open = async (options?: WebsiteOptions): Promise<Website> => {
  const site = await website(options)
  sites.push(site)
  return site
}
const never = new Promise<never>(() => {})

describe('a handler', () => {
  const forms = {
    'a function that returns a list': ({ request: page }: { request: CrawlRequest }) => [
      page.follow('b', '/book/1'),
      null,
      undefined,
      page.follow('b', '/book/2'),
    ],
    'an async function': async ({ request: page }: { request: CrawlRequest }) =>
      new Set([page.follow('b', '/book/1'), page.follow('b', '/book/2')]),
    *'a generator'({ request: page }: { request: CrawlRequest }) {
      yield page.follow('b', '/book/1')
      yield undefined
      return [page.follow('b', '/book/2')]
    },
    async *'an async generator'({ request: page }: { request: CrawlRequest }) {
      yield [page.follow('b', '/book/1')]
      yield page.follow('b', '/book/2')
    },
  }
  test.each(Object.keys(forms) as (keyof typeof forms)[])('may be %s', async (form) => {
    const site = await open()
    const books = localSpider('books', { start: [request('a', `${site.url}/shop/1`)] })
    books.on('a', forms[form] as never)
    books.on('b', ({ $, emit }) => emit($('h1').text()))
    const { counters } = await crawlOnce(books)
    expect(counters).toMatchObject({ 'page-b-ok': 2, item: 2 })
  })

  test.each([
    ['something else', (): unknown => ({ title: 'x' }), 'YieldError', 'Pass items to emit()'],
    ['a text', (): unknown => 'https://x.example/', 'YieldError', 'which is no request'],
    [
      'a request nobody handles',
      (): unknown => request('bok', 'https://x.example/'),
      'UnknownHandlerError',
      'Did you mean "book"?',
    ],
    [
      'a request named like a part of every object',
      (): unknown => request('toString', 'https://x.example/'),
      'UnknownHandlerError',
      'it has: page, book',
    ],
  ])('that gives %s ends its page by an error that says so', async (_, give, name, text) => {
    const site = await open()
    const books = localSpider('books', { start: [request('page', `${site.url}/book/1`)] })
    books.on('page', give as never)
    books.on('book', () => {})
    const { crawl } = await crawlOnce(books)
    expect(crawl.stats().counters[`handler-error-${name}`]).toBe(1)
    expect(crawl.stats().lists['handler-error']?.[0]).toContain(text)
  })

  test('that throws a PermanentError leads to its fallback at once, and what it emitted stays', async () => {
    const site = await open()
    const books = localSpider('books', { start: [request('page', `${site.url}/book/1`)] })
    books.on('page', ({ emit }) => {
      emit('before')
      throw new PermanentError('sold out')
    })
    books.fallback('page', function* (given, failure, { emit }) {
      emit(`${failure.kind} ${given.networkTryCount}`)
      yield given.follow('next', '/book/2')
    })
    books.on('next', ({ emit }) => emit('next'))
    await using system = await startQuietly(books)
    const items: unknown[] = []
    for await (const item of system.run(books)) items.push(item)
    expect(items).toEqual(['before', 'handler 1', 'next'])
    expect(site.count('/book/1')).toBe(1)
  })

  test('that is not over in handlerTimeout ends its page; what it says afterwards changes nothing', async () => {
    const site = await open()
    let aborted: unknown
    const books = localSpider('books', { start: [request('page', `${site.url}/book/1`)], handlerTimeout: '5s' })
    books.on('page', async ({ signal, emit }) => {
      signal.addEventListener('abort', () => {
        aborted = signal.reason
        emit('late')
      })
      await never
    })
    const { counters } = await crawlOnce(books)
    expect(counters).toMatchObject({ 'handler-error-HandlerTimeoutError': 1, 'page-page-error': 1 })
    expect(counters['item']).toBeUndefined()
    expect(aborted).toMatchObject({ code: 'handler-timeout' })
  })

  test('of a raw request gets the first outcome, whatever it is: no retry, no fallback', async () => {
    const site = await open()
    const seen: unknown[] = []
    const raw = { raw: true }
    const books = localSpider('books', {
      start: [
        request('page', `${site.url}/status/503`, raw),
        request('page', `${site.url}/throttle`, raw),
        request('page', `${site.url}/reset`, raw),
      ],
      concurrency: 1,
    })
    books.on('page', ({ page }) => void seen.push([page.status, page.error?.code]))
    books.fallback('page', () => void seen.push('fallback'))
    const { counters } = await crawlOnce(books)
    expect(seen).toEqual([
      [503, 'http-503'],
      [429, 'http-429'],
      [0, 'connection-reset'],
    ])
    expect(counters['retry-network']).toBeUndefined()
  })
})

describe('a fallback', () => {
  test('that throws fails its page alone, and both errors are kept', async () => {
    const site = await open()
    const books = localSpider('books', {
      start: [request('page', `${site.url}/status/500`), request('page', `${site.url}/book/1`)],
      networkTryLimit: 1,
    })
    books.on('page', () => {})
    books.fallback('page', () => {
      throw new RangeError('no luck either')
    })
    await using system = await startQuietly(books)
    const failures: Failure[] = []
    system.on('failure.decided', ({ failure }) => failures.push(failure))
    const crawl = system.run(books)
    expect(await crawl).toMatchObject({ failed: 1, reason: 'finished' })
    expect(failures).toMatchObject([
      { kind: 'fallback', error: { message: 'no luck either' }, cause: { error: { status: 500 } } },
    ])
    expect(crawl.stats()).toMatchObject({
      counters: { fallback: 1, 'fallback-error': 1, failed: 1 },
      ended: { ok: 1, failed: 1 },
    })
  })

  test('that is not there leaves a dead letter, which can be asked for again', async () => {
    let isUp = false
    const site = await open({
      routes: { '/moody': (_request, response) => void response.writeHead(isUp ? 200 : 500).end('<h1>x</h1>') },
    })
    const books = localSpider('books', { start: [request('page', `${site.url}/moody`)], networkTryLimit: 2 })
    books.on('page', ({ emit }) => emit('got it'))
    await using system = await startQuietly(books)
    await system.run(books)
    const { letters } = { letters: await system.dead.list() }
    const [letter] = [...letters]
    expect(letter).toMatchObject({ kind: 'thrown', attempts: 2, failure: { job: { url: `${site.url}/moody` } } })
    isUp = true
    const replayed = await system.dead.replay((letter as { id: string }).id)
    const items: unknown[] = []
    for await (const item of system.run(books)) items.push(item)
    expect(items).toContain('got it')
    expect((await replayed.run.settled()).status).toBe('done')
  })
})

describe('what is decided about a failed page', () => {
  const failing = async (options: SpiderOptions, catchRoot = () => resume as never): Promise<Failure[]> => {
    const site = await open()
    const books = localSpider('books', { start: [request('page', `${site.url}/book/1`)], ...options })
    books.on('page', () => {
      throw new Error('boom')
    })
    await using system = await startQuietly(books, { catch: catchRoot })
    const failures: Failure[] = []
    system.on('failure.decided', ({ failure }) => failures.push(failure))
    await system.run(books)
    return failures
  }

  test('is decided by its host first, then by the spider', async () => {
    const [byHost] = await failing({ domains: { '127.0.0.1': { catch: () => resume } } })
    expect(byHost?.trail).toMatchObject([{ decision: 'resume', by: 'catch' }])
    const [bySpider] = await failing({ catch: () => resume })
    expect(bySpider?.trail).toMatchObject([
      { decision: 'escalate', by: 'default' },
      { path: 'app/books', decision: 'resume' },
    ])
  })

  test('restart begins the page anew, three times at most, then it climbs', async () => {
    const failures = await failing({ catch: () => restart })
    expect(failures.map(({ trail }) => trail.at(-1)?.decision)).toEqual(['restart', 'restart', 'restart', 'resume'])
  })
})

test('hooks of plugins work per page: before and around it, and an answer ends it well', async () => {
  const site = await open()
  const told: string[] = []
  const watcher = plugin('watcher', {
    before: ({ run }) => void told.push(`before ${run.path.startsWith('app/books/127.0.0.1')}`),
    around: async ({ next }) => {
      told.push('around')
      return next()
    },
    pluginError: ({ error }) => {
      told.push(`asked ${error.message}`)
      return 'answered'
    },
    done: ({ status }) => void told.push(status),
  })
  const { PluginTriggerError } = await import('rootcatch')
  const books = localSpider('books', { start: [request('page', `${site.url}/book/1`)], plugins: [watcher] })
  books.on('page', () => {
    throw new PluginTriggerError('what now')
  })
  const { crawl } = await crawlOnce(books)
  expect(told).toEqual(['before true', 'around', 'asked what now', 'done'])
  expect(crawl.stats().ended).toEqual({ ok: 1, error: 0, fallback: 0, failed: 0 })
})

test('prepare() gives headers before each try, and what signs in at one page is sent with the next', async () => {
  const site = await open()
  const tries: number[] = []
  const body = new URLSearchParams({ user: 'reader', password: 'secret' })
  const books = localSpider('books', {
    start: [request('login', `${site.url}/login`, { method: 'POST', body })],
    prepare: async ({ networkTryCount }) => {
      tries.push(networkTryCount)
      return { 'X-Try': String(networkTryCount + 1) }
    },
  })
  books.on('login', ({ request: page }) => page.follow('flaky', '/flaky/1'))
  books.on('flaky', ({ request: page }) => page.follow('account', '/account'))
  books.on('account', ({ $, emit }) => emit($('.user').text()))
  await using system = await startQuietly(books)
  const items: unknown[] = []
  for await (const item of system.run(books)) items.push(item)
  expect(items).toEqual(['reader'])
  expect(tries).toEqual([0, 0, 1, 0])
  const flaky = site.requests.filter(({ path }) => path === '/flaky/1').map(({ headers }) => headers['x-try'])
  expect(flaky).toEqual(['1', '2'])
})
