import type { ServerResponse } from 'node:http'
import type * as Zlib from 'node:zlib'
import { frame, type Visit } from './website-shop.ts'

/** The pages that do what sites do to crawlers: by their first name, with what stands behind it. */
export function answerTrouble(visit: Visit, response: ServerResponse): boolean {
  const [, room = '', detail = ''] = visit.url.pathname.split('/')
  const answer = troubles.get(room)
  answer?.(detail, visit, response)
  return answer !== undefined
}

type Trouble = (detail: string, visit: Visit, response: ServerResponse) => void

const troubles: ReadonlyMap<string, Trouble> = new Map<string, Trouble>([
  /** `/captcha` always asks, `/captcha/2` twice. */
  [
    'captcha',
    (times, visit, response) => sendHtml(response, visit.count <= toNumber(times, Infinity) ? captcha : there),
  ],
  /** `/flaky/2` fails twice, with `?status=` or 503, or by `?how=reset`. */
  ['flaky', (times, visit, response) => failFirst(toNumber(times, 1), visit, response)],
  /** `/throttle/2` answers 429 twice, with `?after=` or 1 as its Retry-After, with `?status=` or 429. */
  ['throttle', (times, visit, response) => throttleFirst(toNumber(times, Infinity), visit, response)],
  [
    'status',
    (status, { url }, response) => {
      const after = url.searchParams.get('after')
      if (after !== null) response.setHeader('retry-after', after)
      sendHtml(response, frame(`Status ${status}`, ''), toNumber(status, 500))
    },
  ],
  /** `/slow/500` begins to answer after half a second. */
  [
    'slow',
    (ms, _visit, response) => {
      const timer = setTimeout(() => sendHtml(response, there), toNumber(ms, 1000))
      response.on('close', () => clearTimeout(timer))
    },
  ],
  /** `/drip/100` sends a byte every 100 ms, for ever. */
  [
    'drip',
    (ms, _visit, response) => {
      response.writeHead(200, html).write('<')
      const timer = setInterval(() => response.write('.'), toNumber(ms, 100))
      response.on('close', () => clearInterval(timer))
    },
  ],
  /** `/redirect/3` arrives after three hops. */
  [
    'redirect',
    (left, _visit, response) => {
      const hops = toNumber(left, 1)
      if (hops === 0) return sendHtml(response, there)
      return sendOn(response, `/redirect/${hops - 1}`)
    },
  ],
  ['loop', (_detail, _visit, response) => sendOn(response, '/loop')],
  /** `/redirect-to?url=…&status=302`; without a URL it names no target. */
  [
    'redirect-to',
    (_detail, { url }, response) => {
      sendOn(response, url.searchParams.get('url') ?? undefined, toNumber(url.searchParams.get('status') ?? '', 302))
    },
  ],
  /** Announces more than it sends. */
  [
    'truncated',
    (_detail, _visit, response) => {
      response.writeHead(200, { ...html, 'content-length': '100000' }).write('<h1>half')
      setTimeout(() => response.socket?.end(), 10)
    },
  ],
  ['reset', (_detail, _visit, response) => response.socket?.resetAndDestroy()],
  ['garbage', (_detail, _visit, response) => response.socket?.end('no HTTP at all\r\n\r\n')],
  /** `/headers/2000` sends that many header lines of 100 bytes. */
  [
    'headers',
    (lines, _visit, response) => {
      for (let line = 0; line < toNumber(lines, 10_000); line += 1)
        response.setHeader(`x-flood-${line}`, 'x'.repeat(80))
      sendHtml(response, there)
    },
  ],
  /** `/encoded/gzip`, `/encoded/br,gzip`: encoded in that order. */
  [
    'encoded',
    (encodings, _visit, response) => {
      const names = decodeURIComponent(encodings).split(',')
      const body = names.reduce<Buffer>((rest, name) => encoders.get(name)?.(rest) ?? rest, Buffer.from(there))
      response.writeHead(200, { ...html, 'content-encoding': names.join(', ') }).end(body)
    },
  ],
  [
    'bad-encoding',
    (encoding, _visit, response) => {
      response.writeHead(200, { ...html, 'content-encoding': encoding || 'gzip' }).end('this is plain text')
    },
  ],
  /** `/bomb/256` is 256 MiB of zeros in 256 KiB. */
  ['bomb', (mebibytes, _visit, response) => sendBomb(toNumber(mebibytes, 256), response)],
  /** `/large/1000000` has that many bytes and does not say so beforehand; without a number it has no end. */
  ['large', (bytes, _visit, response) => sendLarge(toNumber(bytes, Infinity), response)],
  [
    'json',
    (_detail, _visit, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"title":"Book 1","price":5.99}')
    },
  ],
  ['empty', (_detail, _visit, response) => response.writeHead(204).end()],
  /** Has an `etag`; asked whether it still is the same, it says so. */
  [
    'cached',
    (version, { headers }, response) => {
      const etag = `"v${version}"`
      if (headers['if-none-match'] === etag) return response.writeHead(304, { etag }).end()
      return response.writeHead(200, { ...html, etag, 'cache-control': 'no-cache' }).end(there)
    },
  ],
  /** `/nested/1000` has that many tags in each other. */
  ['nested', (depth, _visit, response) => sendHtml(response, '<div>'.repeat(toNumber(depth, 100_000)))],
])

const html = { 'content-type': 'text/html; charset=utf-8' }
const there = frame('You are there', '<p>This is the page.</p>')
const captcha = frame('Are you human?', '<form class="captcha"><input name="answer"></form>')

const zlib = (): typeof Zlib => process.getBuiltinModule('node:zlib')

const encoders: ReadonlyMap<string, (body: Buffer) => Buffer> = new Map<string, (body: Buffer) => Buffer>([
  ['gzip', (bytes) => zlib().gzipSync(bytes)],
  ['deflate', (bytes) => zlib().deflateSync(bytes)],
  ['br', (bytes) => zlib().brotliCompressSync(bytes)],
  ['zstd', (bytes) => zlib().zstdCompressSync(bytes)],
])

function toNumber(text: string, otherwise: number): number {
  return /^\d+$/.test(text) ? Number(text) : otherwise
}

function sendHtml(response: ServerResponse, page: string, status = 200): void {
  response.writeHead(status, html).end(page)
}

function sendOn(response: ServerResponse, location: string | undefined, status = 302): void {
  response.writeHead(status, location === undefined ? {} : { location }).end()
}

function failFirst(times: number, { url, count }: Visit, response: ServerResponse): void {
  if (count > times) return sendHtml(response, there)
  if (url.searchParams.get('how') === 'reset') return void response.socket?.resetAndDestroy()
  return sendHtml(response, frame('Out of order', ''), toNumber(url.searchParams.get('status') ?? '', 503))
}

function throttleFirst(times: number, { url, count }: Visit, response: ServerResponse): void {
  if (count > times) return sendHtml(response, there)
  response.setHeader('retry-after', url.searchParams.get('after') ?? '1')
  return sendHtml(response, frame('Too fast', ''), toNumber(url.searchParams.get('status') ?? '', 429))
}

const MEBIBYTE = 1024 * 1024

function sendBomb(mebibytes: number, response: ServerResponse): void {
  response.writeHead(200, { ...html, 'content-encoding': 'gzip' })
  const gzip = zlib().createGzip()
  gzip.on('error', () => {}).pipe(response)
  response.on('close', () => gzip.destroy())
  const zeros = Buffer.alloc(MEBIBYTE)
  let left = mebibytes
  const write = (): void => {
    while (left > 0) {
      left -= 1
      if (!gzip.write(zeros)) return void gzip.once('drain', write)
    }
    gzip.end()
  }
  write()
}

function sendLarge(bytes: number, response: ServerResponse): void {
  response.writeHead(200, html)
  const chunk = Buffer.alloc(64 * 1024, 'x')
  let left = bytes
  const write = (): void => {
    while (left > 0 && !response.destroyed) {
      const part = left < chunk.length ? chunk.subarray(0, left) : chunk
      left -= part.length
      if (!response.write(part)) return void response.once('drain', write)
    }
    response.end()
  }
  write()
}
