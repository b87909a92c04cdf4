import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { InvalidOptionError, UnknownOptionError } from '../../src/errors.ts'
import { isRequest, request, requestFromJSON } from '../../src/crawl/request.ts'
import type { RequestOptions } from '../../src/crawl/request-options.ts'

const page = 'https://books.example/shop/2?sort=price#top'

describe('request()', () => {
  test('has the defaults of a first try', () => {
    expect(request('book', 'https://books.example')).toMatchObject({
      name: 'book',
      url: 'https://books.example/',
      badUrl: undefined,
      method: 'GET',
      headers: {},
      priority: 0,
      delay: 0,
      meta: {},
      networkTryCount: 0,
      taskTryCount: 1,
      depth: 0,
      raw: false,
      dedupe: true,
      cache: 'use',
    })
  })

  test('is frozen, with what it carries', () => {
    const given = { page: { number: 2 } }
    const made = request('book', page, { meta: given, headers: { 'X-One': '1' }, validStatus: 500 })
    given.page.number = 3
    expect(made.meta).toEqual({ page: { number: 2 } })
    expect(made.headers).toEqual({ 'x-one': '1' })
    for (const part of [made, made.meta, made.meta['page'], made.headers, made.validStatus]) {
      expect(Object.isFrozen(part)).toBe(true)
    }
  })

  test.each([
    ['', 'does not parse'],
    ['/relative', 'does not parse'],
    ['http://', 'has no host'],
    ['https://?query', 'has no host'],
    ['http://bad host/', 'does not parse'],
    ['ftp://files.example/a', 'is not http or https'],
    ['javascript:alert(1)', 'is not http or https'],
    ['mailto:a@b.example', 'is not http or https'],
    [`https://books.example/${'a'.repeat(20_000)}`, 'is too long'],
  ])('keeps the bad URL %j as data: it %s', (url, why) => {
    const made = request('book', url)
    expect(made.badUrl).toBe(why)
    expect(made.url.length).toBeLessThanOrEqual(1000)
  })

  test('moves what signs in from the URL into a header', () => {
    const made = request('book', 'https://us%40er:pa%3Ass@books.example/a')
    expect(made.url).toBe('https://books.example/a')
    expect(made.headers['authorization']).toBe(`Basic ${Buffer.from('us@er:pa:ss').toString('base64')}`)
    expect(JSON.stringify(made)).not.toContain('pa:ss')
  })

  test('leaves a header alone that was given beside such a URL', () => {
    const made = request('book', 'https://user:pass@books.example/', { headers: { Authorization: 'Bearer x' } })
    expect(made.headers).toEqual({ authorization: 'Bearer x' })
  })

  test('keeps no secret of a URL that is bad', () => {
    expect(request('book', 'ftp://user:hunter2@files.example/').url).not.toContain('hunter2')
  })

  test('refuses an option nobody knows, and says which was meant', () => {
    expect(() => request('book', page, { prioritty: 1 } as RequestOptions)).toThrow(
      new UnknownOptionError('request "book"', 'prioritty', ['priority']),
    )
  })

  test.each<[string, unknown, string]>([
    ['networkTryLimit', 0, 'It counts the first try too: use at least 1, or Infinity for no limit.'],
    ['taskTryLimit', 1.5, 'Use a whole number from 1.'],
    ['timeout', 0, 'Write milliseconds above 0'],
    ['timeout', '10 sec', 'Write milliseconds'],
    ['validStatus', 99, 'Write statuses from 200 to 599'],
    ['priority', 0.5, 'Use a whole number'],
    ['headers', { host: 'a\nb' }, 'Use a text that HTTP can carry'],
    ['headers', { 'transfer-encoding': 'chunked' }, 'Leave it out'],
    ['body', { a: 1 }, 'JSON by JSON.stringify()'],
    ['proxy', 'ftp://127.0.0.1', 'Write an http or https URL'],
    ['proxy', 'socks5://127.0.0.1', 'SOCKS is not spoken here: give the HTTP port of that proxy'],
    ['encoding', 'klingon', `Use a charset of the Encoding Standard`],
    ['method', 'CONNECT', `Use a method of HTTP`],
    ['cache', 'maybe', `Use 'use', 'skip' or 'refresh'.`],
    ['meta', [1], 'Write it as an object'],
  ])('refuses %s %j with what to do instead', (key, value, advice) => {
    const make = (): unknown => request('book', page, { [key]: value } as RequestOptions)
    expect(make).toThrow(InvalidOptionError)
    expect(make).toThrow(advice)
  })

  test('brings the content type of a form along', () => {
    const made = request('login', page, { method: 'post', body: new URLSearchParams({ user: 'a b' }) })
    expect(made).toMatchObject({ method: 'POST', body: 'user=a+b' })
    expect(made.headers['content-type']).toContain('x-www-form-urlencoded')
  })
})

describe('follow', () => {
  const on = request('list', 'https://books.example/', { meta: { a: 1 }, priority: 3 }).on({
    url: 'https://books.example/shop/2#top',
    base: 'https://cdn.books.example/base/',
  })

  test('reads a URL against the base of the page, else against its final URL', () => {
    expect(on.follow('book', 'a/b').url).toBe('https://cdn.books.example/base/a/b')
    expect(request('list', 'https://books.example/shop/').follow('book', '../b').url).toBe('https://books.example/b')
  })

  test.each([
    ['https://books.example/book/1', 'https://books.example/shop/2'],
    ['https://other.example/', 'https://books.example/'],
    ['http://books.example/', undefined],
  ])('to %s tells %s as the Referer, as browsers do', (url, referer) => {
    expect(on.follow('book', url).headers['referer']).toBe(referer)
  })

  test('goes one deeper, and takes neither meta nor priority along', () => {
    expect(on.follow('book', '/')).toMatchObject({
      depth: 1,
      meta: {},
      priority: 0,
      networkTryCount: 0,
      taskTryCount: 1,
    })
  })

  test('of a bad URL is data too', () => {
    expect(on.follow('book', 'http://[bad/').badUrl).toBe('does not parse')
  })
})

describe('clone', () => {
  const first = request('book', page, { meta: { a: 1 }, delay: '5s', priority: 2, networkTryLimit: Infinity })

  test('G12: copies meta and priority, not the delay, and begins the network tries anew', () => {
    const again = first.counted({ networkTryCount: 4, id: 'job:7', depth: 2 }).clone()
    expect(again).toMatchObject({ meta: { a: 1 }, priority: 2, delay: 0, networkTryCount: 0, depth: 2, id: undefined })
  })

  test('G14: of the same place counts at least one more; a raised count is taken as given', () => {
    expect(first.clone().taskTryCount).toBe(2)
    expect(first.clone().clone().taskTryCount).toBe(3)
    expect(first.clone({ taskTryCount: 1 }).taskTryCount).toBe(2)
    expect(first.clone({ taskTryCount: 7 }).taskTryCount).toBe(7)
    expect(first.clone({ url: `${page}-other-fragment` }).taskTryCount).toBe(2)
  })

  test('to another place has counts of its own', () => {
    expect(first.clone().clone({ url: '/elsewhere' })).toMatchObject({
      url: 'https://books.example/elsewhere',
      taskTryCount: 1,
    })
    expect(first.clone().clone({ name: 'other' }).taskTryCount).toBe(1)
    expect(first.clone().clone({ method: 'POST', body: 'x' }).taskTryCount).toBe(1)
  })

  test('to another site leaves behind what signs in', () => {
    const signedIn = request('a', 'https://user:pass@books.example/', { headers: { cookie: 'a=b', 'x-kept': '1' } })
    expect(signedIn.clone({ url: 'https://evil.example/' }).headers).toEqual({ 'x-kept': '1' })
    expect(signedIn.clone().headers).toHaveProperty('authorization')
  })

  test('is another piece of work than the first', () => {
    expect(first.clone().identity).not.toBe(first.identity)
  })
})

describe('identity', () => {
  test.each([
    ['https://books.example', 'https://BOOKS.example:443/', true],
    ['https://books.example/a#b', 'https://books.example/a#c', true],
    ['https://books.example/a/../b', 'https://books.example/b', true],
    ['https://books.example/?a=1&b=2', 'https://books.example/?b=2&a=1', false],
    ['https://books.example/a', 'https://books.example/a/', false],
    ['https://books.example/a', 'http://books.example/a', false],
    ['https://books.example/a', 'https://www.books.example/a', false],
  ])('of %s and %s is the same: %s', (one, other, same) => {
    expect(request('a', one).identity === request('a', other).identity).toBe(same)
  })

  test('knows name, method and body, and the count from the second task try on', () => {
    const post = (body: string | Uint8Array): string => request('a', page, { method: 'POST', body }).identity
    const all = [
      request('a', page).identity,
      request('b', page).identity,
      request('a', page, { method: 'POST' }).identity,
      post('x'),
      post('y'),
      request('a', page, { taskTryCount: 2 }).identity,
      request('a', page, { uniqueKey: 'one' }).identity,
    ]
    expect(new Set(all).size).toBe(all.length)
    expect(post('x')).toBe(post(Buffer.from('x')))
    expect(request('a', page, { networkTryCount: 5, priority: 1, meta: { a: 1 } }).identity).toBe(all[0])
    expect(request('a', '/bad', { uniqueKey: 'one' }).identity).toBe(all[6])
  })

  test('holds for all URLs: writing them again, another fragment or a stored copy change nothing', () => {
    fc.assert(
      fc.property(fc.webUrl({ withFragments: true, withQueryParameters: true }), fc.string(), (url, fragment) => {
        const made = request('a', url)
        expect(made.badUrl).toBeUndefined()
        const target = new URL(made.url)
        target.hash = fragment
        expect(request('a', target.href).identity).toBe(made.identity)
        expect(requestFromJSON(JSON.parse(JSON.stringify(made))).identity).toBe(made.identity)
      }),
    )
  })

  test('of different paths or queries is different', () => {
    fc.assert(
      fc.property(fc.webPath(), fc.webPath(), (one, other) => {
        const [first, second] = [one, other].map((path) => request('a', `https://books.example/${path}`)) as [
          ReturnType<typeof request>,
          ReturnType<typeof request>,
        ]
        expect(first.identity === second.identity).toBe(first.url.split('#')[0] === second.url.split('#')[0])
      }),
    )
  })
})

describe('a stored request', () => {
  test('is short: it has what differs from the defaults', () => {
    expect(request('book', page).toJSON()).toEqual({ name: 'book', url: page })
  })

  test('comes back as it was', () => {
    const made = request('book', page, {
      method: 'PUT',
      body: Uint8Array.of(0, 255, 128),
      headers: { 'x-a': 'b' },
      meta: { deep: [1, { two: null }] },
      priority: -5,
      timeout: '2s',
      connectTimeout: 100,
      validStatus: [500, 501],
      networkTryLimit: Infinity,
      taskTryLimit: 3,
      raw: true,
      dedupe: false,
      cache: 'skip',
      proxy: false,
      encoding: 'koi8-r',
      uniqueKey: 'k',
    }).counted({ id: 'job:1', depth: 4, networkTryCount: 2, taskTryCount: 3 })
    const back = requestFromJSON(JSON.parse(JSON.stringify(made)))
    expect(back).toEqual(made)
    expect(back.identity).toBe(made.identity)
    expect(back.id).toBe('job:1')
  })

  test('with a bad URL comes back as bad', () => {
    expect(requestFromJSON(JSON.parse(JSON.stringify(request('a', 'nowhere'))))).toMatchObject({
      badUrl: 'does not parse',
    })
  })
})

test('isRequest knows a request from what only looks like one', () => {
  expect(isRequest(request('a', page))).toBe(true)
  expect([{ name: 'a', url: page }, null, 'a', page].some(isRequest)).toBe(false)
})
