import type { Tree } from '../actors/tree.ts'
import type { Json } from '../payload.ts'
import { Cookies } from './cookies.ts'
import { Numbers } from './stats.ts'

/** How often cookies are written, for they are long and change with many pages. */
const COOKIES_EVERY = 1_000

/** What a crawl knows besides its queue, from one run to the next: numbers and cookies. */
export class CrawlStore {
  readonly numbers: Numbers = new Numbers()
  cookies: Cookies = new Cookies()
  readonly #tree: Tree
  readonly #path: string
  #cookiesText = ''
  #cookiesAt = 0

  constructor(tree: Tree, path: string) {
    this.#tree = tree
    this.#path = path
  }

  /** Reads what an earlier run left, or forgets it; how many requests are not over. */
  async open(fresh: boolean): Promise<number> {
    const { broker } = this.#tree
    if (fresh) await this.#forget()
    else if (broker.durable) await this.#read()
    const queue = (await broker.stats()).find(({ queue: name }) => name === this.#path)
    const open = queue === undefined ? 0 : queue.waiting + queue.delayed + queue.leased
    this.numbers.reconcile(open)
    return open
  }

  /** What is to be written with the next step; nothing where it would not outlive the process. */
  notes(elapsed: number, cookies: Cookies | undefined): Readonly<Record<string, Json>> {
    if (!this.#tree.broker.durable) return {}
    const { numbers } = this
    const notes: Record<string, Json> = { numbers: { ...numbers.toJSON(), elapsed } }
    if (numbers.listsChanged) notes['lists'] = numbers.listsJSON()
    const now = this.#tree.clock.now()
    if (cookies !== undefined && now - this.#cookiesAt >= COOKIES_EVERY) {
      this.#cookiesAt = now
      const text = JSON.stringify(cookies)
      if (text !== this.#cookiesText) notes['cookies'] = JSON.parse(text) as Json
      this.#cookiesText = text
    }
    return notes
  }

  /** They were not written: all of them are to be written again. */
  notesLost(): void {
    this.numbers.listsChanged = true
    this.#cookiesText = ''
    this.#cookiesAt = 0
  }

  /** Writes what is known, or forgets it where the crawl is finished. */
  async close(isForgotten: boolean): Promise<void> {
    if (isForgotten) return await this.#forget()
    this.notesLost()
    const notes = this.notes(this.numbers.elapsed, this.cookies)
    await this.#tree.broker.step({ queue: this.#path, outcome: undefined, jobs: [], notes })
  }

  async #read(): Promise<void> {
    const notes = await this.#tree.broker.notes(this.#path)
    if (notes['over'] === true) return await this.#forget() // it was killed while it forgot
    this.numbers.restore(notes['numbers'], notes['lists'])
    this.cookies = Cookies.fromJSON(notes['cookies'])
  }

  async #forget(): Promise<void> {
    const { broker } = this.#tree
    const over = { queue: this.#path, outcome: undefined, jobs: [], notes: { over: true } }
    if (broker.durable) await broker.step(over)
    await broker.clear(this.#path)
  }
}
