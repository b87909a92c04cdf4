// A crawl with its progress shown, and handlers that write: `node progress-child.ts <site>`.
import { start, supervisor } from 'rootcatch'
import { request, spider } from 'rootcatch/crawl'

const [site = ''] = process.argv.slice(2)
const pages = spider('pages', {
  start: Array.from({ length: 8 }, (_, page) => request('page', `${site}/slow/250?${page}`)),
  allowPrivate: ['127.0.0.1'],
  perHost: { concurrency: 1 },
  progress: true,
})
pages.on('page', ({ page }) => {
  console.log(`out ${page.url.at(-1)} end`)
  console.error(`err ${page.url.at(-1)} end`)
})
const system = await start(supervisor('app', [pages]))
await system.run(pages)
await system.stop()
console.log('over')
