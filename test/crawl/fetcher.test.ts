import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  BlockedAddressError,
  BodyTooLargeError,
  ConnectionError,
  ConnectTimeoutError,
  DnsError,
  NetworkError,
  ProtocolError,
  RedirectError,
  ResponseTimeoutError,
  StatusError,
  TooManyRedirectsError,
} from '../../src/crawl/errors.ts'
import { guard } from '../../src/crawl/guard.ts'
import { RootcatchError, TimeoutError } from '../../src/errors.ts'
import { website, type Website, type WebsiteRoute } from '../../src/testing/website.ts'
import { errorOf, fetchOnce, localFetcher, pageOf } from './fetching.ts'

const open = async (...options: Parameters<typeof website>): Promise<Website> => {
  const site = await website(...options)
  onTestFinished(() => site.close())
  return site
}

/** A server of bytes: what HTTP servers would not do. */
async function rawServer(onSocket: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    onSocket(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

const answering =
  (...parts: readonly (string | Buffer)[]) =>
  (socket: Socket): void => {
    socket.once('data', () => {
      for (const part of parts) socket.write(part)
    })
  }

describe('a page', () => {
  test('comes with its final URL, status, headers and decoded body', async () => {
    const site = await open()
    const response = pageOf(await fetchOnce(`${site.url}/book/1`))
    expect(response).toMatchObject({ url: `${site.url}/book/1`, status: 200, redirects: [], fromCache: false })
    expect(response.body.toString()).toContain('<h1>Book 1</h1>')
    expect(response.headers['content-type']).toBe('text/html; charset=utf-8')
    expect(response.wireBytes).toBe(response.body.length)
  })

  test('is asked for over connections that are kept', async () => {
    const site = await open()
    await using fetcher = localFetcher()
    for (let book = 1; book <= 5; book += 1) pageOf(await fetchOnce(`${site.url}/book/${book}`, {}, { fetcher }))
    expect(site.connections).toBeLessThanOrEqual(2) // undici opens a second one before it knows the first is free
  })

  test('is asked for with the headers of the spider, over which those of the request win', async () => {
    const site = await open()
    await using fetcher = localFetcher({ headers: { 'User-Agent': 'books/1', 'x-both': 'spider' } })
    await fetchOnce(site.url, { headers: { 'x-both': 'request' }, method: 'POST', body: 'hello' }, { fetcher })
    expect(site.requests[0]).toMatchObject({ method: 'POST', body: 'hello' })
    expect(site.requests[0]?.headers).toMatchObject({ 'user-agent': 'books/1', 'x-both': 'request' })
    expect(site.requests[0]?.headers['accept-encoding']).toBe('gzip, deflate, br, zstd')
  })

  test.each([204, 205])('with status %i is empty', async (status) => {
    const site = await open({ routes: { '/': (_request, response) => response.writeHead(status).end() } })
    expect(pageOf(await fetchOnce(site.url))).toMatchObject({ status, body: Buffer.alloc(0) })
  })

  test('that HEAD asks for is empty, whatever length is announced', async () => {
    const site = await open()
    expect(pageOf(await fetchOnce(`${site.url}/encoded/gzip`, { method: 'HEAD' })).body).toHaveLength(0)
  })
})

describe('a status', () => {
  test.each([200, 201, 206, 299, 404])('G6: %i is good', async (status) => {
    const site = await open()
    expect(pageOf(await fetchOnce(`${site.url}/status/${status}`)).status).toBe(status)
  })

  test.each([300, 304, 400, 401, 403, 410, 500, 502, 503])('G6: %i is a network error', async (status) => {
    const site = await open()
    const outcome = await fetchOnce(`${site.url}/status/${status}`, { networkTryCount: 2 })
    const error = errorOf(outcome)
    expect(error).toBeInstanceOf(StatusError)
    expect(error).toMatchObject({
      code: `http-${status}`,
      status,
      url: `${site.url}/status/${status}`,
      tryCount: 3,
      permanent: false,
    })
    expect(outcome).toHaveProperty('response.status', status)
  })

  test('G8: named by the request or the spider is good as well, and adds to those that are', async () => {
    const site = await open()
    await using fetcher = localFetcher({ validStatus: 503 })
    for (const status of [200, 404, 500, 501, 503]) {
      const outcome = await fetchOnce(`${site.url}/status/${status}`, { validStatus: [500, 501] }, { fetcher })
      expect(pageOf(outcome).status).toBe(status)
    }
    expect(errorOf(await fetchOnce(`${site.url}/status/502`, { validStatus: 500 }, { fetcher })).code).toBe('http-502')
  })

  test('G7: is good when isValid says so, and only then; the request still may name more', async () => {
    const site = await open()
    await using fetcher = localFetcher({ isValid: (status, request) => status === 418 && request.name === 'page' })
    expect(pageOf(await fetchOnce(`${site.url}/status/418`, {}, { fetcher })).status).toBe(418)
    expect(errorOf(await fetchOnce(`${site.url}/status/200`, {}, { fetcher })).code).toBe('http-200')
    expect(pageOf(await fetchOnce(`${site.url}/status/500`, { validStatus: 500 }, { fetcher })).status).toBe(500)
  })

  test('429 throttles and is no error; Retry-After is read as seconds or as a date', async () => {
    const site = await open()
    expect(await fetchOnce(`${site.url}/throttle?after=7`)).toMatchObject({ kind: 'throttled', retryAfter: 7000 })
    const date = new Date(Date.now() + 60_000).toUTCString()
    const outcome = await fetchOnce(`${site.url}/throttle?after=${encodeURIComponent(date)}`)
    expect(outcome).toMatchObject({ kind: 'throttled', retryAfter: expect.closeTo(60_000, -4) })
    expect(await fetchOnce(`${site.url}/status/429`)).toMatchObject({ kind: 'throttled', retryAfter: undefined })
  })

  test('503 throttles with a Retry-After, and is an error without', async () => {
    const site = await open()
    expect(await fetchOnce(`${site.url}/status/503?after=2`)).toMatchObject({ kind: 'throttled', retryAfter: 2000 })
    expect(errorOf(await fetchOnce(`${site.url}/status/503`)).code).toBe('http-503')
  })
})

describe('a broken connection (G5)', () => {
  test('refused is connection-refused', async () => {
    const site = await website()
    await site.close()
    const error = errorOf(await fetchOnce('http://127.0.0.1:1/'))
    expect(error).toBeInstanceOf(ConnectionError)
    expect(error.code).toBe('connection-refused')
    expect(error.message).toContain('http://127.0.0.1:1/ refused the connection: connect ECONNREFUSED 127.0.0.1:1')
  })

  test('reset before the head is connection-reset', async () => {
    const site = await open()
    expect(errorOf(await fetchOnce(`${site.url}/reset`)).code).toBe('connection-reset')
  })

  test('closed before the head is connection-reset', async () => {
    const url = await rawServer((socket) => socket.once('data', () => socket.end()))
    expect(errorOf(await fetchOnce(url)).code).toBe('connection-reset')
  })

  test.each([
    ['the announced length', 'Content-Length: 1000\r\n\r\nhalf'],
    ['the announced length, on a connection to be closed', 'Connection: close\r\nContent-Length: 1000\r\n\r\nhalf'],
    ['its last chunk', 'Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'],
  ])('closed before %s is truncated', async (_what, rest) => {
    const url = await rawServer((socket) => socket.once('data', () => socket.end(`HTTP/1.1 200 OK\r\n${rest}`)))
    expect(errorOf(await fetchOnce(url))).toMatchObject({ code: 'truncated', status: 200 })
  })

  test('a name that is not found is dns', async () => {
    const missing = guard(false, (_name, _options, callback) =>
      callback(Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' }), []),
    )
    await using fetcher = localFetcher({}, { guard: missing })
    const error = errorOf(await fetchOnce('http://nowhere.example/', {}, { fetcher }))
    expect(error).toBeInstanceOf(DnsError)
    expect(error.code).toBe('dns')
  })

  test('a name that is not resolved in connectTimeout is connect-timeout; the request wins over the spider (G7)', async () => {
    await using fetcher = localFetcher({ connectTimeout: '1h' }, { guard: guard(false, () => {}) })
    const error = errorOf(await fetchOnce('http://slow.example/', { connectTimeout: 20 }, { fetcher }))
    expect(error).toBeInstanceOf(ConnectTimeoutError)
    expect(error.message).toContain('was not connected after 20ms')
  })

  test('a try whose connection comes too late is not sent after all', async () => {
    const site = await open()
    let resolveName = (): void => {}
    const late = guard(['127.0.0.1'], (_name, _options, callback) => {
      resolveName = () => callback(null, [{ address: '127.0.0.1', family: 4 }])
    })
    await using fetcher = localFetcher({}, { guard: late })
    const to = (path: string): string => `http://late.example:${new URL(site.url).port}${path}`
    expect(errorOf(await fetchOnce(to('/late'), { connectTimeout: 20 }, { fetcher })).code).toBe('connect-timeout')
    resolveName()
    await expect.poll(() => site.connections).toBeGreaterThan(0)
    const next = fetchOnce(to('/next'), {}, { fetcher })
    const resolving = setInterval(() => resolveName(), 10)
    expect(pageOf(await next).status).toBe(404)
    clearInterval(resolving)
    expect(site.requests.map(({ path }) => path)).toEqual(['/next'])
  })

  test('a TLS handshake that nobody answers is connect-timeout', async () => {
    const url = await rawServer(() => {})
    expect(errorOf(await fetchOnce(url.replace('http:', 'https:'), { connectTimeout: 50 })).code).toBe(
      'connect-timeout',
    )
  })
})

describe('timeout (G5, G7)', () => {
  test('ends a page that does not begin', async () => {
    const site = await open()
    const error = errorOf(await fetchOnce(`${site.url}/slow/60000`, { timeout: 50 }))
    expect(error).toBeInstanceOf(ResponseTimeoutError)
    expect(error.code).toBe('timeout')
    expect(error).not.toBeInstanceOf(TimeoutError)
  })

  test('ends a page that drips for ever, and lets the connection go', async () => {
    let closed: (() => void) | undefined
    const gone = new Promise<void>((resolve) => (closed = resolve))
    const site = await open({
      routes: {
        '/drip': (_request, response) => {
          const timer = setInterval(() => response.write('.'), 5)
          response.on('close', () => (clearInterval(timer), closed?.()))
        },
      },
    })
    await using fetcher = localFetcher()
    const error = errorOf(await fetchOnce(`${site.url}/drip`, { timeout: 100 }, { fetcher }))
    expect(error.code).toBe('timeout')
    expect(error.message).toMatch(/\d+ bytes of the body had come/)
    await gone
  })

  test('counts all hops of a try together', async () => {
    const slowly =
      (next: string): WebsiteRoute =>
      (_request, response) =>
        void setTimeout(() => response.writeHead(302, { location: next }).end(), 40)
    const site = await open({ routes: { '/a': slowly('/b'), '/b': slowly('/a') } })
    expect(errorOf(await fetchOnce(`${site.url}/a`, { timeout: 150 })).code).toBe('timeout')
    expect(site.requests.length).toBeLessThan(6)
  })

  test('ends heads that never end: informational answers, and a line that goes on', async () => {
    const informational = await rawServer((socket) => {
      const timer = setInterval(() => socket.write('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'), 5)
      socket.on('close', () => clearInterval(timer))
    })
    expect(errorOf(await fetchOnce(informational, { timeout: 100 })).code).toBe('timeout')
    const line = await rawServer((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nX-Long: ')
      const timer = setInterval(() => socket.write('x'), 5)
      socket.on('close', () => clearInterval(timer))
    })
    expect(errorOf(await fetchOnce(line, { timeout: 100 })).code).toBe('timeout')
  })
})

describe('what is no HTTP', () => {
  test.each([
    ['garbage', answering('no HTTP at all\r\n\r\n')],
    ['a chunk that is none', answering('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n')],
  ])('%s is protocol', async (_what, onSocket) => {
    const error = errorOf(await fetchOnce(await rawServer(onSocket)))
    expect(error).toBeInstanceOf(ProtocolError)
    expect(error.code).toBe('protocol')
  })

  test('a flood of headers is protocol, and is not read to its end', async () => {
    let sent = 0
    const url = await rawServer((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n')
      const more = (): void => {
        sent += 1
        if (socket.writable && sent < 100_000) socket.write(`X-Flood-${sent}: ${'x'.repeat(1000)}\r\n`, more)
      }
      more()
    })
    expect(errorOf(await fetchOnce(url)).code).toBe('protocol')
    expect(sent).toBeLessThan(20_000)
  })

  test('TLS that is none is tls', async () => {
    const url = await rawServer(answering('HTTP/1.1 400 Bad Request\r\n\r\n'))
    expect(errorOf(await fetchOnce(url.replace('http:', 'https:'))).code).toBe('tls')
  })

  test.each(['gzip', 'deflate', 'br', 'zstd', 'klingon'])(
    'a body that is not %s as it says is encoding',
    async (encoding) => {
      const site = await open()
      expect(errorOf(await fetchOnce(`${site.url}/bad-encoding/${encoding}`))).toMatchObject({
        code: 'encoding',
        status: 200,
      })
    },
  )
})

describe('a body', () => {
  test.each(['gzip', 'deflate', 'br', 'zstd', 'br,gzip', 'gzip,deflate,br,zstd,gzip'])(
    'is decoded from %s',
    async (encoding) => {
      const site = await open()
      expect(pageOf(await fetchOnce(`${site.url}/encoded/${encoding}`)).body.toString()).toContain('You are there')
    },
  )

  test('of six encodings is none', async () => {
    const site = await open()
    const error = errorOf(await fetchOnce(`${site.url}/encoded/gzip,gzip,gzip,gzip,gzip,gzip`))
    expect(error).toMatchObject({ code: 'encoding' })
    expect(error.message).toContain('6 encodings on one body, 5 are allowed')
  })

  test('over the limit on the wire is given up, whatever length was announced', async () => {
    const site = await open()
    await using fetcher = localFetcher({ bodyLimit: { wire: 100_000 } })
    const error = errorOf(await fetchOnce(`${site.url}/large`, {}, { fetcher }))
    expect(error).toBeInstanceOf(BodyTooLargeError)
    expect(error).toMatchObject({ code: 'body-too-large', permanent: true })
    expect(error.message).toContain('more than 100000 bytes on the wire')
    expect(pageOf(await fetchOnce(`${site.url}/large/100000`, {}, { fetcher })).body).toHaveLength(100_000)
  })

  test('over the limit once decoded is given up: a bomb costs no more memory than the limit', async () => {
    const site = await open()
    await using fetcher = localFetcher({ bodyLimit: { decoded: 1_000_000 } })
    const before = process.memoryUsage().rss
    const error = errorOf(await fetchOnce(`${site.url}/bomb/200`, {}, { fetcher }))
    expect(error).toMatchObject({ code: 'body-too-large', permanent: true })
    expect(error.message).toContain('more than 1000000 bytes once decoded')
    expect(process.memoryUsage().rss - before).toBeLessThan(150_000_000)
  })
})

describe('a redirect', () => {
  test('is followed, and the page has its final URL and the way there', async () => {
    const site = await open()
    const response = pageOf(await fetchOnce(`${site.url}/redirect/2`))
    expect(response).toMatchObject({
      url: `${site.url}/redirect/0`,
      redirects: [`${site.url}/redirect/2`, `${site.url}/redirect/1`],
    })
  })

  test.each([
    [301, 'POST', 'GET', ''],
    [302, 'POST', 'GET', ''],
    [303, 'POST', 'GET', ''],
    [303, 'PUT', 'GET', ''],
    [307, 'POST', 'POST', 'form'],
    [308, 'POST', 'POST', 'form'],
    [301, 'PUT', 'PUT', 'form'],
    [303, 'HEAD', 'HEAD', ''],
  ])('by %i makes of %s a %s with body %j', async (status, method, then, body) => {
    const site = await open()
    const options = {
      method,
      ...(method === 'HEAD' ? {} : { body: 'form' }),
      headers: { 'content-type': 'text/plain' },
    }
    pageOf(await fetchOnce(`${site.url}/redirect-to?url=/book/1&status=${status}`, options))
    expect(site.requests[1]).toMatchObject({ method: then, body, path: '/book/1' })
    expect(site.requests[1]?.headers['content-type']).toBe(then === 'GET' ? undefined : 'text/plain')
  })

  test('to another origin leaves behind what signs in, to the same one it takes it along', async () => {
    const other = await open()
    const site = await open()
    const headers = { authorization: 'Basic x', cookie: 'a=b', 'x-kept': '1' }
    await fetchOnce(`${site.url}/redirect-to?url=/book/1`, { headers })
    expect(site.requests[1]?.headers).toMatchObject(headers)
    await fetchOnce(`${site.url}/redirect-to?url=${other.url}/book/1`, { headers })
    expect(other.requests[0]?.headers).toMatchObject({ 'x-kept': '1' })
    expect(other.requests[0]?.headers).not.toHaveProperty('authorization')
    expect(other.requests[0]?.headers).not.toHaveProperty('cookie')
  })

  test('in a circle, or more than ten, is too-many-redirects', async () => {
    const site = await open()
    const error = errorOf(await fetchOnce(`${site.url}/loop`))
    expect(error).toBeInstanceOf(TooManyRedirectsError)
    expect(error).toMatchObject({ code: 'too-many-redirects', status: 302, url: `${site.url}/loop` })
    expect(site.count('/loop')).toBe(11)
    expect(pageOf(await fetchOnce(`${site.url}/redirect/10`)).redirects).toHaveLength(10)
    expect(errorOf(await fetchOnce(`${site.url}/redirect/11`)).code).toBe('too-many-redirects')
  })

  test.each(['', 'url=', 'url=ftp://a.example/', 'url=http://[bad/', 'url=javascript:alert(1)'])(
    'with the target %j is bad-redirect',
    async (query) => {
      const site = await open()
      const error = errorOf(await fetchOnce(`${site.url}/redirect-to?${query}`))
      expect(error).toBeInstanceOf(RedirectError)
      expect(error.code).toBe('bad-redirect')
    },
  )

  test('with bytes that no URL has is read as UTF-8, or is a network error, never a crash', async () => {
    const utf8 = await rawServer(
      answering(Buffer.from('HTTP/1.1 302 F\r\nContent-Length: 0\r\nLocation: http://127.0.0.1:1/ü\r\n\r\n')),
    )
    expect(errorOf(await fetchOnce(utf8)).url).toBe('http://127.0.0.1:1/%C3%BC')
    const bytes = await rawServer(
      answering(
        Buffer.from('HTTP/1.1 302 F\r\nContent-Length: 0\r\nLocation: http://127.0.0.1:1/\xff\xfe\r\n\r\n', 'latin1'),
      ),
    )
    expect(errorOf(await fetchOnce(bytes))).toBeInstanceOf(NetworkError)
  })

  test('whose status was named as valid is the page', async () => {
    const site = await open()
    expect(pageOf(await fetchOnce(`${site.url}/redirect/3`, { validStatus: 302 })).status).toBe(302)
  })

  test('that is not allowed is refused, and never asked for', async () => {
    const site = await open()
    const outcome = await fetchOnce(`${site.url}/redirect/3`, {}, { allows: async (url) => !url.endsWith('/1') })
    expect(outcome).toEqual({ kind: 'refused', url: `${site.url}/redirect/1` })
    expect(site.count('/redirect/1')).toBe(0)
  })

  test('has an endless body of which little is read', async () => {
    const site = await open({
      routes: {
        '/': (_request, response) => {
          response.writeHead(302, { location: '/book/1' })
          const write = (): void => void (response.destroyed || response.write('x'.repeat(65_536), write))
          write()
        },
      },
    })
    expect(pageOf(await fetchOnce(site.url)).url).toBe(`${site.url}/book/1`)
  })
})

describe('the guard', () => {
  test('denies this machine by default, in any spelling', async () => {
    const site = await open()
    const port = new URL(site.url).port
    await using fetcher = localFetcher({ allowPrivate: false })
    for (const host of ['127.0.0.1', '2130706433', '0x7f.1', '[::ffff:127.0.0.1]', '[::1]', 'localhost']) {
      const error = errorOf(await fetchOnce(`http://${host}:${port}/`, {}, { fetcher }))
      expect(error).toBeInstanceOf(BlockedAddressError)
      expect(error).toMatchObject({ code: 'blocked-address', permanent: true })
    }
    expect(site.connections).toBe(0)
  })

  test('looks at every hop', async () => {
    const site = await open()
    const target = 'http://169.254.169.254/latest/meta-data'
    const error = errorOf(await fetchOnce(`${site.url}/redirect-to?url=${target}`))
    expect(error).toMatchObject({ code: 'blocked-address', url: target, address: '169.254.169.254' })
  })

  test('decides at the connection, so that a name that resolves differently the second time gains nothing', async () => {
    const site = await open()
    const port = new URL(site.url).port
    const answers = ['127.0.0.1', '127.0.0.2', '127.0.0.1']
    const rebinding = guard(['127.0.0.1'], (_name, _options, callback) =>
      callback(null, [{ address: answers.shift() ?? '', family: 4 }]),
    )
    await using fetcher = localFetcher({}, { guard: rebinding })
    expect(pageOf(await fetchOnce(`http://rebind.example:${port}/reset-me`, {}, { fetcher })).status).toBe(404)
    await site.close()
    const error = errorOf(await fetchOnce(`http://rebind.example:${port}/`, {}, { fetcher }))
    const blocked =
      error.code === 'blocked-address'
        ? error
        : errorOf(await fetchOnce(`http://rebind.example:${port}/`, {}, { fetcher }))
    expect(blocked.message).toContain('127.0.0.2 (rebind.example)')
  })
})

describe('a signal', () => {
  test('ends a try at once, with its reason', async () => {
    const site = await open()
    const stop = new AbortController()
    const going = fetchOnce(`${site.url}/slow/60000`, {}, { signal: stop.signal })
    const reason = new Error('crawl stopped')
    setTimeout(() => stop.abort(reason), 20)
    await expect(going).rejects.toBe(reason)
    await expect(fetchOnce(site.url, {}, { signal: stop.signal })).rejects.toBe(reason)
  })
})

test('a network error is one of rootcatch, by brand, and shows no secret', () => {
  const error = new StatusError({ url: 'https://a.example/?token=abcdef', status: 500 })
  expect(error).toBeInstanceOf(NetworkError)
  expect(error).toBeInstanceOf(RootcatchError)
  expect(error.name).toBe('StatusError')
  expect(error.message).not.toContain('abcdef')
  expect(JSON.parse(JSON.stringify(error))).toMatchObject({ name: 'StatusError', code: 'http-500' })
})
