import type { Entry } from './entry.ts'

/** Something that happened, as it is kept: what it was about is read only when it is shown. */
export class Happened {
  readonly seq: number
  readonly at: number
  readonly type: string
  /** A message between actors, or one of our events. */
  readonly kind: 'message' | 'event'
  readonly from: Entry | undefined
  readonly path: string
  readonly data: unknown
  /** Set where somebody watches the actor: whether its chart took it. */
  handled: boolean | undefined = undefined
  /** As it was shown first; the same for all. */
  shown: string | undefined = undefined
  #to: Entry | Find | undefined

  constructor(seq: number, given: Given) {
    this.seq = seq
    this.at = given.at
    this.type = given.type
    this.kind = given.kind
    this.from = given.from
    this.path = given.path
    this.data = given.data
    this.#to = given.to
  }

  /** Whom it was about. */
  get to(): Entry | undefined {
    if (typeof this.#to === 'function') this.#to = this.#to(this.path)
    return this.#to
  }
}

type Find = (path: string) => Entry | undefined

interface Given {
  readonly at: number
  readonly type: string
  readonly kind: 'message' | 'event'
  readonly from: Entry | undefined
  /** Or how it is found: of thousands of jobs a second hardly any is asked for. */
  readonly to: Entry | Find | undefined
  readonly path: string
  readonly data: unknown
}

/** The latest of what happened, as many as fit. */
export class Ring {
  readonly #most: number
  readonly #all: Happened[] = []
  #last = 0
  /** Before this one nothing is kept any more. */
  #first = 1

  constructor(most: number) {
    this.#most = most
  }

  /** The number of the latest. */
  get last(): number {
    return this.#last
  }

  add(given: Given): Happened {
    this.#last += 1
    const happened = new Happened(this.#last, given)
    this.#all[this.#last % this.#most] = happened
    return happened
  }

  /** Those after `seq` that are still there, oldest first. */
  after(seq: number): readonly Happened[] {
    const first = Math.max(seq + 1, this.#last - this.#most + 1, this.#first)
    const result: Happened[] = []
    for (let at = first; at <= this.#last; at += 1) result.push(this.#all[at % this.#most] as Happened)
    return result
  }

  /** Numbers go on, so that nobody takes a new one for an old one. */
  clear(): void {
    this.#all.length = 0
    this.#first = this.#last + 1
  }
}
