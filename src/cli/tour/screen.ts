import { fit } from '../../status-line.ts'

const ESCAPE = '\x1b['

/** Lines at the bottom of a terminal that are drawn again and again, in one write each time. */
export class Screen {
  readonly #stream: NodeJS.WriteStream
  readonly #show = (): void => void this.#stream.write(`${ESCAPE}?25h`)
  #drawn = 0

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream
    stream.write(`${ESCAPE}?25l`) // no cursor that jumps about
    process.once('exit', this.#show)
  }

  /** So many lines fit without scrolling. */
  get rows(): number {
    return Math.max(10, this.#stream.rows - 1)
  }

  draw(lines: readonly string[]): void {
    const up = this.#drawn === 0 ? '' : `${ESCAPE}${this.#drawn}A`
    const text = lines.map((line) => `\r${fit(line, this.#stream.columns)}${ESCAPE}0m${ESCAPE}K\n`).join('')
    this.#stream.write(`${up}${text}${ESCAPE}0J`)
    this.#drawn = lines.length
  }

  /** Leaves what was drawn last, and gives the cursor back. */
  end(): void {
    process.off('exit', this.#show)
    this.#show()
  }
}
