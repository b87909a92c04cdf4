import type { Failure } from '../failure.ts'
import type { Entry } from './entry.ts'
import { PAGE_LIMITS, type Limits } from './plain.ts'
import type { Showing } from './showing.ts'

const FAILURE_LIMITS: Limits = { ...PAGE_LIMITS, depth: 8, text: 4_000 }

/** Failures as the page gets them, each with a number of its own. */
export class FailureRows {
  readonly #showing: Showing
  readonly #numbers = new WeakMap<Failure, number>()
  readonly #entryAt: (path: string) => Entry | undefined
  #last = 0

  constructor(showing: Showing, entryAt: (path: string) => Entry | undefined) {
    this.#showing = showing
    this.#entryAt = entryAt
  }

  show(failure: Failure): string {
    let number = this.#numbers.get(failure)
    if (number === undefined) this.#numbers.set(failure, (number = this.#last += 1))
    const data = this.#showing.data(failure.toJSON(), failure.path, 'failure', FAILURE_LIMITS) as object
    const { failure: kept } = this.#detailsOf({ failure: data })
    return JSON.stringify({ ...kept, number, to: this.#entryAt(failure.path)?.id })
  }

  /** What a plugin was told is a payload. */
  #detailsOf({ failure }: { failure: object }): { failure: object } {
    const { error } = failure as { error?: { details?: unknown } }
    if (this.#showing.hasPayloads || error?.details === undefined) return { failure }
    return { failure: { ...failure, error: { ...error, details: undefined } } }
  }
}
