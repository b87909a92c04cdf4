import { isGenerator, type AnyGenerator } from '../generator.ts'
import { copyPayload, type Json } from '../payload.ts'
import { YieldError } from './errors.ts'
import { isRequest, type CrawlRequest } from './request.ts'

const STEPS_PER_TURN = 256

/** What one call of a handler or fallback gives: its items and requests, kept together until it is known what it came to. */
export class Collection {
  readonly items: Json[] = []
  readonly requests: CrawlRequest[] = []
  readonly #name: string
  readonly #subject: string
  readonly #check: (request: CrawlRequest) => void
  #isOver = false
  #generator: AnyGenerator | undefined

  /** `check` refuses a request that no handler is there for. */
  constructor(name: string, subject: string, check: (request: CrawlRequest) => void) {
    this.#name = name
    this.#subject = subject
    this.#check = check
  }

  emit(item: unknown): void {
    if (!this.#isOver) this.items.push(copyPayload(`item of ${this.#subject}`, item ?? null, Infinity))
  }

  /** Takes in all that a handler gives; a promise only where the handler makes it wait. */
  follow(given: unknown): Promise<void> | undefined {
    if (isGenerator(given)) {
      this.#generator = given
      return this.#drive(given)
    }
    if (isThenable(given)) return Promise.resolve(given).then((value) => this.follow(value))
    this.#take(given)
    return undefined
  }

  /** From now on nothing is taken; a generator is let run its `finally`. */
  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    const generator = this.#generator
    this.#generator = undefined
    if (generator === undefined) return
    try {
      Promise.resolve(generator.return(undefined)).then(ignore, ignore)
    } catch {
      // one that is not async may throw while it unwinds; nobody waits for that any more
    }
  }

  drop(): void {
    this.items.length = this.requests.length = 0
  }

  async #drive(generator: AnyGenerator): Promise<void> {
    for (let steps = 1; ; steps += 1) {
      // A generator that awaits nothing would hold the event loop, and its own timeout with it.
      if (steps % STEPS_PER_TURN === 0) await new Promise<void>((resolve) => void setImmediate(resolve))
      if (this.#isOver) return
      const answer = generator.next()
      const step = isThenable(answer) ? await answer : answer
      const value: unknown = isThenable(step.value) ? await step.value : step.value
      if (step.done === true) this.#generator = undefined
      this.#take(value)
      if (step.done === true) return
    }
  }

  #take(given: unknown): void {
    if (this.#isOver || given === undefined || given === null) return
    if (isRequest(given)) return this.#add(given)
    if (typeof given !== 'object' || !(Symbol.iterator in given)) throw new YieldError(this.#name, given)
    for (const each of given as Iterable<unknown>) {
      if (each === undefined || each === null) continue
      if (!isRequest(each)) throw new YieldError(this.#name, each)
      this.#add(each)
    }
  }

  #add(request: CrawlRequest): void {
    this.#check(request)
    this.requests.push(request)
  }
}

function isThenable<Value>(value: Value | PromiseLike<Value>): value is PromiseLike<Value> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

const ignore = (): void => {}
