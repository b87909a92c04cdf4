import { runNowhere } from './floating.ts'

/** Something that will be called back. */
export interface Wait {
  cancel(): void
}

/** How long one turn of the event loop may be held, in ms; what is left then waits for the next. */
const LONGEST = 5

/** How many are done before the time is asked for. */
const STRETCH = 16

/** Something that waits its turn. */
class Waiting implements Wait {
  callback: (() => void) | undefined
  next: Waiting | undefined

  constructor(callback: () => void) {
    this.callback = callback
  }

  cancel(): void {
    this.callback = undefined
  }
}

/**
 * What has to wait until timers and I/O had their turn: all of it in one queue, so that a hundred thousand restarts which
 * begin at once hold nobody up. It is done in nobody's async context, for it is no business of those who caused it.
 */
export class NextTurn {
  #first: Waiting | undefined
  #last: Waiting | undefined
  #isPlanned = false
  readonly #run = (): void => runNowhere(this.#workOff)

  add(callback: () => void): Wait {
    const waiting = new Waiting(callback)
    if (this.#last === undefined) this.#first = waiting
    else this.#last.next = waiting
    this.#last = waiting
    if (!this.#isPlanned) this.#plan()
    return waiting
  }

  #plan(): void {
    this.#isPlanned = true
    setImmediate(this.#run)
  }

  readonly #workOff = (): void => {
    const end = this.#last // what comes meanwhile is for the turn after this
    const from = this.#first === end ? 0 : performance.now() // of the machine, whatever clock the system has
    try {
      for (let count = 1; ; count += 1) {
        const waiting = this.#take()
        waiting.callback?.()
        if (waiting === end || (count % STRETCH === 0 && performance.now() - from > LONGEST)) break
      }
    } finally {
      this.#isPlanned = false
      if (this.#first !== undefined) this.#plan()
    }
  }

  #take(): Waiting {
    const waiting = this.#first as Waiting
    this.#first = waiting.next
    if (waiting.next === undefined) this.#last = undefined
    else waiting.next = undefined // one that is old by then would keep all that come after it
    return waiting
  }
}
