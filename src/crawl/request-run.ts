import type { JobActor } from '../actors/job.ts'
import type { LeasedJob } from '../brokers/broker.ts'
import { cut } from '../evidence.ts'
import { Collection } from './collect.ts'
import type { RetryError } from './errors.ts'
import { GiveUp } from './give-up.ts'
import type { HostNode } from './host-node.ts'
import type { Turn } from './politeness.ts'
import type { CrawlRequest } from './request.ts'
import type { Response } from './response.ts'
import type { SpiderDefinition } from './spider-definition.ts'
import { Tally } from './stats.ts'

/** What ended a try before its page was there. */
export interface Broken {
  readonly error: unknown
  readonly why: 'network' | 'throttled' | 'limit'
  /** How long the host wants to be left alone, where it said. */
  readonly retryAfter?: number | undefined
}

/** One request from its lease to its end, or to where it is let go. */
export class RequestRun {
  readonly host: HostNode
  lease: LeasedJob
  /** With its counts as they are now. */
  request: CrawlRequest
  job: JobActor | undefined
  /** Leave to ask its host, while that is used. */
  turn: Turn | undefined
  /** A page that needs no fetch. */
  cached: Response | undefined
  /** Of the try or fallback under way; undefined while there is none. */
  giveUp: GiveUp | undefined
  broken: Broken | undefined
  retry: { readonly error: RetryError; readonly delay: number | undefined } | undefined
  /** What the next try is made with. */
  next: CrawlRequest | undefined
  /** It is not to be fetched after all. */
  isDenied = false
  isParked = false
  /** Its place among those whose lease is held; -1: it is not. */
  leasedAt = -1
  /** It holds no slot any more; its lease may still be held. */
  hasLeft = false
  /** URL its page came from, for links to be compared with. */
  pageUrl: string | undefined
  lastProxy: string | undefined
  readonly tally: Tally = new Tally()
  readonly collections: Collection[] = []

  constructor(host: HostNode, lease: LeasedJob, request: CrawlRequest) {
    this.host = host
    this.lease = lease
    this.request = request
  }

  get id(): string {
    return this.lease.id
  }

  /** A new attempt knows nothing of the one before. */
  begin(): void {
    this.broken = this.retry = this.next = undefined
    this.isDenied = false
    this.giveUpAnew()
  }

  giveUpAnew(): void {
    this.giveUp = new GiveUp()
  }

  collect(name: string, subject: string, check: (request: CrawlRequest) => void): Collection {
    const collection = new Collection(name, subject, check)
    this.collections.push(collection)
    return collection
  }

  dropCollected(): void {
    for (const collection of this.collections) collection.end()
    this.collections.length = 0
  }
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

/** A request as a line of a list. */
export function lineOf({ name, url }: CrawlRequest): string {
  return `${name}|${cut(url, 1000)}`
}
