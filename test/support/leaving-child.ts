// Crawls that are finished, cancelled and stopped in their middle, and then nothing: `node leaving-child.ts <site> <store>`.
// Says what still holds the process, which then has to end by itself.
import { writeSync } from 'node:fs'
import { start, supervisor } from 'rootcatch'
import { request, spider } from 'rootcatch/crawl'
import { sqlite } from 'rootcatch/sqlite'

const [site = '', store = ''] = process.argv.slice(2)
const crawler = (name: string, paths: readonly string[]) => {
  const made = spider(name, {
    start: paths.map((path) => request('page', `${site}${path}`)),
    allowPrivate: ['127.0.0.1'],
    cache: true,
    progress: true,
    jsonl: `${store}.${name}.jsonl`,
  })
  return made.on('page', ({ emit, page }) => emit(page.url))
}
const done = crawler('done', ['/book/1', '/book/2', '/redirect/2', '/encoded/gzip'])
const cancelled = crawler('cancelled', ['/book/1', '/slow/60000', '/status/429?after=600', '/drip/50'])
const stopped = crawler('stopped', ['/book/1', '/slow/60000', '/status/503', '/drip/50'])
const system = await start(supervisor('app', [done, cancelled, stopped]), { broker: sqlite(store) })
await system.run(done)
const controller = new AbortController()
const first = system.run(cancelled, { signal: controller.signal })
const second = system.run(stopped)
while ((first.stats().counters['page'] ?? 0) + (second.stats().counters['page'] ?? 0) < 2) {
  await new Promise((resolve) => setTimeout(resolve, 10))
}
controller.abort('enough')
await first.settled()
await system.stop()
await second.settled()
await new Promise((resolve) => setTimeout(resolve, 100)) // sockets need a turn to close
const held = process.getActiveResourcesInfo().filter((name) => !/Pipe|TTY|FSReq/.test(name))
writeSync(1, `held ${JSON.stringify(held)} listeners ${process.listenerCount('exit')}\n`)
