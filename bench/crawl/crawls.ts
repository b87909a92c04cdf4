/** Crawls a site once per line of its input, which says how many pages: `node crawls.ts <url> <handling> <spider | loop>`. */
import { createInterface } from 'node:readline'
import type { Handling } from './handling.ts'
import { loop } from './loop.ts'
import { crawl } from './spider.ts'

const [url = '', handling = 'fast', name = 'spider'] = process.argv.slice(2)
const contender = name === 'loop' ? loop : crawl

for await (const line of createInterface({ input: process.stdin })) {
  const [count, what] = line.split(' ')
  const pages = Number(count)
  console.log(JSON.stringify(what === 'heap' ? await heapsOf(pages) : await rateOf(pages)))
}
process.exit()

async function rateOf(pages: number): Promise<{ readonly perSecond: number; readonly cpu: number }> {
  const usedBefore = process.cpuUsage()
  const startedAt = performance.now()
  const done = await contender(url, handling as Handling, pages, () => {})
  const seconds = (performance.now() - startedAt) / 1_000
  const { user, system } = process.cpuUsage(usedBefore)
  if (done !== pages) throw new Error(`${name} got ${done} of ${pages} pages`)
  return { perSecond: pages / seconds, cpu: (user + system) / pages }
}

async function heapsOf(pages: number): Promise<readonly number[]> {
  const heaps: number[] = []
  await contender(url, handling as Handling, pages, (done) => {
    if (done % (pages / 10) !== 0) return
    globalThis.gc?.()
    heaps.push(process.memoryUsage().heapUsed)
  })
  return heaps
}
