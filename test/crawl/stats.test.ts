import { describe, expect, test } from 'vitest'
import { progressText } from '../../src/crawl/progress.ts'
import { clockTime, Numbers, renderStats, Tally, type CrawlStats } from '../../src/crawl/stats.ts'

const stats: CrawlStats = {
  spider: 'books',
  state: 'done',
  elapsed: 14_200,
  counters: {
    request: 219,
    'bad-url': 1,
    duplicate: 31,
    fallback: 2,
    'fallback-book': 2,
    'handler-error-TypeError': 1,
    item: 206,
    'network-error': 25,
    'network-error-http-503': 20,
    'network-error-timeout': 5,
    'network-ok': 219,
    'network-try': 244,
    page: 219,
    'page-book': 209,
    'page-book-error': 1,
    'page-book-ok': 206,
    'page-list': 10,
    'page-list-ok': 10,
    'request-book': 209,
    'request-list': 10,
    'retry-network': 23,
    'retry-task': 2,
    throttled: 4,
  },
  lists: { 'bad-url': ['x'], 'handler-error': ['y'], 'network-try-limit': ['a', 'b'], 'blocked-address': [] },
  ended: { ok: 216, error: 1, fallback: 2, failed: 0 },
  download: { wire: 4_100_000, decoded: 11_900_000 },
  queued: 0,
  running: 0,
}

describe('renderStats()', () => {
  test('writes counters by name, lists by size, no zeros, exactly so', () => {
    expect(renderStats(stats)).toBe(`Spider "books": done in 0:00:14

Counters:
  bad-url: 1
  duplicate: 31
  fallback: 2
  fallback-book: 2
  handler-error-TypeError: 1
  item: 206
  network-error: 25
  network-error-http-503: 20
  network-error-timeout: 5
  network-ok: 219
  network-try: 244
  page: 219
  page-book: 209
  page-book-error: 1
  page-book-ok: 206
  page-list: 10
  page-list-ok: 10
  request: 219
  request-book: 209
  request-list: 10
  retry-network: 23
  retry-task: 2
  throttled: 4

Lists:
  network-try-limit: 2
  bad-url: 1
  handler-error: 1

Network download: 4.1 MB (11.9 MB decoded)
Queue size: 0
Running: 0`)
  })

  test.each([
    [0, '0:00:00'],
    [999, '0:00:00'],
    [61_000, '0:01:01'],
    [3_600_000 * 26, '26:00:00'],
  ])('writes %i ms as %s', (ms, text) => expect(clockTime(ms)).toBe(text))
})

test('the progress line tells pages, speed, what runs and waits, retries and time', () => {
  const running = { ...stats, counters: { page: 213, 'retry-network': 12, 'retry-task': 2 }, running: 16, queued: 482 }
  const at = { ...running, ended: { ok: 210, error: 0, fallback: 3, failed: 0 }, elapsed: 12_345 }
  const line = 'books  213 pages  17.4/s  16 running  482 queued  14 retries  0:00:12'
  expect(progressText(at, { pages: 17.38 })).toBe(line)
  expect(progressText(at, { pages: 17.38, left: 28_900 })).toBe(`${line}  ETA 0:00:28`)
  expect(progressText({ ...at, ended: { ok: 208, error: 1, fallback: 2, failed: 2 } }, { pages: 17.38 })).toBe(
    line.replace('retries', 'retries  3 failed'),
  )
})

describe('the numbers of a crawl', () => {
  test('keep the last 200 lines of a list', () => {
    const numbers = new Numbers()
    const tally = new Tally()
    for (let line = 0; line < 250; line += 1) tally.line('bad-url', `line ${line}`)
    numbers.take(tally)
    const kept = numbers.read().lists['bad-url'] ?? []
    expect([kept.length, kept[0], kept.at(-1)]).toEqual([200, 'line 50', 'line 249'])
    numbers.take(tally)
    expect(numbers.read().lists['bad-url']).toHaveLength(200)
  })

  test('are the same again from what was stored', () => {
    const numbers = new Numbers()
    numbers.add('request', 3)
    numbers.end('ok')
    numbers.line('bad-url', 'x')
    numbers.seeds = 7
    const again = new Numbers()
    again.restore(JSON.parse(JSON.stringify(numbers)), numbers.listsJSON())
    expect(again.read()).toEqual(numbers.read())
    expect([again.seeds, again.open]).toEqual([7, 2])
  })

  test.each([
    ['fewer wait than were counted: the others were duplicates', 1, { request: 2, duplicate: 1 }],
    ['as many wait', 2, { request: 3 }],
    ['more wait: a dead letter was queued again', 3, { request: 4 }],
  ])('add up after a crash where %s', (_, open, counters) => {
    const numbers = new Numbers()
    numbers.add('request', 3)
    numbers.end('ok')
    numbers.reconcile(open)
    expect(numbers.read().counters).toEqual(counters)
    expect(numbers.open).toBe(open)
  })
})
