interface Call {
  readonly words: readonly string[]
  readonly queues: readonly string[]
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: unknown) => void
}

/** Is given how many calls there are and their words, and the queues they are about; gives an answer for each call. */
type Send = (words: readonly string[], queues: readonly string[]) => Promise<readonly unknown[]>

const AT_ONCE = 128

/** Lets the calls of one turn of the event loop share a step in Redis: what a step costs besides is paid once. */
export class Batch {
  readonly #send: Send
  #calls: Call[] = []
  #next: NodeJS.Immediate | undefined
  readonly #underWay = new Set<Promise<void>>()

  constructor(send: Send) {
    this.#send = send
  }

  run(words: readonly string[], queues: readonly string[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#calls.push({ words, queues, resolve, reject })
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
    const calls = this.#calls
    this.#calls = []
    for (let start = 0; start < calls.length; start += AT_ONCE) {
      const sent = this.#sendPart(calls.slice(start, start + AT_ONCE))
      this.#underWay.add(sent)
      void sent.then(() => this.#underWay.delete(sent))
    }
  }

  async #sendPart(part: readonly Call[]): Promise<void> {
    try {
      const words = part.flatMap((call) => call.words)
      const queues = part.flatMap((call) => call.queues)
      const answers = await this.#send([String(part.length), ...words], queues)
      for (const [index, { resolve }] of part.entries()) resolve(answers[index])
    } catch (error) {
      for (const { reject } of part) reject(error)
    }
  }
}
