import type { Changes } from './sqlite-changes.ts'
import type { Database, Statement } from './sqlite-driver.ts'
import type { Queues } from './sqlite-queues.ts'
import { State, type StateNumber } from './sqlite-schema.ts'

interface InLane {
  readonly seq: number
  readonly queue: number
  readonly lane: string | null
}

interface Next {
  readonly seq: number
  readonly state: StateNumber
}

/** Jobs of a lane run one at a time: only its head can be taken, whether it waits, is held, or waits for a retry. */
export class Lanes {
  readonly #queues: Queues
  readonly #head: Statement
  readonly #setHead: Statement
  readonly #close: Statement
  readonly #next: Statement
  readonly #ready: Statement
  readonly #clear: Statement

  constructor(db: Database, queues: Queues) {
    this.#queues = queues
    this.#head = db.prepare('SELECT head FROM lanes WHERE queue = ? AND lane = ?')
    this.#setHead = db.prepare('INSERT OR REPLACE INTO lanes (queue, lane, head) VALUES (?, ?, ?)')
    this.#close = db.prepare('DELETE FROM lanes WHERE queue = ? AND lane = ?')
    this.#next = db.prepare(`
      SELECT seq, state FROM jobs
      WHERE queue = ? AND lane = ? AND state IN (${State.behind}, ${State.delayed}) AND due <= ?
      ORDER BY due, seq LIMIT 1`)
    this.#ready = db.prepare(`UPDATE jobs SET state = ${State.ready} WHERE seq = ?`)
    this.#clear = db.prepare('DELETE FROM lanes WHERE queue = ?')
  }

  /** All jobs of a queue are gone. */
  clear(queue: number): void {
    this.#clear.run(queue)
  }

  /** The state of a job that is due: `behind`, unless it is the head or in no lane. */
  stateOf({ seq, queue, lane }: InLane): StateNumber {
    return lane === null || this.#headOf(queue, lane) === seq ? State.ready : State.behind
  }

  /** A job stands behind; where the lane had no head, it gets one. */
  enter({ queue, lane }: Omit<InLane, 'seq'>, now: number, changes: Changes): void {
    if (lane !== null && this.#headOf(queue, lane) === undefined) this.#open(queue, lane, now, changes)
  }

  /** A job is over; if it was the head, the next one is. */
  leave({ seq, queue, lane }: InLane, now: number, changes: Changes): void {
    if (lane !== null && this.#headOf(queue, lane) === seq) this.#open(queue, lane, now, changes)
  }

  /** A delayed job may have become due without anybody looking: it is as good as one that stands behind. */
  #open(queue: number, lane: string, now: number, changes: Changes): void {
    const next = this.#next.get(queue, lane, now) as Next | undefined
    if (next === undefined) {
      this.#close.run(queue, lane)
      return
    }
    this.#setHead.run(queue, lane, next.seq)
    this.#ready.run(next.seq)
    this.#queues.move(queue, next.state, State.ready)
    changes.woken.add(queue)
  }

  #headOf(queue: number, lane: string): number | undefined {
    const row = this.#head.get(queue, lane) as { readonly head: number } | undefined
    return row?.head
  }
}
