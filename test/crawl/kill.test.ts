import { randomInt } from 'node:crypto'
import { copyFileSync, existsSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import type { CrawlStats } from 'rootcatch/crawl'
import { website, type Website } from 'rootcatch/testing'
import { startChild, type TalkingChild } from '../support/child-lines.ts'
import { seeded } from '../support/seeded.ts'
import { newFiles } from '../support/sqlite-store.ts'

const newFile = newFiles()
const CHILD = fileURLToPath(import.meta.resolve('../support/crawl-child.ts'))
const [BOOKS, PER_PAGE, KILLS] = [4_900, 49, 10]
const LISTS = BOOKS / PER_PAGE
const PAGES = BOOKS + LISTS
/** How `State` numbers what is over in the file. */
const DONE = 4

const seed = Number(process.env['ROOTCATCH_SEED'] ?? randomInt(2 ** 31))

test(
  `a crawl of 5 000 pages that is killed at ten random moments goes on where it was: nothing is missing, and only what was in flight is fetched again (seed ${seed})`,
  { timeout: 180_000 },
  async () => {
    const random = seeded(seed)
    await using site = await website({ books: BOOKS, perPage: PER_PAGE })
    const [store, jsonl, copy] = [newFile(), newFile(), newFile()]
    const read = new Set<string>()
    /** What one life fetched. */
    const live = async (end: (child: TalkingChild) => Promise<void>): Promise<readonly string[]> => {
      const from = site.requests.length
      const child = startChild(CHILD, [site.url, store, jsonl])
      await end(child)
      for (const line of child.lines) if (line.startsWith('item ')) read.add(line.slice(5))
      return pagesFrom(site, from)
    }

    let done: ReadonlySet<string> = new Set()
    const inFlight: number[] = []
    const points = Array.from({ length: KILLS }, () => Math.floor(random() * PAGES * 0.95)).toSorted((a, b) => a - b)
    for (const [index, point] of points.entries()) {
      const pages = Math.max(1, point - done.size)
      const moment = random()
      const hits = await live(async (child) => {
        let seen = 0
        // Most die in the middle of their work, some while they begin.
        if (index % 5 !== 4) await child.until((line) => line.startsWith('page ') && (seen += 1) === pages)
        await sleep(moment * (index % 5 === 4 ? 600 : 20))
        await child.kill()
      })
      expectNoneTwice(hits, done)
      done = pagesDone(store, copy)
      inFlight.push(hits.filter((page) => !done.has(page)).length)
    }
    let stats: CrawlStats | undefined
    const hits = await live(async (child) => {
      await child.until((line) => line.startsWith('done '))
      expect(await child.ended).toBe(0)
      stats = JSON.parse((child.lines.at(-1) as string).slice(5)) as CrawlStats
    })
    expectNoneTwice(hits, done)

    const fetched = pagesFrom(site, 0)
    expect(new Set(fetched).size).toBe(PAGES)
    expect(fetched.length - PAGES).toBeLessThanOrEqual(inFlight.reduce((sum, pages) => sum + pages, 0))
    expect(Math.max(...inFlight)).toBeGreaterThan(0)
    expect(Math.max(...inFlight)).toBeLessThanOrEqual(MOST_IN_FLIGHT)
    expect(read.size).toBe(BOOKS)
    expect(titlesIn(jsonl).size).toBe(BOOKS)
    expect(stats?.counters).toEqual({
      item: BOOKS,
      'network-ok': PAGES,
      'network-try': PAGES,
      page: PAGES,
      'page-book': BOOKS,
      'page-book-ok': BOOKS,
      'page-list': LISTS,
      'page-list-ok': LISTS,
      request: PAGES,
      'request-book': BOOKS,
      'request-list': LISTS,
    })
    expect(stats).toMatchObject({ ended: { ok: PAGES, error: 0, fallback: 0, failed: 0 }, queued: 0, running: 0 })
  },
)

test(
  'a crawl that dies every 100 pages buries none of the 1 000 that wait meanwhile',
  { timeout: 60_000 },
  async () => {
    await using site = await website({ books: 1_000, perPage: 1_000 })
    const [store, jsonl] = [newFile(), newFile()]
    for (let life = 1; life <= 6; life += 1) {
      const child = startChild(CHILD, [site.url, store, jsonl])
      let seen = 0
      await child.until((line) => line.startsWith('page ') && (seen += 1) === 100)
      await child.kill()
    }
    const last = startChild(CHILD, [site.url, store, jsonl])
    await last.until((line) => line.startsWith('done '))
    const { ended } = JSON.parse((last.lines.at(-1) as string).slice(5)) as CrawlStats
    expect(ended).toEqual({ ok: 1_001, error: 0, fallback: 0, failed: 0 })
    expect(titlesIn(jsonl).size).toBe(1_000)
  },
)

/** In one life, nothing twice, and nothing that an earlier one had finished. */
function expectNoneTwice(hits: readonly string[], done: ReadonlySet<string>): void {
  expect(hits.filter((page, at) => done.has(page) || hits.indexOf(page) !== at)).toEqual([])
}

/** Fetched at once of one host, and those whose items are on their way to their reader and whose step to the file. */
const MOST_IN_FLIGHT = 64

const pagesFrom = (site: Website, from: number): string[] =>
  site.requests
    .slice(from)
    .map(({ path }) => path)
    .filter((path) => path !== '/robots.txt')

/** By a copy, so that the crawl itself is who finds the file as the kill left it. */
function pagesDone(store: string, copy: string): ReadonlySet<string> {
  for (const end of ['', '-wal']) if (existsSync(store + end)) copyFileSync(store + end, copy + end)
  if (!existsSync(copy)) return new Set()
  const db = new DatabaseSync(copy)
  try {
    expect(db.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
    const isNew = db.prepare(`SELECT count(*) AS n FROM sqlite_master WHERE name = 'jobs'`).get()?.['n'] === 0
    if (isNew) return new Set()
    const rows = db.prepare(`SELECT input FROM jobs WHERE state = ${DONE}`).all() as { input: string }[]
    return new Set(rows.map(({ input }) => new URL((JSON.parse(input) as { url: string }).url).pathname))
  } finally {
    db.close()
  }
}

function titlesIn(jsonl: string): ReadonlySet<string> {
  const lines = readFileSync(jsonl, 'utf8').trimEnd().split('\n')
  return new Set(lines.map((line) => (JSON.parse(line) as { title: string }).title))
}
