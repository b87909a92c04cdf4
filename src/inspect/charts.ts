import { createHash } from 'node:crypto'
import type { ChartData } from '../actors/chart-data.ts'
import type { Showing } from './showing.ts'

/** Charts by the hash of what they show, each made into text once. */
export class Charts {
  readonly #showing: Showing
  #hashes = new WeakMap<ChartData, string>()
  readonly #texts = new Map<string, string>()

  constructor(showing: Showing) {
    this.#showing = showing
  }

  hashOf(chart: ChartData): string {
    let hash = this.#hashes.get(chart)
    if (hash === undefined) {
      const text = JSON.stringify(chart, (_, part: unknown) =>
        typeof part === 'string' ? this.#showing.text(part) : part,
      )
      hash = createHash('sha256').update(text).digest('base64url').slice(0, 12)
      this.#hashes.set(chart, hash)
      this.#texts.set(hash, text)
    }
    return hash
  }

  /** Of all that were asked for. */
  get known(): Iterable<string> {
    return this.#texts.keys()
  }

  clear(): void {
    this.#hashes = new WeakMap()
    this.#texts.clear()
  }

  textOf(hash: string): string {
    return this.#texts.get(hash) ?? 'null'
  }
}
