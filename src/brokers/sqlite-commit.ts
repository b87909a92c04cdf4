import type { BrokerClock } from './broker.ts'
import { Changes, ROWS_AT_ONCE } from './sqlite-changes.ts'
import { hindranceOf } from './sqlite-driver.ts'

/** What a transaction rests on. */
export interface Transactor {
  /**
   * Throws while somebody else writes for longer than the busy timeout, or the file cannot be written at all. What does
   * not last may be forgotten by a power loss, but by nothing less.
   */
  begin(lasts: boolean): void
  commit(): void
  /** Never throws. */
  rollback(): void
  committed(changes: Changes): void
  /** Another process has held the lock for too long: so many calls wait and are tried again. */
  isBusy(calls: number): void
  /** What a call is told that could not be done because of `error`. */
  explain(error: unknown): unknown
}

type Work<Value> = (changes: Changes) => Value

/** A call that waits for its commit. */
interface Call {
  /** How many rows it touches at least; what it takes besides it adds to the changes. */
  readonly rows: number
  readonly lasts: boolean
  readonly work: Work<unknown>
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

const BUSY_PAUSE = 50

/** Lets the calls of one tick share a transaction; each is answered after its commit, never before. */
export class GroupCommit {
  readonly #transactor: Transactor
  readonly #clock: BrokerClock
  #calls: Call[] = []
  #next: NodeJS.Immediate | undefined
  #pause: unknown
  #isTold = false
  #onDrained: (() => void) | undefined

  constructor(transactor: Transactor, clock: BrokerClock) {
    this.#transactor = transactor
    this.#clock = clock
  }

  /** Does `work` inside a transaction. A throw of it is the answer to this call alone. */
  run<Value>(rows: number, work: Work<Value>, lasts = true): Promise<Value> {
    return new Promise((resolve, reject) => {
      this.#calls.push({ rows, lasts, work, resolve: resolve as Call['resolve'], reject })
      this.#flushSoon()
    })
  }

  /** Resolves when nothing waits any more, and whoever was answered last has had a turn to say what follows from it. */
  async drained(): Promise<void> {
    do {
      if (this.#calls.length > 0) await new Promise<void>((resolve) => (this.#onDrained = resolve))
      await new Promise<void>((resolve) => setImmediate(resolve))
    } while (this.#calls.length > 0)
  }

  #flushSoon(): void {
    if (this.#next === undefined && this.#pause === undefined) this.#next = setImmediate(() => this.#flush())
  }

  #flush(): void {
    this.#next = undefined
    try {
      this.#commit()
    } finally {
      this.#goOn() // also if one who was told of it throws
    }
  }

  /** Commits the first of the calls, as many as there is room for. */
  #commit(): void {
    const changes = new Changes()
    const values: unknown[] = []
    let blamed: Call | undefined
    try {
      this.#transactor.begin(this.#calls.some(({ lasts }) => lasts))
      for (blamed of this.#calls) {
        if (values.length > 0 && changes.rows + blamed.rows > ROWS_AT_ONCE) break
        changes.rows += blamed.rows
        values.push(blamed.work(changes))
      }
      blamed = undefined
      this.#transactor.commit()
    } catch (error) {
      this.#transactor.rollback()
      if (hindranceOf(error) === 'locked') return this.#waitForLock()
      return this.#refuse(error, blamed)
    }
    this.#isTold = false
    for (const [index, call] of this.#calls.splice(0, values.length).entries()) call.resolve(values[index])
    this.#transactor.committed(changes)
  }

  /** One call that cannot be done is answered alone, and the others are tried again; else none of them can be. */
  #refuse(error: unknown, blamed: Call | undefined): void {
    const refused = blamed === undefined ? this.#calls : [blamed]
    this.#calls = blamed === undefined ? [] : this.#calls.filter((call) => call !== blamed)
    for (const call of refused) call.reject(this.#transactor.explain(error))
  }

  #waitForLock(): void {
    if (!this.#isTold) this.#transactor.isBusy(this.#calls.length)
    this.#isTold = true
    this.#pause = this.#clock.setTimeout(() => {
      this.#pause = undefined
      this.#flushSoon()
    }, BUSY_PAUSE)
  }

  #goOn(): void {
    if (this.#calls.length > 0) return this.#flushSoon()
    this.#onDrained?.()
    this.#onDrained = undefined
  }
}
