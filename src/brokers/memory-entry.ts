import type { Failure } from '../failure.ts'
import type { Json } from '../payload.ts'
import type { HistoryEntry, JobStatus, NewJob } from './broker.ts'
import type { Timed } from './due-heap.ts'

/** A job in memory. Also its own lease and its own place in lists and heap, so that it costs one object. */
export interface Entry extends Timed {
  readonly id: string
  readonly queue: string
  input: Json
  readonly idempotencyKey: string
  readonly priority: number
  readonly lane: string | undefined
  readonly dedupe: NewJob['dedupe']
  readonly addedAt: number
  status: JobStatus
  attempts: number
  charged: number
  putOffs: number
  generation: number
  restarts: Readonly<Record<string, number>>
  token: number
  due: number
  /** The one behind it in the list it stands in. */
  behind: Entry | undefined
  finishedAt: number | undefined
  value: Json | undefined
  failure: Failure | undefined
  reason: unknown
  history: HistoryEntry[] | undefined
}
