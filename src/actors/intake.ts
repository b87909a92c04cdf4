import type { TakeAnswer } from '../plugin.ts'
import { charge, createSlidingWindow, roomIn, untilRoom, type SlidingWindow } from '../sliding-window.ts'
import { InvalidOptionError } from '../errors.ts'
import { runAsNobody } from './floating.ts'
import { reportPlugin } from './call-hook.ts'
import { taskOf } from './job-hooks.ts'
import type { HookTable } from './hook-table.ts'
import type { JobPolicy } from './job-policy.ts'
import type { Tree } from './tree.ts'

/** Whose jobs are taken. */
export interface Taker {
  readonly tree: Tree
  readonly path: string
  readonly hooks: HookTable
  readonly definition: Pick<JobPolicy, 'name' | 'description' | 'tags'> & {
    readonly rate?: { readonly limit: number; readonly within: number } | undefined
  }
}

/** How many jobs a task may take now: no more than its rate allows and its plugins let in. */
export class Intake {
  readonly #taker: Taker
  readonly #wake: () => void
  readonly #window: SlidingWindow | undefined
  #timer: unknown
  #dueAt = 0

  /** `wake` is called when there may be room again, although no job ended. */
  constructor(taker: Taker, wake: () => void) {
    this.#taker = taker
    this.#wake = wake
    const { rate } = taker.definition
    this.#window = rate && createSlidingWindow(rate.limit, rate.within)
  }

  /** At most `free`. */
  room(free: number): number {
    const { take } = this.#taker.hooks
    if (free <= 0 || (this.#window === undefined && take.length === 0)) return free
    return Math.min(this.#roomInRate(free), this.#roomOfPlugins(free))
  }

  /** An attempt begins. */
  begins(): void {
    if (this.#window !== undefined) charge(this.#window, this.#taker.tree.clock.now())
  }

  end(): void {
    if (this.#timer !== undefined) this.#taker.tree.clock.clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #roomInRate(free: number): number {
    if (this.#window === undefined) return free
    const now = this.#taker.tree.clock.now()
    const room = roomIn(this.#window, now, free)
    if (room === 0) this.#askAgain(untilRoom(this.#window, now))
    return room
  }

  #roomOfPlugins(free: number): number {
    const { tree, hooks, definition, path } = this.#taker
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
    const { clock } = this.#taker.tree
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
