import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
import { startChild, type TalkingChild } from '../support/child-lines.ts'
import { redisMissing, sharedRedis } from '../support/redis.ts'
import { newFiles } from '../support/sqlite-store.ts'

const CHILD = fileURLToPath(import.meta.resolve('../support/fleet-crawl-child.ts'))

const newFile = newFiles()
const open: (() => unknown)[] = []

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

interface CountingSite {
  readonly url: string
  /** How often each path was asked for. */
  readonly counts: Map<string, number>
  /** When requests began. */
  readonly times: number[]
  /** The most that were under way at once. */
  most: number
}

/** A list of so many pages that counts who asks for what at the same time. */
async function countingSite(
  pages: number,
  {
    latency = 15,
    answer,
  }: { readonly latency?: number; answer?(path: string, response: ServerResponse): boolean } = {},
): Promise<CountingSite> {
  const counts = new Map<string, number>()
  const times: number[] = []
  let running = 0
  const links = Array.from({ length: pages }, (_, at) => `<a href="/book/${at}">${at}</a>`).join('')
  const server = createServer(({ url: path = '' }: IncomingMessage, response) => {
    counts.set(path, (counts.get(path) ?? 0) + 1)
    times.push(performance.now())
    running += 1
    site.most = Math.max(site.most, running)
    response.on('close', () => (running -= 1))
    if (answer?.(path, response) === true) return
    setTimeout(
      () => response.setHeader('content-type', 'text/html').end(path === '/' ? links : `<h1>${path}</h1>`),
      latency,
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  const site: CountingSite = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    counts,
    times,
    most: 0,
  }
  return site
}

function startFleet(args: readonly string[]): TalkingChild {
  const child = startChild(CHILD, args)
  open.push(() => child.kill())
  return child
}

interface Done {
  readonly reason: string
  readonly requests: number
  readonly items: number
  readonly queued: number
  readonly counters: Readonly<Record<string, number>>
  readonly ended: Readonly<Record<string, number>>
}

async function doneOf(child: TalkingChild): Promise<Done> {
  await child.until((line) => line.startsWith('done '))
  return JSON.parse((child.lines.find((line) => line.startsWith('done ')) as string).slice(5)) as Done
}

const said = (child: TalkingChild, what: string): readonly string[] =>
  child.lines.filter((line) => line.startsWith(`${what} `)).map((line) => line.slice(what.length + 1))

const books = (count: number): readonly string[] => Array.from({ length: count }, (_, at) => `/book/${at}`)

/** Three processes that crawl one site: the first of them is asked. */
async function startThree(
  store: readonly string[],
  site: CountingSite,
  options: object,
  { role = 'read', jsonl = [] }: { readonly role?: string; readonly jsonl?: readonly string[] } = {},
): Promise<readonly [TalkingChild, TalkingChild, TalkingChild]> {
  const begin = (nth: number, how: string): TalkingChild =>
    startFleet([...store, site.url, how, JSON.stringify(options), jsonl[nth] ?? ''])
  const helpers = [begin(1, 'help'), begin(2, 'help')] as const
  for (const helper of helpers) await helper.until((line) => line === 'up')
  return [begin(0, role), ...helpers]
}

function describeFleet(name: string, newStore: () => readonly string[]): void {
  describe(`a crawl of three processes on ${name}`, () => {
    test('fetches each page once, asks the host by all together no more than it bears, and gives all items to who asked', async () => {
      const site = await countingSite(120, { latency: 50 })
      const [asked, ...helpers] = await startThree(newStore(), site, { perHost: { concurrency: 4 }, concurrency: 16 })
      const done = await doneOf(asked)
      expect(done).toMatchObject({ reason: 'finished', requests: 121, items: 120, queued: 0, ended: { ok: 121 } })
      expect(done.counters).toMatchObject({ request: 121, page: 121, 'network-ok': 121, item: 120 })
      expect([...site.counts.values()].filter((count) => count !== 1)).toEqual([])
      expect(site.counts.size).toBe(121)
      expect(site.most).toBeLessThanOrEqual(4)
      expect([...said(asked, 'item')].sort()).toEqual([...books(120)].sort())
      for (const helper of helpers) expect(said(helper, 'page').length).toBeGreaterThan(0)
    })

    test('keeps the delay of a host between any two requests', async () => {
      const site = await countingSite(30, { latency: 5 })
      const [asked] = await startThree(newStore(), site, { perHost: { delay: 60 } })
      await doneOf(asked)
      expect(site.times).toHaveLength(31)
      // What a request takes from its turn to the site differs, on a busy machine by some delays.
      const spans = site.times.slice(10).map((time, at) => time - (site.times[at] as number))
      expect(Math.min(...spans)).toBeGreaterThan(8 * 60)
      expect((site.times.at(-1) as number) - (site.times[0] as number)).toBeGreaterThan(29 * 60)
    })

    test('asks for robots.txt once, and no process fetches what it denies; what is denied takes no place', async () => {
      const rules = 'User-agent: *\nDisallow: /book/1\n'
      const site = await countingSite(40, {
        answer: (path, response) => {
          if (path === '/robots.txt') response.setHeader('content-type', 'text/plain').end(rules)
          return path === '/robots.txt'
        },
      })
      const [asked] = await startThree(newStore(), site, { robots: true, maxRequests: 40, perHost: { concurrency: 3 } })
      const done = await doneOf(asked)
      expect(done).toMatchObject({ ended: { ok: done.requests }, counters: { robots: 11 } })
      expect(site.counts.get('/robots.txt')).toBe(1)
      expect([...site.counts.keys()].filter((path) => path.startsWith('/book/1'))).toEqual([])
      expect(site.counts.get('/book/2')).toBe(1)
    })

    test('accepts no more than maxRequests', async () => {
      const site = await countingSite(100, { latency: 5 })
      const [asked] = await startThree(newStore(), site, { maxRequests: 40 })
      expect(await doneOf(asked)).toMatchObject({ reason: 'maxRequests', requests: 40, items: 39 })
      expect(site.counts.size).toBe(40)
    })

    test('gives exactly maxItems', async () => {
      const site = await countingSite(100, { latency: 50 })
      const [asked] = await startThree(newStore(), site, { maxItems: 33, perHost: { concurrency: 6 } })
      expect(await doneOf(asked)).toMatchObject({ reason: 'maxItems', items: 33 })
      expect(said(asked, 'item')).toHaveLength(33)
      expect(site.counts.size).toBeLessThan(60) // those that ran finish
    })

    test('leaves a host alone in all processes that asked one of them for patience', async () => {
      let throttledAt = 0
      let early = 0
      const site = await countingSite(60, {
        latency: 100,
        answer: (path, response) => {
          if (throttledAt > 0 && performance.now() - throttledAt < 950) early += 1
          if (throttledAt > 0 || path !== '/book/20') return false
          throttledAt = performance.now()
          response.writeHead(429, { 'retry-after': '1' }).end()
          return true
        },
      })
      const [asked] = await startThree(newStore(), site, { perHost: { concurrency: 3 } })
      expect(await doneOf(asked)).toMatchObject({ requests: 61, items: 60, counters: { throttled: 1 } })
      expect(early).toBeLessThanOrEqual(4) // on their way, or begun before all know of it; 27 fit into that time
    })

    test.each([
      ['that helps', 1],
      ['that was asked', 0],
    ])('one of which %s is killed completes, and the items of all files are all items', async (_, nth) => {
      const site = await countingSite(150, { latency: 50 })
      const jsonl = [newFile(), newFile(), newFile()]
      const store = newStore()
      const fleet = await startThree(
        store,
        site,
        { perHost: { concurrency: 4 }, jsonl: undefined },
        { role: 'ask', jsonl },
      )
      const victim = fleet[nth] as TalkingChild
      for (const child of fleet) await child.until((line) => line.startsWith('page /book'))
      await victim.kill()
      const handled = (): number => new Set(fleet.flatMap((child) => said(child, 'page'))).size
      await expect.poll(handled, { timeout: 30_000 }).toBe(151)
      const [asked] = fleet
      const done = victim === asked ? undefined : await doneOf(asked)
      expect([undefined, 151]).toContain(done?.requests)
      expect([undefined, 151]).toContain(done?.ended['ok'])
      const items = (): ReadonlySet<string> =>
        new Set(
          jsonl.flatMap((file) =>
            readFileSync(file, 'utf8')
              .split('\n')
              .slice(0, -1)
              .map((line) => JSON.parse(line) as string),
          ),
        )
      await expect.poll(() => items().size).toBe(150)
      expect(site.most).toBeLessThanOrEqual(4 + 4) // those of a process that was killed are still answered
      const again = [...site.counts.values()].reduce((sum, count) => sum + count - 1, 0)
      expect(again).toBeLessThanOrEqual(4 + 4) // those it was fetching, and those it had fetched and not settled yet
    })
  })
}

describeFleet('one sqlite file', () => ['sqlite', newFile()])

describe.skipIf(redisMissing)(`on Redis${redisMissing === undefined ? '' : `: ${redisMissing}`}`, () => {
  const address = sharedRedis()
  let stores = 0
  describeFleet('Redis', () => {
    stores += 1
    return ['bullmq', JSON.stringify({ connection: { ...address() }, prefix: `fleet-${stores}` })]
  })
})
