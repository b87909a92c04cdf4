import type { JobOutput } from '../../machines/job.ts'
import { JobActor, type Holder } from '../actors/job.ts'
import { Leases } from '../actors/leases.ts'
import type { Tree } from '../actors/tree.ts'
import type { LeasedJob } from '../brokers/broker.ts'
import { CancelledError, LeaseLostError, SystemStoppedError } from '../errors.ts'
import type { CrawlChart } from './crawl-chart.ts'
import type { HostNode } from './host-node.ts'
import type { HostOutcome } from './host-pace.ts'
import type { PageMaker } from './page-maker.ts'
import type { RequestRun } from './request-run.ts'
import { RunTable } from './run-table.ts'

/** What holding requests needs of its crawl. */
export interface HoldingCrawl {
  readonly tree: Tree
  /** Of the spider. */
  readonly path: string
  readonly chart: CrawlChart
  readonly pages: PageMaker
  readonly settlement: Settles
  readonly taking: Takes | undefined
  readonly isCrawling: boolean
  maybeOver(): void
}

/** Who writes what requests come to. */
interface Settles {
  over(run: RequestRun, output: JobOutput): void
  retry(run: RequestRun, delay: number): void
  release(lease: LeasedJob): void
}

/** Who takes them, and keeps those that wait for their host. */
interface Takes {
  freed(host: HostNode): void
  remove(run: RequestRun): void
  wake(): void
}

/** The requests a crawl has taken, from their lease to where they are settled, given back or lost. */
export class HeldRequests implements Holder {
  readonly threads = undefined
  readonly #crawl: HoldingCrawl
  readonly #table = new RunTable()
  readonly #leases: Leases<RequestRun>

  constructor(crawl: HoldingCrawl) {
    this.#crawl = crawl
    this.#leases = new Leases(
      crawl.tree,
      () => this.#table.leased(),
      (run) => this.lost(run),
    )
  }

  /** Those that are fetched or handled. */
  get running(): number {
    return this.#table.running
  }

  /** Those that wait for their next try. */
  get retrying(): number {
    return this.#table.parked
  }

  at(slot: number): RequestRun {
    return this.#table.at(slot)
  }

  /** Its lease is held from now on. */
  hold(run: RequestRun): void {
    this.#table.lease(run)
    this.#leases.begin()
  }

  start(run: RequestRun): void {
    const table = this.#table
    table.begins(run)
    if (run.isParked) {
      run.isParked = false
      return run.job?.goOn(run.lease)
    }
    const slot = table.freeSlot()
    const job = new JobActor(this.#crawl.pages.sourceOf(run), this, run.lease, slot)
    run.job = job
    table.place(run, slot)
    this.#crawl.chart.startJob(job)
  }

  /** The one that waited here for a next try, which is due. */
  unpark(id: string): RequestRun | undefined {
    return this.#table.unpark(id)
  }

  // What its jobs say

  lend(): void {} // a page keeps its slot, whatever it waits for

  park(job: JobActor, delay: number): void {
    const { settlement, taking, isCrawling } = this.#crawl
    const run = this.at(job.slot)
    run.isParked = true
    run.giveUp = undefined
    this.#table.ends(run)
    this.settling(run)
    if (isCrawling) this.#table.park(run)
    settlement.retry(run, delay)
    if (!this.#crawl.isCrawling) this.forget(run)
    taking?.wake()
  }

  over(job: JobActor, output: JobOutput): void {
    const run = this.at(job.slot)
    // Its chart may have been told by somebody else.
    if (output.status === 'cancelled') run.giveUp?.giveUp(new CancelledError(job.path, output.reason))
    run.giveUp = undefined
    this.endTurn(run, { kind: 'neutral' })
    this.#crawl.settlement.over(run, output)
  }

  // Where they are let go

  /** Its turn at its host is over. */
  endTurn(run: RequestRun, outcome: HostOutcome): void {
    const { turn } = run
    if (turn === undefined) return
    run.turn = undefined
    turn.end(outcome)
    this.#crawl.taking?.freed(run.host)
  }

  /** It holds no slot any more. */
  left(run: RequestRun): void {
    const { job, host } = run
    run.hasLeft = true
    if (!run.isParked) this.#table.ends(run)
    if (job !== undefined) this.#table.clear(job.slot)
    this.#crawl.pages.leave(host)
  }

  /** Its lease is given back with what it came to. */
  settling(run: RequestRun): void {
    this.#table.unlease(run)
  }

  /** The broker has it; what this process knows of it goes. */
  forget(run: RequestRun): void {
    cutOff(run, undefined)
    this.left(run)
  }

  forgetParked(): void {
    for (const run of this.#table.unparkAll()) this.forget(run)
  }

  giveBack(run: RequestRun): void {
    const { pages, settlement } = this.#crawl
    this.endTurn(run, { kind: 'neutral' })
    this.settling(run)
    if (run.job === undefined) pages.leave(run.host)
    else if (run.isParked) this.forget(run)
    settlement.release(run.lease)
  }

  lost(run: RequestRun): void {
    const { tree, pages, taking } = this.#crawl
    const { lease, job, host } = run
    const path = job?.path ?? `${host.path}/request:${lease.id}`
    if (this.#table.unlease(run) && !run.hasLeft) {
      if (job === undefined) taking?.remove(run)
      cutOff(run, new LeaseLostError(path, tree.broker.leaseTime))
      this.endTurn(run, { kind: 'neutral' })
      if (job === undefined) pages.leave(host)
      else this.left(run)
    }
    tree.events.emit('job.lost', { path, id: lease.id, attempt: job?.attempt ?? 0 })
    taking?.wake()
    this.#crawl.maybeOver()
  }

  cancelAll(reason: unknown): void {
    for (const run of this.#table.withJob()) cancel(run, reason)
  }

  /** Somebody in another process gave up a request that may be held here. */
  cancel(id: string, reason: unknown): void {
    for (const run of this.#table.leased()) if (run.id === id) cancel(run, reason)
  }

  /** Ends those that run where they stand, and gives them back. */
  cutOff(): void {
    const { tree } = this.#crawl
    for (const run of this.#table.withJob()) {
      const { path } = run.job as JobActor
      cutOff(run, new SystemStoppedError(tree.name, { job: path }))
      this.left(run)
      this.giveBack(run)
    }
  }

  end(): void {
    this.#leases.end()
  }
}

/** Gives a request up, and what is under way for it. */
function cancel({ job, giveUp }: RequestRun, reason: unknown): void {
  if (job === undefined) return
  giveUp?.giveUp(new CancelledError(job.path, reason))
  job.cancel(reason)
}

/** Ends what is under way for a request where it stands; its record goes on. */
function cutOff({ job, giveUp }: RequestRun, reason: unknown): void {
  giveUp?.giveUp(reason)
  job?.cutOff(reason)
}
