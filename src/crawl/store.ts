import type { Tree } from '../actors/tree.ts'
import type { Json } from '../payload.ts'
import { Cookies } from './cookies.ts'
import { Numbers } from './stats.ts'

/** How often cookies are written, for they are long and change with many pages. */
const COOKIES_EVERY = 1_000

/** Items of other processes wait in a queue of their own until they are read. */
export const itemsQueue = (path: string): string => `${path}/items`

/** What a crawl knows besides its queue, from one run to the next: numbers and cookies. */
export class CrawlStore {
  /** What this process did, and what was done before it came if it was alone then. */
  readonly numbers: Numbers = new Numbers()
  cookies: Cookies = new Cookies()
  readonly #tree: Tree
  readonly #path: string
  /** Behind the names of notes, so that each process has its own. */
  #suffix = ''
  /** What the others did, as it was when it was last read. */
  #others: Numbers | undefined
  #cookiesText = ''
  #cookiesAt = 0

  constructor(tree: Tree, path: string) {
    this.#tree = tree
    this.#path = path
  }

  /** Reads what an earlier run left, or forgets it; how many requests are not over. `id`: of this process in the crawl. */
  async open(fresh: boolean, id?: string): Promise<number> {
    this.#suffix = id === undefined ? '' : ` ${id}`
    if (fresh) await this.forget()
    else if (this.#tree.broker.durable) await this.#read()
    const open = await this.countOpen()
    this.numbers.reconcile(open)
    return open
  }

  /** Comes to a crawl that others are at. */
  async join(id: string): Promise<void> {
    this.#suffix = ` ${id}`
    const notes = await this.lookAtOthers()
    this.cookies = Cookies.fromJSON(notes['cookies'])
  }

  /** Of all processes. */
  async countOpen(): Promise<number> {
    const queue = (await this.#tree.broker.stats()).find(({ queue: name }) => name === this.#path)
    return queue === undefined ? 0 : queue.waiting + queue.delayed + queue.leased
  }

  /** The numbers of all who are at it. */
  get total(): Numbers {
    if (this.#others === undefined) return this.numbers
    const total = new Numbers()
    for (const numbers of [this.numbers, this.#others]) total.restore(numbers.toJSON(), numbers.listsJSON())
    return total
  }

  /** All is over, and the numbers are to say so: what a killed process did not live to count was known already. */
  reconcileTotal(): void {
    const { open } = this.total
    this.numbers.add('request', -open)
    if (open > 0) this.numbers.add('duplicate', open)
  }

  async lookAtOthers(): Promise<Readonly<Record<string, Json>>> {
    const notes = await this.#tree.broker.notes(this.#path)
    const others = new Numbers()
    for (const name of Object.keys(notes).filter(isNumbers)) {
      if (name !== `numbers${this.#suffix}`) others.restore(notes[name], notes[name.replace('numbers', 'lists')])
    }
    this.#others = others
    return notes
  }

  /** What is to be written with the next step; nothing where it would not outlive the process. */
  notes(elapsed: number, cookies: Cookies | undefined): Readonly<Record<string, Json>> {
    if (!this.#tree.broker.durable) return {}
    const { numbers } = this
    const notes: Record<string, Json> = { [`numbers${this.#suffix}`]: { ...numbers.toJSON(), elapsed } }
    if (numbers.listsChanged) {
      notes[`lists${this.#suffix}`] = numbers.listsJSON()
      numbers.listsChanged = false
    }
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

  /** Writes what is known. */
  async write(): Promise<void> {
    this.notesLost()
    const notes = this.notes(this.numbers.elapsed, this.cookies)
    await this.#tree.broker.step({ queue: this.#path, outcome: undefined, jobs: [], notes })
  }

  /** The crawl is finished, or was cancelled: nothing of it stays. */
  async forget(): Promise<void> {
    const { broker } = this.#tree
    const over = { queue: this.#path, outcome: undefined, jobs: [], notes: { over: true } }
    if (broker.durable) {
      await broker.step(over)
      if (broker.listen !== undefined) await broker.clear(itemsQueue(this.#path))
    }
    await broker.clear(this.#path)
  }

  /** What processes wrote that are gone is from now on in the notes of this one: all of it, or nothing. */
  async #read(): Promise<void> {
    const notes = await this.#tree.broker.notes(this.#path)
    if (notes['over'] === true) return await this.forget() // it was killed while it forgot
    const earlier = Object.keys(notes).filter(isNumbers)
    for (const name of earlier) this.numbers.restore(notes[name], notes[name.replace('numbers', 'lists')])
    this.cookies = Cookies.fromJSON(notes['cookies'])
    const names = earlier.flatMap((name) => [name, name.replace('numbers', 'lists')])
    const own = new Set([`numbers${this.#suffix}`, `lists${this.#suffix}`])
    const gone = names.filter((name) => !own.has(name))
    if (gone.length === 0) return
    this.numbers.listsChanged = true
    const taken = {
      ...this.notes(this.numbers.elapsed, undefined),
      ...Object.fromEntries(gone.map((name) => [name, null])),
    }
    await this.#tree.broker.step({ queue: this.#path, outcome: undefined, jobs: [], notes: taken })
  }
}

const isNumbers = (name: string): boolean => name === 'numbers' || name.startsWith('numbers ')
