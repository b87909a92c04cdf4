interface Call {
  readonly words: readonly string[]
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: unknown) => void
}

const AT_ONCE = 128

/** Lets the calls of one turn of the event loop share a step in Redis: what a step costs besides is paid once. */
export class Batch {
  readonly #send: (words: readonly string[]) => Promise<readonly unknown[]>
  #calls: Call[] = []
  #next: NodeJS.Immediate | undefined
  readonly #underWay = new Set<Promise<void>>()

  /** `send` is given how many calls there are and their words, and gives an answer for each. */
  constructor(send: (words: readonly string[]) => Promise<readonly unknown[]>) {
    this.#send = send
  }

  run(words: readonly string[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#calls.push({ words, resolve, reject })
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
      const answers = await this.#send([String(part.length), ...part.flatMap(({ words }) => words)])
      for (const [index, { resolve }] of part.entries()) resolve(answers[index])
    } catch (error) {
      for (const { reject } of part) reject(error)
    }
  }
}
