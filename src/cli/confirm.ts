import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { UsageError } from './usage-error.ts'

/** Asks on the terminal. Anything but yes is no, and so is the end of the input. */
export async function confirm(question: string): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new UsageError('nobody can be asked here, for this is not a terminal. Add --yes if you mean it.')
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    terminal.setPrompt(`${question} [y/N] `)
    terminal.prompt()
    const [answer] = (await Promise.race([once(terminal, 'line'), once(terminal, 'close')])) as [string?]
    return /^y(?:es)?$/i.test(answer?.trim() ?? '')
  } finally {
    terminal.close()
  }
}
