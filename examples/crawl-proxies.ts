/** Proxies take turns, another one for each try; one that is away is left out for a while and costs no try. */
import { createServer, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'
import { start } from 'rootcatch'
import { request, spider } from 'rootcatch/crawl'
import { website } from 'rootcatch/testing'

await using site = await website({ books: 4, perPage: 4 })
const used = new Map<string, number>()

/** The least that a proxy for http has to do. */
async function proxy(name: string): Promise<{ readonly url: string; close(): void }> {
  const server = createServer((asked, response) => {
    used.set(name, (used.get(name) ?? 0) + 1)
    const { host = '', ...headers } = asked.headers
    asked.pipe(
      send(asked.url ?? '', { method: asked.method, headers: { ...headers, host } }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(response)
      }),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.close() }
}

const [one, two] = [await proxy('one'), await proxy('two')]
const books = spider('books', {
  start: [request('list', `${site.url}/shop/1`)],
  proxies: [one.url, two.url, 'http://127.0.0.1:9'], // nobody listens at the third
  robots: false,
  concurrency: 1,
  allowPrivate: ['127.0.0.1'],
})
books.on('list', function* ({ links, request }) {
  for (const url of links('h3 a')) yield request.follow('book', url)
})
books.on('book', ({ $, emit }) => emit({ title: $('h1').text() }))

await using system = await start(books)
const { items, stats } = await system.run(books)
console.log(`${items} items, through both: ${used.size === 2}, pages fetched: ${stats.counters['network-ok']}`)
one.close()
two.close()

// prints:
// 4 items, through both: true, pages fetched: 5
