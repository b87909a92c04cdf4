import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Handling } from './handling.ts'

/** What one crawl of the site took. */
export interface Rate {
  readonly perSecond: number
  /** Microseconds of the processor for each page. */
  readonly cpu: number
}

export type Name = 'spider' | 'loop' | 'crawlee'

/** One of those that are compared, in a process that crawls the site as often as it is asked to. */
export class Contender {
  readonly name: Name
  readonly #child: ChildProcess
  readonly #answers: AsyncIterator<string>

  constructor(name: Name, url: string, handling: Handling) {
    const file = name === 'crawlee' ? '../peers/crawlee.js' : './crawls.ts'
    const path = new URL(file, import.meta.url).pathname
    const child = spawn(process.execPath, ['--expose-gc', path, url, handling, name], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.name = name
    this.#child = child
    this.#answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  }

  /** Follows links from the first page until it has so many. */
  async crawl(pages: number): Promise<Rate> {
    return (await this.#ask(String(pages))) as Rate
  }

  /** What is on the heap after each tenth of them. */
  async heaps(pages: number): Promise<readonly number[]> {
    return (await this.#ask(`${pages} heap`)) as readonly number[]
  }

  end(): void {
    this.#child.stdin?.end()
  }

  async #ask(line: string): Promise<unknown> {
    this.#child.stdin?.write(`${line}\n`)
    const { value, done } = await this.#answers.next()
    if (done === true) throw new Error(`${this.name} ended while it crawled`)
    return JSON.parse(value)
  }
}
