import { JobTable } from '../job-table.ts'
import type { JobActor } from './job.ts'
import type { Holding } from './task-queue.ts'

/** So many jobs may come before the table of them is dropped, however few are held. */
const FEW = 1_000

/** The jobs a worker holds, those that wait for a retry included; ids of actors come from here, so that they are few. */
export class Slots implements Holding {
  /** Made when somebody asks for a job by its id, and dropped when nobody did for long: most jobs nobody asks for. */
  #byId: JobTable<JobActor> | undefined
  #putUnasked = 0
  readonly #jobs: (JobActor | undefined)[] = []
  readonly #free: number[] = []
  #running = 0
  #retrying = 0
  #lent = 0

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

  at(slot: number): JobActor {
    return this.#jobs[slot] as JobActor
  }

  /** The job of that id, of this worker: there is only one for a task at a time. */
  find(id: string): JobActor | undefined {
    this.#putUnasked = 0
    if (this.#byId === undefined) {
      this.#byId = new JobTable()
      for (const job of this.#jobs) if (job !== undefined) this.#byId.set(job.id, job)
    }
    return this.#byId.get(id)
  }

  values(): readonly JobActor[] {
    return this.#jobs.filter((job) => job !== undefined)
  }

  holds(job: JobActor): boolean {
    return this.#jobs[job.slot] === job
  }

  put(job: JobActor): void {
    this.#jobs[job.slot] = job
    this.#running += 1
    if (this.#byId === undefined) return
    this.#byId.set(job.id, job)
    this.#putUnasked += 1
    if (this.#putUnasked > Math.max(FEW, this.#byId.size)) this.#byId = undefined
  }

  lend(job: JobActor, isLent: boolean): void {
    if ((job.standing === 'lent') === isLent || !this.holds(job)) return
    job.standing = isLent ? 'lent' : 'running'
    this.#lent += isLent ? 1 : -1
  }

  /** It waits for its retry: its slot keeps its place in the table, but no longer counts as taken. */
  park(job: JobActor): void {
    this.lend(job, false)
    job.standing = 'parked'
    this.#running -= 1
    this.#retrying += 1
  }

  unpark(job: JobActor): void {
    job.standing = 'running'
    this.#running += 1
    this.#retrying -= 1
  }

  remove(job: JobActor): void {
    this.lend(job, false)
    if (job.standing === 'parked') this.#retrying -= 1
    else this.#running -= 1
    this.#jobs[job.slot] = undefined
    this.#free.push(job.slot)
    this.#byId?.delete(job.id)
  }

  /** Those that run; those that wait for a retry if `parked`. */
  all({ parked }: { readonly parked: boolean }): readonly JobActor[] {
    return this.#jobs.filter((job) => job !== undefined && (job.standing === 'parked') === parked) as JobActor[]
  }
}
