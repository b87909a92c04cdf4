import { climb, type Level } from '../actors/climb.ts'
import type { Origin } from '../actors/floating.ts'
import type { HookTable } from '../actors/hook-table.ts'
import type { JobPolicy } from '../actors/job-policy.ts'
import type { JobSource, SourcedJob } from '../actors/job-source.ts'
import type { OwnError } from '../actors/judgement.ts'
import type { Tree } from '../actors/tree.ts'
import { Failure, type FailureData } from '../failure.ts'
import { isPermanent, isPluginTrigger } from '../thrown.ts'
import type { NetworkError } from './errors.ts'
import { BlockedAddressError, BodyTooLargeError, TryLimitError } from './errors.ts'
import type { HostNode } from './host-node.ts'
import type { CrawlRequest } from './request.ts'
import { limitsOf, lineOf, type Broken, type RequestRun } from './request-run.ts'
import type { SpiderDefinition } from './spider-definition.ts'

/** Of so many put-offs in a row the job chart charges the last one. */
const PUT_OFFS_PER_CHARGE = 20

/** What a page's jobs need of their crawl. */
export interface PageOwner {
  readonly tree: Tree
  readonly spider: SpiderDefinition
  /** Of the spider; names its queue. */
  readonly path: string
  readonly subject: string
  readonly hooks: HookTable
  watch(change: 1 | -1): void
  runAt(slot: number): RequestRun
}

/** What makes the jobs of one host: their paths, and what their errors mean. */
export class PageSource implements JobSource {
  readonly definition: JobPolicy
  readonly #owner: PageOwner
  readonly #host: HostNode

  constructor(owner: PageOwner, host: HostNode, policy: JobPolicy) {
    this.#owner = owner
    this.#host = host
    this.definition = policy
  }

  get tree(): Tree {
    return this.#owner.tree
  }

  get path(): string {
    return this.#owner.path
  }

  readonly noun = 'request'

  get subject(): string {
    return this.#owner.subject
  }

  get hooks(): HookTable {
    return this.#owner.hooks
  }

  watch(change: 1 | -1): void {
    this.#owner.watch(change)
  }

  jobPath(id: string): string {
    return `${this.#host.path}/request:${id}`
  }

  readInput({ slot }: SourcedJob): { readonly parsed: unknown } {
    return { parsed: this.#owner.runAt(slot) }
  }

  failure(data: FailureData, { slot }: SourcedJob): Failure {
    const run = this.#owner.runAt(slot)
    const { network } = limitsOf(run, this.#owner.spider)
    const { job } = data
    return new Failure({ ...data, ...(job && { job: { ...job, attempts: network, url: run.request.url } }) })
  }

  judge(thrown: unknown, { slot }: SourcedJob): OwnError | undefined {
    const run = this.#owner.runAt(slot)
    const { broken, retry } = run
    if (broken !== undefined && Object.is(broken.error, thrown)) return this.#judgeTry(run, broken)
    if (retry !== undefined && Object.is(retry.error, thrown)) return this.#judgeRetry(run, retry)
    if (isPluginTrigger(thrown)) return undefined
    return { error: thrown, kind: 'handler', isFinal: true, isHopeless: !isPermanent(thrown) }
  }

  readonly floated = (error: unknown, { id, path, attempt }: Origin): void => {
    const { tree } = this
    const job = { id, task: this.path, attempts: this.definition.retry.attempts }
    const failure = new Failure({ error, path, kind: 'floating', at: tree.clock.now(), attempt, job })
    const level: Level = this.#host
    const decided = climb(failure, { restarts: {} }, level, 'the page itself was not touched')
    const name = decided.decision === 'stay' ? decided.name : decided.decision === 'value' ? 'resume' : 'restart'
    tree.report(failure, name)
    if (decided.decision === 'stay' && decided.stopsSystem) tree.stopBecause(failure)
  }

  /** A try that brought no page. */
  #judgeTry(run: RequestRun, { error, why, retryAfter }: Broken): OwnError {
    const { network } = limitsOf(run, this.#owner.spider)
    const own = { error, kind: 'thrown' } as const
    if (why === 'limit' || error instanceof TryLimitError) return { ...own, isFinal: true }
    if (why === 'throttled') return this.#judgeThrottled(run, own, retryAfter, network)
    const { request, tally } = run
    noteWorst(run, error)
    const isSpent = request.networkTryCount >= network
    if (isSpent) tally.line('network-try-limit', `${lineOf(request)}|${(error as NetworkError).code}`)
    if (isSpent || (error as NetworkError).permanent) return { ...own, isFinal: true }
    tally.add('retry-network')
    run.next = fresh(request)
    return { ...own, isFinal: false, again: true, ...(retryAfter !== undefined && { retryAfter }) }
  }

  /** It costs no try, but of many in a row the last one does. */
  #judgeThrottled(
    run: RequestRun,
    own: { readonly error: unknown; readonly kind: 'thrown' },
    retryAfter: number | undefined,
    limit: number,
  ): OwnError {
    const { request, tally } = run
    const isCharged = (run.job?.context?.putOffs ?? 0) + 1 >= PUT_OFFS_PER_CHARGE
    const next = isCharged ? request.counted({ networkTryCount: request.networkTryCount + 1 }) : request
    run.next = next
    if (!isCharged || next.networkTryCount < limit) return { ...own, isFinal: false, retryAfter: retryAfter ?? 0 }
    run.request = next
    tally.line('network-try-limit', `${lineOf(next)}|throttled`)
    return { ...own, isFinal: true }
  }

  /** The handler gave its page back. */
  #judgeRetry(run: RequestRun, { error, delay }: NonNullable<RequestRun['retry']>): OwnError {
    const { request, tally } = run
    const { task } = limitsOf(run, this.#owner.spider)
    run.dropCollected()
    if (request.taskTryCount >= task) {
      tally.line('task-try-limit', lineOf(request))
      return { error, kind: 'thrown', isFinal: true }
    }
    run.next = fresh(request.counted({ taskTryCount: request.taskTryCount + 1, networkTryCount: 0 }))
    return { error, kind: 'thrown', isFinal: false, again: true, ...(delay !== undefined && { retryAfter: delay }) }
  }
}

function noteWorst({ tally, request }: RequestRun, error: unknown): void {
  if (error instanceof BlockedAddressError) tally.line('blocked-address', lineOf(request))
  if (error instanceof BodyTooLargeError) tally.line('body-too-large', lineOf(request))
}

/** A page that was no good is not taken from the cache again. */
function fresh(request: CrawlRequest): CrawlRequest {
  return request.cache === 'use' ? request.counted({ cache: 'refresh' }) : request
}
