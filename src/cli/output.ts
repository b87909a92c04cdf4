import { styleText } from 'node:util'

/** A colour or another style of a terminal. */
export type Style = Parameters<typeof styleText>[0]

/** Aborts when nobody reads stdout any more, as after `| head`: what is printed from then on is lost, and no error. */
export function outputClosed(): AbortSignal {
  const closed = new AbortController()
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
      closed.abort()
    })
  }
  return closed.signal
}

/** What was asked for. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** What is said beside it: it must not get into a file or a pipe. */
export function remark(text: string): void {
  process.stderr.write(`${text}\n`)
}

/** Coloured where the stream is a terminal that shows colours; NO_COLOR and FORCE_COLOR are respected. */
export function paint(style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  return styleText(style, text, { stream })
}

/** Columns of a terminal; undefined where nobody sees lines break. */
export function widthOf(stream: NodeJS.WriteStream = process.stdout): number | undefined {
  return stream.isTTY ? stream.columns : undefined
}
