import { BrokerError } from '../errors.ts'
import { guarded } from '../evidence.ts'
import type { BrokerClock, Enqueued, LeasedJob, NewJob, Room } from './broker.ts'
import { Archive, type Retention } from './sqlite-archive.ts'
import { Changes, ROWS_AT_ONCE } from './sqlite-changes.ts'
import { GroupCommit } from './sqlite-commit.ts'
import { hindranceOf, type Database } from './sqlite-driver.ts'
import { fileWatch, unusable } from './sqlite-file.ts'
import { Jobs, type Store } from './sqlite-jobs.ts'
import { Keys } from './sqlite-keys.ts'
import { Lanes } from './sqlite-lanes.ts'
import { Leases, registerProcess } from './sqlite-leases.ts'
import { Ledger } from './sqlite-ledger.ts'
import { Notes } from './sqlite-notes.ts'
import { Queues } from './sqlite-queues.ts'
import { Schedules } from './sqlite-schedules.ts'
import { Watch } from './sqlite-watch.ts'
import type { Watchers } from './watchers.ts'

export interface SessionOptions {
  readonly lease: number
  readonly lostLimit: number
  readonly retention: Retention
}

const TRIMMED_AT_OPEN = 512
const TRIMMED_PER_RESULT = 2

/** A store between its opening and its close, and the transactions on it. */
export class Session {
  readonly queues: Queues
  readonly ledger: Ledger
  readonly archive: Archive
  readonly jobs: Jobs
  readonly leases: Leases
  readonly schedules: Schedules
  readonly notes: Notes
  readonly commits: GroupCommit
  readonly watch: Watch
  readonly #db: Database
  readonly #path: string
  readonly #clock: BrokerClock
  readonly #leaseTime: number
  readonly #isSameFile: () => boolean
  /** Whether transactions are on disk when they are committed. */
  #lasts = true

  constructor(db: Database, path: string, options: SessionOptions, watchers: Watchers, clock: BrokerClock) {
    this.#db = db
    this.#path = path
    this.#clock = clock
    this.#leaseTime = options.lease
    this.#isSameFile = fileWatch(path)
    const queues = new Queues(db)
    const ledger = new Ledger(db)
    const archive = new Archive(db, ledger, options.retention)
    const lanes = new Lanes(db, queues)
    const store: Store = { db, queues, ledger, archive, lanes, keys: new Keys(db), owner: registerProcess(db) }
    this.queues = queues
    this.ledger = ledger
    this.archive = archive
    this.jobs = new Jobs(store)
    this.leases = new Leases(store, this.jobs, options)
    this.schedules = new Schedules(store, this.jobs)
    this.notes = new Notes(db)
    this.commits = new GroupCommit(
      {
        begin: (lasts) => this.#begin(lasts),
        commit: () => this.#commit(),
        rollback: () => this.#rollback(),
        committed: (changes) => this.watch.committed(changes),
        isBusy: (calls) => this.#warnOfBusy(calls),
        explain: (error) => (hindranceOf(error) === undefined ? error : unusable(path, error)),
      },
      clock,
    )
    this.watch = new Watch(store, watchers, clock, {
      leaseIsOver: () => void this.#expire(),
      isOrphaned: (queue) => void this.#bury(queue),
    })
    this.#recover()
    this.watch.start()
  }

  get now(): number {
    return Math.floor(this.#clock.now())
  }

  /** Inside a transaction. `isMore`: ask again, in one that lasts; this one has no room for all there may be. */
  take(
    queue: string,
    limit: number,
    without: ReadonlySet<string>,
    changes: Changes,
  ): { readonly jobs: readonly LeasedJob[]; readonly isMore: boolean } {
    const { now } = this
    // Jobs that were lost too often fail, and that has to last.
    if (!this.#lasts && this.leases.areOver(now)) return { jobs: [], isMore: true }
    this.leases.expire(now, changes)
    const id = this.queues.find(queue)
    if (id === undefined) return { jobs: [], isMore: false }
    if (this.leases.hasOrphans(id)) this.leases.bury(id, now, changes)
    if (this.jobs.promote(id, now, changes)) return { jobs: [], isMore: true }
    const room = Math.max(1, ROWS_AT_ONCE - changes.rows)
    const until = now + this.#leaseTime
    const jobs = this.jobs.take(id, Math.min(limit, room), until, without)
    changes.rows += jobs.length
    if (jobs.length > 0) changes.until = until
    return { jobs, isMore: jobs.length === room }
  }

  /** Inside a transaction: adds those that are known, and of the others as many as there is room for. */
  addInRoom(
    path: string,
    jobs: readonly NewJob[],
    { name, limit, back }: Room,
    add: (job: NewJob, index: number) => Enqueued,
  ): readonly Enqueued[] {
    const queue = this.queues.idOf(path)
    let count = Math.max(0, Number(this.notes.word(queue, name) ?? 0) - back)
    const enqueued = jobs.map((job, index): Enqueued => {
      if (job.queue !== path) return add(job, index)
      if (count >= limit && !this.jobs.isKnown(job, this.now)) return { id: job.id, duplicate: false, refused: true }
      const answer = add(job, index)
      if (!answer.duplicate) count += 1
      return answer
    })
    this.notes.setWord(queue, name, String(count))
    return enqueued
  }

  word(path: string, name: string): string | null {
    const queue = this.queues.find(path)
    return queue === undefined ? null : this.notes.word(queue, name)
  }

  /** Inside a transaction: what a word is afterwards. */
  swap(path: string, name: string, from: string | null, to: string | null): string | null {
    const queue = this.queues.idOf(path)
    const now = this.notes.word(queue, name)
    if (now === to || now !== from) return now
    this.notes.setWord(queue, name, to)
    return to
  }

  /** Finishes what was called, gives back what is held, and leaves one file without a WAL behind. */
  async close(isClosed: () => void): Promise<void> {
    this.watch.stop()
    await this.commits.drained()
    isClosed()
    guarded(() => this.#transact((changes) => this.leases.giveBackAll(this.now, changes)), undefined)
    guarded(() => this.#db.exec('PRAGMA wal_checkpoint(TRUNCATE)'), undefined)
    this.#db.close()
  }

  /** Frees what processes held that are gone. */
  #recover(): void {
    this.#transact((changes) => {
      const { now } = this
      this.leases.freeDeadOwners(now, changes)
      this.leases.expire(now, changes)
      this.archive.trim(TRIMMED_AT_OPEN, now)
    })
  }

  async #expire(): Promise<void> {
    try {
      await this.commits.run(1, (changes) => this.leases.expire(this.now, changes))
      this.watch.look()
    } catch {
      // It cannot be written at present; the next lease looks for expired ones too.
    }
  }

  async #bury(queue: number): Promise<void> {
    try {
      await this.commits.run(1, (changes) => this.leases.bury(queue, this.now, changes))
    } catch {
      // As above: the next look finds them again.
    }
  }

  #transact(work: (changes: Changes) => void): void {
    this.#begin(true)
    try {
      work(new Changes())
      this.#commit()
    } catch (error) {
      this.#rollback()
      throw error
    }
  }

  #begin(lasts: boolean): void {
    if (!this.#isSameFile()) {
      const what = `${this.#path} was deleted or replaced while it was open`
      throw new BrokerError('away', `${what}. Stop the system and start it again.`)
    }
    if (lasts !== this.#lasts) this.#db.exec(`PRAGMA synchronous = ${lasts ? 'FULL' : 'NORMAL'}`)
    this.#lasts = lasts
    this.#db.exec('BEGIN IMMEDIATE')
  }

  #commit(): void {
    const { added } = this.ledger
    if (added > 0) this.archive.trim(added * TRIMMED_PER_RESULT, this.now)
    this.queues.write()
    this.ledger.write()
    this.#db.exec('COMMIT')
  }

  #rollback(): void {
    guarded(() => this.#db.exec('ROLLBACK'), undefined) // after a full disk SQLite has done it already
    this.queues.forget()
    this.ledger.clear()
  }

  #warnOfBusy(calls: number): void {
    const waiting = calls === 1 ? '1 call waits and is' : `${calls} calls wait and are`
    process.emitWarning(
      `${this.#path} has been locked by another process for longer than the busy timeout; ${waiting} tried again.`,
      'RootcatchWarning',
    )
  }
}
