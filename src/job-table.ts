import { PassingMap } from './passing-map.ts'

const PAGE_BITS = 8
const PAGE = 2 ** PAGE_BITS
const IN_PAGE = PAGE - 1
/** How many pages lie between the first and the last; an id that is left so far behind goes to the others. */
const REACH = 65_536
/** Up to here numbers are integers of 32 bits: the page and the place of any other cost as much as all the rest of a look. */
const MOST = 1_999_999_999
const LONGEST = String(MOST).length

interface Page<Value> {
  readonly values: (Value | undefined)[]
  size: number
}

/**
 * A Map by ids of jobs, which come, stay for a while and go. Ids that count up, as those of `memory()` do, are places in
 * pages: adding and deleting moves nothing and leaves no garbage, where a Map costs several times as much.
 */
export class JobTable<Value extends object | number> {
  #pages: (Page<Value> | undefined)[] = []
  /** The number of the first of them. */
  #base = 0
  readonly #others = new PassingMap<Value>()
  #size = 0
  #spare: Page<Value> | undefined

  get size(): number {
    return this.#size + this.#others.size
  }

  get(id: string): Value | undefined {
    const number = numberOf(id)
    const value = this.#pageOf(number)?.values[number & IN_PAGE]
    return value === undefined && this.#others.size > 0 ? this.#others.get(id) : value
  }

  has(id: string): boolean {
    return this.get(id) !== undefined
  }

  set(id: string, value: Value): void {
    const number = numberOf(id)
    if (number === -1 || (this.#others.size > 0 && this.#others.has(id))) return this.#others.set(id, value)
    const page = this.#pageOf(number) ?? this.#addPage(number >> PAGE_BITS)
    if (page === undefined) return this.#others.set(id, value)
    const place = number & IN_PAGE
    if (page.values[place] === undefined) {
      page.size += 1
      this.#size += 1
    }
    page.values[place] = value
  }

  /** Sets a value, and gives the one that was there. */
  swap(id: string, value: Value): Value | undefined {
    const number = numberOf(id)
    const page = this.#pageOf(number)
    const place = number & IN_PAGE
    const earlier = page?.values[place]
    if (page !== undefined && earlier !== undefined) {
      page.values[place] = value
      return earlier
    }
    const other = this.#others.size > 0 ? this.#others.get(id) : undefined
    this.set(id, value)
    return other
  }

  /** Takes a value out. */
  take(id: string): Value | undefined {
    const value = this.get(id)
    if (value !== undefined) this.#delete(numberOf(id), id)
    return value
  }

  delete(id: string): boolean {
    return this.#delete(numberOf(id), id)
  }

  /** The same by the number that `numberOf` gave, for who has no longer looked at the id. */
  deleteNumber(number: number): boolean {
    return this.#delete(number, undefined)
  }

  clear(): void {
    this.#pages = []
    this.#others.clear()
    this.#size = 0
  }

  /** As they are now: whoever walks over them may add and delete. Numbers first, in their order, the others as they came. */
  keys(): readonly string[] {
    const keys: string[] = []
    for (const [index, page] of this.#pages.entries()) {
      const first = (this.#base + index) * PAGE
      for (const [place, value] of page?.values.entries() ?? [])
        if (value !== undefined) keys.push(String(first + place))
    }
    return [...keys, ...this.#others.keys()]
  }

  /** As they are now, in the same order. */
  values(): readonly Value[] {
    const values: Value[] = []
    for (const page of this.#pages) for (const value of page?.values ?? []) if (value !== undefined) values.push(value)
    return [...values, ...this.#others.values()]
  }

  #delete(number: number, id: string | undefined): boolean {
    const page = this.#pageOf(number)
    const place = number & IN_PAGE
    if (page === undefined || page.values[place] === undefined) {
      return this.#others.size > 0 && this.#others.delete(id ?? String(number))
    }
    page.values[place] = undefined
    page.size -= 1
    this.#size -= 1
    if (page.size === 0) this.#removePage(number >> PAGE_BITS, page)
    return true
  }

  /** Of -1 there is none. */
  #pageOf(number: number): Page<Value> | undefined {
    const index = (number >> PAGE_BITS) - this.#base
    return index >= 0 && index < this.#pages.length ? this.#pages[index] : undefined
  }

  /** Undefined if it is too far away from those there are. */
  #addPage(number: number): Page<Value> | undefined {
    while (number - this.#base >= REACH && this.#pages.length > 0) this.#leaveBehind()
    if (this.#pages.length === 0) this.#base = number
    if (number < this.#base) {
      if (this.#base + this.#pages.length - number > REACH) return undefined
      this.#pages = [...Array.from({ length: this.#base - number }, () => undefined), ...this.#pages]
      this.#base = number
    }
    const pages = this.#pages
    while (number - this.#base >= pages.length) pages.push(undefined)
    const page = this.#spare ?? emptyPage<Value>()
    this.#spare = undefined
    pages[number - this.#base] = page
    return page
  }

  #removePage(number: number, page: Page<Value>): void {
    this.#pages[number - this.#base] = undefined
    this.#spare = page
    this.#skipMissing()
  }

  /** What the first page still holds goes to the others. */
  #leaveBehind(): void {
    const first = this.#pages.shift()
    const from = this.#base * PAGE
    this.#base += 1
    for (const [place, value] of first?.values.entries() ?? []) {
      if (value === undefined) continue
      this.#size -= 1
      this.#others.set(String(from + place), value)
    }
    this.#skipMissing()
  }

  #skipMissing(): void {
    let missing = 0
    while (missing < this.#pages.length && this.#pages[missing] === undefined) missing += 1
    if (missing === 0) return
    this.#pages.splice(0, missing)
    this.#base += missing
  }
}

function emptyPage<Value>(): Page<Value> {
  // oxlint-disable-next-line unicorn/no-new-array -- made at once: one that grows is made several times
  return { values: new Array<Value | undefined>(PAGE).fill(undefined), size: 0 }
}

const [ZERO, ONE] = [48, 49]

/** What was read last: what happens to a job asks several tables at once, with the same text. */
let [lastId, lastNumber] = ['', -1]

/** The place of an id that counts up; -1 for all others. */
export function numberOf(id: string): number {
  if (id === lastId) return lastNumber
  lastNumber = readNumber(id)
  lastId = id
  return lastNumber
}

/** Says it of an id that was just made from its number. */
export function noteNumber(id: string, number: number): void {
  lastId = id
  lastNumber = number > MOST ? -1 : number
}

/** -1 where the id is not the decimal text of a whole number above 0: '007' is another id than '7'. */
function readNumber(id: string): number {
  const { length } = id
  if (length === 0 || length > LONGEST) return -1
  const first = id.charCodeAt(0)
  if (first === ZERO || (length === LONGEST && first > ONE)) return -1
  let number = 0
  for (let index = 0; index < length; index += 1) {
    const digit = id.charCodeAt(index) - ZERO
    if (digit < 0 || digit > 9) return -1
    number = number * 10 + digit
  }
  return number
}
