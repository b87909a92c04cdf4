import type { Failure } from '../failure.ts'
import type { Entry } from './book.ts'
import { PAGE_LIMITS, type Limits } from './plain.ts'
import type { Happened } from './ring.ts'
import type { Showing } from './showing.ts'

const EVENT_LIMITS: Limits = { ...PAGE_LIMITS, depth: 4, keys: 20, items: 20, text: 300, parts: 200 }
const FAILURE_LIMITS: Limits = { ...PAGE_LIMITS, depth: 8, text: 4_000 }

/** What happened as the page gets it, made once for all who look. */
export function showHappened(happened: Happened, showing: Showing): string {
  happened.shown ??= JSON.stringify({
    seq: happened.seq,
    at: happened.at,
    kind: happened.kind,
    type: showing.text(happened.type),
    path: showing.text(happened.path),
    from: happened.from?.id,
    source: happened.from && showing.text(happened.from.path),
    to: happened.to?.id,
    data: showing.payload(dataOf(happened), happened.path, 'event', EVENT_LIMITS),
    ...(happened.handled === false && { handled: false }),
  })
  return happened.shown
}

/** What says no more than the row itself is left out. */
function dataOf({ data }: Happened): unknown {
  if (typeof data !== 'object' || data === null) return data
  const rest: Record<string, unknown> = { ...data }
  for (const key of ['type', 'at', 'path']) delete rest[key]
  if (Object.keys(rest).length === 0) return undefined
  if ('failure' in rest && rest['failure'] instanceof Error) return { ...rest, failure: rest['failure'].message }
  return rest
}

/** Failures as the page gets them, each with a number of its own. */
export class ShownFailures {
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
