import { noteNumber } from '../job-table.ts'

const PER_HEAD = 1_000
const TAILS = Array.from({ length: PER_HEAD }, (_, index) => String(index).padStart(3, '0'))

/** Ids from '1' on. A thousand of them share their first digits: to write a whole number as a text costs three times as much. */
export class CountedIds {
  #head = ''
  #heads = 0
  #used = 0

  next(): string {
    this.#used += 1
    if (this.#used === PER_HEAD) {
      this.#used = 0
      this.#heads += 1
      this.#head = String(this.#heads)
    }
    const id = this.#heads === 0 ? String(this.#used) : this.#head + TAILS[this.#used]
    noteNumber(id, this.#heads * PER_HEAD + this.#used)
    return id
  }
}
