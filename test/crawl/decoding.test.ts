import { randomBytes } from 'node:crypto'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, onTestFinished, test } from 'vitest'
import { BadEncoding, decodeBody, DecodedTooLarge, DecodingCut, type DecodingLimits } from '../../src/crawl/decoding.ts'
import { request } from '../../src/crawl/request.ts'
import { manualClock } from '../../src/testing/manual-clock.ts'
import { website } from '../../src/testing/website.ts'
import { errorOf, localFetcher } from './fetching.ts'

const MEBIBYTE = 1024 * 1024
const body = Buffer.concat([randomBytes(MEBIBYTE), Buffer.alloc(MEBIBYTE, 'x')])
/** A gibibyte of zeros in a mebibyte: a file of many parts, as gzip allows. */
const bomb = Buffer.concat(Array.from({ length: 64 }, () => gzipSync(Buffer.alloc(16 * MEBIBYTE))))

const limits = (more: Partial<DecodingLimits> = {}): DecodingLimits => ({
  clock: manualClock(),
  deadline: 1000,
  most: 4 * MEBIBYTE,
  signal: undefined,
  ...more,
})

describe('decodeBody', () => {
  test.each([
    ['gzip', gzipSync(body)],
    ['x-gzip', gzipSync(body)],
    ['deflate', deflateSync(body)],
    ['Deflate', deflateRawSync(body)],
    ['br', brotliCompressSync(body)],
    ['zstd', zstdCompressSync(body)],
    ['zstd, identity, gzip', gzipSync(zstdCompressSync(body))],
  ])('takes %s off; what is cut short, or too large, is no body', async (encoding, encoded) => {
    expect((await decodeBody(encoded, encoding, limits())).equals(body)).toBe(true)
    const short = encoded.subarray(0, encoded.length / 2)
    await expect(decodeBody(short, encoding, limits())).rejects.toBeInstanceOf(BadEncoding)
    await expect(decodeBody(encoded, encoding, limits({ most: MEBIBYTE }))).rejects.toBeInstanceOf(DecodedTooLarge)
  })

  test('stops when the time is over, or nobody wants it any more', async () => {
    const clock = manualClock()
    const most = 4096 * MEBIBYTE
    const late = decodeBody(bomb, 'gzip', limits({ clock, most }))
    const stop = new AbortController()
    const unwanted = decodeBody(bomb, 'gzip', limits({ clock, most, signal: stop.signal, deadline: Infinity }))
    const before = process.memoryUsage().arrayBuffers
    const cut = [late, unwanted].map((decoding) => expect(decoding).rejects.toBeInstanceOf(DecodingCut))
    stop.abort()
    void clock.advance(1000)
    await Promise.all(cut)
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(process.memoryUsage().arrayBuffers - before, 'nothing goes on behind').toBeLessThan(64 * MEBIBYTE)
    expect(clock.pending).toBe(0)
    await expect(decodeBody(bomb, 'gzip', limits({ signal: stop.signal }))).rejects.toBeInstanceOf(DecodingCut)
  })
})

test('a page whose decoding takes longer than timeout ends as timeout, and its fetcher goes on', async () => {
  const site = await website({
    routes: { '/bomb': (_asked, response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb) },
  })
  onTestFinished(() => site.close())
  await using fetcher = localFetcher({ bodyLimit: { decoded: 4096 * MEBIBYTE } })
  const asked = request('page', `${site.url}/bomb`, { timeout: '300ms' })
  expect(errorOf(await fetcher.fetch(asked))).toMatchObject({ code: 'timeout', status: 200, permanent: false })
  const stop = new AbortController()
  const cancelled = fetcher.fetch(request('page', `${site.url}/bomb`), { signal: stop.signal })
  setTimeout(() => stop.abort(new Error('left')), 100)
  await expect(cancelled).rejects.toThrow('left')
  expect(await fetcher.fetch(request('page', `${site.url}/book/1`))).toMatchObject({ kind: 'page' })
})
