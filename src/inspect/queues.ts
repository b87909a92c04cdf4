import type { QueueStats } from '../brokers/broker.ts'
import type { Book } from './book.ts'
import type { Entry } from './entry.ts'

/** How many jobs wait in front of each task, as the broker said when it was last asked. */
export class Queues {
  readonly #book: Book
  /** Those that have a number. */
  readonly #told = new Set<Entry>()

  constructor(book: Book) {
    this.#book = book
  }

  /** Writes an answer of the broker into the book, and gives the sums; nothing changes where it gave none. */
  take(queues: readonly QueueStats[] | undefined): { readonly waiting: number; readonly delayed: number } {
    let waiting = 0
    let delayed = 0
    const empty = new Set(queues && this.#told) // a broker does not tell of a queue that nothing is left of
    for (const queue of queues ?? []) {
      waiting += queue.waiting
      delayed += queue.delayed
      const entry = this.#book.entries.get(queue.queue)
      if (entry === undefined) continue
      empty.delete(entry)
      this.#told.add(entry)
      this.#write(entry, queue.waiting + queue.delayed)
    }
    for (const entry of empty) {
      this.#told.delete(entry)
      this.#write(entry, undefined)
    }
    return { waiting, delayed }
  }

  clear(): void {
    this.#told.clear()
  }

  #write(entry: Entry, waiting: number | undefined): void {
    if (entry.waiting === waiting) return
    entry.waiting = waiting
    this.#book.dirty.add(entry)
  }
}
