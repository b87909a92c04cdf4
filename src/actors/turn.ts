/** Jobs that a worker takes in one step, however many slots are free. */
export const JOBS_PER_STEP = 32

/** The same where each step is a commit, which costs about as much for one job as for many; so many begin within `LONGEST`. */
export const JOBS_PER_COMMIT = 128

/** How long the steps of all workers may hold the event loop before timers and I/O get their turn, in ms. */
const LONGEST = 5

/** The present turn of the event loop, which work that is ready at once must not hold for ever. */
export class Turn {
  #startedAt: number | undefined
  #end: NodeJS.Immediate | undefined

  /** Runs a step soon: in this turn while there is time in it, else in the next. */
  soon(step: () => void): void {
    const now = performance.now() // of the machine, whatever clock the system has
    if (this.#startedAt === undefined) {
      this.#startedAt = now
      this.#end = setImmediate(() => (this.#startedAt = undefined))
    }
    if (now - this.#startedAt < LONGEST) queueMicrotask(step)
    else setImmediate(step)
  }

  close(): void {
    clearImmediate(this.#end)
  }
}
