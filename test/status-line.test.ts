import { describe, expect, test } from 'vitest'
import { StatusLine } from '../src/status-line.ts'

/** Not written as it is: a linter takes it for a slip. */
const CONTROLS = new RegExp(`(\r|\n|${'\u001b'}\\[[\\d;]*[A-Za-z])`)

/** A terminal with as much sense as the line needs: it knows \r, \n and "clear to the end of the line". */
function terminal(columns = 40): { stream: NodeJS.WriteStream; screen: () => string[]; writes: string[] } {
  const lines = ['']
  let column = 0
  const writes: string[] = []
  const put = (text: string): void => {
    for (const part of text.split(CONTROLS)) {
      if (part === '\r') column = 0
      else if (part === '\n') {
        lines.push('')
        column = 0
      } else if (part === '\u001b[K') lines[lines.length - 1] = (lines.at(-1) ?? '').slice(0, column)
      else if (!part.startsWith('\u001b')) {
        const line = (lines.at(-1) ?? '').padEnd(column)
        lines[lines.length - 1] = line.slice(0, column) + part + line.slice(column + part.length)
        column += part.length
      }
    }
  }
  const write = (chunk: string | Uint8Array): boolean => {
    const text = typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString()
    writes.push(text)
    put(text)
    return true
  }
  return { stream: { columns, isTTY: true, write } as unknown as NodeJS.WriteStream, screen: () => [...lines], writes }
}

describe('StatusLine', () => {
  test('is one line that is drawn again', () => {
    const { stream, screen } = terminal()
    const line = new StatusLine([stream])
    line.show('running 10')
    line.show('running 9')
    expect(screen()).toEqual(['running 9'])
    line.end()
    expect(screen()).toEqual([''])
  })

  test('stays below whatever else is written, in one write, so that nothing flickers', () => {
    const { stream, screen, writes } = terminal()
    const line = new StatusLine([stream])
    line.show('running 1')
    stream.write('a line of somebody else\n')
    stream.write(Buffer.from('bytes\n'))
    expect(screen()).toEqual(['a line of somebody else', 'bytes', 'running 1'])
    expect(writes[1]).toBe('\r\u001b[Ka line of somebody else\nrunning 1')
    line.end()
    expect(screen()).toEqual(['a line of somebody else', 'bytes', ''])
  })

  test('waits while a line of somebody else is not over', () => {
    const { stream, screen } = terminal()
    const line = new StatusLine([stream])
    line.show('running 1')
    stream.write('50 %')
    line.show('running 2')
    stream.write('…')
    expect(screen()).toEqual(['50 %…'])
    stream.write(' done\n')
    expect(screen()).toEqual(['50 %… done', 'running 2'])
    line.end()
  })

  test('gives the streams back as they were', () => {
    const { stream, writes } = terminal()
    const { write } = stream
    const line = new StatusLine([stream])
    expect(stream.write).not.toBe(write)
    line.end()
    expect(stream.write).toBe(write)
    line.show('too late')
    expect(writes).toEqual([])
  })

  test('draws nothing while nothing has changed', () => {
    const { stream, writes } = terminal()
    const line = new StatusLine([stream])
    line.show('running 1')
    line.show('running 1')
    expect(writes).toHaveLength(1)
    line.end()
  })

  test('never reaches the last column, where it would break; colours take no room', () => {
    const { stream, screen, writes } = terminal(20)
    const line = new StatusLine([stream])
    line.show(`\u001b[31mfailed 1\u001b[39m ${'x'.repeat(50)}`)
    expect(screen()).toEqual([`failed 1 ${'x'.repeat(10)}`])
    expect(writes[0]).toContain('\u001b[39m')
    line.end()
  })
})
