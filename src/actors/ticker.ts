import type { NewJob, TickAnswer } from '../brokers/broker.ts'
import { nextTick, type Schedule } from '../schedule.ts'
import { whenever } from './answer.ts'
import { runAsNobody } from './floating.ts'
import type { Tree } from './tree.ts'

/** The task whose ticks are made. */
export interface Ticking {
  readonly tree: Tree
  readonly path: string
  /** The job of a tick; undefined if the task refuses it. */
  tickJob(at: number, then: (job: NewJob | undefined) => void): void
}

const BROKER_AWAY = 1_000

/** How long it waits at most before it looks at the clock again, which may have been set, or stood still in a sleep. */
const LONGEST_WAIT = 3_600_000

/**
 * Makes the jobs of a schedule, as one of many processes may: each has a timer for the next tick, and the broker lets one
 * of them make it. It outlives the workers of its task.
 */
export class Ticker {
  readonly #task: Ticking
  readonly #schedule: Schedule
  #isBegun = false
  #isOver = false
  #next: number | undefined
  #timer: unknown

  constructor(task: Ticking, schedule: Schedule) {
    this.#task = task
    this.#schedule = schedule
  }

  /** The tick it waits for; undefined while it is not known, and once the schedule is gone or replaced elsewhere. */
  get next(): number | undefined {
    return this.#next
  }

  /** Once; a worker that was restarted changes nothing. A system that is there for one job has no ticks. */
  begin(): void {
    if (this.#isBegun || this.#task.tree.isForOneJob) return
    this.#isBegun = true
    runAsNobody(() => this.#keep())
  }

  end(): void {
    this.#isOver = true
    this.#next = undefined
    this.#setTimer(undefined, () => {})
  }

  /** The task left the tree: nobody makes its ticks any more. */
  leave(): void {
    const { tree, path } = this.#task
    this.end()
    if (!this.#isBegun) return
    whenever(
      () => tree.broker.unschedule(path),
      () => {},
      (error) => tree.callbackFailed(path, 'broker.unschedule', error),
    )
  }

  get #isIdle(): boolean {
    return this.#isOver || this.#task.tree.isStopped
  }

  #keep(): void {
    if (this.#isIdle) return
    const { tree, path: queue } = this.#task
    const { spec } = this.#schedule
    whenever(
      () => tree.broker.schedule({ queue, spec, next: nextTick(this.#schedule, tree.clock.now()) }),
      (next) => this.#wait(next),
      (error) => this.#tryAgain('broker.schedule', error, () => this.#keep()),
    )
  }

  #wait(next: number | undefined): void {
    if (this.#isIdle) return
    this.#next = next
    if (next === undefined) return
    this.#setTimer(Math.min(next - this.#task.tree.clock.now(), LONGEST_WAIT), () => this.#ring(next))
  }

  #ring(at: number): void {
    if (this.#isIdle) return
    if (this.#task.tree.clock.now() < at) return this.#wait(at)
    this.#task.tickJob(at, (job) => this.#tick(at, job))
  }

  #tick(at: number, job: NewJob | undefined): void {
    if (this.#isIdle) return
    const { tree, path: queue } = this.#task
    const { spec, overlap } = this.#schedule
    const next = nextTick(this.#schedule, Math.max(at, tree.clock.now()))
    whenever(
      () => tree.broker.tick({ queue, spec, at, next, overlap, job }),
      (answer) => {
        this.#tell(at, job, answer)
        this.#wait(answer.answer === 'stale' ? answer.next : next)
      },
      (error) => this.#tryAgain('broker.tick', error, () => this.#ring(at)),
    )
  }

  #tell(at: number, job: NewJob | undefined, answer: TickAnswer): void {
    const { tree, path } = this.#task
    if (answer.answer === 'added' && job !== undefined) {
      const { id } = job
      tree.counters.jobs.added += 1
      tree.events.emit('job.added', { path: `${path}/job:${id}`, id, attempt: 0, duplicate: false })
    }
    if (answer.answer !== 'skipped') return
    const { unfinished } = answer
    const because =
      unfinished === undefined ? ({ because: 'refused' } as const) : { because: 'unfinished' as const, unfinished }
    tree.events.emit('schedule.skipped', { path, tick: at, ...because })
  }

  #tryAgain(callback: string, error: unknown, again: () => void): void {
    if (this.#isIdle) return
    this.#task.tree.callbackFailed(this.#task.path, callback, error)
    this.#setTimer(BROKER_AWAY, again)
  }

  #setTimer(ms: number | undefined, ring: () => void): void {
    const { clock } = this.#task.tree
    if (this.#timer !== undefined) clock.clearTimeout(this.#timer)
    this.#timer = undefined
    if (ms === undefined) return
    this.#timer = clock.setTimeout(
      () => {
        this.#timer = undefined
        runAsNobody(ring)
      },
      Math.max(0, ms),
    )
  }
}
