import { JobTable } from '../job-table.ts'
import { copyJson, type Json } from '../payload.ts'
import { Run, type AnyRun, type RunOutcome } from '../run.ts'

/** Runs that are not over, by the job they wait for: mostly one, several where jobs were deduplicated. */
export class Runs {
  readonly #byJob = new JobTable<AnyRun | AnyRun[]>()
  #size = 0

  get size(): number {
    return this.#size
  }

  has(id: string): boolean {
    return this.#byJob.has(id)
  }

  add(id: string, run: AnyRun): void {
    const known = this.#byJob.swap(id, run)
    this.#size += 1
    if (known !== undefined) this.#byJob.set(id, Array.isArray(known) ? [...known, run] : [known, run])
  }

  /** Takes out one that no longer waits for this job. */
  remove(id: string, run: AnyRun): void {
    const known = this.#of(id)
    if (!known.includes(run)) return
    if (known.length === 1) this.#byJob.delete(id)
    else
      this.#byJob.set(
        id,
        known.filter((other) => other !== run),
      )
    this.#size -= 1
  }

  progress(id: string, value: unknown): void {
    for (const run of this.#of(id)) Run.tell.progress(run, value)
  }

  settle(id: string, outcome: RunOutcome): void {
    const known = this.#byJob.take(id)
    if (known === undefined) return
    if (!Array.isArray(known)) {
      this.#size -= 1
      return Run.tell.over(known, outcome)
    }
    this.#size -= known.length
    Run.tell.over(known[0] as AnyRun, outcome)
    for (const run of known.slice(1)) Run.tell.over(run, copyOf(outcome))
  }

  /** Asks what became of a job that ended somewhere else; of every job, if it is not known which. */
  lookAgain(id: string | undefined): void {
    for (const each of id === undefined ? this.#byJob.keys() : [id]) {
      const [first] = this.#of(each)
      if (first !== undefined) Run.tell.lookAgain(first, each)
    }
  }

  /** Whether the broker had the job that a run waits for. */
  isQueued(id: string): boolean {
    const [first] = this.#of(id)
    return first !== undefined && Run.tell.isQueued(first)
  }

  /** The system stops: nobody is left waiting. */
  abandonAll(): void {
    for (const id of this.#byJob.keys()) {
      const [first] = this.#of(id)
      if (first !== undefined) Run.tell.abandoned(first, id)
    }
  }

  #of(id: string): readonly AnyRun[] {
    const known = this.#byJob.get(id)
    if (known === undefined) return []
    return Array.isArray(known) ? known : [known]
  }
}

/** Each of several runs has a value of its own to change. */
function copyOf(outcome: RunOutcome): RunOutcome {
  if (outcome.status !== 'done' && outcome.status !== 'fallback') return outcome
  return { ...outcome, value: copyJson(outcome.value as Json) }
}
