import type { Tree } from '../actors/tree.ts'
import { logOf } from '../actors/attempt-context.ts'
import { nameOf, describeThrown, isPluginTrigger } from '../thrown.ts'
import { cut, oneLine } from '../evidence.ts'
import type { Failure } from '../failure.ts'
import type { TaskContext } from '../task-context.ts'
import type { Collection } from './collect.ts'
import type { NetworkError } from './errors.ts'
import { HandlerTimeoutError, ProxyError, StatusError, TryLimitError } from './errors.ts'
import type { Outcome } from './fetch-try.ts'
import type { Fetcher } from './fetcher.ts'
import { CrawledPage, PageContext, type Handled, type HandlerContext } from './handler.ts'
import type { HostOutcome } from './host-pace.ts'
import type { Parse } from './parser.ts'
import type { Politeness } from './politeness.ts'
import type { CrawlRequest } from './request.ts'
import type { Broken, RequestRun } from './request-run.ts'
import type { Response } from './response.ts'
import type { Robots } from './robots.ts'
import type { SpiderDefinition } from './spider-definition.ts'

/** What a crawl lends to the visits of its pages. */
export interface Crawling {
  readonly tree: Tree
  readonly spider: SpiderDefinition
  readonly subject: string
  readonly fetcher: Fetcher
  readonly politeness: Politeness
  readonly robots: Robots | undefined
  /** Why the robots.txt of an origin could not be had. */
  readonly robotsErrors: ReadonlyMap<string, NetworkError>
  readonly parse: Parse
  /** Throws for a request that no handler is there for. */
  check(request: CrawlRequest): void
  /** The turn of a run is over. */
  endTurn(run: RequestRun, outcome: HostOutcome): void
}

/** How many tries a request has. */
export function limitsOf(
  { request, host }: RequestRun,
  { settings }: SpiderDefinition,
): { network: number; task: number } {
  return {
    network: request.networkTryLimit ?? host.networkTryLimit ?? settings.networkTryLimit,
    task: request.taskTryLimit ?? settings.taskTryLimit,
  }
}

/** One try of a request: robots.txt is asked, the page fetched, its handler called. */
export async function visit(run: RequestRun, ctx: TaskContext, crawling: Crawling): Promise<undefined> {
  run.begin()
  refuseSpent(run, crawling)
  const { signal } = ctx
  let page: CrawledPage | undefined
  try {
    page = await getPage(run, signal, crawling)
  } finally {
    crawling.endTurn(run, { kind: 'neutral' }) // given up, denied, or a page that was kept
  }
  if (page !== undefined) await handle(run, page, ctx, crawling)
  return undefined
}

/** Calls the fallback of a request once. */
export async function fallBack(run: RequestRun, failure: Failure, crawling: Crawling): Promise<undefined> {
  const { spider, tree, subject } = crawling
  const { request, tally, job } = run
  const fallback = spider.fallbacks.get(request.name)
  const collection = run.collect(request.name, subject, crawling.check)
  const controller = new AbortController()
  tally.add('fallback', `fallback-${request.name}`)
  const { id, path, attempt } = job as NonNullable<typeof job>
  const context = {
    emit: (item: unknown) => collection.emit(item),
    log: logOf({ tree, id, path, attempt }),
    signal: controller.signal,
  }
  try {
    const given: unknown = await within(collection, () => fallback?.(request, failure, context), {
      crawling,
      request,
      abort: (reason) => controller.abort(reason),
    })
    return void given
  } catch (error) {
    tally.add('fallback-error')
    throw error
  } finally {
    collection.end()
  }
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

/** Undefined where it may not be fetched. */
async function getPage(run: RequestRun, signal: AbortSignal, crawling: Crawling): Promise<CrawledPage | undefined> {
  const { spider, robots, parse } = crawling
  if (run.cached !== undefined) {
    const { request, cached } = run
    run.cached = undefined
    run.tally.add('cache-hit')
    return new CrawledPage(cached, request, parse, undefined)
  }
  const answer = robots === undefined ? true : await askRobots(run.request.url, crawling)
  signal.throwIfAborted()
  if (answer !== true) return judgeOutcome(run, answer === false ? denied(run.request.url) : answer, crawling)
  const request = await prepared(run.request, spider)
  signal.throwIfAborted()
  const tryCount = run.request.networkTryCount + 1
  if (spider.settings.isCaching && request.cache === 'use') run.tally.add('cache-miss')
  let hop: Outcome | undefined
  const allows = async (url: string): Promise<boolean> => {
    const answered = await askRobots(url, crawling)
    if (typeof answered !== 'boolean') hop = answered
    return answered === true
  }
  const outcome = await crawling.fetcher.fetch(request, {
    signal,
    tryCount,
    ...(run.lastProxy !== undefined && { lastProxy: run.lastProxy }),
    ...(robots !== undefined && { allows }),
  })
  return judgeOutcome(run, hop ?? outcome, crawling)
}

/** What came of the fetch: a page, an error that breaks the try off, or nothing where a hop was denied. */
function judgeOutcome(run: RequestRun, outcome: Outcome & Again, crawling: Crawling): CrawledPage | undefined {
  const { tally } = run
  const { parse } = crawling
  switch (outcome.kind) {
    case 'page': {
      const { response } = outcome
      crawling.endTurn(run, { kind: 'ok' })
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
      crawling.endTurn(run, { kind: isFaultOfHost(error) ? 'error' : 'neutral' })
      const request = madeTry(run)
      run.lastProxy = proxy
      tally.add('network-error', `network-error-${error.code}`)
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

/** Whether its robots.txt allows a URL. Where that cannot be had, none of the site's pages may be: a try ends as that one did. */
async function askRobots(url: string, crawling: Crawling): Promise<boolean | (Outcome & Again)> {
  const { robots, robotsErrors, politeness } = crawling
  const verdict = await robots?.check(url)
  if (verdict === undefined) return true
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

const denied = (url: string): Outcome => ({ kind: 'refused', url })

async function prepared(request: CrawlRequest, { settings }: SpiderDefinition): Promise<CrawlRequest> {
  if (settings.prepare === undefined) return request
  const headers = await settings.prepare(request)
  return headers === undefined ? request : request.counted({ headers: { ...request.headers, ...lowered(headers) } })
}

async function handle(run: RequestRun, page: CrawledPage, ctx: TaskContext, crawling: Crawling): Promise<void> {
  const { spider, tree, subject } = crawling
  const { tally, request } = run
  const { name } = request
  const seen = request.on(page)
  run.pageUrl = page.url
  const collection = run.collect(name, subject, crawling.check)
  const controller = new AbortController()
  const abort = (reason: unknown): void => {
    collection.end() // first: who hears of it may still emit
    controller.abort(reason)
  }
  ctx.signal.addEventListener('abort', () => abort(ctx.signal.reason), { once: true })
  const handled: Handled = {
    tree,
    id: ctx.id,
    path: ctx.path,
    attempt: ctx.attempt,
    signal: controller.signal,
    taskTryLimit: limitsOf(run, spider).task,
    emit: (item) => collection.emit(item),
    retries: (error, delay) => (run.retry = { error, delay }),
  }
  tally.add('page', `page-${name}`)
  try {
    const context = new PageContext(page, seen, handled) as HandlerContext<unknown>
    await within(collection, () => spider.handlers.get(name)?.(context), { crawling, request, abort })
  } catch (thrown) {
    noteHandlerError(run, thrown, page.url)
    throw thrown
  } finally {
    collection.end()
  }
  tally.add(`page-${name}-ok`)
}

function noteHandlerError({ retry, tally, request }: RequestRun, thrown: unknown, url: string): void {
  if (retry !== undefined && Object.is(retry.error, thrown)) return tally.add('retry-task')
  const kind = nameOf(thrown) ?? typeof thrown
  tally.add(`page-${request.name}-error`, `handler-error-${kind}`)
  if (isPluginTrigger(thrown)) return
  tally.line('handler-error', `${request.name}|${kind}|${oneLine(describeThrown(thrown), 300)}|${url}`)
}

/** Calls a handler or fallback under its timeout. */
function within(
  collection: Collection,
  call: () => unknown,
  {
    crawling,
    request,
    abort,
  }: { readonly crawling: Crawling; readonly request: CrawlRequest; readonly abort: (reason: unknown) => void },
): Promise<void> | undefined {
  const { tree, spider } = crawling
  const later = collection.follow(call())
  if (later === undefined) return undefined
  const { handlerTimeout } = spider.settings
  return new Promise((resolve, reject) => {
    const timer = tree.clock.setTimeout(() => {
      const error = new HandlerTimeoutError(request.name, request.url, handlerTimeout)
      collection.end() // first: who hears of it may still emit
      abort(error)
      reject(error)
    }, handlerTimeout)
    const end = (settle: () => void): void => {
      tree.clock.clearTimeout(timer)
      settle()
    }
    later.then(
      () => end(resolve),
      (error: unknown) => end(() => reject(error)),
    )
  })
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

/** A request as a line of a list. */
export function lineOf({ name, url }: CrawlRequest): string {
  return `${name}|${cut(url, 1000)}`
}
