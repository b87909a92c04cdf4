import type { Tree } from '../actors/tree.ts'
import { Deadlines } from './deadlines.ts'
import type { NetworkError } from './errors.ts'
import { StatusError } from './errors.ts'
import type { Outcome } from './fetching.ts'
import { Fetcher } from './fetcher.ts'
import { JsonLines } from './jsonl.ts'
import { loadParser, type Parse } from './parser.ts'
import { Politeness } from './politeness.ts'
import { Robots, type RobotsKeeper } from './robots.ts'
import type { SpiderDefinition } from './spider-definition.ts'
import type { CrawlStore } from './store.ts'

/** What a crawl works with. */
export interface Tools {
  readonly fetcher: Fetcher
  readonly politeness: Politeness
  readonly robots: Robots | undefined
  readonly robotsErrors: ReadonlyMap<string, NetworkError>
  readonly parse: Parse
  /** Of handlers. */
  readonly deadlines: Deadlines
  readonly jsonl: JsonLines | undefined
  close(): Promise<void>
}

export interface HostWatcher {
  hostPaused(host: string, until: number, because: 'throttled' | 'errors'): void
  hostResumed(host: string): void
}

/** Opens what a crawl works with: connections, the parser, the file of its items. */
export async function openTools(
  spider: SpiderDefinition,
  tree: Tree,
  store: CrawlStore,
  watcher: HostWatcher,
  keeper?: RobotsKeeper,
): Promise<Tools> {
  const { settings } = spider
  const { clock, random, broker } = tree
  const parse = await loadParser(settings.parser)
  const jsonl = settings.jsonl === undefined ? undefined : await JsonLines.open(settings.jsonl, broker.durable)
  const fetcher = new Fetcher(settings.fetcher, { clock, cookies: store.cookies, concurrency: settings.concurrency })
  const politeness = new Politeness(settings.politeness, {
    clock,
    random,
    onChange: (event) =>
      event.kind === 'paused'
        ? watcher.hostPaused(event.host, event.until, event.because)
        : watcher.hostResumed(event.host),
  })
  const robotsErrors = new Map<string, NetworkError>()
  const robots = settings.robots
    ? new Robots({
        agent: settings.agent,
        clock,
        random,
        keeper,
        fetch: async (request, options) => {
          const outcome = capped(await fetcher.fetch(request, options), politeness)
          noteError(robotsErrors, request.url, outcome)
          return outcome
        },
      })
    : undefined
  const deadlines = new Deadlines(clock)
  const close = async (): Promise<void> => {
    politeness.close()
    deadlines.close()
    await Promise.all([fetcher.close(), jsonl?.close()])
  }
  return { fetcher, politeness, robots, robotsErrors, parse, deadlines, jsonl, close }
}

function capped(outcome: Outcome, politeness: Politeness): Outcome {
  if (outcome.kind !== 'throttled' || outcome.retryAfter === undefined) return outcome
  return { ...outcome, retryAfter: politeness.capped(outcome.retryAfter) }
}

/** Why a robots.txt could not be had: pages of that origin fail by it. */
function noteError(errors: Map<string, NetworkError>, url: string, outcome: Outcome): void {
  const { origin } = new URL(url)
  if (outcome.kind === 'error') errors.set(origin, outcome.error)
  else if (outcome.kind === 'throttled') errors.set(origin, new StatusError({ url, status: outcome.response.status }))
  else errors.delete(origin)
}
