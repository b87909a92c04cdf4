import type { Json } from '../payload.ts'

/** The items of a page were not read before the crawl was ended. */
export const ABANDONED: Error = new Error('The items were not read.')

/** More of them wait for nobody: the crawl pauses. */
const MOST_UNREAD = 1000

/** The items of a crawl on their way to who reads them. Where nobody does, none are kept. */
export class ItemStream {
  #unread: Json[] = []
  #given = 0
  #taken = 0
  #hasReader = false
  #isOver = false
  #isAbandoned = false
  /** Somebody was told that it is full, and not yet that there is room again. */
  #wasFull = false
  #wake: (() => void) | undefined
  readonly #waits: { readonly until: number; resolve(): void; reject(error: unknown): void }[] = []
  readonly #onChange: () => void

  /** `onChange` is called when it may have become full, or is no longer. */
  constructor(onChange: () => void) {
    this.#onChange = onChange
  }

  /** Whether somebody reads them. */
  get isRead(): boolean {
    return this.#hasReader
  }

  get isFull(): boolean {
    return this.#unread.length >= MOST_UNREAD
  }

  /** Whether so few are left that the crawl may go on. */
  get hasRoom(): boolean {
    return this.#unread.length < MOST_UNREAD / 2
  }

  get unread(): number {
    return this.#unread.length
  }

  /** Resolves when its reader is through with them, if somebody `waits` for that; undefined if nobody reads. */
  give(items: readonly Json[], waits: boolean): Promise<void> | undefined {
    if (this.#isAbandoned && waits && this.#hasReader) return Promise.reject(ABANDONED)
    if (!this.#hasReader || this.#isOver) return undefined
    this.#unread.push(...items)
    this.#given += items.length
    const until = this.#given
    this.#wake?.()
    if (this.isFull) {
      this.#wasFull = true
      this.#onChange()
    }
    if (!waits) return undefined
    return new Promise((resolve, reject) => this.#waits.push({ until, resolve, reject }))
  }

  /** Nobody is waited for any more: what was not read is as good as not given. */
  abandon(): void {
    this.#isAbandoned = true
    for (const { reject } of this.#waits.splice(0)) reject(ABANDONED)
  }

  /** No more will come; what is there can still be read. */
  end(): void {
    this.#isOver = true
    this.#wake?.()
    if (!this.#hasReader) this.#letGo(Infinity)
  }

  /** Reads from now on; `leave` is called when the reader goes before the end. */
  async *read(leave: () => void): AsyncGenerator<Json, void, undefined> {
    if (this.#hasReader)
      throw new Error('This crawl is read already. Read it in one place, and hand items on from there.')
    this.#hasReader = true
    yield* this.#read(leave)
  }

  async *#read(leave: () => void): AsyncGenerator<Json, void, undefined> {
    try {
      for (;;) {
        const item = this.#unread.shift()
        if (item !== undefined) {
          if (this.#wasFull && this.hasRoom) {
            this.#wasFull = false
            this.#onChange()
          }
          yield item
          this.#taken += 1
          this.#letGo(this.#taken)
        } else if (this.#isOver) {
          return
        } else {
          await new Promise<void>((resolve) => (this.#wake = resolve))
        }
      }
    } finally {
      this.#hasReader = false
      this.#unread = []
      if (!this.#isOver) leave()
      this.#letGo(Infinity)
    }
  }

  /** Those who wait for their items to be read go on. */
  #letGo(taken: number): void {
    for (let first = this.#waits[0]; first !== undefined && first.until <= taken; first = this.#waits[0]) {
      this.#waits.shift()
      first.resolve()
    }
  }
}
