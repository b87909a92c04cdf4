import type { JobActor } from '../actors/job.ts'
import type { Clock } from '../clock.ts'
import type { UpdateRun } from './update-run.ts'

/** The updates that run or wait for their next attempt, by the places that their charts know them by. */
export class LiveRuns {
  readonly #runs: (UpdateRun | undefined)[] = []
  readonly #free: number[] = []
  #live = 0
  #parked = 0
  #isIdle: (() => void) | undefined

  get running(): number {
    return this.#live - this.#parked
  }

  get parked(): number {
    return this.#parked
  }

  at(slot: number): UpdateRun {
    return this.#runs[slot] as UpdateRun
  }

  all(): readonly UpdateRun[] {
    return this.#runs.filter((run) => run !== undefined)
  }

  /** It begins, or goes on. */
  runs(run: UpdateRun): void {
    if (run.isParked) this.#parked -= 1
    else this.#live += 1
    run.isParked = false
  }

  parks(run: UpdateRun): void {
    run.isParked = true
    this.#parked += 1
    this.#tellIfIdle()
  }

  /** Where the chart that begins next is to stand. */
  newPlace(): number {
    return this.#free.pop() ?? this.#runs.length
  }

  place(run: UpdateRun, job: JobActor): void {
    run.job = job
    this.#runs[job.slot] = run
  }

  displace({ job }: UpdateRun): void {
    if (job === undefined) return
    this.#runs[job.slot] = undefined
    this.#free.push(job.slot)
  }

  leaves(run: UpdateRun): void {
    this.displace(run)
    this.#live -= 1
    if (run.isParked) this.#parked -= 1
    run.isParked = false
    this.#tellIfIdle()
  }

  /** Resolves when nothing runs, or after so many ms. */
  idleWithin(clock: Clock, within: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = within === Infinity ? undefined : clock.setTimeout(resolve, within)
      this.#isIdle = () => {
        if (timer !== undefined) clock.clearTimeout(timer)
        resolve()
      }
      this.#tellIfIdle()
    })
  }

  #tellIfIdle(): void {
    if (this.running > 0) return
    this.#isIdle?.()
    this.#isIdle = undefined
  }
}
