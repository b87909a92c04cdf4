import { Failure, FAILURE_KINDS } from '../failure.ts'
import type { HistoryEntry } from './broker.ts'
import type { Entry } from './memory-entry.ts'

/** Kind, attempt, charged, put off; time, elapsed, attempts allowed. */
const [COUNTS, TIMES] = [4, 3]

/**
 * The one failed attempt of jobs that came to something all the same, in columns: a failure that is kept with each of ten
 * thousand results is one more object that lives just long enough to be moved about. Made for the first of them.
 */
export class KeptFailures {
  readonly #counts: Uint32Array
  readonly #times: Float64Array

  constructor(size: number) {
    this.#counts = new Uint32Array(COUNTS * size)
    this.#times = new Float64Array(TIMES * size)
  }

  keep(at: number, { charged, putOffs }: Entry, failure: Failure): void {
    const [counts, times] = [COUNTS * at, TIMES * at]
    this.#counts[counts] = FAILURE_KINDS.indexOf(failure.kind)
    this.#counts[counts + 1] = failure.attempt ?? 0
    this.#counts[counts + 2] = charged
    this.#counts[counts + 3] = putOffs
    this.#times[times] = failure.at
    this.#times[times + 1] = failure.elapsed ?? 0
    this.#times[times + 2] = failure.job?.attempts ?? 0
  }

  /** What the policy had counted. */
  progress(at: number): { readonly charged: number; readonly putOffs: number } {
    return { charged: this.#counts[COUNTS * at + 2] as number, putOffs: this.#counts[COUNTS * at + 3] as number }
  }

  /** Of a job that went well at another attempt. */
  told(at: number, message: string): HistoryEntry {
    return { generation: 1, ...this.#what(at), message }
  }

  /** Of a job that fell back; one that `saysNoMore`. */
  failure(at: number, error: unknown, { id, home, idempotencyKey }: Entry): Failure {
    const times = TIMES * at
    const [elapsed, attempts] = [this.#times[times + 1], this.#times[times + 2] as number]
    const job = { id, task: home.name, attempts }
    return new Failure({ error, path: idempotencyKey, ...this.#what(at), elapsed, job, generation: 1 })
  }

  #what(at: number): Pick<HistoryEntry, 'attempt' | 'at' | 'kind'> {
    const counts = COUNTS * at
    const kind = FAILURE_KINDS[this.#counts[counts] as number] as HistoryEntry['kind']
    return { attempt: this.#counts[counts + 1] as number, at: this.#times[TIMES * at] as number, kind }
  }
}

/** Whether the error, the columns and the job are all there is to the failure: nobody decided, no plugin threw. */
export function saysNoMore(failure: Failure, { id, home, idempotencyKey }: Entry): boolean {
  const { path, job, attempt, elapsed, generation, plugins, trail } = failure
  if (
    path !== idempotencyKey ||
    job?.id !== id ||
    job.task !== home.name ||
    job.lane !== undefined ||
    job.url !== undefined
  )
    return false
  if (attempt === undefined || elapsed === undefined || generation !== 1) return false
  return plugins.length === 0 && trail.length === 0 && Object.is(failure.cause, failure.error)
}
