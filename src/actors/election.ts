import type { Broker } from '../brokers/broker.ts'
import { isGone, thisProcess, type Owner } from '../owner.ts'
import type { Clock } from '../clock.ts'
import type { Json } from '../payload.ts'
import { SharedWord } from './shared-word.ts'

/** How often those who wait look whether the place is free. */
const LOOKS_EVERY = 500

interface Place {
  readonly id: string
  readonly owner: Owner
  /** When it is free, unless its holder says something before. */
  readonly until: number
}

/** A place that one of all processes on a store has at a time. Of a process that is gone it is free again. */
export class Election {
  readonly #broker: Broker
  readonly #clock: Clock
  readonly #word: SharedWord<Json>
  readonly #id: string
  readonly #owner: Owner = thisProcess()
  #until = -Infinity
  #timer: unknown

  /** Undefined where nobody else can have the store. */
  static of(broker: Broker, clock: Clock, queue: string, name: string): Election | undefined {
    return broker.durable && broker.listen !== undefined ? new Election(broker, clock, queue, name) : undefined
  }

  constructor(broker: Broker, clock: Clock, queue: string, name: string) {
    this.#broker = broker
    this.#clock = clock
    this.#word = new SharedWord(broker, queue, name)
    this.#id = broker.newId()
  }

  get isHeld(): boolean {
    return this.#until > this.#clock.now()
  }

  /** Resolves when this process has the place, or the signal aborts. Calls `waits` if another one has it. */
  async won(signal: AbortSignal, waits: () => void = () => {}): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      if (this.isHeld || signal.aborted || (await this.#tryToTake())) return
      if (tries === 1) waits()
      await this.#pause(signal)
    }
  }

  /** Lets another one have it. */
  async release(): Promise<void> {
    this.#clock.clearTimeout(this.#timer)
    this.#until = -Infinity
    await this.#word.change((now) => ((now as Place | undefined)?.id === this.#id ? null : undefined))
  }

  async #tryToTake(): Promise<boolean> {
    const now = this.#clock.now()
    const until = now + this.#broker.leaseTime
    const mine = { id: this.#id, owner: this.#owner, until }
    try {
      const place = (await this.#word.change((known) => {
        const { id, owner, until: held } = (known ?? mine) as unknown as Place
        const isFree = id === this.#id || held <= now || isGone(owner)
        return isFree ? (mine as unknown as Json) : undefined
      })) as unknown as Place | undefined
      if (place?.id !== this.#id) return false
    } catch {
      return false // the broker is away; nobody else has it from there either
    }
    this.#until = until
    this.#clock.clearTimeout(this.#timer)
    this.#timer = this.#clock.setTimeout(() => void this.#keep(), this.#broker.leaseTime / 3)
    return true
  }

  /** Where that fails it is tried again until somebody else has it. */
  async #keep(): Promise<void> {
    if (this.#until === -Infinity || (await this.#tryToTake()) || !this.isHeld) return
    this.#timer = this.#clock.setTimeout(() => void this.#keep(), LOOKS_EVERY)
  }

  #pause(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        this.#clock.clearTimeout(timer)
        signal.removeEventListener('abort', end)
        resolve()
      }
      const timer = this.#clock.setTimeout(end, LOOKS_EVERY)
      signal.addEventListener('abort', end)
    })
  }
}
