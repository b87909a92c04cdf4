import type { Level } from '../actors/climb.ts'
import type { JobPolicy } from '../actors/job-policy.ts'
import type { Failure } from '../failure.ts'
import { fallBack } from './handling.ts'
import { HostNode } from './host-node.ts'
import { PageSource, type PageOwner } from './page-source.ts'
import type { CrawlRequest } from './request.ts'
import type { RequestRun } from './request-run.ts'
import { hostnameOf, hostOf } from './url-parts.ts'
import { visit, type Crawling } from './visit.ts'

/** What the jobs of a crawl are made of: its hosts, as long as they have pages, and what makes the jobs of each. */
export class PageMaker {
  readonly hosts: Map<string, HostNode> = new Map()
  readonly #owner: PageOwner
  readonly #level: Level
  readonly #policies: readonly [JobPolicy, JobPolicy]

  /** `level` is the spider; `crawling` is asked for when there is a page to visit. */
  constructor(owner: PageOwner, level: Level, crawling: () => Crawling) {
    this.#owner = owner
    this.#level = level
    this.#policies = this.#makePolicies(crawling)
  }

  /** The host of a request, which has one page more. */
  enter(request: CrawlRequest): HostNode {
    const name = hostOf(request.url)
    let host = this.hosts.get(name)
    if (host === undefined) {
      const options = this.#owner.spider.settings.domains(hostnameOf(request.url))
      this.hosts.set(name, (host = new HostNode(name, this.#level, options)))
    }
    host.size += 1
    return host
  }

  /** It has one page less; without any it is removed. */
  leave(host: HostNode): void {
    host.size -= 1
    if (host.size === 0) this.hosts.delete(host.name)
  }

  sourceOf({ host, request }: RequestRun): PageSource {
    const hasFallback = this.#owner.spider.fallbacks.has(request.name) && !request.raw
    const which = hasFallback ? 1 : 0
    const source = (host.sources[which] as PageSource | undefined) ?? this.#newSource(host, which)
    host.sources[which] = source
    return source
  }

  #newSource(host: HostNode, which: 0 | 1): PageSource {
    return new PageSource(this.#owner, host, this.#policies[which])
  }

  #makePolicies(crawling: () => Crawling): readonly [JobPolicy, JobPolicy] {
    const { name, settings } = this.#owner.spider
    const { backoff, hookTimeout, description, tags } = settings
    const policy: JobPolicy = {
      name,
      body: (run) => visit(run as unknown as RequestRun, crawling()),
      schema: undefined,
      // Limits are those of each request: what its errors mean is told by `judge`.
      retry: { attempts: Infinity, backoff, when: () => false },
      timeout: undefined,
      hookTimeout,
      fallback: undefined,
      maxPayload: Infinity,
      plugins: [],
      description,
      tags,
    }
    return [policy, { ...policy, fallback: (run: never, failure: Failure) => fallBack(run, failure, crawling()) }]
  }
}
