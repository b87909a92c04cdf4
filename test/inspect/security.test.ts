import { spawnSync } from 'node:child_process'
import { start, supervisor, task } from 'rootcatch'
import { inspector } from 'rootcatch/inspect'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ask, enter, handleOf, inspected, upgrade } from '../support/inspecting.ts'

const root = supervisor('app', [task('one', () => 1)])
let world: Awaited<ReturnType<typeof inspected>>
let cookie: string

beforeAll(async () => {
  world = await inspected(root)
  cookie = await world.cookie()
})
afterAll(() => world.system.stop())

const own = (): Record<string, string> => ({ cookie, origin: world.url.origin })

describe('a link', () => {
  test('works once: a second use is 401, and its owner gets a new one, at most every 10 s', async () => {
    const links: string[] = []
    const other = await start(supervisor('b', [task('two', () => 1)]), {
      inspect: inspector({ port: 0, announce: (link) => links.push(link) }),
    })
    const [link = ''] = links
    expect((await ask(link)).status).toBe(303)
    expect((await ask(link)).status).toBe(401)
    expect((await ask(link)).status).toBe(401)
    expect(links).toHaveLength(2)
    expect((await ask(links[1] ?? '')).status).toBe(303)
    await other.stop()
  })

  test('is not used up by HEAD', async () => {
    const link = handleOf(world.system).link()
    expect((await ask(link, { method: 'HEAD' })).headers['set-cookie']).toBeUndefined()
    expect((await ask(link)).status).toBe(303)
  })

  test('gives a cookie that no script reads and no other site sends', async () => {
    const { headers } = await ask(handleOf(world.system).link())
    const given = headers['set-cookie']?.[0] ?? ''
    expect(given).toMatch(/^rootcatch-\d+=[\w-]{43}; HttpOnly; SameSite=Strict; Path=\/$/)
    expect(handleOf(world.system).link()).not.toContain(given.slice(given.indexOf('=') + 1, given.indexOf(';')))
  })

  test('is in no event and no url', async () => {
    const seen: unknown[] = []
    const announced: string[] = []
    const other = await start(supervisor('c', [task('three', () => 1)]), {
      inspect: inspector({ port: 0, announce: (link) => announced.push(link) }),
    })
    other.on('*', (event) => seen.push(event))
    await enter(other)
    await other.stop()
    const token = new URL(announced[0] ?? '').searchParams.get('token') ?? 'none'
    expect(JSON.stringify(seen)).not.toContain(token)
    expect(handleOf(other).url).not.toContain('token')
  })
})

describe('a request', () => {
  test.each([
    ['no cookie', '/', {}, 401],
    ['a wrong cookie', '/', { cookie: 'rootcatch-1=abc' }, 401],
    ['a foreign Host, as after DNS rebinding', '/', { host: 'evil.example' }, 421],
    ['the Host of another port', '/', { host: '127.0.0.1:1' }, 421],
    ['a foreign Origin', '/', { origin: 'http://evil.example' }, 403],
    ['the Origin of another port of this host', '/', { origin: 'http://127.0.0.1:1' }, 403],
    ['Origin null, as a sandboxed frame has it', '/', { origin: 'null' }, 403],
    ['Sec-Fetch-Site cross-site', '/', { 'sec-fetch-site': 'cross-site' }, 403],
    ['Sec-Fetch-Site same-site', '/', { 'sec-fetch-site': 'same-site' }, 403],
    ['no cookie, for what does not exist', '/nothing', {}, 404],
  ])('with %s is refused', async (_what, path, headers, status) => {
    const answer = await ask(new URL(path, world.url), { headers })
    expect(answer.status).toBe(status)
    expect(answer.headers['access-control-allow-origin']).toBeUndefined()
    expect(answer.text).not.toMatch(/rootcatch|\d+\.\d+|pid/i)
  })

  test.each([
    '/app/../package.json',
    '/app/..%2fpackage.json',
    '//etc/passwd',
    '/app/',
    '/in',
    '/do',
    '/app/%70age.css',
  ])('for %s is 404 also with a cookie', async (path) =>
    expect((await ask(world.url, { path, headers: own() })).status).toBe(404),
  )

  test.each(['PUT', 'DELETE', 'POST', 'OPTIONS'])('by %s is refused', async (method) => {
    const { status } = await ask(world.url, { method, headers: own() })
    expect(status).toBe(405)
  })

  test('is answered with headers that let nothing else in', async () => {
    const { status, headers } = await ask(world.url, { headers: own() })
    expect(status).toBe(200)
    expect(headers['content-security-policy']).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; worker-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types rootcatch",
    )
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
      'cross-origin-resource-policy': 'same-origin',
      'cross-origin-opener-policy': 'same-origin',
    })
  })

  test.each([
    '/',
    '/app/app.js',
    '/app/page.css',
    '/vendor/elk-worker.js',
    '/vendor/uplot.js',
    '/vendor/uplot.css',
    '/export',
  ])('for %s of the page is served with a cookie, and 401 without', async (path) => {
    expect((await ask(new URL(path, world.url), { headers: own() })).status).toBe(200)
    expect((await ask(new URL(path, world.url))).status).toBe(401)
  })
})

test('who guesses is slowed down after 20 tries in a minute, and who holds a cookie is not', async () => {
  const { system, url, cookie: newCookie } = await inspected(supervisor('e', [task('five', () => 1)]))
  const headers = { cookie: await newCookie() }
  const times: number[] = []
  for (let n = 0; n < 21; n += 1) {
    const begun = performance.now()
    expect((await ask(new URL(`/?token=guess-${n}`, url))).status).toBe(401)
    times.push(performance.now() - begun)
  }
  expect(Math.min(...times.slice(0, 20))).toBeLessThan(900)
  expect(times[20]).toBeGreaterThan(900)
  const begun = performance.now()
  expect((await ask(url, { headers })).status).toBe(200)
  expect(performance.now() - begun).toBeLessThan(900)
  await system.stop()
})

test('a process lives no longer because somebody could look on', () => {
  const script = `import { start, supervisor } from 'rootcatch'; import { inspector } from 'rootcatch/inspect'
    const system = await start(supervisor('app', []), { inspect: inspector({ port: 0 }) })
    console.log(system.inspector.url)`
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    timeout: 15_000,
  })
  expect([status, stdout]).toEqual([0, expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/\n$/)])
  expect(stderr).toMatch(/^rootcatch: inspector of app: http:\/\/127\.0\.0\.1:\d+\/\?token=[\w-]{43}\n$/)
})

describe('an upgrade', () => {
  test.each([
    ['own Origin and cookie', {}, 101],
    ['no Origin', { origin: undefined }, 403],
    ['a foreign Origin', { origin: 'http://evil.example' }, 403],
    ['the Origin of another port', { origin: 'http://127.0.0.1:1' }, 403],
    ['no cookie', { cookie: undefined }, 401],
    ['a foreign Host', { host: 'evil.example' }, 421],
  ])('with %s', async (_what, changed, status) => {
    const headers = Object.fromEntries(
      Object.entries({ ...own(), ...changed }).filter(([, value]) => value !== undefined),
    )
    expect(await upgrade(new URL('/live', world.url), headers as Record<string, string>)).toBe(status)
  })

  test.each(['/', '/in', '/nothing'])('of %s is 404', async (path) => {
    expect(await upgrade(new URL(path, world.url), own())).toBe(404)
  })

  test('by a ninth viewer is 503', async () => {
    const { system, url, cookie: newCookie } = await inspected(supervisor('d', [task('four', () => 1)]))
    const headers = { cookie: await newCookie(), origin: url.origin }
    const { WebSocket } = await import('ws')
    const sockets = Array.from({ length: 8 }, () => new WebSocket(`ws://${url.host}/live`, { headers }))
    await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('open', resolve))))
    expect(await upgrade(new URL('/live', url), headers)).toBe(503)
    for (const socket of sockets) socket.terminate()
    await system.stop()
  })
})
