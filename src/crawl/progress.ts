import type { Clock } from '../clock.ts'
import { StatusLine } from '../status-line.ts'
import { clockTime, type CrawlStats } from './stats.ts'

/** On a terminal the line is drawn again so often; elsewhere a line is written so often, in ms. */
const DRAWN_EVERY = 100
const WRITTEN_EVERY = 10_000
/** What the pages per second are taken over, and how fast the queue shrinks. */
const SPEED_OVER = 5_000
/** Of less than that nobody can say how it goes on. */
const SHORTEST_TREND = 1_000

/** A crawl that tells how far it is. */
export interface Progressing {
  stats(): CrawlStats
  /** Whether all of `start` was read: no more comes but what pages yield. */
  readonly isSeeded: boolean
}

interface Mark {
  readonly at: number
  readonly pages: number
  /** Requests that are not over. */
  readonly open: number
}

/** How fast a crawl is of late. */
export interface Speed {
  /** Pages per second. */
  readonly pages: number
  /** Milliseconds to its end, as the queue shrinks; undefined while it does not. */
  readonly left?: number | undefined
}

/** Tells how far a crawl is: a line at the bottom of a terminal, or a line now and then. */
export class Progress {
  readonly #crawl: Progressing
  readonly #clock: Clock
  readonly #stream: NodeJS.WriteStream
  readonly #line: StatusLine | undefined
  /** The oldest first. */
  readonly #marks: Mark[] = []
  #timer: unknown

  constructor(crawl: Progressing, clock: Clock, stream: NodeJS.WriteStream = process.stderr) {
    this.#crawl = crawl
    this.#clock = clock
    this.#stream = stream
    // What is written to the same terminal goes above the line.
    this.#line = stream.isTTY ? new StatusLine(process.stdout.isTTY ? [stream, process.stdout] : [stream]) : undefined
    this.#mark(crawl.stats())
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
    const stats = this.#crawl.stats()
    const speed = this.#mark(stats)
    const text = progressText(stats, speed)
    // Half a time would be a wrong one.
    const isTooLong = this.#line !== undefined && text.length >= (this.#stream.columns ?? Infinity)
    return isTooLong ? progressText(stats, { pages: speed.pages }) : text
  }

  #mark({ counters, queued, running }: CrawlStats): Speed {
    const now: Mark = { at: this.#clock.now(), pages: counters['page'] ?? 0, open: queued + running }
    const marks = this.#marks
    marks.push(now)
    while (marks.length > 2 && now.at - (marks[1]?.at ?? now.at) >= SPEED_OVER) marks.shift()
    return { pages: pagesPerSecond(marks, now), left: this.#crawl.isSeeded ? timeLeft(marks, now) : undefined }
  }
}

function pagesPerSecond([first]: readonly Mark[], now: Mark): number {
  return first === undefined || first.at === now.at ? 0 : ((now.pages - first.pages) * 1000) / (now.at - first.at)
}

/** As it goes on since there was most to do. */
function timeLeft(marks: readonly Mark[], now: Mark): number | undefined {
  const fullest = marks.reduce((most, mark) => (mark.open >= most.open ? mark : most), now)
  const time = now.at - fullest.at
  return now.open === 0 || time < SHORTEST_TREND ? undefined : (now.open * time) / (fullest.open - now.open)
}

/** How far a crawl is, in one line. */
export function progressText(
  { spider, counters, ended, running, queued, elapsed }: CrawlStats,
  { pages, left }: Speed,
): string {
  const retries = (counters['retry-network'] ?? 0) + (counters['retry-task'] ?? 0)
  const failed = ended.error + ended.failed
  const parts = [
    spider,
    `${counters['page'] ?? 0} pages`,
    `${pages.toFixed(1)}/s`,
    `${running} running`,
    `${queued} queued`,
    `${retries} retries`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    clockTime(elapsed),
    ...(left === undefined ? [] : [`ETA ${clockTime(left)}`]),
  ]
  return parts.join('  ')
}
