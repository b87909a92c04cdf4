import type { NewSchedule, Tick, TickAnswer } from './broker.ts'
import type { Changes } from './sqlite-changes.ts'
import type { Statement } from './sqlite-driver.ts'
import type { Jobs, Store } from './sqlite-jobs.ts'
import { State } from './sqlite-schema.ts'

interface ScheduleRow {
  readonly spec: string
  readonly next: number
  readonly last: string | null
}

/** A schedule whose tick nobody has made for so long is known to no process any more. */
const FORGOTTEN_AFTER = 30 * 86_400_000

/** When queues get jobs by themselves. Everything here is called inside a transaction. */
export class Schedules {
  readonly #store: Store
  readonly #jobs: Jobs
  readonly #find: Statement
  readonly #put: Statement
  readonly #goOn: Statement
  readonly #setLast: Statement
  readonly #delete: Statement
  readonly #sweep: Statement

  constructor(store: Store, jobs: Jobs) {
    this.#store = store
    this.#jobs = jobs
    const { db } = store
    this.#find = db.prepare('SELECT spec, next, last FROM schedules WHERE queue = ?')
    this.#put = db.prepare(`
      INSERT INTO schedules (queue, spec, next) VALUES (?, ?, ?)
      ON CONFLICT (queue) DO UPDATE SET spec = excluded.spec, next = excluded.next`)
    this.#goOn = db.prepare('UPDATE schedules SET next = ? WHERE queue = ?')
    this.#setLast = db.prepare('UPDATE schedules SET last = ? WHERE queue = ?')
    this.#delete = db.prepare('DELETE FROM schedules WHERE queue = ?')
    this.#sweep = db.prepare('DELETE FROM schedules WHERE next < ? AND queue <> ?')
  }

  keep({ queue: name, spec, next }: NewSchedule, now: number): number {
    const queue = this.#store.queues.idOf(name)
    this.#sweep.run(now - FORGOTTEN_AFTER, queue)
    const row = this.#of(queue)
    if (row?.spec === spec) return row.next
    this.#put.run(queue, spec, next)
    return next
  }

  remove(name: string): boolean {
    const queue = this.#store.queues.find(name)
    return queue !== undefined && Number(this.#delete.run(queue).changes) === 1
  }

  tick(
    { queue: name, spec, at, next, overlap, job }: Tick,
    input: string | null,
    now: number,
    changes: Changes,
  ): TickAnswer {
    const queue = this.#store.queues.idOf(name)
    const row = this.#of(queue)
    if (row?.spec !== spec) return { answer: 'stale', next: undefined }
    if (row.next !== at) return { answer: 'stale', next: row.next }
    this.#goOn.run(next, queue)
    if (job === undefined) return { answer: 'skipped', unfinished: undefined }
    if (this.#jobs.find(job.id) !== undefined) return { answer: 'stale', next } // the clock was set back: it was made before
    if (!overlap && row.last !== null && this.#isUnfinished(row.last))
      return { answer: 'skipped', unfinished: row.last }
    const { id, duplicate } = this.#jobs.add(job, input, now, changes)
    if (duplicate) return { answer: 'skipped', unfinished: id }
    this.#setLast.run(id, queue)
    return { answer: 'added' }
  }

  #of(queue: number): ScheduleRow | undefined {
    return this.#find.get(queue) as ScheduleRow | undefined
  }

  #isUnfinished(id: string): boolean {
    const job = this.#jobs.find(id)
    return job !== undefined && job.state < State.done
  }
}
