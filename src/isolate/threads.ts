import { extname } from 'node:path'
import type { IsolatePolicy } from '../isolate.ts'
import { unpack } from './crossing.ts'
import type { End, Floated, Request } from './messages.ts'
import { importPiscina, type Piscina, type Thread } from './piscina.ts'
import { ThreadUse, type Lender } from './thread-use.ts'

/** What the threads of a task have to know of it, and whom they tell what belongs to no attempt. */
export interface ThreadsOwner {
  readonly task: string
  readonly isolate: IsolatePolicy
  /** How many there may be. */
  readonly size: number
  /** A rejection that nobody handled, of a promise that a job began. */
  floated(error: unknown, job: { readonly id: string; readonly path: string; readonly attempt: number }): void
  /** A thread ended that had no job. */
  threadFailed(error: unknown): void
}

/** The threads of one task: begun when they are needed, each for one job at a time. */
export class Threads implements Lender {
  readonly task: string
  readonly module: string
  readonly grace: number
  readonly memory: number | undefined
  readonly #owner: ThreadsOwner
  #pool: Piscina | undefined
  #isClosing = false
  /** Uses that have a thread, and those that wait for one. piscina's own queue stands still when a thread is ended. */
  readonly #busy = new Set<ThreadUse>()
  readonly #waiting = new Set<ThreadUse>()
  #isIdle: () => void = () => {}
  readonly #alive = new Set<Thread>()
  #isEmpty: () => void = () => {}

  constructor(owner: ThreadsOwner) {
    this.#owner = owner
    this.task = owner.task
    this.module = owner.isolate.module
    this.grace = owner.isolate.grace
    this.memory = owner.isolate.memory
  }

  /** Begins the first thread. Rejects if the task cannot be found there. */
  async open(): Promise<void> {
    const Pool = await importPiscina()
    if (this.#isClosing) return
    this.#pool = new Pool({
      filename: new URL(`./thread${extname(import.meta.url)}`, import.meta.url).href,
      name: 'work',
      minThreads: 0,
      maxThreads: this.#owner.size,
      idleTimeout: Infinity,
      atomics: 'disabled', // a thread that waits for its next job goes on with what the last one left
      recordTiming: false,
      ...(this.memory !== undefined && { resourceLimits: { maxOldGenerationSizeMb: this.memory } }),
    })
      .on('error', (error) => this.#onError(error))
      .on('message', (message) => this.#onMessage(message))
    const use = this.take()
    await use.check()
    use.giveBack()
  }

  /** The use of a thread, as soon as one is free. */
  take(): ThreadUse {
    const use = new ThreadUse(this)
    this.#waiting.add(use)
    this.#beginNext()
    return use
  }

  /** Nothing is left of them afterwards. What still runs has its grace. */
  async close(): Promise<void> {
    this.#isClosing = true
    for (const use of [...this.#waiting, ...this.#busy]) use.close()
    if (this.#busy.size > 0) await new Promise<void>((resolve) => (this.#isIdle = resolve))
    await this.#pool?.destroy()
    if (this.#alive.size > 0) await new Promise<void>((resolve) => (this.#isEmpty = resolve))
    // A port that was closed is there until the loop has come around to it.
    for (let turn = 0; turn < 2; turn += 1) await new Promise<void>((resolve) => void setImmediate(resolve))
  }

  run(request: Request, signal: AbortSignal): Promise<End> {
    const pool = this.#pool as Piscina
    const end = pool.run(request, { transferList: [request.port], signal }) as Promise<End>
    for (const thread of pool.threads) this.#watch(thread)
    return end
  }

  over(use: ThreadUse): void {
    this.#waiting.delete(use)
    this.#busy.delete(use)
    if (this.#isClosing && this.#busy.size === 0) this.#isIdle()
    this.#beginNext()
  }

  /** piscina forgets a thread before it has ended. */
  #watch(thread: Thread): void {
    if (this.#alive.has(thread)) return
    this.#alive.add(thread)
    thread.once('exit', () => {
      this.#alive.delete(thread)
      if (this.#alive.size === 0) this.#isEmpty()
    })
  }

  #beginNext(): void {
    for (const use of this.#waiting) {
      if (this.#isClosing || this.#busy.size === this.#owner.size) return
      this.#waiting.delete(use)
      this.#busy.add(use)
      use.begin()
    }
  }

  /** A thread ended that had taken up no job; if it was the only one, nobody will take up what waits. */
  #onError(error: unknown): void {
    this.#owner.threadFailed(error)
    if (this.#pool?.threads.length !== 0) return
    for (const use of this.#busy) if (use.isLoading) use.kill(error)
  }

  #onMessage(message: unknown): void {
    const { type, id, path, attempt, error } = message as Floated
    if (type === 'floated') this.#owner.floated(unpack(error), { id, path, attempt })
  }
}
