import { randomBytes } from 'node:crypto'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, onTestFinished, test } from 'vitest'
import { BadEncoding, decodeBody, DecodedTooLarge, DecodingCut } from '../../src/crawl/decoding.ts'
import { request } from '../../src/crawl/request.ts'
import { website } from '../../src/testing/website.ts'
import { errorOf, localFetcher } from './fetching.ts'

const MEBIBYTE = 1024 * 1024
const body = Buffer.concat([randomBytes(MEBIBYTE), Buffer.alloc(MEBIBYTE, 'x')])
/** A gibibyte of zeros in a mebibyte: a file of many parts, as gzip allows. */
const bomb = Buffer.concat(Array.from({ length: 64 }, () => gzipSync(Buffer.alloc(16 * MEBIBYTE))))

const most = 4 * MEBIBYTE
const goOn = (): void => {}
const decode = async (...given: Parameters<typeof decodeBody>): Promise<Buffer> => decodeBody(...given)

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
    expect((await decode(encoded, encoding, most, goOn)).equals(body)).toBe(true)
    const short = encoded.subarray(0, encoded.length / 2)
    await expect(decode(short, encoding, most, goOn)).rejects.toBeInstanceOf(BadEncoding)
    await expect(decode(encoded, encoding, MEBIBYTE, goOn)).rejects.toBeInstanceOf(DecodedTooLarge)
  })

  test.each([0, 20])('stops when it is told to, after %i ms', async (ms) => {
    const before = process.memoryUsage().arrayBuffers
    const decoding = decode(bomb, 'gzip', 4096 * MEBIBYTE, (cut) => (ms === 0 ? cut() : void setTimeout(cut, ms)))
    await expect(decoding).rejects.toBeInstanceOf(DecodingCut)
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(process.memoryUsage().arrayBuffers - before, 'nothing goes on behind').toBeLessThan(256 * MEBIBYTE)
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
