/** What is asked for often: that jobs are added, and what deliveries came to. */
export type Part = 'enqueue' | 'settle'

interface Call {
  readonly words: readonly string[]
  /** Those it is about, if jobs may be taken along. */
  readonly queues: readonly string[]
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: unknown) => void
}

/** Calls of one part that are sent together. */
export interface Calls {
  /** How many there are, and their words. */
  readonly words: readonly string[]
  readonly queues: readonly string[]
  /** With an answer for each. */
  resolve(answers: readonly unknown[]): void
  reject(error: unknown): void
}

/** Never fails: each call is told what became of it. */
type Send = (calls: Readonly<Record<Part, Calls>>) => Promise<void>

const AT_ONCE = 128

/** Lets the calls of one turn of the event loop share a step in Redis: what a step costs besides is paid once. */
export class Batch {
  readonly #send: Send
  #waiting: Record<Part, Call[]> = { enqueue: [], settle: [] }
  #next: NodeJS.Immediate | undefined
  readonly #underWay = new Set<Promise<void>>()

  constructor(send: Send) {
    this.#send = send
  }

  run(part: Part, words: readonly string[], queues: readonly string[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#waiting[part].push({ words, queues, resolve, reject })
      this.#next ??= setImmediate(() => this.#flush())
    })
  }

  /** Resolves when nothing waits any more. */
  async drained(): Promise<void> {
    if (this.#next !== undefined) this.#flush()
    while (this.#underWay.size > 0) await Promise.all(this.#underWay)
  }

  #flush(): void {
    clearImmediate(this.#next)
    this.#next = undefined
    const { enqueue, settle } = this.#waiting
    this.#waiting = { enqueue: [], settle: [] }
    for (let start = 0; start < Math.max(enqueue.length, settle.length); start += AT_ONCE) {
      const end = start + AT_ONCE
      const sent = this.#send({ enqueue: join(enqueue.slice(start, end)), settle: join(settle.slice(start, end)) })
      this.#underWay.add(sent)
      void sent.then(() => this.#underWay.delete(sent))
    }
  }
}

/** Of a part nobody called for. */
export const NO_CALLS: Calls = {
  words: ['0'],
  queues: [],
  resolve: () => {},
  reject: () => {},
}

function join(calls: readonly Call[]): Calls {
  if (calls.length === 0) return NO_CALLS
  return {
    words: [String(calls.length), ...calls.flatMap((call) => call.words)],
    queues: calls.flatMap((call) => call.queues),
    resolve: (answers) => {
      for (const [index, { resolve }] of calls.entries()) resolve(answers[index])
    },
    reject: (error) => {
      for (const { reject } of calls) reject(error)
    },
  }
}
