import type { JobContext, JobOutput } from '../../machines/job.ts'
import { whenever } from '../actors/answer.ts'
import { climb, type JobDecision } from '../actors/climb.ts'
import { announce } from '../actors/outcome.ts'
import type { Kept } from '../actors/tell-broker.ts'
import type { LeasedJob, NewJob, Outcome, StepAnswer } from '../brokers/broker.ts'
import type { Failure } from '../failure.ts'
import { copyPayload, type Json } from '../payload.ts'
import type { RunOutcome } from '../run.ts'
import { isFatal } from '../thrown.ts'
import { BrokerSteps, FIRST_WAIT, LONGEST_WAIT, type Stepping } from './broker-steps.ts'
import type { Collection } from './collect.ts'
import type { Offer } from './frontier.ts'
import type { HeldRequests } from './held-requests.ts'
import type { ItemRoom } from './item-room.ts'
import { ABANDONED } from './items.ts'
import type { CrawlRequest } from './request.ts'
import type { Gated, RequestGate } from './request-gate.ts'
import type { RequestRun } from './request-run.ts'
import type { EndKind, Numbers } from './stats.ts'

/** What settling needs of its crawl. */
export interface Settling extends Stepping {
  readonly numbers: Numbers
  readonly gate: RequestGate
  readonly held: HeldRequests
  /** Hands items on; a promise, where a page must not be settled before they are through. */
  give(items: readonly Json[]): Promise<void> | undefined
  /** Places for items, where processes share them. */
  readonly itemRoom: ItemRoom | undefined
  /** The items of a page as a job, where they are read in another process. */
  relay(items: readonly Json[]): NewJob | undefined
  /** A page with items is settled. */
  itemsSettled(id: string): void
  /** A page threw a `FatalError`. */
  fatal(failure: Failure): void
  /** The items of a page could not be written. */
  failedItems(error: unknown): void
}

const nothing: Offer = { jobs: [], requests: [], dropped: [] }

/** What pages come to: items, requests and outcome are written as one step, and then told. */
export class PageSettlement {
  readonly #crawl: Settling
  readonly #steps: BrokerSteps
  /** Those that wait for something else than the broker. */
  #pending = 0

  constructor(crawl: Settling) {
    this.#crawl = crawl
    this.#steps = new BrokerSteps(crawl)
  }

  /** Whether nothing is on its way, to the broker or before that. */
  get isIdle(): boolean {
    return this.#pending === 0 && this.#steps.isIdle
  }

  over(run: RequestRun, output: JobOutput): void {
    const { attempts } = output
    switch (output.status) {
      case 'done': {
        if (run.isDenied) return this.#deny(run, attempts)
        const told = { status: 'done', value: undefined, attempts } as const
        return this.#settle(run, { kind: 'done', value: null, attempts, isForgettable: true }, told, 'ok')
      }
      case 'fallback':
        return this.#fellBack(run, null, output.failure as Failure, attempts)
      case 'cancelled': {
        const { reason } = output
        return this.#settle(run, { kind: 'cancelled', reason, attempts }, { status: 'cancelled', reason, attempts })
      }
      case 'failed':
        return this.#failed(run, output.failure as Failure, attempts)
    }
  }

  /** Its next try waits in the broker. */
  retry(run: RequestRun, delay: number): void {
    const { numbers } = this.#crawl
    const { attempt: attempts, charged, putOffs, failure } = run.job?.context ?? ({} as JobContext)
    numbers.take(run.tally)
    run.request = run.next ?? run.request
    const input = this.#inputOf(run.request)
    const outcome = { kind: 'retry', delay, failure: failure as Failure, attempts, charged, putOffs, input } as const
    this.#step(run, outcome, nothing, () => {})
  }

  /** Queues requests that stand on no page. */
  add(requests: readonly CrawlRequest[], then: () => void): void {
    const { frontier, changed } = this.#crawl
    this.#gate(requests, (gated) => {
      const offer = frontier.offer(gated, undefined)
      frontier.count(offer)
      this.#step(undefined, undefined, offer, ({ enqueued }) => {
        const count = frontier.accepted(offer, enqueued)
        then()
        changed.call(this.#crawl, count)
      })
    })
  }

  /** Gives a request back as if it had not been taken. */
  release(lease: LeasedJob): void {
    this.#steps.tell({ ...lease, kind: 'release' } as Outcome, nothing, () => {}, undefined)
  }

  /** Ends a request whose stored form cannot be read. */
  refuse(lease: LeasedJob, failure: Failure): void {
    const { id, token } = lease
    const outcome = { id, token, kind: 'failed', attempts: lease.attempts, failure } as const
    this.#steps.tell(outcome, nothing, () => this.#crawl.changed(-1), undefined)
  }

  #fellBack(run: RequestRun, value: Json, failure: Failure, attempts: number): void {
    const told = { status: 'fallback', value, failure, attempts } as const
    this.#settle(run, { kind: 'fallback', value, failure, attempts }, told, 'fallback')
  }

  /** It was accepted, but is not to be fetched: as if it had never been. */
  #deny(run: RequestRun, attempts: number): void {
    this.#crawl.frontier.deny(run.request)
    const reason = 'robots.txt does not allow it'
    this.#settle(run, { kind: 'cancelled', reason, attempts }, { status: 'cancelled', reason, attempts })
  }

  /** The failure climbs; what is decided above makes the outcome. */
  #failed(run: RequestRun, failure: Failure, attempts: number): void {
    const { tree, numbers } = this.#crawl
    const isHandler = failure.kind === 'handler'
    const failed = { kind: 'failed', failure, attempts } as const
    const told = { status: 'failed', failure, attempts } as const
    const end = isHandler ? 'error' : 'failed'
    if (isHandler && isFatal(failure.error)) {
      this.#settle(run, failed, told, end)
      return this.#crawl.fatal(failure)
    }
    this.#pending += 1 // a `catch` may stop the spider
    const note = `the page stays failed; dead letter ${run.lease.id}`
    const decision = this.#checkValue(run, climb(failure, run.lease, run.host, note))
    tree.report(failure, decision.decision === 'stay' ? decision.name : nameOf[decision.decision])
    switch (decision.decision) {
      case 'stay':
        if (!isHandler) numbers.add('failed')
        this.#settle(run, failed, told, end)
        if (decision.stopsSystem) tree.stopBecause(failure)
        break
      case 'value':
        this.#fellBack(run, decision.value as Json, failure, attempts)
        break
      case 'restart':
        this.#restart(run, failure, decision)
    }
    this.#pending -= 1
  }

  #restart(run: RequestRun, failure: Failure, decision: Extract<JobDecision, { decision: 'restart' }>): void {
    const { tree, numbers } = this.#crawl
    const { lease, job } = run
    const { delay, by, count } = decision
    const generation = lease.generation + 1
    // Without a prototype: a path may be called `constructor`.
    const restarts = Object.assign(Object.create(null) as Record<string, number>, lease.restarts, { [by]: count })
    const request = run.request.counted({ networkTryCount: 0, taskTryCount: 1 })
    const input = this.#inputOf(request)
    numbers.take(run.tally)
    this.#crawl.held.left(run)
    this.#step(run, { kind: 'restart', delay, failure, generation, restarts, input }, nothing, () => {
      tree.counters.jobs.restarted += 1
      const { id } = lease
      tree.events.emit('job.restarted', { path: job?.path ?? '', id, attempt: 0, generation })
    })
  }

  /** A value that a `catch` gave must be one a broker can keep. */
  #checkValue(run: RequestRun, decision: JobDecision): JobDecision {
    if (decision.decision !== 'value') return decision
    const path = run.job?.path ?? ''
    try {
      const value = copyPayload(`value of resume() for ${path}`, decision.value ?? null, Infinity)
      return { decision: 'value', value }
    } catch (error) {
      this.#crawl.tree.callbackFailed(path, 'catch', error)
      return { decision: 'stay', stopsSystem: false, name: 'resume' }
    }
  }

  /** Those of its items that there is room for; then what it came to. */
  #settle(run: RequestRun, outcome: Kept, told: RunOutcome, end?: EndKind): void {
    const { itemRoom } = this.#crawl
    const items = allOf(run, 'items')
    if (itemRoom === undefined || items.length === 0) return this.#write(run, outcome, told, items, end)
    this.#pending += 1
    this.#crawl.held.left(run)
    const take = (wait: number): void =>
      whenever(
        () => itemRoom.take(run.id, items.length),
        (places) => {
          this.#pending -= 1
          this.#write(run, outcome, told, items.slice(0, places), end)
        },
        () => void this.#crawl.tree.sleep(wait, () => take(Math.min(2 * wait, LONGEST_WAIT))),
      )
    take(FIRST_WAIT)
  }

  /** Its items first, where somebody waits for them or writes them; then everything else as one step. */
  #write(run: RequestRun, outcome: Kept, told: RunOutcome, items: readonly Json[], end: EndKind | undefined): void {
    const { numbers, frontier } = this.#crawl
    const requests = allOf(run, 'requests')
    if (!run.hasLeft) this.#crawl.held.left(run)
    const write = (gated: Gated): void => {
      const offer = requests.length === 0 ? nothing : frontier.offer(gated, run.pageUrl ?? run.request.url)
      numbers.take(run.tally)
      if (end !== undefined) numbers.end(end)
      if (items.length > 0) numbers.add('item', items.length)
      frontier.forget(run.lease.input)
      frontier.count(offer)
      this.#step(
        run,
        outcome,
        offer,
        ({ enqueued }) => {
          const added = frontier.accepted(offer, enqueued)
          this.#announce(run, told)
          this.#crawl.changed(added - 1)
          if (items.length > 0) this.#crawl.itemsSettled(run.id)
        },
        items.length === 0 ? undefined : this.#crawl.relay(items),
      )
    }
    const given = items.length === 0 ? undefined : this.#crawl.give(items)
    if (given === undefined) return this.#gate(requests, write)
    this.#pending += 1
    given.then(
      () => {
        this.#pending -= 1
        this.#gate(requests, write)
      },
      (error: unknown) => {
        this.#pending -= 1
        if (error !== ABANDONED) this.#crawl.failedItems(error)
        this.#crawl.held.settling(run)
        this.release(run.lease)
      },
    )
  }

  /** What plugins let through, at once where none looks. */
  #gate(requests: readonly CrawlRequest[], then: (gated: Gated) => void): void {
    const gated = this.#crawl.gate.pass(requests)
    if (!(gated instanceof Promise)) return then(gated)
    this.#pending += 1
    void gated.then((passed) => {
      this.#pending -= 1
      then(passed)
    })
  }

  #announce({ lease, job, host }: RequestRun, told: RunOutcome): void {
    const { tree } = this.#crawl
    const path = job?.path ?? `${host.path}/request:${lease.id}`
    announce(tree, path, lease.id, told)
    const hooks = job?.tellHooks(told)
    const tell = (): void => {
      if (tree.runs.size > 0) tree.runs.settle(lease.id, told)
    }
    if (hooks === undefined) tell()
    else void hooks.then(tell)
  }

  #step(
    run: RequestRun | undefined,
    outcome: Kept | undefined,
    offer: Offer,
    then: (answer: StepAnswer) => void,
    relayed?: NewJob,
  ): void {
    if (run === undefined) return this.#steps.tell(undefined, offer, then, undefined)
    this.#crawl.held.settling(run)
    const { id, token } = run.lease
    const settled = { ...outcome, id, token } as Outcome
    const answered = (answer: StepAnswer): void => {
      if (answer.answer === 'lost') this.#crawl.held.lost(run)
      else then(answer)
    }
    this.#steps.tell(settled, offer, answered, relayed)
  }

  #inputOf(request: CrawlRequest): Json {
    const input = request.toJSON() as Json
    this.#crawl.frontier.keep(input, request)
    return input
  }
}

const nameOf = { value: 'resume', restart: 'restart' } as const

/** What all calls for a request gave; nearly always there is one. */
function allOf<Part extends 'items' | 'requests'>({ collections }: RequestRun, part: Part): Collection[Part] {
  const [first, second] = collections
  if (first === undefined) return []
  return second === undefined ? first[part] : (collections.flatMap((one) => one[part] as unknown[]) as Collection[Part])
}
