import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { manualClock, website, type ManualClock } from 'rootcatch/testing'
import { Progress } from '../../src/crawl/progress.ts'
import type { CrawlStats } from '../../src/crawl/stats.ts'
import { run } from '../support/child.ts'

const CHILD = fileURLToPath(import.meta.resolve('../support/progress-child.ts'))
const SCRIPT = '/usr/bin/script'
const ERASE = '\r\u001b[K'

interface Shown {
  readonly clock: ManualClock
  readonly writes: string[]
  readonly crawl: { pages: number; open: number; isSeeded: boolean }
  readonly progress: Progress
}

/** A crawl of which only the numbers are there, and a stream that is a terminal if it has columns. */
function shown(columns?: number): Shown {
  const writes: string[] = []
  const stream = {
    columns,
    isTTY: columns !== undefined,
    write: (text: string) => {
      writes.push(text)
      return true
    },
  } as unknown as NodeJS.WriteStream
  const crawl = { pages: 0, open: 0, isSeeded: false }
  const clock = manualClock()
  const stats = (): CrawlStats => ({
    spider: 'books',
    state: 'crawling',
    elapsed: clock.now(),
    counters: { page: crawl.pages },
    lists: {},
    ended: { ok: crawl.pages, error: 0, fallback: 0, failed: 0 },
    download: { wire: 0, decoded: 0 },
    queued: crawl.open,
    running: 0,
  })
  const about = { stats, get isSeeded() { return crawl.isSeeded } } // prettier-ignore
  return { clock, writes, crawl, progress: new Progress(about, clock, stream) }
}

describe('progress of a crawl', () => {
  test('is one line on a terminal, drawn at most ten times a second, and taken away at the end', async () => {
    const { clock, writes, crawl, progress } = shown(100)
    for (let step = 0; step < 40; step += 1) {
      crawl.pages += 1
      await clock.advance(50)
    }
    expect(writes.length).toBeLessThanOrEqual(20)
    expect(writes.length).toBeGreaterThan(15)
    expect(writes.at(-1)).toBe(`${ERASE}books  40 pages  20.0/s  0 running  0 queued  0 retries  0:00:02`)
    expect(writes.every((text) => text.startsWith(ERASE) && !text.includes('\n'))).toBe(true)
    progress.end()
    expect(writes.at(-1)).toBe(ERASE)
    expect(clock.pending).toBe(0)
  })

  test('is a line every 10 s elsewhere, and a last one', async () => {
    const { clock, writes, crawl, progress } = shown()
    crawl.pages = 7
    await clock.advance('25s')
    expect(writes.map((text) => text.split('  ')[5])).toEqual(['0 retries', '0 retries'])
    progress.end()
    expect(writes).toHaveLength(3)
    expect(writes.every((text) => /^books {2}7 pages .* 0:00:\d\d\n$/.test(text))).toBe(true)
    expect(clock.pending).toBe(0)
  })

  test('has an ETA once all of start was read and the queue shrinks, and only then', async () => {
    const { clock, writes, crawl } = shown(120)
    const go = async (seconds: number, pages: number, found: number): Promise<string> => {
      for (let step = 0; step < seconds * 10; step += 1) {
        crawl.pages += pages / 10
        crawl.open += (found - pages) / 10
        await clock.advance(100)
      }
      return writes.at(-1) ?? ''
    }
    crawl.open = 1000
    expect(await go(6, 10, 0), 'more of start may come').not.toContain('ETA')
    crawl.isSeeded = true
    expect(await go(6, 10, 0)).toMatch(/ {2}0:00:12 {2}ETA 0:01:28$/)
    expect(await go(8, 10, 20), 'it grows').not.toContain('ETA')
  })

  test('leaves the ETA out where it would be cut', async () => {
    const { clock, writes, crawl } = shown(75)
    Object.assign(crawl, { isSeeded: true, open: 1000 })
    for (let step = 0; step < 30; step += 1) {
      crawl.pages += 1
      crawl.open -= 1
      await clock.advance(100)
    }
    expect(writes.at(-1)).toMatch(/0:00:03$/)
  })
})

describe('a crawl with progress: true', () => {
  test('writes plain lines on stderr where that is no terminal', async () => {
    await using site = await website()
    const { stdout, stderr } = await run(process.execPath, [CHILD, site.url])
    expect(stdout).toMatch(/^(?:out \d end\n){8}over\n$/)
    expect(stderr).toMatch(
      /^(?:err \d end\n){8}pages {2}8 pages {2}[\d.]+\/s {2}0 running {2}0 queued {2}0 retries {2}0:00:0\d\n$/,
    )
  })

  test.skipIf(!existsSync(SCRIPT))('keeps one line below all that is written to a terminal', async () => {
    await using site = await website()
    const command = `stty cols 120; ${process.execPath} ${CHILD} ${site.url}`
    const { stdout } = await run(SCRIPT, ['-qec', command, '/dev/null'])
    const drawn = stdout.split(ERASE)
    expect(drawn.filter((text) => text.startsWith('pages  ')).length).toBeGreaterThan(8)
    expect(drawn.some((text) => /ETA 0:00:0\d$/.test(text))).toBe(true)
    const lines = onScreen(stdout)
    expect(lines.filter((line) => /^(?:out|err) \d end$/.test(line))).toHaveLength(16)
    expect(lines.at(-1)).toBe('over')
    expect(lines.some((line) => line.includes('running'))).toBe(false)
  })
})

/** What a terminal shows in the end: each line from where it was last erased. */
function onScreen(output: string): readonly string[] {
  const lines = output.split('\n').map((line) => line.slice(line.lastIndexOf(ERASE) + 1))
  return lines.map((line) => line.replace('\u001b[K', '').replaceAll('\r', '')).filter((line) => line !== '')
}
