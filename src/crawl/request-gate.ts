import { askToEnqueue, type Asked } from '../actors/enqueue-hooks.ts'
import type { HookTable } from '../actors/hook-table.ts'
import { taskOf } from '../actors/job-hooks.ts'
import type { Tree } from '../actors/tree.ts'
import { InvalidOptionError } from '../errors.ts'
import { checkKeys } from '../options.ts'
import type { Json } from '../payload.ts'
import { isRequest, requestFromJSON, type CrawlRequest } from './request.ts'
import type { SpiderDefinition } from './spider-definition.ts'

/** What the gate needs of its crawl. */
export interface GatedCrawl {
  readonly tree: Tree
  readonly path: string
  readonly spider: SpiderDefinition
  readonly hooks: HookTable
  /** Throws for a request that no handler is there for. */
  check(request: CrawlRequest): void
}

/** Requests as plugins let them through, and those they refused. */
export interface Gated {
  readonly requests: readonly CrawlRequest[]
  readonly refused: readonly CrawlRequest[]
}

const nobody: readonly CrawlRequest[] = []

/** Where plugins see requests before they are queued: they change them, or refuse them by a throw. */
export class RequestGate {
  readonly #crawl: GatedCrawl
  #isSaid = false

  constructor(crawl: GatedCrawl) {
    this.#crawl = crawl
  }

  /** At once where no plugin looks. It never rejects. */
  pass(requests: readonly CrawlRequest[]): Gated | Promise<Gated> {
    const isOpen = this.#crawl.hooks.enqueue.length === 0 || requests.length === 0
    return isOpen ? { requests, refused: nobody } : this.#askForEach(requests)
  }

  async #askForEach(requests: readonly CrawlRequest[]): Promise<Gated> {
    const passed: CrawlRequest[] = []
    const refused: CrawlRequest[] = []
    for (const request of requests) {
      try {
        passed.push(await this.#ask(request))
      } catch (error) {
        refused.push(request)
        this.#say(request, error)
      }
    }
    return { requests: passed, refused }
  }

  async #ask(request: CrawlRequest): Promise<CrawlRequest> {
    const { tree, path, spider, hooks } = this.#crawl
    const { hookTimeout: timeout, description, tags } = spider.settings
    const input = request.toJSON()
    const given: Asked = { input, options: { priority: request.priority, delay: request.delay } }
    const event = {
      task: taskOf({ name: spider.name, description, tags }, path),
      run: { id: '', path, attempt: 0, input, idempotencyKey: path }, // it is given an id when it is queued
      broker: tree.broker,
    }
    const asked = await askToEnqueue({ tree, timeout, origin: undefined }, hooks.enqueue, event, given)
    if (asked.input === given.input && asked.options === given.options) return request
    const changed = this.#changed(request, asked, given)
    this.#crawl.check(changed)
    return changed
  }

  #changed(request: CrawlRequest, { input, options }: Asked, given: Asked): CrawlRequest {
    const subject = `enqueue for a request of spider "${this.#crawl.spider.name}"`
    const json = input === given.input ? request.toJSON() : jsonOf(subject, input)
    if (options === given.options) return requestFromJSON(json)
    checkKeys(subject, options, ['priority', 'delay'])
    return requestFromJSON({ ...json, ...options })
  }

  #say({ url, name }: CrawlRequest, error: unknown): void {
    if (this.#isSaid) return
    this.#isSaid = true
    const { tree, path } = this.#crawl
    tree.write('warn', { path, name, url, err: error }, 'A plugin refused a request; more of them are only counted.')
  }
}

function jsonOf(subject: string, input: unknown): { readonly [key: string]: Json } {
  if (isRequest(input)) return input.toJSON()
  if (typeof input === 'object' && input !== null) return input as { readonly [key: string]: Json }
  throw new InvalidOptionError(subject, 'input', input, 'Return a request, or what its toJSON() gave, changed.')
}
