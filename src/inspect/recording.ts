/** Characters of what came after the first picture. */
const MOST = 4 * 1024 * 1024
const FAILURES = 200
const SAMPLES = 600

type Keyed = Readonly<Record<string, unknown>>

interface Hello {
  readonly type: 'hello'
  at: unknown
  readonly charts: Record<string, unknown>
  nodes: readonly Keyed[]
  failures: readonly unknown[]
  events: readonly unknown[]
  stats: readonly unknown[]
}

/** What one viewer was shown, from some first picture on: what is too old goes into that picture. */
export class Recording {
  readonly #hello: Hello
  readonly #nodes = new Map<unknown, Keyed>()
  readonly #frames: string[] = []
  #first = 0
  #size = 0

  /** `hello` is a frame of that type, which tells nobody how to act. */
  constructor(hello: string) {
    this.#hello = JSON.parse(hello) as Hello
    for (const row of this.#hello.nodes) this.#nodes.set(row['id'], row)
  }

  /** A frame as it was sent. */
  add(frame: string): void {
    this.#frames.push(frame)
    this.#size += frame.length
    while (this.#size > MOST) this.#fold()
  }

  /** JSON Lines: a picture, then what happened. */
  text(): string {
    const hello = JSON.stringify({ ...this.#hello, nodes: [...this.#nodes.values()] })
    return `${[hello, ...this.#frames.slice(this.#first)].join('\n')}\n`
  }

  #fold(): void {
    const frame = this.#frames[this.#first] ?? ''
    this.#frames[this.#first] = ''
    this.#first += 1
    this.#size -= frame.length
    this.#take(JSON.parse(frame) as Keyed)
    if (this.#first < 1_000) return
    this.#frames.splice(0, this.#first)
    this.#first = 0
  }

  #take(frame: Keyed): void {
    const hello = this.#hello
    if (frame['type'] === 'chart') hello.charts[String(frame['hash'])] = frame['chart']
    if (frame['type'] !== 'tick') return
    hello.at = frame['at']
    for (const row of listOf(frame['nodes']) as readonly Keyed[]) this.#nodes.set(row['id'], row)
    for (const id of listOf(frame['gone'])) this.#nodes.delete(id)
    hello.failures = [...hello.failures, ...listOf(frame['failures'])].slice(-FAILURES)
    if (frame['stats'] !== undefined) hello.stats = [...hello.stats, frame['stats']].slice(-SAMPLES)
    hello.events = []
  }
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
