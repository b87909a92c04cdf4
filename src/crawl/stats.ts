import type { Json } from '../payload.ts'

/** The latest lines of what went wrong, by what it was. */
export type ListName =
  | 'network-try-limit'
  | 'task-try-limit'
  | 'handler-error'
  | 'bad-url'
  | 'blocked-address'
  | 'body-too-large'

/** How an accepted request ended. */
export type EndKind = 'ok' | 'error' | 'fallback' | 'failed'

export type CrawlState = 'waiting' | 'crawling' | 'paused' | 'done' | 'failed' | 'cancelled' | 'stopped'

/** The numbers of a crawl at one moment; they always add up. */
export interface CrawlStats {
  readonly spider: string
  readonly state: CrawlState
  /** Milliseconds it has crawled, earlier runs included. */
  readonly elapsed: number
  /** Those that are 0 are left out. */
  readonly counters: Readonly<Record<string, number>>
  /** The last 200 lines each; empty ones are left out. */
  readonly lists: Readonly<Partial<Record<ListName, readonly string[]>>>
  /** How the accepted requests ended that are over. */
  readonly ended: Readonly<Record<EndKind, number>>
  /** Bytes of bodies, on the wire and decoded. */
  readonly download: { readonly wire: number; readonly decoded: number }
  /** Requests that wait, those that are held included. */
  readonly queued: number
  /** Requests that are fetched or handled. */
  readonly running: number
}

const KEPT_LINES = 200

/** What one attempt adds to the numbers, all of it at once when it is settled: so they add up after a crash too. */
export class Tally {
  readonly counted: string[] = []
  readonly lines: (readonly [list: ListName, line: string])[] = []
  wire = 0
  decoded = 0

  add(name: string): void {
    this.counted.push(name)
  }

  line(list: ListName, line: string): void {
    this.lines.push([list, line])
  }

  clear(): void {
    this.counted.length = this.lines.length = this.wire = this.decoded = 0
  }
}

/** What is counted for each good page of a name, so that it is put together once. */
export interface CounterNames {
  readonly request: string
  readonly page: string
  readonly pageOk: string
}

/** The numbers of one crawl over all its runs. */
export class Numbers {
  readonly #counters = new Map<string, number>()
  readonly #names = new Map<string, CounterNames>()
  readonly #lists = new Map<ListName, string[]>()
  readonly #ended: Record<EndKind, number> = { ok: 0, error: 0, fallback: 0, failed: 0 }
  #wire = 0
  #decoded = 0
  /** Of earlier runs. */
  elapsed = 0
  /** Elements of `start` that were read. */
  seeds = 0
  /** Whether a list changed since the lists were last taken. */
  listsChanged = false

  get(name: string): number {
    return this.#counters.get(name) ?? 0
  }

  add(name: string, by = 1): void {
    const count = this.get(name) + by
    if (count === 0) this.#counters.delete(name)
    else this.#counters.set(name, count)
  }

  namesOf(name: string): CounterNames {
    let names = this.#names.get(name)
    if (names === undefined) {
      names = { request: `request-${name}`, page: `page-${name}`, pageOk: `page-${name}-ok` }
      this.#names.set(name, names)
    }
    return names
  }

  line(list: ListName, line: string): void {
    const lines = this.#lists.get(list) ?? []
    lines.push(line)
    if (lines.length > KEPT_LINES) lines.shift()
    this.#lists.set(list, lines)
    this.listsChanged = true
  }

  end(kind: EndKind): void {
    this.#ended[kind] += 1
  }

  /** Requests that are not over. */
  get open(): number {
    const { ok, error, fallback, failed } = this.#ended
    return this.get('request') - ok - error - fallback - failed
  }

  /**
   * After a crash: so many requests are not over. Where fewer were queued than were counted, the broker knew the others,
   * and the process did not live to count them as duplicates.
   */
  reconcile(open: number): void {
    const over = this.open - open
    this.add('request', -over)
    if (over > 0) this.add('duplicate', over)
  }

  take(tally: Tally): void {
    for (const name of tally.counted) this.add(name)
    for (const [list, line] of tally.lines) this.line(list, line)
    this.#wire += tally.wire
    this.#decoded += tally.decoded
    tally.clear()
  }

  /** Everything but what is now. */
  read(): Pick<CrawlStats, 'counters' | 'lists' | 'ended' | 'download'> {
    return {
      counters: Object.fromEntries([...this.#counters].sort(byName)),
      lists: Object.fromEntries([...this.#lists].map(([name, lines]) => [name, [...lines]])),
      ended: { ...this.#ended },
      download: { wire: this.#wire, decoded: this.#decoded },
    }
  }

  /** What is stored; the lists apart, for they are long and seldom change. */
  toJSON(): { readonly [key: string]: Json } {
    const counters = Object.fromEntries(this.#counters)
    const { elapsed, seeds } = this
    return { counters, ended: { ...this.#ended }, wire: this.#wire, decoded: this.#decoded, elapsed, seeds }
  }

  listsJSON(): Json {
    return Object.fromEntries([...this.#lists].map(([name, lines]) => [name, [...lines]]))
  }

  /** Adds what was stored, here or by another process of the same crawl. */
  restore(stored: Json | undefined, lists: Json | undefined): void {
    const { counters = {}, ended = {}, wire = 0, decoded = 0, elapsed = 0, seeds = 0 } = (stored ?? {}) as Stored
    for (const [name, count] of Object.entries(counters)) this.add(name, count)
    for (const [kind, count] of Object.entries(ended)) this.#ended[kind as EndKind] += count
    this.#wire += wire
    this.#decoded += decoded
    this.elapsed = Math.max(this.elapsed, elapsed)
    this.seeds += seeds
    for (const [name, lines] of Object.entries(lists ?? {})) {
      const all = [...(this.#lists.get(name as ListName) ?? []), ...(lines as string[])]
      this.#lists.set(name as ListName, all.slice(-KEPT_LINES))
    }
  }
}

interface Stored {
  readonly counters?: Readonly<Record<string, number>>
  readonly ended?: Partial<Record<EndKind, number>>
  readonly wire?: number
  readonly decoded?: number
  readonly elapsed?: number
  readonly seeds?: number
}

const states: Readonly<Record<CrawlState, string>> = {
  waiting: 'waits for its first run',
  crawling: 'crawling for',
  paused: 'paused after',
  done: 'done in',
  failed: 'failed after',
  cancelled: 'cancelled after',
  stopped: 'stopped after',
}

/** The numbers as a text for eyes: counters by name, lists by size, no zeros, no colours. */
export function renderStats(stats: CrawlStats): string {
  const { spider, state, elapsed, counters, lists, download, queued, running } = stats
  const title = `Spider "${spider}": ${states[state]}${state === 'waiting' ? '' : ` ${clockTime(elapsed)}`}`
  const counted = Object.entries(counters).sort(byName)
  const sizes = Object.entries(lists).map(([name, lines]) => [name, lines.length] as const)
  const sized = sizes.filter(([, size]) => size > 0).sort(bySize)
  const sections = [
    section('Counters', counted),
    section('Lists', sized),
    [
      `Network download: ${bytes(download.wire)} (${bytes(download.decoded)} decoded)`,
      `Queue size: ${queued}`,
      `Running: ${running}`,
    ],
  ]
  return [[title], ...sections.filter((lines) => lines.length > 0)].map((lines) => lines.join('\n')).join('\n\n')
}

/** Hours, minutes and seconds. */
export function clockTime(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  const two = (number: number): string => String(number).padStart(2, '0')
  return `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
}

function section(title: string, lines: readonly (readonly [name: string, count: number])[]): readonly string[] {
  return lines.length === 0 ? [] : [`${title}:`, ...lines.map(([name, count]) => `  ${name}: ${count}`)]
}

const units = [
  ['GB', 1e9],
  ['MB', 1e6],
  ['kB', 1e3],
] as const

function bytes(count: number): string {
  const unit = units.find(([, size]) => count >= size)
  return unit === undefined ? `${count} B` : `${(count / unit[1]).toFixed(1)} ${unit[0]}`
}

type Entry = readonly [name: string, count: number]

function byName([one]: Entry, [other]: Entry): number {
  return one < other ? -1 : Number(one > other)
}

function bySize(one: Entry, other: Entry): number {
  return other[1] - one[1] || byName(one, other)
}
