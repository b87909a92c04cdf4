/**
 * Pages of a local site that are fetched and handled, links followed: a spider beside a loop written by hand on undici
 * and the same parser, and beside Crawlee's CheerioCrawler, tuned.
 *
 * How: the site is a process of its own, so is each contender; all have 50 connections, and follow every link of a page
 * once. `fast` and `html5` read title and links by cheerio, in its fast form and as browsers read; `links` takes nothing
 * but links; `plain` takes them by a regular expression, so that what is left is fetching and keeping the books: it has
 * no aim. Both of a row live while it is measured, and crawl in turns: first as often as it takes for all of a spider's
 * code to be compiled, then for the rounds. A ratio is the median of the ratios per round, of pages per second of processor
 * time, for the machine may be shared; by the clock in brackets. The loop keeps nothing, retries nothing and counts nothing:
 * it is the floor, not a peer. `kept` is what the heap grew by for each page between a tenth of them and all, after
 * collections, on a site where few pages wait at a time: what is left is what was seen, and the last outcomes that a broker
 * in memory keeps.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { Contender, type Name, type Rate } from './crawl/contender.ts'
import type { Handling } from './crawl/handling.ts'
import { installPeers } from './peers/install.ts'
import { atLeast, atMost, median } from './rows.ts'

interface Load {
  readonly pages: number
  readonly bytes: number
  readonly handling: Handling
}

interface Comparison extends Load {
  readonly against: Exclude<Name, 'spider'>
  readonly rounds: number
  /** Crawls before the first round, and how many pages each has. */
  readonly warmUp: readonly [crawls: number, pages: number]
  readonly goal?: number
  readonly aim?: number
}

const isSmoke = process.argv.includes('--smoke')
const small = { bytes: 2_000, rounds: 5, warmUp: [2, 10_000] } as const
const big = { bytes: 50_000, rounds: 3, warmUp: [2, 1_000] } as const
const byHand = { against: 'loop', goal: 0.9, aim: 0.95 } as const
const COMPARISONS: readonly Comparison[] = isSmoke
  ? [{ ...small, ...byHand, pages: 500, handling: 'fast', rounds: 1, warmUp: [1, 500] }]
  : [
      { ...small, pages: 10_000, handling: 'plain', against: 'loop' },
      { ...small, ...byHand, pages: 10_000, handling: 'fast' },
      { ...small, ...byHand, pages: 10_000, handling: 'html5' },
      { ...big, ...byHand, pages: 5_000, handling: 'fast' },
      { ...big, ...byHand, pages: 3_000, handling: 'html5' },
      { ...small, rounds: 3, pages: 5_000, handling: 'fast', against: 'crawlee', goal: 5, aim: 10 },
      { ...big, pages: 500, handling: 'fast', against: 'crawlee', goal: 1.5, aim: 3 },
      { ...small, rounds: 3, pages: 5_000, handling: 'links', against: 'crawlee', goal: 12, aim: 20 },
      { ...big, pages: 500, handling: 'links', against: 'crawlee', goal: 5, aim: 9 },
    ]
/** Bytes that may be kept for each page. */
const KEPT = { goal: 600, aim: 300 }

const hasCrawlee = COMPARISONS.some(({ against }) => against === 'crawlee') && installPeers()
for (const comparison of COMPARISONS) {
  if (comparison.against === 'loop' || hasCrawlee) await compare(comparison)
}
await compareKept(isSmoke ? 1_000 : 10_000)

async function compare(comparison: Comparison): Promise<void> {
  const { pages, bytes, handling, against, rounds, warmUp, goal, aim } = comparison
  const { site, url } = await startSite(comparison)
  const [other, spider] = [new Contender(against, url, handling), new Contender('spider', url, handling)]
  const [crawls, warmPages] = warmUp
  for (const contender of [other, spider]) {
    for (let crawl = 0; crawl < crawls; crawl += 1) await contender.crawl(Math.min(warmPages, pages))
  }
  const measured: Round[] = []
  for (let round = 0; round < rounds; round += 1) measured.push(await crawlBoth(other, spider, pages, round % 2 === 1))
  for (const contender of [other, spider]) contender.end()
  site.stdin?.end()
  const ratio = print(comparison, measured)
  if (isSmoke || goal === undefined || aim === undefined) return
  atLeast(`spider, ${handling}, ${pages} x ${bytes / 1000} KB, against ${against}`, ratio, { goal, aim })
}

interface Round {
  readonly other: Rate
  readonly spider: Rate
}

/** One after the other; who is first changes from round to round. */
async function crawlBoth(other: Contender, spider: Contender, pages: number, isTurned: boolean): Promise<Round> {
  const early = isTurned ? await spider.crawl(pages) : undefined
  const rate = await other.crawl(pages)
  return { other: rate, spider: early ?? (await spider.crawl(pages)) }
}

/** What is kept of a page that is over. */
async function compareKept(pages: number): Promise<void> {
  const { site, url } = await startSite({ pages, bytes: 2_000 }, 'chain')
  const spider = new Contender('spider', url, 'links')
  for (let crawl = 0; crawl < 2; crawl += 1) await spider.crawl(pages)
  const heaps = await spider.heaps(pages)
  spider.end()
  site.stdin?.end()
  const [first = 0] = heaps
  const kept = ((heaps.at(-1) ?? 0) - first) / (pages * 0.9)
  console.log(
    `\nheap in MB after each tenth of ${pages} pages: ${heaps.map((heap) => (heap / 1e6).toFixed(1)).join(' ')}`,
  )
  if (!isSmoke) atMost('spider, kept of a page that is over', kept, { ...KEPT, unit: 'B' })
}

async function startSite(
  { pages, bytes }: Omit<Load, 'handling'>,
  shape: 'tree' | 'chain' = 'tree',
): Promise<{ readonly site: ChildProcess; readonly url: string }> {
  const file = new URL('./crawl/site.ts', import.meta.url).pathname
  const site = spawn(process.execPath, [file, String(pages), String(bytes), shape], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const [line] = (await once(site.stdout, 'data')) as [Buffer]
  return { site, url: line.toString().trim() }
}

/** Gives the ratio. */
function print({ pages, bytes, handling, against }: Comparison, rounds: readonly Round[]): number {
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
