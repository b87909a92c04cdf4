import { PassingMap } from './passing-map.ts'

const PAGE = 256
/** So that a page's number is a small integer. */
const LONGEST = 11

interface Page<Value> {
  readonly values: (Value | undefined)[]
  size: number
}

/**
 * A Map by ids of jobs, which come, stay for a while and go. Ids that count up, as those of `memory()` do, are places in
 * pages: adding and deleting moves nothing and leaves no garbage, where a Map costs several times as much.
 */
export class JobTable<Value extends object> {
  readonly #pages = new PassingMap<Page<Value>, number>()
  readonly #others = new PassingMap<Value>()
  #size = 0
  #spare: Page<Value> | undefined

  get size(): number {
    return this.#size + this.#others.size
  }

  get(id: string): Value | undefined {
    const number = numberOf(id)
    if (number === -1) return this.#others.get(id)
    return this.#pages.get(Math.floor(number / PAGE))?.values[number % PAGE]
  }

  has(id: string): boolean {
    return this.get(id) !== undefined
  }

  set(id: string, value: Value): void {
    const number = numberOf(id)
    if (number === -1) return this.#others.set(id, value)
    const page = this.#page(Math.floor(number / PAGE))
    const place = number % PAGE
    if (page.values[place] === undefined) {
      page.size += 1
      this.#size += 1
    }
    page.values[place] = value
  }

  delete(id: string): boolean {
    const number = numberOf(id)
    if (number === -1) return this.#others.delete(id)
    const page = this.#pages.get(Math.floor(number / PAGE))
    const place = number % PAGE
    if (page === undefined || page.values[place] === undefined) return false
    page.values[place] = undefined
    page.size -= 1
    this.#size -= 1
    if (page.size > 0) return true
    this.#pages.delete(Math.floor(number / PAGE))
    this.#spare = page
    return true
  }

  clear(): void {
    this.#pages.clear()
    this.#others.clear()
    this.#size = 0
  }

  /** As they are now: whoever walks over them may add and delete. Numbers first, in their order, the others as they came. */
  keys(): readonly string[] {
    const keys: string[] = []
    for (const number of this.#pageNumbers()) {
      const { values } = this.#pages.get(number) as Page<Value>
      for (const [place, value] of values.entries()) if (value !== undefined) keys.push(String(number * PAGE + place))
    }
    return [...keys, ...this.#others.keys()]
  }

  /** As they are now, in the same order. */
  values(): readonly Value[] {
    const values: Value[] = []
    for (const number of this.#pageNumbers()) {
      for (const value of (this.#pages.get(number) as Page<Value>).values) if (value !== undefined) values.push(value)
    }
    return [...values, ...this.#others.values()]
  }

  #pageNumbers(): readonly number[] {
    return this.#pages.keys().toSorted((one, other) => one - other)
  }

  #page(number: number): Page<Value> {
    const known = this.#pages.get(number)
    if (known !== undefined) return known
    const page = this.#spare ?? { values: Array.from({ length: PAGE }, () => undefined), size: 0 }
    this.#spare = undefined
    this.#pages.set(number, page)
    return page
  }
}

/** -1 where the id is not the decimal text of a whole number above 0: '007' is another id than '7'. */
function numberOf(id: string): number {
  const { length } = id
  if (length === 0 || length > LONGEST || id.charCodeAt(0) === 48) return -1
  let number = 0
  for (let index = 0; index < length; index += 1) {
    const digit = id.charCodeAt(index) - 48
    if (digit < 0 || digit > 9) return -1
    number = number * 10 + digit
  }
  return number
}
