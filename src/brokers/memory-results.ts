import type { Json } from '../payload.ts'
import type { JobRecord } from './broker.ts'
import { isPlain, NO_RESTARTS, recordOf, type Entry, type Home } from './memory-entry.ts'

const KEPT = 10_000
const KEPT_FOR = 24 * 60 * 60 * 1_000

/**
 * What jobs came to, for a while: a ring of columns, so that most entries are free for the next job at once. Ten thousand
 * objects that live just long enough to be moved about are what a collector and a cache like least.
 */
export class Results {
  readonly #ids: (string | undefined)[] = []
  readonly #homes: (Home | undefined)[] = []
  readonly #inputs: Json[] = []
  readonly #keys: (string | undefined)[] = []
  readonly #values: (Json | undefined)[] = []
  /** Of jobs of which there is more to say. */
  readonly #entries: (Entry | undefined)[] = []
  /** Three for each: added, due, finished. */
  readonly #times = new Float64Array(3 * KEPT)
  readonly #attempts = new Uint32Array(KEPT)
  #first = 0
  #size = 0
  readonly #forget: (id: string) => void
  readonly #free: (entry: Entry) => void

  /** `forget` is told which job nobody can ask for any more; `free` is given entries that hold nothing any more. */
  constructor(forget: (id: string) => void, free: (entry: Entry) => void) {
    this.#forget = forget
    this.#free = free
  }

  /** Gives the place of the result. */
  keep(entry: Entry, now: number): number {
    if (this.#size === KEPT) this.#dropFirst()
    const place = (this.#first + this.#size) % KEPT
    this.#size += 1
    this.#ids[place] = entry.id
    this.#times[3 * place + 2] = entry.finishedAt
    if (isPlain(entry)) {
      this.#homes[place] = entry.home
      this.#inputs[place] = entry.input
      this.#keys[place] = entry.idempotencyKey
      this.#values[place] = entry.value
      this.#times[3 * place] = entry.addedAt
      this.#times[3 * place + 1] = entry.due
      this.#attempts[place] = entry.attempts
      this.#free(entry)
    } else {
      this.#entries[place] = entry
    }
    while (this.#size > 1 && now - (this.#times[3 * this.#first + 2] as number) > KEPT_FOR) this.#dropFirst()
    return place
  }

  record(place: number): JobRecord {
    const entry = this.#entries[place]
    if (entry !== undefined) return recordOf(entry)
    return recordOf({
      id: this.#ids[place] as string,
      home: this.#homes[place] as Home,
      input: this.#inputs[place] as Json,
      idempotencyKey: this.#keys[place] as string,
      value: this.#values[place],
      addedAt: this.#times[3 * place] as number,
      due: this.#times[3 * place + 1] as number,
      finishedAt: this.#times[3 * place + 2] as number,
      attempts: this.#attempts[place] as number,
      status: 'done',
      priority: 0,
      lane: undefined,
      charged: 0,
      putOffs: 0,
      generation: 1,
      restarts: NO_RESTARTS,
      failure: undefined,
      reason: undefined,
      history: undefined,
    })
  }

  /** Another job has its id now. */
  drop(place: number): void {
    const entry = this.#entries[place]
    this.#ids[place] = this.#homes[place] = this.#keys[place] = this.#entries[place] = this.#values[place] = undefined
    this.#inputs[place] = null
    if (entry !== undefined) this.#free(entry)
  }

  #dropFirst(): void {
    const place = this.#first
    const id = this.#ids[place]
    if (this.#entries[place] !== undefined) this.drop(place)
    this.#ids[place] = undefined
    this.#first = (place + 1) % KEPT
    this.#size -= 1
    if (id !== undefined) this.#forget(id)
  }
}
