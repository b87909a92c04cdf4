// Compiled by `npm run types`, never run: what a user of spiders need not write down.
import { start, type System } from 'rootcatch'
import { request, spider, type Crawl, type CrawlResult } from 'rootcatch/crawl'

interface Book {
  readonly title: string
}

const books = spider<Book>('books', {
  start: [request('list', 'https://books.example/')],
  concurrency: 16,
  networkTryLimit: 10,
  taskTryLimit: 10,
  timeout: '15s',
  connectTimeout: '3s',
})
books.on('list', async function* ({ links, request: page }) {
  for (const url of links('h3 a')) yield page.follow('book', url)
})
books.on('book', ({ $, emit, retry }) => ($('.captcha').length > 0 ? retry() : emit({ title: $('h1').text() })))
books.fallback('book', (given, failure) => void `gave up on ${given.url}: ${failure.message}`)
// @ts-expect-error -- an item of this spider has a title
books.on('other', ({ emit }) => emit({ name: 'x' }))
// @ts-expect-error -- items are emitted, not yielded
books.on('third', function* () {
  yield { title: 'x' }
})

const system: System = await start(books)
const crawl: Crawl<Book> = system.run(books, { fresh: true })
for await (const { title } of crawl) title.toUpperCase()
const result: CrawlResult = await crawl
result.stats.counters['page']?.toFixed()
// @ts-expect-error -- no such option
system.run(books, { frsh: true })
// @ts-expect-error -- no such option
spider('x', { concurency: 2 })
