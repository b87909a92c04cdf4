import { createServer as createHttpServer, request as httpRequest, type ServerResponse } from 'node:http'
import { createSecureServer } from 'node:http2'
import { connect, type AddressInfo, type Server, type Socket } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Cookies } from '../../src/crawl/cookies.ts'
import { ProxyError } from '../../src/crawl/errors.ts'
import { request } from '../../src/crawl/request.ts'
import { manualClock } from '../../src/testing/manual-clock.ts'
import { website, type Website } from '../../src/testing/website.ts'
import { makeCertificate } from '../support/certificate.ts'
import { errorOf, fetchOnce, localFetcher, pageOf } from './fetching.ts'

const certificate = makeCertificate() ?? { key: '', cert: '' }
const withoutOpenssl = certificate.key === ''
const allowPrivate = ['127.0.0.1', 'localhost']

const open = async (...options: Parameters<typeof website>): Promise<Website> => {
  const site = await website(...options)
  onTestFinished(() => site.close())
  return site
}

async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** A proxy as there are many: it forwards what comes in clear, and tunnels the rest. */
async function proxy(
  refusal?: number,
): Promise<{ readonly url: string; readonly seen: string[]; readonly connections: () => number }> {
  const seen: string[] = []
  let connections = 0
  const server = createHttpServer((asked, response) => {
    seen.push(`${asked.method} ${asked.url} ${asked.headers['proxy-authorization'] ?? '-'}`)
    if (refusal !== undefined) return void response.writeHead(refusal).end()
    const headers = { ...asked.headers }
    delete headers['proxy-authorization']
    const onward = httpRequest(asked.url ?? '', { method: asked.method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers)
      answer.pipe(response)
    })
    onward.on('error', () => response.writeHead(502).end())
    return void asked.pipe(onward)
  })
  server.on('connect', (asked, socket: Socket) => {
    seen.push(`CONNECT ${asked.url} ${asked.headers['proxy-authorization'] ?? '-'}`)
    if (refusal !== undefined) return void socket.end(`HTTP/1.1 ${refusal} No\r\n\r\n`)
    const [host, port] = (asked.url ?? '').split(':')
    const onward = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      onward.pipe(socket).pipe(onward)
    })
    onward.on('error', () => socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n'))
    return void socket.on('error', () => onward.destroy())
  })
  server.on('connection', () => (connections += 1))
  return { url: `http://127.0.0.1:${await listen(server)}/`, seen, connections: () => connections }
}

const gone = 'http://127.0.0.1:1/'

describe('cookies', () => {
  test('are kept and sent, so that a login lasts', async () => {
    const site = await open()
    await using fetcher = localFetcher()
    expect(pageOf(await fetchOnce(`${site.url}/account`, {}, { fetcher })).url).toBe(`${site.url}/login`)
    const form = { method: 'POST', body: new URLSearchParams({ user: 'reader', password: 'secret' }) }
    expect(pageOf(await fetchOnce(`${site.url}/login`, form, { fetcher })).url).toBe(`${site.url}/account`)
    expect(
      pageOf(await fetchOnce(`${site.url}/account`, { headers: { cookie: 'own=1' } }, { fetcher })).body.toString(),
    ).toContain('reader')
    expect(site.requests.at(-1)?.headers['cookie']).toBe('own=1; session=reader')
    await using later = localFetcher({}, { cookies: Cookies.fromJSON(JSON.parse(JSON.stringify(fetcher.cookies))) })
    expect(pageOf(await fetchOnce(`${site.url}/account`, {}, { fetcher: later })).redirects).toEqual([])
  })

  test('are left alone with cookies: false', async () => {
    const site = await open()
    await using fetcher = localFetcher({ cookies: false })
    const form = { method: 'POST', body: new URLSearchParams({ user: 'reader', password: 'secret' }) }
    expect(pageOf(await fetchOnce(`${site.url}/login`, form, { fetcher })).url).toBe(`${site.url}/login`)
  })

  test('have a jar per proxy; public suffixes set none, nor does one site for another', () => {
    const cookies = new Cookies()
    cookies.keep('a=1', 'https://shop.example/', 'http://proxy-1/')
    cookies.keep(
      ['b=1; Domain=com', 'c=1; Domain=other.com', 'd=1; Domain=shop.com'],
      'https://www.shop.com/',
      undefined,
    )
    expect(cookies.headerFor('https://shop.example/', 'http://proxy-1/')).toBe('a=1')
    expect(cookies.headerFor('https://shop.example/', undefined)).toBeUndefined()
    expect(cookies.headerFor('https://other.com/', undefined)).toBeUndefined()
    expect(cookies.headerFor('https://shop.com/', undefined)).toBe('d=1')
  })

  test('of a flood are kept up to a limit, and nonsense is passed over', () => {
    const cookies = new Cookies()
    for (let page = 0; page < 100; page += 1) {
      const lines = Array.from({ length: 60 }, (_, index) => `c${page}-${index}=x`)
      cookies.keep(lines, `https://shop.example/${page}`, undefined)
    }
    cookies.keep([`long=${'x'.repeat(5000)}`, '=;;=', '\u0000', ''], 'https://shop.example/', undefined)
    expect(cookies.headerFor('https://shop.example/', undefined)?.split('; ')).toHaveLength(180)
  })
})

describe('proxies', () => {
  test('are drawn in turn, so that each try has another one; what signs in reaches only them', async () => {
    const site = await open()
    const [one, two] = [await proxy(), await proxy()]
    await using fetcher = localFetcher({ proxies: [one.url.replace('//', '//us:er@'), two.url] })
    for (let page = 1; page <= 4; page += 1) pageOf(await fetchOnce(`${site.url}/book/${page}`, {}, { fetcher }))
    expect(one.seen).toEqual([1, 3].map((page) => `GET ${site.url}/book/${page} Basic ${btoa('us:er')}`))
    expect(two.seen).toHaveLength(2)
    expect(site.requests.some(({ headers }) => 'proxy-authorization' in headers)).toBe(false)
  })

  test.skipIf(withoutOpenssl)('reach a site over TLS by a tunnel', async () => {
    const site = await open({ tls: certificate })
    const through = await proxy()
    await using fetcher = localFetcher({ proxies: [through.url], tls: { ca: certificate.cert } })
    expect(pageOf(await fetchOnce(`${site.url}/book/1`, {}, { fetcher })).proxy).toBe(through.url)
    expect(through.seen).toEqual([`CONNECT ${new URL(site.url).host} -`])
    expect(errorOf(await fetchOnce('https://127.0.0.1:1/', {}, { fetcher })).code).toBe('connection-failed')
  })

  test.each([[gone], ['refusing']])(
    'that are away cost no try while one is left, and rest a minute (%s)',
    async (kind) => {
      const site = await open()
      const bad = kind === gone ? gone : (await proxy(407)).url
      const good = await proxy()
      const clock = manualClock(Date.now())
      await using fetcher = localFetcher({ proxies: [bad, good.url] }, { clock })
      for (let page = 1; page <= 3; page += 1) {
        expect(pageOf(await fetchOnce(`${site.url}/book/${page}`, {}, { fetcher })).proxy).toBe(good.url)
      }
      expect(good.seen).toHaveLength(3)
    },
  )

  test('that are all away are a ProxyError, which names the proxy without what signs in', async () => {
    const site = await open()
    await using fetcher = localFetcher({ proxies: ['http://us:er@127.0.0.1:1/', 'http://127.0.0.1:2/'] })
    const error = errorOf(await fetchOnce(site.url, {}, { fetcher }))
    expect(error).toBeInstanceOf(ProxyError)
    expect(error.code).toBe('proxy')
    expect(JSON.stringify([error, error.message, { ...error }])).not.toContain('us:er')
    expect(error).toHaveProperty('proxy', expect.stringMatching(/^http:\/\/127\.0\.0\.1:[12]\/$/))
    expect(site.connections).toBe(0)
  })

  test('of a request win: another one, or none', async () => {
    const site = await open()
    const own = await proxy()
    await using fetcher = localFetcher({ proxies: [gone] })
    expect(pageOf(await fetchOnce(site.url, { proxy: false }, { fetcher })).proxy).toBeUndefined()
    expect(pageOf(await fetchOnce(site.url, { proxy: own.url }, { fetcher })).proxy).toBe(own.url)
  })

  test('are looked at by the guard, and so are literal targets behind them', async () => {
    const through = await proxy()
    await using guarded = localFetcher({ proxies: [through.url], allowPrivate: false })
    expect(errorOf(await fetchOnce('http://books.example/', {}, { fetcher: guarded })).code).toBe('blocked-address')
    expect(through.connections()).toBe(0)
    await using fetcher = localFetcher({ proxies: [through.url], allowPrivate: ['127.0.0.1'] })
    expect(errorOf(await fetchOnce('http://10.0.0.1/', {}, { fetcher })).code).toBe('blocked-address')
    expect(through.seen).toEqual([])
  })
})

describe('cache', () => {
  test('asks whether a page is still the same, and a 304 is a hit', async () => {
    const site = await open()
    await using fetcher = localFetcher({ cache: true })
    const url = `${site.url}/cached/1`
    const first = pageOf(await fetchOnce(url, {}, { fetcher }))
    const second = pageOf(await fetchOnce(url, {}, { fetcher }))
    expect(second).toMatchObject({ fromCache: true, status: 200, body: first.body })
    expect(site.requests[1]?.headers['if-none-match']).toBe('"v1"')
    expect(pageOf(await fetchOnce(url, { cache: 'refresh' }, { fetcher })).fromCache).toBe(false)
    expect(pageOf(await fetchOnce(url, { cache: 'skip' }, { fetcher })).fromCache).toBe(false)
  })

  test('a 304 that a header of one’s own asked for is no hit', async () => {
    const site = await open()
    await using fetcher = localFetcher({ cache: true })
    await fetchOnce(`${site.url}/cached/1`, {}, { fetcher })
    const outcome = await fetchOnce(`${site.url}/cached/1`, { headers: { 'if-none-match': '"v1"' } }, { fetcher })
    expect(errorOf(outcome).code).toBe('http-304')
  })

  test('gives a page without a fetch while it is fresh, by maxAge or by what the server said', async () => {
    const fresh = (control: string) => (_request: unknown, response: ServerResponse) =>
      void response.writeHead(200, { 'cache-control': control }).end('x')
    const site = await open({ routes: { '/minute': fresh('max-age=60'), '/never': fresh('no-store, max-age=60') } })
    const clock = manualClock(Date.now())
    await using fetcher = localFetcher({ cache: true }, { clock })
    await using forced = localFetcher({ cache: { maxAge: '1h' } }, { clock })
    const [minute, never] = [request('a', `${site.url}/minute`), request('a', `${site.url}/never`)]
    for (const asked of [minute, never]) await fetcher.fetch(asked)
    await forced.fetch(minute)
    expect([fetcher.cached(minute)?.fromCache, fetcher.cached(never), forced.cached(minute)?.fromCache]).toEqual([
      true,
      undefined,
      true,
    ])
    expect(fetcher.cached(request('a', minute.url, { cache: 'refresh' }))).toBeUndefined()
    expect(fetcher.cached(request('a', minute.url, { method: 'POST' }))).toBeUndefined()
    await clock.advance('61s')
    expect([fetcher.cached(minute), forced.cached(minute)?.fromCache]).toEqual([undefined, true])
  })
})

describe.skipIf(withoutOpenssl)('TLS', () => {
  test('speaks HTTP/2 where the site offers nothing else, many pages over one connection', async () => {
    let sessions = 0
    const server = createSecureServer({ key: certificate.key, cert: certificate.cert }, (asked, response) =>
      response.end(`${asked.httpVersion} ${asked.url}`),
    )
    server.on('session', () => (sessions += 1))
    const port = await listen(server as unknown as Server)
    await using fetcher = localFetcher({ tls: { ca: certificate.cert } })
    const pages = await Promise.all(
      Array.from({ length: 20 }, (_, page) => fetchOnce(`https://127.0.0.1:${port}/${page}`, {}, { fetcher })),
    )
    expect(pages.map((page) => pageOf(page).body.toString())).toEqual(
      Array.from({ length: 20 }, (_, page) => `2.0 /${page}`),
    )
    expect(sessions).toBe(1)
  })

  test('of a certificate nobody vouches for is an error', async () => {
    const site = await open({ tls: certificate })
    expect(errorOf(await fetchOnce(site.url)).code).toBe('tls')
    await using trusting = localFetcher({ allowPrivate, tls: { rejectUnauthorized: false } })
    expect(pageOf(await fetchOnce(site.url, {}, { fetcher: trusting })).status).toBe(200)
  })
})
