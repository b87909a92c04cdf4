// A crawl of a shop on a store that outlives it: `node crawl-child.ts <site> <store> <jsonl>`. Says each page it has
// handled and each item it has read, and then what the crawl came to.
import { writeSync } from 'node:fs'
import { exponential, start, supervisor } from 'rootcatch'
import { request, spider } from 'rootcatch/crawl'
import { sqlite } from 'rootcatch/sqlite'

const [site = '', store = '', jsonl = ''] = process.argv.slice(2)
const say = (line: string): void => void writeSync(1, `${line}\n`)

const books = spider('books', {
  start: [request('list', `${site}/shop/1`)],
  allowPrivate: ['127.0.0.1'],
  backoff: exponential({ from: 0, to: 0 }),
  jsonl,
})
books.on('list', function* ({ links, request: page }) {
  say(`page ${page.url}`)
  for (const url of links('h3 a')) yield page.follow('book', url)
  for (const url of links('a[rel=next]')) yield page.follow('list', url)
})
books.on('book', ({ $, emit, request: page }) => {
  say(`page ${page.url}`)
  emit({ title: $('h1').text() })
})
const system = await start(supervisor('app', [books]), { broker: sqlite(store) })
const crawl = system.run(books)
for await (const item of crawl) say(`item ${(item as { title: string }).title}`)
await crawl
say(`done ${JSON.stringify(crawl.stats())}`)
await system.stop()
