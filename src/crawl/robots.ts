import type { Clock } from '../clock.ts'
import { delayOf, exponential } from '../retry.ts'
import { decodeText } from './charset.ts'
import { BodyTooLargeError } from './errors.ts'
import type { Outcome, FetchOptions } from './fetching.ts'
import { request, type CrawlRequest } from './request.ts'
import { allowAll, parseRobots, type RobotsRules } from './robots-rules.ts'

/** What a robots.txt says about a URL. */
export type Verdict =
  | {
      readonly kind: 'allowed'
      /** Milliseconds the site wants between two requests. */
      readonly crawlDelay: number | undefined
    }
  | { readonly kind: 'denied' }
  /** The file cannot be had at present, so nothing is allowed; it is asked for again after so many ms. */
  | { readonly kind: 'unknown'; readonly retryIn: number }
  /** The same, because the host asks for patience. */
  | { readonly kind: 'throttled'; readonly retryIn: number }

export interface RobotsParts {
  /** The crawl's own fetcher, so that guard, proxies and limits are the same. */
  readonly fetch: (request: CrawlRequest, options: FetchOptions) => Promise<Outcome>
  /** The name of the crawler, as a `User-agent` line would call it. */
  readonly agent: string
  readonly clock: Clock
  readonly random?: () => number
  /** @default kept by this process alone */
  readonly keeper?: RobotsKeeper | undefined
}

/** What asking for a robots.txt came to, as it can be kept. */
export interface RobotsFile {
  readonly said: 'text' | 'everything' | 'nothing' | 'away'
  readonly text: string
  /** When it is asked for again. */
  readonly until: number
  /** How often in a row it could not be had. */
  readonly failures: number
  readonly isThrottled: boolean
}

/** Keeps what sites said where other processes find it. */
export interface RobotsKeeper {
  /** What is kept, or what `fetch` gives; that is called in one process at a time. */
  once(origin: string, fetch: (before: RobotsFile | undefined) => Promise<RobotsFile>): Promise<RobotsFile>
}

interface Entry {
  /** Undefined while the file cannot be had. */
  readonly rules: RobotsRules | undefined
  /** When it is asked for again. */
  readonly until: number
  /** How often in a row it could not be had. */
  readonly failures: number
  readonly isThrottled: boolean
}

const DAY = 86_400_000

/** How many sites are remembered; the one that was learnt first is forgotten first. */
const MOST_SITES = 10_000

/** The robots.txt of each site of a crawl: asked for once per origin and day, before the site's first page. */
export class Robots {
  readonly #parts: RobotsParts
  readonly #entries = new Map<string, Entry>()
  readonly #asking = new Map<string, Promise<Entry>>()
  readonly #backoff = exponential({ from: '5s', to: '5m' })

  constructor(parts: RobotsParts) {
    this.#parts = parts
  }

  /** What the site's file says about a URL, at once where it is known. */
  check(url: string, signal?: AbortSignal): Verdict | Promise<Verdict> {
    const { origin } = new URL(url)
    const known = this.#entries.get(origin)
    if (known !== undefined && this.#parts.clock.now() < known.until) return this.#verdict(known, url)
    const asking = this.#asking.get(origin) ?? this.#ask(origin, known, signal)
    return asking.then((entry) => this.#verdict(entry, url))
  }

  /** The sitemaps a site names, as far as its file was read. */
  sitemaps(url: string): readonly string[] {
    return this.#entries.get(new URL(url).origin)?.rules?.sitemaps ?? []
  }

  #verdict({ rules, until, isThrottled }: Entry, url: string): Verdict {
    if (rules === undefined) {
      return { kind: isThrottled ? 'throttled' : 'unknown', retryIn: Math.max(0, until - this.#parts.clock.now()) }
    }
    return rules.allows(url) ? { kind: 'allowed', crawlDelay: rules.crawlDelay } : { kind: 'denied' }
  }

  #ask(origin: string, before: Entry | undefined, signal: AbortSignal | undefined): Promise<Entry> {
    const fetch = (file: RobotsFile | undefined): Promise<RobotsFile> =>
      this.#fetch(origin, file?.failures ?? before?.failures ?? 0, signal)
    const { keeper, agent } = this.#parts
    const asking = (keeper === undefined ? fetch(undefined) : keeper.once(origin, fetch))
      .then((file) => {
        const entry = entryOf(file, agent)
        this.#remember(origin, entry)
        return entry
      })
      .finally(() => this.#asking.delete(origin))
    this.#asking.set(origin, asking)
    return asking
  }

  async #fetch(origin: string, failures: number, signal: AbortSignal | undefined): Promise<RobotsFile> {
    const { fetch, clock } = this.#parts
    const asked = request('robots', `${origin}/robots.txt`, {
      cache: 'skip',
      headers: { accept: 'text/plain,*/*;q=0.1' },
    })
    const outcome = await fetch(asked, { signal })
    const now = clock.now()
    const known = (said: RobotsFile['said'], text = ''): RobotsFile => ({
      said,
      text,
      until: now + DAY,
      failures: 0,
      isThrottled: false,
    })
    if (outcome.kind === 'page' && outcome.response.status < 300) {
      return known('text', decodeText(outcome.response.body, undefined, 'utf-8'))
    }
    if (statusOf(outcome) >= 400 && statusOf(outcome) < 500 && outcome.kind !== 'throttled') return known('everything')
    if (outcome.kind === 'error' && outcome.error instanceof BodyTooLargeError) return known('nothing')
    const isThrottled = outcome.kind === 'throttled'
    const wait = delayOf(this.#backoff, failures + 1, this.#parts.random ?? Math.random)
    const asks = isThrottled ? Math.min(outcome.retryAfter ?? 0, DAY) : 0
    return { said: 'away', text: '', until: now + Math.max(wait, asks), failures: failures + 1, isThrottled }
  }

  #remember(origin: string, entry: Entry): void {
    this.#entries.delete(origin)
    this.#entries.set(origin, entry)
    if (this.#entries.size <= MOST_SITES) return
    const [oldest = ''] = this.#entries.keys()
    this.#entries.delete(oldest)
  }
}

/** A file that is too large to be read is no permission. */
const denyAll: RobotsRules = Object.freeze({ allows: () => false, crawlDelay: undefined, sitemaps: [] })

function entryOf({ said, text, until, failures, isThrottled }: RobotsFile, agent: string): Entry {
  const rules = { text: undefined, everything: allowAll, nothing: denyAll, away: undefined }[said]
  return { rules: said === 'text' ? parseRobots(text, agent) : rules, until, failures, isThrottled }
}

function statusOf(outcome: Outcome): number {
  if (outcome.kind === 'error') return outcome.response?.status ?? 0
  return outcome.kind === 'refused' ? 0 : outcome.response.status
}
