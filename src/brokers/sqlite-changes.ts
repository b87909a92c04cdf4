import type { BuriedJob } from './broker.ts'

/** SQLite's calls are synchronous: a longer transaction would stop the event loop. */
export const ROWS_AT_ONCE = 256

/** What one transaction comes to for those who wait; told once it is committed. */
export class Changes {
  /** Rows it has touched, about. */
  rows = 0
  /** Numbers of queues that have something to take. */
  readonly woken: Set<number> = new Set()
  /** Jobs that ended here although no outcome was given for them, by their ids. */
  readonly ended: string[] = []
  /** Jobs that were lost too often. */
  readonly buried: BuriedJob[] = []
  /** When the next delayed job is due. */
  due: number = Infinity
  /** When the next lease runs out. */
  until: number = Infinity
}
