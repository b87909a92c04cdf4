// A crawl with a page that kills its process, on a store that outlives it: `node deadly-child.ts <site> <store>`.
import { writeSync } from 'node:fs'
import { resume, start, supervisor } from 'rootcatch'
import { request, spider } from 'rootcatch/crawl'
import { sqlite } from 'rootcatch/sqlite'

const [site = '', store = ''] = process.argv.slice(2)
const say = (line: string): void => void writeSync(1, `${line}\n`)

const books = spider('books', {
  start: [1, 2, 3, 4, 5].map((book) => request('book', `${site}/book/${book}`)),
  allowPrivate: ['127.0.0.1'],
  concurrency: 1,
})
books.on('book', ({ page, emit }) => {
  if (page.url.endsWith('/3')) process.kill(process.pid, 'SIGKILL')
  emit(page.url)
})
books.fallback('book', () => say('fallback')) // nobody to call it: the page is lost, not failed
const system = await start(supervisor('app', [books]), { broker: sqlite(store), catch: () => resume })
const crawl = system.run(books)
const { items, failed } = await crawl
const letters = await system.dead.list()
say(JSON.stringify({ items, failed, dead: letters.map(({ kind, task }) => [kind, task]), stats: crawl.stats() }))
await system.stop()
