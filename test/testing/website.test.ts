import { connect } from 'node:net'
import { gunzipSync } from 'node:zlib'
import { describe, expect, onTestFinished, test } from 'vitest'
import { website, type Website } from '../../src/testing/website.ts'

const open = async (...options: Parameters<typeof website>): Promise<Website> => {
  const site = await website(...options)
  onTestFinished(() => site.close())
  return site
}
const text = async (url: string, init?: RequestInit): Promise<string> => (await fetch(url, init)).text()

describe('website()', () => {
  test('has a shop: lists lead to the next list and to books, each once', async () => {
    const site = await open({ books: 5, perPage: 2 })
    const seen: string[] = []
    let next: string | undefined = '/shop/1'
    while (next !== undefined) {
      const page: string = await text(site.url + next)
      seen.push(...[...page.matchAll(/href="(\/book\/\d+)"/g)].map(([, path = '']) => path))
      next = /rel="next" href="([^"]+)"/.exec(page)?.[1]
    }
    expect(seen).toEqual([1, 2, 3, 4, 5].map((number) => `/book/${number}`))
    expect(await text(`${site.url}/book/5`)).toContain('<h1>Book 5</h1>')
    expect((await fetch(`${site.url}/book/6`)).status).toBe(404)
    expect((await fetch(`${site.url}/shop/4`)).status).toBe(404)
  })

  test('lists its corners at its start, and each of them is there', async () => {
    const site = await open()
    const corners = [...(await text(site.url)).matchAll(/href="([^"]+)"/g)].map(([, path = '']) => path)
    expect(corners.length).toBeGreaterThan(5)
    for (const corner of corners) {
      const answer = await fetch(site.url + corner, { redirect: 'manual' })
      expect([corner, answer.status]).not.toEqual([corner, 404])
      await answer.body?.cancel()
    }
  })

  test('writes down what it was asked for', async () => {
    const site = await open()
    await text(`${site.url}/login?a=b`, { method: 'POST', body: 'user=x', headers: { 'x-one': '1' } })
    await text(`${site.url}/login`)
    expect(site.requests).toHaveLength(2)
    expect(site.requests[0]).toMatchObject({
      method: 'POST',
      path: '/login?a=b',
      body: 'user=x',
      headers: { 'x-one': '1' },
    })
    expect(site.count('/login')).toBe(2)
    expect(site.count('/nowhere')).toBe(0)
  })

  test('takes pages of your own, a robots.txt of your own, and refuses what it does not know', async () => {
    const site = await open({
      routes: { '/a': '<p>mine', '/b': (_request, response) => response.writeHead(418).end() },
      robots: 'User-agent: *\nDisallow: /',
    })
    expect(await text(`${site.url}/a`)).toBe('<p>mine')
    expect((await fetch(`${site.url}/b`)).status).toBe(418)
    expect(await text(`${site.url}/robots.txt`)).toContain('Disallow: /')
    await expect(website({ boks: 3 } as object)).rejects.toThrow('Did you mean "books"?')
    await expect(website({ routes: { a: '' } })).rejects.toThrow(`Begin a path with '/'.`)
  })

  test('closes at once, with all that is still going on', async () => {
    const site = await website()
    const going = fetch(`${site.url}/drip/5`).then((answer) => answer.text())
    const socket = connect(Number(new URL(site.url).port), '127.0.0.1')
    socket.on('error', () => {})
    const closed = new Promise((resolve) => socket.on('close', resolve))
    await new Promise((resolve) => socket.on('connect', resolve))
    await site.close()
    await expect(going).rejects.toThrow(/terminated|fetch failed/)
    await closed
  })
})

describe('a corner', () => {
  test('shows a captcha always, or the first times', async () => {
    const site = await open()
    for (let count = 0; count < 3; count += 1) expect(await text(`${site.url}/captcha`)).toContain('class="captcha"')
    const pages = [
      await text(`${site.url}/captcha/2`),
      await text(`${site.url}/captcha/2`),
      await text(`${site.url}/captcha/2`),
    ]
    expect(pages.map((page) => page.includes('captcha'))).toEqual([true, true, false])
  })

  test('fails, or throttles, the first times', async () => {
    const site = await open()
    const statuses = async (path: string, times: number): Promise<number[]> => {
      const all: number[] = []
      for (let count = 0; count < times; count += 1) all.push((await fetch(site.url + path)).status)
      return all
    }
    expect(await statuses('/flaky/2?status=500', 3)).toEqual([500, 500, 200])
    expect(await statuses('/throttle/1?after=3', 2)).toEqual([429, 200])
    expect((await fetch(`${site.url}/throttle/9?after=3`)).headers.get('retry-after')).toBe('3')
    await expect(fetch(`${site.url}/reset`)).rejects.toThrow(/terminated|fetch failed/)
    await expect(text(`${site.url}/truncated`)).rejects.toThrow(/terminated|fetch failed/)
    await expect(fetch(`${site.url}/garbage`)).rejects.toThrow(/terminated|fetch failed/)
    await expect(text(`${site.url}/bad-encoding/gzip`)).rejects.toThrow(/terminated|fetch failed/)
  })

  test('lets in who has signed in', async () => {
    const site = await open()
    const login = (password: string): Promise<Response> =>
      fetch(`${site.url}/login`, {
        method: 'POST',
        body: new URLSearchParams({ user: 'reader', password }),
        redirect: 'manual',
      })
    expect((await login('wrong')).status).toBe(403)
    const cookie = (await login('secret')).headers.get('set-cookie')?.split(';')[0] ?? ''
    expect(await text(`${site.url}/account`, { headers: { cookie } })).toContain('Your account')
    expect((await fetch(`${site.url}/account`, { redirect: 'manual' })).headers.get('location')).toBe('/login')
  })

  test('is large, nested, or a bomb, as large as its number says', async () => {
    const site = await open()
    expect(await text(`${site.url}/large/100001`)).toHaveLength(100_001)
    expect(await text(`${site.url}/nested/10`)).toBe('<div>'.repeat(10))
    const bomb = await new Promise<Buffer>((resolve) => {
      const chunks: Buffer[] = []
      const socket = connect(Number(new URL(site.url).port), '127.0.0.1', () =>
        socket.write('GET /bomb/3 HTTP/1.0\r\n\r\n'),
      )
      socket.on('data', (chunk) => chunks.push(chunk)).on('end', () => resolve(Buffer.concat(chunks)))
    })
    const body = bomb.subarray(bomb.indexOf('\r\n\r\n') + 4)
    expect(body.length).toBeLessThan(10_000)
    expect(gunzipSync(body)).toHaveLength(3 * 1024 * 1024)
  })
})
