/**
 * A site in a process of its own: `node site.ts <pages> <bytes> <shape>`. In a tree page n links to pages 10 n + 1 …
 * 10 n + 10, in a chain to the next ten, in markup as shops have it; says its URL once it listens, and ends with who started it.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const [pages = 100, bytes = 2_000] = process.argv.slice(2).map(Number)
const isChain = process.argv[4] === 'chain'

const item = (text: string): string =>
  `<li class="item"><div class="card"><p class="price">12.99</p><span class="tag">${text}</span></div></li>`

function pageOf(number: number): Buffer {
  const first = (isChain ? number : 10 * number) + 1
  const links = Array.from({ length: 10 }, (_, index) => first + index).filter((next) => next < pages)
  const anchors = links.map((next) => `<li><h3><a href="/page/${next}">Page ${next}</a></h3></li>`).join('')
  const head = `<!doctype html><html><head><title>Page ${number}</title></head><body><h1>Page ${number}</h1><ol>${anchors}</ol><ul>`
  const count = Math.max(1, Math.ceil((bytes - head.length) / item('tag 0').length))
  return Buffer.from(
    `${head}${Array.from({ length: count }, (_, index) => item(`tag ${index % 10}`)).join('')}</ul></body></html>`,
  )
}

const made = new Map<number, Buffer>()
const server = createServer((request, response) => {
  const number = Number(/^\/page\/(\d+)$/.exec(request.url ?? '')?.[1] ?? -1)
  if (number < 0) return void response.writeHead(404).end()
  let page = made.get(number)
  if (page === undefined) made.set(number, (page = pageOf(number)))
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'content-length': page.length }).end(page)
})
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
process.stdin.on('end', () => process.exit()).resume()
