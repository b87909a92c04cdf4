/**
 * Pages of a local site that are fetched and handled, links followed: a spider beside a loop written by hand on undici
 * and the same parser, and beside Crawlee's CheerioCrawler, tuned.
 *
 * How: the site is a process of its own, so is each contender; all have 50 connections, and follow every link of a page
 * once. `fast` and `html5` read title and links by cheerio, in its fast form and as browsers read; `links` takes nothing
 * but links; `plain` takes them by a regular expression, so that what is left is fetching and keeping the books: it has
 * no aim. Rounds are interleaved, each in a new process that crawls the whole site twice before, for all of a
 * spider's code to be warm; a ratio is the median of
 * the ratios per round, of pages per second of processor time, for the machine may be shared; by the clock in brackets.
 * The loop keeps nothing, retries nothing and counts nothing: it is the floor, not a peer. `kept` is what the heap grew by
 * for each page between a tenth of them and all, after collections, on a site where few pages wait at a time: what is
 * left is what was seen, and the last outcomes that a broker in memory keeps.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { loop } from './crawl/loop.ts'
import { crawl } from './crawl/spider.ts'
import type { Handling } from './crawl/handling.ts'
import { installPeers } from './peers/install.ts'
import { atLeast, atMost, median } from './rows.ts'

interface Load {
  readonly pages: number
  readonly bytes: number
  readonly handling: Handling
}

interface Rate {
  readonly perSecond: number
  /** Microseconds of the processor for each page. */
  readonly cpu: number
}

type Against = 'loop' | 'crawlee'

interface Comparison extends Load {
  readonly against: Against
  readonly goal?: number
  readonly aim?: number
}

const isSmoke = process.argv.includes('--smoke')
const ROUNDS = isSmoke ? 1 : 3
/** After so many passes over the site the compiler is through with a spider; a loop of fifty lines needs less. */
const WARM_UP = isSmoke ? 1 : 2
const COMPARISONS: readonly Comparison[] = isSmoke
  ? [{ pages: 500, bytes: 2_000, handling: 'fast', against: 'loop' }]
  : [
      { pages: 10_000, bytes: 2_000, handling: 'plain', against: 'loop' },
      { pages: 10_000, bytes: 2_000, handling: 'fast', against: 'loop', goal: 0.9, aim: 0.95 },
      { pages: 10_000, bytes: 2_000, handling: 'html5', against: 'loop', goal: 0.9, aim: 0.95 },
      { pages: 2_000, bytes: 50_000, handling: 'fast', against: 'loop', goal: 0.9, aim: 0.95 },
      { pages: 1_000, bytes: 50_000, handling: 'html5', against: 'loop', goal: 0.9, aim: 0.95 },
      { pages: 5_000, bytes: 2_000, handling: 'fast', against: 'crawlee', goal: 5, aim: 10 },
      { pages: 500, bytes: 50_000, handling: 'fast', against: 'crawlee', goal: 1.5, aim: 3 },
      { pages: 5_000, bytes: 2_000, handling: 'links', against: 'crawlee', goal: 12, aim: 20 },
      { pages: 500, bytes: 50_000, handling: 'links', against: 'crawlee', goal: 5, aim: 9 },
    ]
/** Bytes that may be kept for each page. */
const KEPT = { goal: 600, aim: 300 }

const child = process.argv.indexOf('--contender')
if (child === -1) await compareAll()
else console.log(JSON.stringify(await measure(process.argv.slice(child + 1))))

async function compareAll(): Promise<void> {
  const hasCrawlee = COMPARISONS.some(({ against }) => against === 'crawlee') && installPeers()
  for (const comparison of COMPARISONS) {
    if (comparison.against === 'loop' || hasCrawlee) await compare(comparison)
  }
  await compareKept(isSmoke ? 1_000 : 10_000)
}

async function compare(comparison: Comparison): Promise<void> {
  const { pages, bytes, handling, against, goal, aim } = comparison
  const { site, url } = await startSite(comparison)
  const rounds = Array.from({ length: ROUNDS }, () => ({
    other: spawnContender(against, comparison, url),
    spider: spawnContender('spider', comparison, url),
  }))
  site.stdin?.end()
  const ratio = print(comparison, rounds)
  if (goal === undefined || aim === undefined) return
  atLeast(`spider, ${handling}, ${pages} x ${bytes / 1000} KB, against ${against}`, ratio, { goal, aim })
}

/** What is kept of a page that is over. */
async function compareKept(pages: number): Promise<void> {
  const load: Load = { pages, bytes: 2_000, handling: 'links' }
  const { site, url } = await startSite(load, 'chain')
  const heaps = spawnJson<readonly number[]>(['--contender', 'heap', JSON.stringify(load), url])
  site.stdin?.end()
  const [first = 0] = heaps
  const kept = ((heaps.at(-1) ?? 0) - first) / (pages * 0.9)
  console.log(
    `\nheap in MB after each tenth of ${pages} pages: ${heaps.map((heap) => (heap / 1e6).toFixed(1)).join(' ')}`,
  )
  if (!isSmoke) atMost('spider, kept of a page that is over', kept, { ...KEPT, unit: 'B' })
}

async function startSite(
  { pages, bytes }: Load,
  shape: 'tree' | 'chain' = 'tree',
): Promise<{ readonly site: ChildProcess; readonly url: string }> {
  const file = new URL('./crawl/site.ts', import.meta.url).pathname
  const site = spawn(process.execPath, [file, String(pages), String(bytes), shape], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const [line] = (await once(site.stdout, 'data')) as [Buffer]
  return { site, url: line.toString().trim() }
}

function spawnContender(name: 'spider' | Against, load: Load, url: string): Rate {
  const { pages, bytes, handling } = load
  const args = ['--contender', name, JSON.stringify({ pages, bytes, handling }), url]
  if (name !== 'crawlee') return spawnJson(args)
  const file = new URL('./peers/crawlee.js', import.meta.url).pathname
  return spawnJson([url, String(pages), handling], file)
}

function spawnJson<Answer>(args: readonly string[], file: string = import.meta.filename): Answer {
  const { stdout, status } = spawnSync(process.execPath, ['--expose-gc', file, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status}`)
  return JSON.parse(stdout) as Answer
}

async function measure([name = '', text = '', url = '']: readonly string[]): Promise<Rate | readonly number[]> {
  const { pages, handling } = JSON.parse(text) as Load
  const contender = name === 'loop' ? loop : crawl
  for (let pass = 0; pass < WARM_UP; pass += 1) await contender(url, handling, pages, () => {})
  if (name === 'heap') return await heapsOf(url, pages, handling)
  const usedBefore = process.cpuUsage()
  const startedAt = performance.now()
  const count = await contender(url, handling, pages, () => {})
  const seconds = (performance.now() - startedAt) / 1_000
  const { user, system } = process.cpuUsage(usedBefore)
  if (count !== pages) throw new Error(`${name} got ${count} of ${pages} pages`)
  return { perSecond: pages / seconds, cpu: (user + system) / pages }
}

async function heapsOf(url: string, pages: number, handling: Handling): Promise<readonly number[]> {
  const heaps: number[] = []
  await crawl(url, handling, pages, (done) => {
    if (done % (pages / 10) !== 0) return
    globalThis.gc?.()
    heaps.push(process.memoryUsage().heapUsed)
  })
  return heaps
}

/** Gives the ratio. */
function print(
  { pages, bytes, handling, against }: Comparison,
  rounds: readonly { readonly other: Rate; readonly spider: Rate }[],
): number {
  const ratios = rounds.map(({ other, spider }) => other.cpu / spider.cpu)
  const ratio = median(ratios)
  const byClock = median(rounds.map(({ other, spider }) => spider.perSecond / other.perSecond))
  const spread = `${shown(Math.min(...ratios))}–${shown(Math.max(...ratios))}`
  const rate = (name: string, of: 'other' | 'spider'): string => {
    const perSecond = Math.round(median(rounds.map((round) => round[of].perSecond)))
    const cpu = Math.round(median(rounds.map((round) => round[of].cpu)))
    return `${name.padEnd(8)} ${`${perSecond} pages/s`.padStart(15)} ${`${cpu} µs`.padStart(9)} a page`
  }
  console.log(`\n${pages} pages of ${bytes} bytes, ${handling}, ${rounds.length} rounds`)
  console.log(rate(against, 'other'))
  console.log(`${rate('spider', 'spider')}  x ${shown(ratio)} (${spread}) (${shown(byClock)})`)
  return ratio
}

function shown(ratio: number): string {
  return ratio >= 100 ? ratio.toFixed(0) : ratio.toFixed(2)
}
