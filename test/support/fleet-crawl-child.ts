// A process of a fleet that crawls one site: `node fleet-crawl-child.ts <broker> <where> <site> <ask | help> <options> <jsonl>`.
// Says when it is up, each page it handles, and, if it asks, each item it reads and what the crawl came to.
import { writeSync } from 'node:fs'
import { exponential, start, supervisor } from 'rootcatch'
import { bullmq } from 'rootcatch/bullmq'
import { request, spider, type SpiderOptions } from 'rootcatch/crawl'
import { sqlite } from 'rootcatch/sqlite'

const [kind = '', where = '', site = '', role = '', options = '{}', jsonl = ''] = process.argv.slice(2)
const say = (line: string): void => void writeSync(1, `${line}\n`)

const books = spider<string>('books', {
  start: [request('list', `${site}/`)],
  allowPrivate: ['127.0.0.1'],
  robots: false,
  backoff: exponential({ from: '20ms', to: '20ms' }),
  ...(jsonl !== '' && { jsonl }),
  ...(JSON.parse(options) as SpiderOptions),
})
books.on('list', function* ({ links, request: page }) {
  say(`page ${new URL(page.url).pathname}`)
  for (const url of links('a')) yield page.follow('book', url)
})
books.on('book', ({ emit, request: page }) => {
  const { pathname } = new URL(page.url)
  say(`page ${pathname}`)
  emit(pathname)
})

const broker =
  kind === 'sqlite'
    ? sqlite(where, { lease: '4s' })
    : bullmq({ ...(JSON.parse(where) as { connection: string }), lease: '4s' })
const system = await start(supervisor('app', [books]), { broker })
say('up')
if (role === 'help') process.on('SIGTERM', () => void system.stop())
else {
  const crawl = system.run(books)
  if (role === 'read') for await (const item of crawl) say(`item ${item}`)
  const { reason, requests, items } = await crawl
  const { counters, ended, queued } = crawl.stats()
  say(`done ${JSON.stringify({ reason, requests, items, counters, ended, queued })}`)
  await system.stop()
}
