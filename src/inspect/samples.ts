import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { AnyEvent } from '../events.ts'
import type { Inspected } from '../inspection.ts'
import { PassingMap } from '../passing-map.ts'

/** What the plots show of one second. Rates are per second, times in ms. */
export interface Sample {
  readonly at: number
  readonly done: number
  readonly fellBack: number
  readonly failed: number
  readonly cancelled: number
  readonly retried: number
  readonly waiting: number
  readonly delayed: number
  readonly running: number
  readonly failures: number
  readonly restarts: number
  readonly dropped: number
  readonly wait: Quantiles | undefined
  readonly run: Quantiles | undefined
  readonly loop: number
  readonly heap: number
  readonly rss: number
  readonly events: number
}

export interface Quantiles {
  readonly p50: number
  readonly p95: number
  readonly p99: number
}

const KEPT = 600
const FOLLOWED = 2_000
/** Jobs a second: as many as a p99 needs. */
const MEASURED = 500

/** Takes a sample each second, while somebody looks. */
export class Samples {
  readonly #inspected: Inspected
  #all: Sample[] = []
  #loop: ReturnType<typeof monitorEventLoopDelay> | undefined
  #before: ReturnType<Inspected['system']['stats']> | undefined
  /** Jobs whose times are measured: some hundreds a second, chosen by chance. */
  readonly #jobs = new PassingMap<{ added: number | undefined; started: number | undefined }>()
  #waits: number[] = []
  #runs: number[] = []
  #events = 0
  #added = 0
  /** How many of the jobs are followed. */
  #share = 1

  constructor(inspected: Inspected) {
    this.#inspected = inspected
  }

  get all(): readonly Sample[] {
    return this.#all
  }

  begin(): void {
    this.#loop = monitorEventLoopDelay({ resolution: 10 })
    this.#loop.enable()
    this.#before = this.#inspected.system.stats()
  }

  end(): void {
    this.#loop?.disable()
    this.#loop = undefined
    this.#jobs.clear()
    this.#share = 1
    this.#added = 0
    this.#all = []
  }

  count(): void {
    this.#events += 1
  }

  /** One of our events. */
  hear(event: AnyEvent): void {
    switch (event.type) {
      case 'job.added':
        this.#added += 1
        if (this.#isChosen()) this.#jobs.set(event.id, { added: event.at, started: undefined })
        return undefined
      case 'job.started': {
        const job = this.#jobs.get(event.id)
        if (job === undefined) {
          if (this.#isChosen()) this.#jobs.set(event.id, { added: undefined, started: event.at })
          return undefined
        }
        if (job.added !== undefined && job.started === undefined) this.#waits.push(event.at - job.added)
        job.started = event.at
        return undefined
      }
      case 'job.done':
      case 'job.fellBack':
      case 'job.failed':
      case 'job.cancelled': {
        const job = this.#jobs.get(event.id)
        if (job?.started !== undefined) this.#runs.push(event.at - job.started)
        this.#jobs.delete(event.id)
      }
    }
    return undefined
  }

  #isChosen(): boolean {
    return this.#jobs.size < FOLLOWED && (this.#share === 1 || Math.random() < this.#share)
  }

  /** What happened since it was last called. `queues` is what the broker says. */
  take(queues: { readonly waiting: number; readonly delayed: number }): Sample {
    const now = this.#inspected.system.stats()
    const before = this.#before ?? now
    const { heapUsed, rss } = process.memoryUsage()
    const sum = ({ resume, restart, stop }: typeof now.failures): number => resume + restart + stop
    const sample: Sample = {
      at: Date.now(),
      done: now.jobs.done - before.jobs.done,
      fellBack: now.jobs.fellBack - before.jobs.fellBack,
      failed: now.jobs.failed - before.jobs.failed,
      cancelled: now.jobs.cancelled - before.jobs.cancelled,
      retried: now.jobs.retried - before.jobs.retried,
      waiting: queues.waiting,
      delayed: queues.delayed,
      running: now.attempts,
      failures: sum(now.failures) - sum(before.failures),
      restarts: now.restarts - before.restarts,
      dropped: now.droppedMessages - before.droppedMessages,
      wait: quantiles(this.#waits),
      run: quantiles(this.#runs),
      loop: round((this.#loop?.percentile(99) ?? 0) / 1e6),
      heap: heapUsed,
      rss,
      events: this.#events,
    }
    this.#loop?.reset()
    this.#before = now
    this.#waits = []
    this.#runs = []
    this.#events = 0
    this.#share = Math.min(1, MEASURED / this.#added)
    this.#added = 0
    if (this.#all.length === KEPT) this.#all.shift()
    this.#all.push(sample)
    return sample
  }
}

function quantiles(values: number[]): Quantiles | undefined {
  if (values.length === 0) return undefined
  values.sort((one, other) => one - other)
  const at = (share: number): number =>
    round(values[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0)
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) }
}

const round = (value: number): number => Math.round(value * 100) / 100
