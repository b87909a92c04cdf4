import { jobMachine, type JobContext, type JobEvent } from '../../machines/job.ts'
import { spiderMachine } from '../../machines/spider.ts'
import type { AnyActorLogic } from 'xstate'
import { Host, toChartLogic } from '../actors/chart.ts'
import { jobEffects, type JobActor } from '../actors/job.ts'
import type { Tree } from '../actors/tree.ts'
import type { Ending } from './crawl-end.ts'
import type { ItemStream } from './items.ts'

/** The chart of a crawl as its actor, and the charts of its jobs under it. */
export class CrawlChart {
  readonly #tree: Tree
  readonly #path: string
  readonly #host: Host
  readonly #logic: AnyActorLogic
  #isSeeded = false
  #isPaused = false

  /** `jobAt` finds the job of a slot. */
  constructor(
    tree: Tree,
    input: { readonly path: string; readonly concurrency: number },
    at: { readonly parent: Host; readonly id: string; jobAt(slot: number): JobActor },
  ) {
    this.#tree = tree
    this.#path = input.path
    this.#host = new Host(spiderMachine, { parent: at.parent, id: at.id, input })
    const effects = jobEffects((slot) => at.jobAt(slot))
    this.#logic = toChartLogic<JobContext, JobEvent>(jobMachine, effects, tree.isInspected)
  }

  get actor(): Host['ref'] {
    return this.#host.ref
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  start(): void {
    this.#host.start()
  }

  startJob(job: JobActor): void {
    job.start(this.#host, this.#logic)
  }

  seeded(): void {
    if (this.#isSeeded) return
    this.#isSeeded = true
    this.#host.send({ type: 'seeded' })
  }

  /** Stands still while more items wait than are kept; true when it goes on. */
  follow(items: Pick<ItemStream, 'isFull' | 'hasRoom' | 'unread'>): boolean {
    if (!this.#isPaused && items.isFull) this.#pause(items.unread)
    else if (this.#isPaused && items.hasRoom) return this.#goOn()
    return false
  }

  drain(): void {
    this.#host.send({ type: 'drain' })
  }

  ended(ending: Ending): void {
    if (ending.kind === 'failed') return this.#host.send({ type: 'failed', failure: ending.failure })
    return this.#host.send({ type: 'drained', reason: ending.kind === 'done' ? ending.reason : ending.kind })
  }

  #pause(unread: number): void {
    const path = this.#path
    this.#isPaused = true
    this.#host.send({ type: 'pause' })
    this.#tree.events.emit('crawl.paused', { path, unread })
    this.#tree.write('warn', { path, unread }, 'The crawl waits for its items to be read.')
  }

  #goOn(): true {
    this.#isPaused = false
    this.#host.send({ type: 'unpause' })
    this.#tree.events.emit('crawl.unpaused', { path: this.#path })
    return true
  }
}
