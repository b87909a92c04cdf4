import { CHILD_OPTIONS, readChildPolicy, type ChildOptions, type ChildPolicy } from '../child.ts'
import { systemClock } from '../clock.ts'
import type { Decision } from '../decision.ts'
import type { Duration } from '../duration.ts'
import { InvalidOptionError } from '../errors.ts'
import { peek } from '../evidence.ts'
import type { Failure } from '../failure.ts'
import { checkKeys, readBoolean, readDuration, readFunction, readOneOf, readWholeNumber } from '../options.ts'
import { HOOK_TIMEOUT, readPlugins, type Plugin } from '../plugin.ts'
import { exponential, readBackoff, type Backoff } from '../retry.ts'
import { readRestarts, type Supervisor, type SupervisorOptions } from '../supervisor.ts'
import { readDomains, type DomainMatch, type DomainTable } from './domains.ts'
import { FETCHER_KEYS, type FetcherOptions } from './fetcher-options.ts'
import { Fetcher } from './fetcher.ts'
import type { ParserKind } from './parser.ts'
import { paceKeys, type DomainPace } from './politeness-options.ts'
import { Politeness, type PolitenessOptions } from './politeness.ts'
import { readHeaders, readTryLimit } from './request-options.ts'
import type { CrawlRequest } from './request.ts'
import type { SitemapEntry } from './sitemap-text.ts'

/** What a function that gives the first requests can use. */
export interface StartContext {
  /**
   * The pages that a sitemap names, and the sitemaps of an index, packed or not; of a robots.txt those of all its
   * sitemaps. Fetched as pages are. Throws where it cannot be had; what is no sitemap is an empty one.
   *
   * @example
   * const books = spider('books', {
   *   async *start({ sitemap }) {
   *     for await (const { url } of sitemap('https://books.example/robots.txt')) yield request('book', url)
   *   },
   * })
   */
  readonly sitemap: (url: string) => AsyncGenerator<SitemapEntry, void, undefined>
  /** Aborts when the crawl is over before all was read. */
  readonly signal: AbortSignal
}

/** What a crawl begins with: requests, or something that gives them one by one as the queue empties. */
export type Start =
  | Iterable<CrawlRequest>
  | AsyncIterable<CrawlRequest>
  | ((context: StartContext) => Iterable<CrawlRequest> | AsyncIterable<CrawlRequest>)

/** How one host, or the hosts below one, are treated differently. */
export interface DomainOptions extends DomainPace {
  /** Decides about the failed pages of these hosts, before anybody else does. */
  readonly catch?: (failure: Failure) => Decision
  /** @default the spider's */
  readonly networkTryLimit?: number
}

export interface SpiderOptions extends FetcherOptions, Omit<ChildOptions, 'ready' | 'startTimeout'> {
  /** What a crawl begins with. @default nothing */
  readonly start?: Start
  /** Pages that are fetched and handled at once. @default 16 */
  readonly concurrency?: number
  /** Fetches of one request, the first included. `Infinity` is no limit. @default 10 */
  readonly networkTryLimit?: number
  /** Tries of one request by hand, the first included. `Infinity` is no limit. @default 10 */
  readonly taskTryLimit?: number
  /** The wait before a request is tried again. @default exponential({ from: '500ms', to: '30s', jitter: 1 }) */
  readonly backoff?: Backoff
  /** How long a handler may take. @default '1m' */
  readonly handlerTimeout?: Duration
  /** Gives further headers before each try. */
  readonly prepare?: (request: CrawlRequest) => Prepared | Promise<Prepared>
  /** How each host is treated. @default { concurrency: 8, delay: 0, jitter: 0 } */
  readonly perHost?: PolitenessOptions['perHost']
  /** Hosts that are treated differently: `'shop.example'`, `'*.slow.example'`; the longest match counts. */
  readonly domains?: DomainTable<DomainOptions>
  /** The longest a host is left alone because it asked for it. @default '10m' */
  readonly maxRetryAfter?: Duration
  /** Whether robots.txt is asked for, and obeyed. @default true */
  readonly robots?: boolean
  /** How pages are parsed: `fast` takes half the time, and broken markup as it stands. @default 'html5' */
  readonly parser?: ParserKind
  /** How many links away from the start. @default no limit */
  readonly maxDepth?: number
  /** Requests that are accepted. @default no limit */
  readonly maxRequests?: number
  /** Items after which no request is begun. @default no limit */
  readonly maxItems?: number
  /** Whether links to sites of other domains are dropped. @default false */
  readonly sameDomain?: boolean
  /** A file that gets a line of JSON for each item. */
  readonly jsonl?: string
  /** Whether a line on stderr tells how far the crawl is. @default false */
  readonly progress?: boolean
  /** Decides about failed pages, after their host has. Without it they climb on. */
  readonly catch?: (failure: Failure) => Decision
  /** How often a `catch` of this spider may restart one page. @default { limit: 3 } */
  readonly restarts?: SupervisorOptions['restarts']
  readonly plugins?: readonly Plugin[]
  /** How long one plugin may take to answer. @default '10s' */
  readonly hookTimeout?: Duration
  readonly description?: string
  readonly tags?: readonly string[]
}

type Prepared = Readonly<Record<string, string>> | undefined | void

/** The options as they were read. */
export interface SpiderSettings {
  readonly start: Start
  readonly concurrency: number
  readonly networkTryLimit: number
  readonly taskTryLimit: number
  readonly backoff: Backoff
  readonly handlerTimeout: number
  readonly prepare: SpiderOptions['prepare']
  readonly fetcher: FetcherOptions
  readonly politeness: PolitenessOptions
  readonly domains: DomainMatch<Pick<DomainOptions, 'catch' | 'networkTryLimit'>>
  readonly isCaching: boolean
  readonly robots: boolean
  /** What robots.txt knows us by. */
  readonly agent: string
  readonly parser: ParserKind
  readonly maxDepth: number
  readonly maxRequests: number
  readonly maxItems: number
  readonly sameDomain: boolean
  readonly jsonl: string | undefined
  readonly progress: boolean
  readonly catch: SpiderOptions['catch']
  readonly restarts: Supervisor['restarts']
  readonly plugins: readonly Plugin[]
  readonly hookTimeout: number
  readonly description: string | undefined
  readonly tags: readonly string[]
  readonly child: ChildPolicy
}

const KEYS: readonly string[] = [
  'start',
  'concurrency',
  'networkTryLimit',
  'taskTryLimit',
  'backoff',
  'handlerTimeout',
  'prepare',
  'perHost',
  'domains',
  'maxRetryAfter',
  'robots',
  'parser',
  'maxDepth',
  'maxRequests',
  'maxItems',
  'sameDomain',
  'jsonl',
  'progress',
  'catch',
  'restarts',
  'plugins',
  'hookTimeout',
  'description',
  'tags',
  ...FETCHER_KEYS,
  ...CHILD_OPTIONS.filter((key) => key !== 'ready' && key !== 'startTimeout'),
]

const DEFAULT_SHUTDOWN = 5_000
const AGENT = 'rootcatch'

/** Reads the options of a spider. What is wrong is said here, not when the crawl begins. */
export function readSpiderOptions(subject: string, options: SpiderOptions): SpiderSettings {
  checkKeys(subject, options, KEYS)
  const headers = { 'user-agent': AGENT, ...readHeaders(subject, options.headers) }
  const fetcher = { ...pick(options, FETCHER_KEYS), headers } as FetcherOptions
  const { perHost, maxRetryAfter, domains = {} } = options
  const politeness: PolitenessOptions = {
    ...(perHost !== undefined && { perHost }),
    ...(maxRetryAfter !== undefined && { maxRetryAfter }),
    domains: Object.fromEntries(Object.entries(domains).map(([host, own]) => [host, pick(own, paceKeys)])),
  }
  const limit = (key: 'maxDepth' | 'maxRequests' | 'maxItems', min: number): number =>
    options[key] === Infinity ? Infinity : (readWholeNumber(subject, key, options[key], { min }) ?? Infinity)
  const settings: SpiderSettings = {
    start: readStart(subject, options.start),
    concurrency: readWholeNumber(subject, 'concurrency', options.concurrency, { min: 1 }) ?? 16,
    networkTryLimit: readTryLimit(subject, 'networkTryLimit', options.networkTryLimit) ?? 10,
    taskTryLimit: readTryLimit(subject, 'taskTryLimit', options.taskTryLimit) ?? 10,
    backoff: readBackoff(subject, 'backoff', options.backoff) ?? exponential({ from: '500ms', to: '30s', jitter: 1 }),
    handlerTimeout: readDuration(subject, 'handlerTimeout', options.handlerTimeout, { positive: true }) ?? 60_000,
    prepare: readFunction(subject, 'prepare', options.prepare),
    fetcher,
    politeness,
    domains: readDomains(subject, domains, readDomain),
    isCaching: options.cache !== undefined && options.cache !== false,
    robots: readBoolean(subject, 'robots', options.robots) ?? true,
    agent: headers['user-agent'].split(/[/\s]/, 1)[0] ?? AGENT,
    parser: readOneOf(subject, 'parser', options.parser, ['html5', 'fast']) ?? 'html5',
    maxDepth: limit('maxDepth', 0),
    maxRequests: limit('maxRequests', 1),
    maxItems: limit('maxItems', 1),
    sameDomain: readBoolean(subject, 'sameDomain', options.sameDomain) ?? false,
    jsonl: readText(subject, 'jsonl', options.jsonl),
    progress: readBoolean(subject, 'progress', options.progress) ?? false,
    catch: readFunction(subject, 'catch', options.catch),
    restarts: readRestarts(subject, options.restarts),
    plugins: readPlugins(subject, options.plugins),
    hookTimeout: readDuration(subject, 'hookTimeout', options.hookTimeout, { positive: true }) ?? HOOK_TIMEOUT,
    description: readText(subject, 'description', options.description),
    tags: Object.freeze([...(options.tags ?? [])]),
    child: readChildPolicy(subject, options, { startTimeout: Infinity, shutdown: DEFAULT_SHUTDOWN }),
  }
  void new Fetcher(fetcher).close() // they read their own options
  new Politeness(politeness, { clock: systemClock }).close()
  return Object.freeze(settings)
}

function readDomain(subject: string, options: unknown): Pick<DomainOptions, 'catch' | 'networkTryLimit'> {
  const own = options as DomainOptions
  checkKeys(subject, own, [...paceKeys, 'catch', 'networkTryLimit'])
  const limit = readTryLimit(subject, 'networkTryLimit', own.networkTryLimit)
  const decide = readFunction(subject, 'catch', own.catch)
  return { ...(limit !== undefined && { networkTryLimit: limit }), ...(decide !== undefined && { catch: decide }) }
}

function readStart(subject: string, value: unknown): Start {
  if (value === undefined) return []
  const gives = (key: symbol): boolean => typeof peek(value, key) === 'function'
  const isText = typeof value === 'string'
  if (typeof value === 'function' || (!isText && (gives(Symbol.iterator) || gives(Symbol.asyncIterator)))) {
    return value as Start
  }
  throw new InvalidOptionError(
    subject,
    'start',
    value,
    `Pass a list, as in [request('list', 'https://…')], or a generator function.`,
  )
}

function readText(subject: string, key: string, value: unknown): string | undefined {
  if (value === undefined || (typeof value === 'string' && value !== '')) return value
  throw new InvalidOptionError(subject, key, value, 'Use a text that is not empty.')
}

function pick<Options extends object>(options: Options, keys: readonly (keyof Options)[]): Partial<Options> {
  const given = keys.filter((key) => options[key] !== undefined).map((key) => [key, options[key]])
  return Object.fromEntries(given) as Partial<Options>
}
