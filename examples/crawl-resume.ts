/** A crawl on a durable broker goes on where it was stopped: nothing that was done is fetched again. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { start } from 'rootcatch'
import { request, spider, type Spider } from 'rootcatch/crawl'
import { sqlite } from 'rootcatch/sqlite'
import { website } from 'rootcatch/testing'

await using site = await website({ books: 20, perPage: 20 })
const folder = mkdtempSync(join(tmpdir(), 'crawl-'))
const file = join(folder, 'crawl.db')

function makeSpider(onBook: () => void): Spider {
  const books = spider('books', {
    start: [request('list', `${site.url}/shop/1`)],
    concurrency: 1,
    allowPrivate: ['127.0.0.1'],
  })
  books.on('list', function* ({ links, request }) {
    for (const url of links('h3 a')) yield request.follow('book', url)
  })
  books.on('book', ({ $, emit }) => {
    emit({ title: $('h1').text() })
    onBook()
  })
  return books
}

let seen = 0
const halfway = Promise.withResolvers<void>()
const first = makeSpider(() => (seen += 1) === 10 && halfway.resolve())
const before = await start(first, { broker: sqlite(file) })
before.run(first)
await halfway.promise
await before.stop() // as well as `kill -9`, which loses nothing but what was in flight

const second = makeSpider(() => {})
await using system = await start(second, { broker: sqlite(file) })
const { items } = await system.run(second)
const pages = site.requests.filter(({ path }) => path.startsWith('/book/')).map(({ path }) => path)
console.log(`${items} items, ${pages.length} pages fetched, ${new Set(pages).size} of them different`)
rmSync(folder, { recursive: true })

// prints:
// 20 items, 20 pages fetched, 20 of them different
