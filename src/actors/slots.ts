import type { JobTable } from '../job-table.ts'
import type { JobActor } from './job.ts'
import type { Holding, LiveJob } from './task-queue.ts'

/** The jobs a worker holds, those that wait for a retry included; ids of actors come from here, so that they are few. */
export class Slots implements Holding {
  readonly #live: JobTable<LiveJob>
  readonly #jobs: (JobActor | undefined)[] = []
  readonly #names: string[] = []
  readonly #free: number[] = []
  #running = 0
  #retrying = 0
  #lent = 0

  /** `live` is kept in step, for others to find a job by its id. */
  constructor(live: JobTable<LiveJob>) {
    this.#live = live
  }

  get running(): number {
    return this.#running
  }

  /** Those in use: a job that waits for others has lent its own. */
  get taken(): number {
    return this.#running - this.#lent
  }

  get retrying(): number {
    return this.#retrying
  }

  /** The slot of the next job. */
  take(): number {
    return this.#free.pop() ?? this.#jobs.length
  }

  /** What the actor of a job in that slot is called: few names, used again and again. */
  nameOf(slot: number): string {
    this.#names[slot] ??= `job:${slot}`
    return this.#names[slot]
  }

  at(slot: number): JobActor {
    return this.#jobs[slot] as JobActor
  }

  /** The job of that id, of this worker: there is only one for a task at a time. */
  find(id: string): JobActor | undefined {
    return this.#live.get(id) as JobActor | undefined
  }

  holds(job: JobActor): boolean {
    return this.#jobs[job.slot] === job
  }

  put(job: JobActor): void {
    this.#jobs[job.slot] = job
    this.#live.set(job.id, job)
    this.#running += 1
  }

  lend(job: JobActor, isLent: boolean): void {
    if (job.isLent === isLent || !this.holds(job)) return
    job.isLent = isLent
    this.#lent += isLent ? 1 : -1
  }

  /** It waits for its retry: its slot keeps its place in the table, but no longer counts as taken. */
  park(job: JobActor): void {
    this.lend(job, false)
    job.isParked = true
    this.#running -= 1
    this.#retrying += 1
  }

  unpark(job: JobActor): void {
    job.isParked = false
    this.#running += 1
    this.#retrying -= 1
  }

  remove(job: JobActor): void {
    this.lend(job, false)
    if (job.isParked) this.#retrying -= 1
    else this.#running -= 1
    this.#jobs[job.slot] = undefined
    this.#free.push(job.slot)
    this.#live.delete(job.id)
  }

  /** Those that run; those that wait for a retry if `parked`. */
  all({ parked }: { readonly parked: boolean }): readonly JobActor[] {
    return this.#jobs.filter((job) => job?.isParked === parked) as JobActor[]
  }
}
