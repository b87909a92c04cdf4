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
  /** As text until something is older than what is kept: few recordings get that far. */
  #hello: string | Hello
  readonly #nodes = new Map<unknown, Keyed>()
  readonly #frames: string[] = []
  #first = 0
  #size = 0

  /** `hello` is a frame of that type, which tells nobody how to act. */
  constructor(hello: string) {
    this.#hello = hello
  }

  /** A frame as it was sent. */
  add(frame: string): void {
    this.#frames.push(frame)
    this.#size += frame.length
    while (this.#size > MOST) this.#fold()
  }

  /** JSON Lines: a picture, then what happened. */
  text(): string {
    const hello =
      typeof this.#hello === 'string'
        ? this.#hello
        : JSON.stringify({ ...this.#hello, nodes: [...this.#nodes.values()] })
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

  #read(): Hello {
    if (typeof this.#hello !== 'string') return this.#hello
    const hello = JSON.parse(this.#hello) as Hello
    for (const row of hello.nodes) this.#nodes.set(row['id'], row)
    this.#hello = hello
    return hello
  }

  #take(frame: Keyed): void {
    const hello = this.#read()
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
