/** A spider follows the lists of a shop to its books, and writes each book as a line of a file. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { start } from 'rootcatch'
import { request, spider } from 'rootcatch/crawl'
import { website } from 'rootcatch/testing'

await using site = await website({ books: 6, perPage: 3 }) // a shop of this machine, hence `allowPrivate`
const folder = mkdtempSync(join(tmpdir(), 'books-'))
const file = join(folder, 'books.jsonl')

const books = spider('books', {
  start: [request('list', `${site.url}/shop/1`)],
  concurrency: 4,
  jsonl: file,
  allowPrivate: ['127.0.0.1'],
})
books.on('list', function* ({ links, request }) {
  for (const url of links('h3 a')) yield request.follow('book', url)
  for (const url of links('a[rel=next]')) yield request.follow('list', url)
})
books.on('book', ({ extract, emit }) => emit(extract({ title: 'h1', price: '.price', tags: ['.tag'] })))

await using system = await start(books)
const { requests, items, failed } = await system.run(books)
console.log(`${requests} requests, ${items} items, ${failed} failed`)
const lines = readFileSync(file, 'utf8').trim().split('\n').toSorted()
console.log(lines.slice(0, 2).join('\n'))
rmSync(folder, { recursive: true })

// prints:
// 8 requests, 6 items, 0 failed
// {"title":"Book 1","price":"42.99 €","tags":["paper","odd"]}
// {"title":"Book 2","price":"19.99 €","tags":["paper","even"]}
