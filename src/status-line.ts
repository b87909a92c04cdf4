type Write = NodeJS.WriteStream['write']

const ESCAPE = '\x1b['
const CLEAR = `\r${ESCAPE}K`

/**
 * One line at the bottom of a terminal that is drawn again and again. Whatever else is written to the terminal goes
 * above it: the line is taken away, and drawn again in the same write, so that nothing flickers.
 */
export class StatusLine {
  readonly #stream: NodeJS.WriteStream
  readonly #writes = new Map<NodeJS.WriteStream, Write>()
  readonly #end = (): void => this.end()
  #text = ''
  #isDrawn = false
  /** Somebody else's line is not over: drawing now would overwrite it. */
  #isMidLine = false

  /** Draws on the first stream; the others are written to the same terminal. */
  constructor(streams: readonly [NodeJS.WriteStream, ...NodeJS.WriteStream[]]) {
    this.#stream = streams[0]
    for (const stream of streams) {
      this.#writes.set(stream, stream.write)
      stream.write = this.#writeAbove(stream.write.bind(stream) as Write)
    }
    process.once('exit', this.#end)
    process.on('uncaughtExceptionMonitor', this.#end)
  }

  show(text: string): void {
    const line = fit(text, this.#stream.columns)
    if (line === this.#text && this.#isDrawn) return
    this.#text = line
    if (this.#isMidLine || !this.#writes.has(this.#stream)) return
    this.#isDrawn = true
    this.#own(`${CLEAR}${line}`)
  }

  /** Takes the line away, and leaves the streams as they were. */
  end(): void {
    if (this.#isDrawn) this.#own(CLEAR)
    this.#isDrawn = false
    for (const [stream, write] of this.#writes) stream.write = write
    this.#writes.clear()
    process.off('exit', this.#end)
    process.off('uncaughtExceptionMonitor', this.#end)
  }

  #own(text: string): void {
    this.#writes.get(this.#stream)?.call(this.#stream, text)
  }

  #writeAbove(write: Write): Write {
    return ((chunk: string | Uint8Array, ...rest: []): boolean => {
      if (chunk.length === 0) return write(chunk, ...rest)
      const isWhole = chunk.at(-1) === '\n' || chunk.at(-1) === 10
      const before = this.#isDrawn ? CLEAR : ''
      const after = isWhole && this.#text !== '' ? this.#text : ''
      this.#isMidLine = !isWhole
      this.#isDrawn = after !== ''
      if (typeof chunk === 'string') return write(`${before}${chunk}${after}`, ...rest)
      if (before !== '') write(before)
      const answer = write(chunk, ...rest)
      if (after !== '') write(after)
      return answer
    }) as Write
  }
}

/** A line that touches the last column would break in many terminals. Colours take no room. */
export function fit(text: string, columns = 80): string {
  const [first = '', ...styled] = text.split(ESCAPE)
  let room = columns - 1
  let line = ''
  const add = (part: string): void => {
    line += part.slice(0, Math.max(0, room))
    room -= part.length
  }
  add(first)
  for (const part of styled) {
    const end = part.indexOf('m') + 1
    line += `${ESCAPE}${part.slice(0, end)}`
    add(part.slice(end))
  }
  return line
}
