import { StatusError, TryLimitError, type NetworkError, ProxyError } from './errors.ts'
import type { Outcome } from './fetching.ts'
import type { Fetcher } from './fetcher.ts'
import { CrawledPage } from './handler.ts'
import { handle, type Calling } from './handling.ts'
import type { HostOutcome } from './host-pace.ts'
import type { Parse } from './parser.ts'
import type { Politeness } from './politeness.ts'
import type { CrawlRequest } from './request.ts'
import { limitsOf, lineOf, type Broken, type RequestRun } from './request-run.ts'
import type { Response } from './response.ts'
import type { Robots, Verdict } from './robots.ts'
import type { SpiderDefinition } from './spider-definition.ts'

/** What a crawl lends to the visits of its pages. */
export interface Crawling extends Calling {
  readonly fetcher: Fetcher
  readonly politeness: Politeness
  readonly robots: Robots | undefined
  /** Why the robots.txt of an origin could not be had. */
  readonly robotsErrors: ReadonlyMap<string, NetworkError>
  readonly parse: Parse
  /** The turn of a run is over. */
  endTurn(run: RequestRun, outcome: HostOutcome): void
}

const ok: HostOutcome = { kind: 'ok' }
const neutral: HostOutcome = { kind: 'neutral' }

/** One try of a request: robots.txt is asked, the page fetched, its handler called. */
export function visit(run: RequestRun, crawling: Crawling): Promise<undefined> | undefined {
  const { spider, robots, parse } = crawling
  run.begin()
  refuseSpent(run, crawling)
  const { cached, request } = run
  if (cached !== undefined) {
    run.cached = undefined
    run.tally.add('cache-hit')
    const page = new CrawledPage(cached, request, parse, undefined)
    return Promise.resolve().then(() => handlePage(run, page, crawling)) // never while it is being started
  }
  const isPlain = robots === undefined && spider.settings.prepare === undefined
  return isPlain ? fetchPage(run, request, crawling) : prepareAndFetch(run, crawling)
}

/** Its turn ends with the fetch; here, where it was given up or denied, or the page was kept. */
function handlePage(
  run: RequestRun,
  page: CrawledPage | undefined,
  crawling: Crawling,
): Promise<undefined> | undefined {
  crawling.endTurn(run, neutral)
  if (page === undefined) return undefined
  run.giveUp?.throwIfGivenUp()
  return handle(run, page, crawling)
}

function refuseSpent(run: RequestRun, { spider }: Crawling): void {
  const { request, tally } = run
  const { url, taskTryCount, networkTryCount } = request
  const { network, task } = limitsOf(run, spider)
  if (taskTryCount > task) {
    tally.line('task-try-limit', lineOf(request))
    breakOff(run, new TryLimitError(url, 'taskTryLimit', taskTryCount, task), 'limit')
  }
  if (networkTryCount >= network) {
    tally.line('network-try-limit', lineOf(request))
    breakOff(run, new TryLimitError(url, 'networkTryLimit', networkTryCount, network), 'limit')
  }
}

async function prepareAndFetch(run: RequestRun, crawling: Crawling): Promise<undefined> {
  const { url } = run.request
  try {
    const answer = await askRobots(url, crawling)
    run.giveUp?.throwIfGivenUp()
    if (answer !== true) {
      return await handlePage(
        run,
        judgeOutcome(run, answer === false ? { kind: 'refused', url } : answer, crawling),
        crawling,
      )
    }
    const request = await prepared(run.request, crawling.spider)
    run.giveUp?.throwIfGivenUp()
    return await fetchPage(run, request, crawling)
  } finally {
    crawling.endTurn(run, neutral)
  }
}

/** No promise on the way comes to the page: one that has waited long is old, and would keep it for long. */
function fetchPage(run: RequestRun, request: CrawlRequest, crawling: Crawling): Promise<undefined> {
  const { spider, robots, fetcher } = crawling
  if (spider.settings.isCaching && request.cache === 'use') run.tally.add('cache-miss')
  let hop: Outcome | undefined // what its robots.txt came to, where that cannot be had
  const allows = async (url: string): Promise<boolean> => {
    const answer = await askRobots(url, crawling)
    if (typeof answer !== 'boolean') hop = answer
    return answer === true
  }
  const fetching = fetcher.begin(request, {
    giveUp: run.giveUp,
    tryCount: run.request.networkTryCount + 1,
    lastProxy: run.lastProxy,
    allows: robots === undefined ? undefined : allows,
  })
  return fetching.over.then(
    () => handlePage(run, judgeOutcome(run, hop ?? fetching.take(), crawling), crawling),
    (reason: unknown) => {
      crawling.endTurn(run, neutral)
      throw reason
    },
  )
}

/** What came of the fetch: a page, an error that breaks the try off, or nothing where a hop was denied. */
function judgeOutcome(run: RequestRun, outcome: Outcome & Again, crawling: Crawling): CrawledPage | undefined {
  const { tally } = run
  const { parse } = crawling
  switch (outcome.kind) {
    case 'page': {
      const { response } = outcome
      crawling.endTurn(run, ok)
      const request = madeTry(run)
      tally.add('network-ok')
      if (response.fromCache) tally.add('cache-hit')
      download(run, response)
      return new CrawledPage(response, request, parse, undefined)
    }
    case 'throttled': {
      const { response } = outcome
      const retryAfter = outcome.retryAfter === undefined ? undefined : crawling.politeness.capped(outcome.retryAfter)
      crawling.endTurn(run, { kind: 'throttled', retryAfter })
      tally.add('throttled')
      const { url, status } = response
      const error = new StatusError({ url, status, tryCount: run.request.networkTryCount + 1 })
      if (run.request.raw) return new CrawledPage(response, run.request, parse, error)
      return breakOff(run, error, 'throttled', retryAfter)
    }
    case 'error': {
      const { error, response, proxy } = outcome
      crawling.endTurn(run, isFaultOfHost(error) ? { kind: 'error' } : neutral)
      const request = madeTry(run)
      run.lastProxy = proxy
      tally.add('network-error')
      tally.add(`network-error-${error.code}`)
      if (response !== undefined) download(run, response)
      if (request.raw) return new CrawledPage(response ?? nothingOf(request), request, parse, error)
      return breakOff(run, error, 'network', outcome.retryIn)
    }
    case 'refused':
      run.isDenied = true
      return undefined
  }
}

/** A try that is broken off may not be worth another one sooner. */
interface Again {
  readonly retryIn?: number
}

type RobotsAnswer = boolean | (Outcome & Again)

/** Whether its robots.txt allows a URL. Where that cannot be had, none of the site's pages may be: a try ends as that one did. */
function askRobots(url: string, crawling: Crawling): RobotsAnswer | Promise<RobotsAnswer> {
  const verdict = crawling.robots?.check(url)
  if (verdict === undefined) return true
  return verdict instanceof Promise
    ? verdict.then((later) => readVerdict(later, url, crawling))
    : readVerdict(verdict, url, crawling)
}

function readVerdict(verdict: Verdict, url: string, { robotsErrors, politeness }: Crawling): RobotsAnswer {
  if (verdict.kind === 'allowed') {
    if (verdict.crawlDelay !== undefined) politeness.slowTo(url, verdict.crawlDelay)
    return true
  }
  if (verdict.kind === 'denied') return false
  const { kind, retryIn } = verdict
  const known = robotsErrors.get(new URL(url).origin)
  const error = known ?? new StatusError({ url: new URL('/robots.txt', url).href, status: 503 })
  if (kind === 'unknown') return { kind: 'error', error, proxy: undefined, retryIn }
  return { kind: 'throttled', response: { ...nothingOf(error), status: error.status ?? 0 }, retryAfter: retryIn }
}

async function prepared(request: CrawlRequest, { settings }: SpiderDefinition): Promise<CrawlRequest> {
  if (settings.prepare === undefined) return request
  const headers = await settings.prepare(request)
  return headers === undefined ? request : request.counted({ headers: { ...request.headers, ...lowered(headers) } })
}

/** A fetch was made: its count goes up. */
function madeTry(run: RequestRun): CrawlRequest {
  run.tally.add('network-try')
  run.request = run.request.counted({ networkTryCount: run.request.networkTryCount + 1 })
  return run.request
}

function download({ tally }: RequestRun, { redirects, wireBytes, body }: Response): void {
  for (let hop = 0; hop < redirects.length; hop += 1) tally.add('redirect')
  tally.wire += wireBytes
  tally.decoded += body.length
}

function breakOff(run: RequestRun, error: unknown, why: Broken['why'], retryAfter?: number): never {
  run.broken = { error, why, retryAfter }
  throw error
}

/** Pages too large, addresses of ours, a proxy that is away: that says nothing about the host. */
function isFaultOfHost(error: NetworkError): boolean {
  return !error.permanent && !(error instanceof ProxyError)
}

/** What a page has that never came. */
function nothingOf({ url }: { readonly url: string }): Response {
  const nothing = { headers: {}, body: Buffer.alloc(0), redirects: [], proxy: undefined }
  return { url, status: 0, fromCache: false, wireBytes: 0, ...nothing }
}

function lowered(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}
