import { InvalidOptionError } from '../errors.ts'
import { isRequest, type CrawlRequest } from './request.ts'
import type { Start, StartContext } from './spider-options.ts'

/** Reads what a crawl begins with, no more of it than is asked for. */
export class Seeds {
  readonly #subject: string
  readonly #iterator: Iterator<unknown> | AsyncIterator<unknown>
  #skip: number
  #isReading = false
  isOver = false

  /** The first `skip` of them were read by an earlier run. */
  constructor(subject: string, start: Start, skip: number, context: StartContext) {
    this.#subject = subject
    this.#skip = skip
    const given = typeof start === 'function' ? start(context) : start
    this.#iterator = Symbol.asyncIterator in given ? given[Symbol.asyncIterator]() : given[Symbol.iterator]()
  }

  get isReading(): boolean {
    return this.#isReading
  }

  /** Up to so many; fewer only at the end, or where the next one is not there at once. */
  async read(limit: number): Promise<readonly CrawlRequest[]> {
    this.#isReading = true
    try {
      const requests: CrawlRequest[] = []
      while (requests.length < limit && !this.isOver) {
        const answer = this.#iterator.next()
        const isLater = 'then' in answer
        const step = isLater ? await answer : answer
        if (step.done === true) this.isOver = true
        else if (this.#skip > 0) this.#skip -= 1
        else requests.push(this.#check(step.value))
        if (isLater && requests.length > 0) break
      }
      return requests
    } finally {
      this.#isReading = false
    }
  }

  /** Lets a generator run its `finally`. */
  end(): void {
    this.isOver = true
    if (this.#isReading) return // one that is busy would queue it, and may never come to it
    try {
      void Promise.resolve(this.#iterator.return?.()).catch(() => {})
    } catch {
      // its cleanup threw; what it gave is known already
    }
  }

  #check(value: unknown): CrawlRequest {
    if (isRequest(value)) return value
    throw new InvalidOptionError(this.#subject, 'start', value, `Give requests, as in request('list', 'https://…').`)
  }
}
