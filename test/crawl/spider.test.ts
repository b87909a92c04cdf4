import { describe, expect, test } from 'vitest'
import { start, supervisor } from 'rootcatch'
import { request, spider } from 'rootcatch/crawl'
import { website } from 'rootcatch/testing'

describe('a spider', () => {
  test('crawls a shop: lists lead to books, books give items', async () => {
    await using site = await website({ books: 12, perPage: 4 })
    const books = spider('books', { start: [request('list', `${site.url}/shop/1`)], allowPrivate: ['127.0.0.1'] })
    books.on('list', function* ({ links, request: page }) {
      for (const url of links('h3 a')) yield page.follow('book', url)
      for (const url of links('a[rel=next]')) yield page.follow('list', url)
    })
    books.on('book', ({ $, emit }) => emit({ title: $('h1').text() }))
    await using system = await start(supervisor('app', [books]))
    const crawl = system.run(books)
    const titles: unknown[] = []
    for await (const book of crawl) titles.push((book as { title: string }).title)
    const result = await crawl
    expect(titles.toSorted()).toEqual(Array.from({ length: 12 }, (_, i) => `Book ${i + 1}`).toSorted())
    expect(result).toMatchObject({ reason: 'finished', requests: 15, items: 12, failed: 0 })
  })
})
