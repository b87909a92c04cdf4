/**
 * Pages of a local site that are fetched and handled, links followed: a spider beside a loop written by hand on undici
 * and the same parser.
 *
 * How: the site is a process of its own, so is each contender; all have 50 connections, and follow every link of a page
 * once. `parsed` reads title and links by cheerio, in its fast form and as browsers read; `plain` takes links by a regular
 * expression, so that what is left is fetching and keeping the books. Rounds are interleaved, each in a new process that
 * warms up on a tenth of the site; a ratio is the median of the ratios per round. The loop keeps nothing, retries nothing
 * and counts nothing: it is the floor, not a peer. `heap` is what the spider's heap grew by from a tenth of the pages to
 * the last, after a collection, with `--expose-gc`.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { loop } from './crawl/loop.ts'
import { crawl } from './crawl/spider.ts'
import type { Handling } from './crawl/handling.ts'

interface Load {
  readonly pages: number
  readonly bytes: number
  readonly handling: Handling
}

interface Rate {
  readonly perSecond: number
  /** Bytes the heap grew by. */
  readonly heap: number
}

const isSmoke = process.argv.includes('--smoke')
const ROUNDS = isSmoke ? 1 : 3
const LOADS: readonly Load[] = isSmoke
  ? [{ pages: 500, bytes: 2_000, handling: 'fast' }]
  : [
      { pages: 10_000, bytes: 2_000, handling: 'plain' },
      { pages: 10_000, bytes: 2_000, handling: 'fast' },
      { pages: 10_000, bytes: 2_000, handling: 'html5' },
      { pages: 3_000, bytes: 50_000, handling: 'fast' },
      { pages: 1_500, bytes: 50_000, handling: 'html5' },
    ]
/** Of the loop, where pages are parsed. */
const AIM = 0.9

const child = process.argv.indexOf('--contender')
if (child === -1) await compare()
else console.log(JSON.stringify(await measure(process.argv.slice(child + 1))))

async function compare(): Promise<void> {
  for (const load of LOADS) {
    const { site, url } = await startSite(load)
    const rounds = Array.from({ length: ROUNDS }, () => ({
      loop: spawnContender('loop', load, url),
      spider: spawnContender('spider', load, url),
    }))
    site.stdin?.end()
    print(load, rounds)
  }
}

async function startSite({ pages, bytes }: Load): Promise<{ readonly site: ChildProcess; readonly url: string }> {
  const file = new URL('./crawl/site.ts', import.meta.url).pathname
  const site = spawn(process.execPath, [file, String(pages), String(bytes)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const [line] = (await once(site.stdout, 'data')) as [Buffer]
  return { site, url: line.toString().trim() }
}

function spawnContender(name: string, load: Load, url: string): Rate {
  const args = ['--expose-gc', import.meta.filename, '--contender', name, JSON.stringify(load), url]
  const { stdout, status } = spawnSync(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`${name} ended with ${status}`)
  return JSON.parse(stdout) as Rate
}

async function measure([name = '', text = '', url = '']: readonly string[]): Promise<Rate> {
  const { pages, handling } = JSON.parse(text) as Load
  const contender = name === 'loop' ? loop : crawl
  await contender(url, handling, Math.ceil(pages / 10), () => {}) // warm-up
  let early = 0
  let heap = 0
  const startedAt = performance.now()
  const count = await contender(url, handling, pages, (done) => {
    if (done === Math.ceil(pages / 10)) early = heapNow()
    if (done === pages) heap = heapNow() - early
  })
  const seconds = (performance.now() - startedAt) / 1_000
  if (count !== pages) throw new Error(`${name} got ${count} of ${pages} pages`)
  return { perSecond: pages / seconds, heap }
}

function heapNow(): number {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

function print(
  { pages, bytes, handling }: Load,
  rounds: readonly { readonly loop: Rate; readonly spider: Rate }[],
): void {
  const ratios = rounds.map(({ loop: floor, spider }) => spider.perSecond / floor.perSecond)
  const ratio = median(ratios)
  const isMissed = !isSmoke && handling !== 'plain' && ratio < AIM
  if (isMissed) process.exitCode = 1
  const spread = `${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)}`
  const aim = handling === 'plain' ? '' : `, aim ${AIM}${isMissed ? ', missed' : ''}`
  const rate = (name: 'loop' | 'spider'): string =>
    `${Math.round(median(rounds.map((round) => round[name].perSecond)))} pages/s`
  const grown = median(rounds.map(({ spider }) => spider.heap)) / (pages * 0.9)
  console.log(`\n${pages} pages of ${bytes} bytes, ${handling}, ${rounds.length} rounds`)
  console.log(`loop    ${rate('loop').padStart(15)}`)
  console.log(
    `spider  ${rate('spider').padStart(15)}  x ${ratio.toFixed(2)} (${spread})${aim}; heap ${grown.toFixed(0)} bytes a page`,
  )
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] as number
}
