import type { Clock } from '../clock.ts'

/** Longer waits than this are about one call: setters of profiles are answered with hours. */
const LONGEST = 60_000

/** What of an `AbortSignal` is used: the polyfill that grammY makes is none to Node. */
export interface AnySignal {
  readonly aborted: boolean
  readonly reason?: unknown
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}

/** Holds the calls of a bot that was told to slow down: whoever calls all the same is made to wait for longer. */
export class Gate {
  readonly #clock: () => Clock
  readonly #waiting = new Set<() => void>()
  #until = -Infinity

  constructor(clock: () => Clock) {
    this.#clock = clock
  }

  /** Holds all later calls for so many ms, unless that is too long. */
  hold(wait: number): void {
    if (wait > LONGEST) return
    this.#until = Math.max(this.#until, this.#clock().now() + wait)
  }

  get isShut(): boolean {
    return this.#until > this.#clock().now()
  }

  /** Resolves when it opens, or when the signal aborts. */
  async pass(signal: AnySignal | undefined): Promise<void> {
    while (this.isShut && signal?.aborted !== true) await this.#wait(signal)
  }

  /** Lets everybody through. */
  open(): void {
    this.#until = -Infinity
    for (const go of this.#waiting) go()
  }

  #wait(signal: AnySignal | undefined): Promise<void> {
    const clock = this.#clock()
    return new Promise((resolve) => {
      const go = (): void => {
        clock.clearTimeout(timer)
        signal?.removeEventListener('abort', go)
        this.#waiting.delete(go)
        resolve()
      }
      const timer = clock.setTimeout(go, this.#until - clock.now())
      signal?.addEventListener('abort', go)
      this.#waiting.add(go)
    })
  }
}
