import type { TakeAnswer } from '../plugin.ts'
import { charge, createSlidingWindow, roomIn, untilRoom, type SlidingWindow } from '../sliding-window.ts'
import { InvalidOptionError } from '../errors.ts'
import { runAsNobody } from './floating.ts'
import { reportPlugin } from './call-hook.ts'
import { taskOf } from './job-hooks.ts'
import type { TaskQueue } from './task-queue.ts'

/** How many jobs a task may take now: no more than its rate allows and its plugins let in. */
export class Intake {
  readonly #queue: TaskQueue
  readonly #wake: () => void
  readonly #window: SlidingWindow | undefined
  #timer: unknown
  #dueAt = 0

  /** `wake` is called when there may be room again, although no job ended. */
  constructor(queue: TaskQueue, wake: () => void) {
    this.#queue = queue
    this.#wake = wake
    const { rate } = queue.definition
    this.#window = rate && createSlidingWindow(rate.limit, rate.within)
  }

  /** At most `free`. */
  room(free: number): number {
    const { take } = this.#queue.hooks
    if (free <= 0 || (this.#window === undefined && take.length === 0)) return free
    return Math.min(this.#roomInRate(free), this.#roomOfPlugins(free))
  }

  /** An attempt begins. */
  begins(): void {
    if (this.#window !== undefined) charge(this.#window, this.#queue.tree.clock.now())
  }

  end(): void {
    if (this.#timer !== undefined) this.#queue.tree.clock.clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #roomInRate(free: number): number {
    if (this.#window === undefined) return free
    const now = this.#queue.tree.clock.now()
    const room = roomIn(this.#window, now, free)
    if (room === 0) this.#askAgain(untilRoom(this.#window, now))
    return room
  }

  #roomOfPlugins(free: number): number {
    const { tree, hooks, definition, path } = this.#queue
    const task = taskOf(definition, path)
    let least = free
    for (const plugin of hooks.take) {
      try {
        const answer = runAsNobody(() => plugin.hooks.take?.({ task, broker: tree.broker, free, ask: this.#wake }))
        const { limit, again } = readAnswer(plugin.name, answer, free)
        if (again !== undefined) this.#askAgain(again)
        least = Math.min(least, limit)
      } catch (thrown) {
        reportPlugin(tree, { path }, { plugin, hook: 'take', thrown, consequence: 'It was not heard' })
      }
    }
    return least
  }

  /** The earliest of the times asked for. */
  #askAgain(ms: number): void {
    const { clock } = this.#queue.tree
    const dueAt = clock.now() + ms
    if (this.#timer !== undefined && this.#dueAt <= dueAt) return
    this.end()
    this.#dueAt = dueAt
    this.#timer = clock.setTimeout(() => {
      this.#timer = undefined
      this.#wake()
    }, ms)
  }
}

function readAnswer(plugin: string, answer: TakeAnswer | undefined | void, free: number) {
  const { limit, again } = typeof answer === 'object' ? answer : { limit: answer ?? free, again: undefined }
  const isWait = again === undefined || (Number.isFinite(again) && again > 0)
  if (typeof limit === 'number' && limit >= 0 && isWait) return { limit: Math.floor(limit), again }
  const advice = 'Return how many jobs may be taken, { limit, again } with the ms until it is asked again, or nothing.'
  throw new InvalidOptionError(`plugin "${plugin}"`, 'answer of take', answer, advice)
}
