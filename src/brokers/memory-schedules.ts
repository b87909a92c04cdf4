import type { Enqueued, NewJob, NewSchedule, Tick, TickAnswer } from './broker.ts'

/** What a tick asks of the jobs there are. */
interface Jobs {
  /** Whether there is a record of that id, or a dead letter. */
  isKnown(id: string): boolean
  isOpen(id: string): boolean
  /** Undefined if it is added, as it is given. */
  add(job: NewJob): Enqueued | undefined
}

/** When queues get jobs by themselves, and the job of the latest tick of each. */
export class Schedules {
  readonly #kept = new Map<string, { readonly spec: string; next: number; last: string | undefined }>()
  readonly #jobs: Jobs

  constructor(jobs: Jobs) {
    this.#jobs = jobs
  }

  keep({ queue, spec, next }: NewSchedule): number {
    const kept = this.#kept.get(queue)
    if (kept?.spec === spec) return kept.next
    this.#kept.set(queue, { spec, next, last: kept?.last })
    return next
  }

  drop(queue: string): boolean {
    return this.#kept.delete(queue)
  }

  tick({ queue, spec, at, next, overlap, job }: Tick): TickAnswer {
    const kept = this.#kept.get(queue)
    if (kept?.spec !== spec) return { answer: 'stale', next: undefined }
    if (kept.next !== at) return { answer: 'stale', next: kept.next }
    kept.next = next
    if (job === undefined) return { answer: 'skipped', unfinished: undefined }
    if (this.#jobs.isKnown(job.id)) return { answer: 'stale', next } // the clock was set back: this tick was made before
    const isFree = overlap || kept.last === undefined || !this.#jobs.isOpen(kept.last)
    if (!isFree) return { answer: 'skipped', unfinished: kept.last }
    const first = this.#jobs.add(job)
    if (first !== undefined) return { answer: 'skipped', unfinished: first.id }
    kept.last = job.id
    return { answer: 'added' }
  }

  clear(): void {
    this.#kept.clear()
  }
}
