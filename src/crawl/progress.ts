import type { Clock } from '../clock.ts'
import { StatusLine } from '../status-line.ts'
import { clockTime, type CrawlStats } from './stats.ts'

/** On a terminal the line is drawn again so often; elsewhere a line is written so often, in ms. */
const DRAWN_EVERY = 100
const WRITTEN_EVERY = 10_000
/** What the pages per second are taken over. */
const SPEED_OVER = 5_000

/** Tells how far a crawl is: a line at the bottom of a terminal, or a line now and then. */
export class Progress {
  readonly #stats: () => CrawlStats
  readonly #clock: Clock
  readonly #stream: NodeJS.WriteStream
  readonly #line: StatusLine | undefined
  /** How many pages there were, and when; the oldest first. */
  readonly #marks: { readonly at: number; readonly pages: number }[] = []
  #timer: unknown

  constructor(stats: () => CrawlStats, clock: Clock, stream: NodeJS.WriteStream = process.stderr) {
    this.#stats = stats
    this.#clock = clock
    this.#stream = stream
    // What is written to the same terminal goes above the line.
    this.#line = stream.isTTY ? new StatusLine(process.stdout.isTTY ? [stream, process.stdout] : [stream]) : undefined
    this.#mark(stats())
    this.#next()
  }

  /** Takes the line away; elsewhere a last one says how it ended. */
  end(): void {
    this.#clock.clearTimeout(this.#timer)
    this.#line?.end()
    if (this.#line === undefined) this.#stream.write(`${this.#text()}\n`)
  }

  #next(): void {
    const every = this.#line === undefined ? WRITTEN_EVERY : DRAWN_EVERY
    this.#timer = this.#clock.setTimeout(() => {
      if (this.#line === undefined) this.#stream.write(`${this.#text()}\n`)
      else this.#line.show(this.#text())
      this.#next()
    }, every)
  }

  #text(): string {
    const stats = this.#stats()
    const speed = this.#mark(stats)
    return progressText(stats, speed)
  }

  /** Pages per second of late. */
  #mark({ counters }: CrawlStats): number {
    const [at, pages] = [this.#clock.now(), counters['page'] ?? 0]
    this.#marks.push({ at, pages })
    while (this.#marks.length > 2 && at - (this.#marks[1]?.at ?? at) >= SPEED_OVER) this.#marks.shift()
    const [first] = this.#marks
    return first === undefined || first.at === at ? 0 : ((pages - first.pages) * 1000) / (at - first.at)
  }
}

/** How far a crawl is, in one line. */
export function progressText({ spider, counters, running, queued, elapsed }: CrawlStats, speed: number): string {
  const retries = (counters['retry-network'] ?? 0) + (counters['retry-task'] ?? 0)
  const parts = [
    spider,
    `${counters['page'] ?? 0} pages`,
    `${speed.toFixed(1)}/s`,
    `${running} running`,
    `${queued} queued`,
    `${retries} retries`,
    clockTime(elapsed),
  ]
  return parts.join('  ')
}
