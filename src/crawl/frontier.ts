import type { Tree } from '../actors/tree.ts'
import type { Enqueued, NewJob, Room } from '../brokers/broker.ts'
import type { EventData } from '../events.ts'
import type { Json } from '../payload.ts'
import { MAX_PRIORITY } from '../task.ts'
import { isSameDomain } from './domains.ts'
import type { CrawlRequest } from './request.ts'
import type { Gated } from './request-gate.ts'
import type { SpiderSettings } from './spider-options.ts'
import type { Numbers } from './stats.ts'
import { hostnameOf, hostOf } from './url-parts.ts'

/** Why a request was not accepted; the word it is counted by. */
type Dropped = EventData['request.dropped']['because']

/** A request was seen: longer than any crawl takes. */
const FOR_EVER = Number.MAX_SAFE_INTEGER

/** Not among the keys that a copy of the input has. */
const kept = Symbol('request')
interface Kept {
  [kept]?: CrawlRequest | undefined
}

/** Requests that may be queued, as jobs. */
export interface Offer {
  readonly jobs: readonly NewJob[]
  readonly requests: readonly CrawlRequest[]
  readonly dropped: readonly (readonly [because: Dropped, request: CrawlRequest])[]
}

/** What is to be fetched: decides which requests are accepted, each identity once, and counts them. */
export class Frontier {
  readonly #tree: Tree
  readonly #path: string
  readonly #settings: SpiderSettings
  readonly #numbers: Numbers
  /** Identities that were accepted here, kept only where a limit counts on each of them. */
  readonly #seen: Set<string> | undefined
  /** Whether the broker counts how many were accepted. */
  readonly #isCounted: boolean
  /** On their way to the broker. */
  #offered = 0
  /** Accepted ones that are not to be fetched after all, and that the broker still counts. */
  #denied = 0

  /** `isShared`: other processes may add to it, so the broker counts. */
  constructor(tree: Tree, path: string, settings: SpiderSettings, numbers: Numbers, isShared: boolean) {
    this.#tree = tree
    this.#isCounted = isShared && settings.maxRequests !== Infinity
    this.#path = path
    this.#settings = settings
    this.#numbers = numbers
    this.#seen = settings.maxRequests === Infinity || isShared ? undefined : new Set()
  }

  /** `from` is the URL of the page they stand on; undefined: they are of `start`. */
  offer({ requests, refused }: Gated, from: string | undefined): Offer {
    const jobs: NewJob[] = []
    const accepted: CrawlRequest[] = []
    const dropped: [Dropped, CrawlRequest][] = refused.map((request) => ['refused', request])
    for (const request of requests) {
      const because = this.#refuses(request, from)
      if (because === undefined) {
        jobs.push(this.#jobOf(request))
        accepted.push(request)
        this.#offered += 1
      } else {
        dropped.push([because, request])
      }
    }
    return { jobs, requests: accepted, dropped }
  }

  /** How many more may be added, where the broker counts them. */
  takeRoom(): Room | undefined {
    if (!this.#isCounted) return undefined
    const back = this.#denied
    this.#denied = 0
    return { name: 'requests', limit: this.#settings.maxRequests, back }
  }

  /** It was not written. */
  giveRoomBack(room: Room | undefined): void {
    this.#denied += room?.back ?? 0
  }

  /** What a broker gave for one of its jobs. */
  requestOf(input: Json): CrawlRequest | undefined {
    return (input as Kept)[kept]
  }

  /** A broker in memory keeps the input itself: with the request at it, that need not be read again. */
  keep(input: Json, request: CrawlRequest): void {
    if (!this.#tree.broker.durable) (input as Kept)[kept] = request
  }

  /** It is over: of what is kept of its job it takes no part. */
  forget(input: Json): void {
    if (this.requestOf(input) !== undefined) (input as Kept)[kept] = undefined
  }

  /** Counts an offer as it is written, so that what is written counts it; the broker may know some of it. */
  count({ dropped, requests }: Offer): void {
    for (const [because, request] of dropped) this.drop(request, because)
    for (const { name } of requests) this.#add(name, 1)
    this.#offered -= requests.length
  }

  /** Takes back those that the broker knew; how many there are more now. */
  accepted({ requests }: Offer, enqueued: readonly Enqueued[]): number {
    let count = 0
    requests.forEach((request, index) => {
      const { id, duplicate, refused } = enqueued[index] as Enqueued
      if (refused === true) {
        this.#add(request.name, -1)
        return this.drop(request, 'limit')
      }
      if (duplicate) {
        this.#add(request.name, -1)
        return this.drop(request, 'duplicate')
      }
      count += 1
      const { counters, events } = this.#tree
      counters.jobs.added += 1
      if (!events.hears('job.added')) return
      events.emit('job.added', { path: this.pathOf(request, id), id, attempt: 0, duplicate: false })
    })
    return count
  }

  /** It was accepted, but is not to be fetched: as if it had never been. */
  deny(request: CrawlRequest): void {
    if (this.#isCounted) this.#denied += 1
    this.#add(request.name, -1)
    this.drop(request, 'robots')
  }

  #add(name: string, by: 1 | -1): void {
    this.#numbers.add('request', by)
    this.#numbers.add(this.#numbers.namesOf(name).request, by)
  }

  drop(request: CrawlRequest, because: Dropped): void {
    const { name, url } = request
    this.#numbers.add(because)
    if (because === 'bad-url') this.#numbers.line('bad-url', `${name}|${request.badUrl}|${url}`)
    this.#tree.events.emit('request.dropped', { path: this.#path, name, url, because })
  }

  pathOf(request: CrawlRequest, id: string): string {
    return `${this.#path}/${hostOf(request.url)}/request:${id}`
  }

  #refuses(request: CrawlRequest, from: string | undefined): Dropped | undefined {
    const { maxDepth, sameDomain, maxRequests } = this.#settings
    if (request.badUrl !== undefined) return 'bad-url'
    if (request.depth > maxDepth) return 'depth'
    if (sameDomain && from !== undefined && !isSameDomain(hostnameOf(from), hostnameOf(request.url))) return 'domain'
    if (this.#seen === undefined) return undefined
    if (request.dedupe && this.#seen.has(request.identity)) return 'duplicate'
    if (this.#numbers.get('request') + this.#offered >= maxRequests) return 'limit'
    this.#seen.add(request.identity)
    return undefined
  }

  #jobOf(request: CrawlRequest): NewJob {
    const id = this.#tree.broker.newId()
    const input = request.toJSON() as Json
    this.keep(input, request)
    return {
      id,
      queue: this.#path,
      input,
      idempotencyKey: `${this.#path}/request:${id}`,
      priority: Math.min(MAX_PRIORITY, Math.max(-MAX_PRIORITY, request.priority)),
      delay: request.delay,
      lane: undefined,
      group: hostOf(request.url),
      dedupe: request.dedupe ? { key: request.identity, for: FOR_EVER } : undefined,
    }
  }
}
