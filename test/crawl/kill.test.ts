import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { website } from 'rootcatch/testing'
import { startChild } from '../support/child-lines.ts'
import { newFiles } from '../support/sqlite-store.ts'

const newFile = newFiles()
const CHILD = fileURLToPath(import.meta.resolve('../support/crawl-child.ts'))

test(
  'a crawl that is killed at any moment goes on where it was: all items are there, and no page that was settled is fetched again',
  { timeout: 120_000 },
  async () => {
    const books = 300
    await using site = await website({ books, perPage: 10 })
    const [store, jsonl] = [newFile(), newFile()]
    const items = new Set<string>()
    const read = (lines: readonly string[]): readonly string[] =>
      lines.filter((line) => line.startsWith('item ')).map((line) => line.slice(5))
    for (const after of [3, 25, 60, 90]) {
      const child = startChild(CHILD, [site.url, store, jsonl])
      let seen = 0
      await child.until((line) => line.startsWith('page ') && (seen += 1) === after)
      await child.kill()
      for (const item of read(child.lines)) items.add(item)
    }
    const fetchedBefore = site.requests.length
    const child = startChild(CHILD, [site.url, store, jsonl])
    await child.until((line) => line.startsWith('done '))
    expect(await child.ended).toBe(0)
    for (const item of read(child.lines)) items.add(item)
    expect(items.size).toBe(books)
    const titles = readFileSync(jsonl, 'utf8').trimEnd().split('\n')
    expect(new Set(titles.map((line) => (JSON.parse(line) as { title: string }).title)).size).toBe(books)
    const lists = books / 10
    const done = child.lines.at(-1) as string
    expect(done).toBe(`done ${books + lists} ${books} {"ok":${books + lists},"error":0,"fallback":0,"failed":0} 0`)
    const counts = new Map<string, number>()
    for (const { path } of site.requests) counts.set(path, (counts.get(path) ?? 0) + 1)
    const again = [...counts].filter(([path, count]) => count > 1 && path !== '/robots.txt')
    // Only what was in flight when the process died: at most the slots, and what was held, each time.
    const mostInFlight = 4 * 40
    expect(again.reduce((sum, [, count]) => sum + count - 1, 0)).toBeLessThanOrEqual(mostInFlight)
    expect(fetchedBefore).toBeGreaterThan(100)
  },
)
