import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { root } from './child.ts'

/** A child process that is read line by line. */
export interface TalkingChild {
  readonly lines: readonly string[]
  /** Resolves when a line fits; rejects if the child ends before. */
  until(fits: (line: string) => boolean): Promise<void>
  /** SIGKILL: nothing of it is finished, closed or given back. */
  kill(): Promise<void>
  /** Its exit code, once it has ended; null if it was killed. */
  readonly ended: Promise<number | null>
}

/** Starts a TypeScript file under the Node that runs the tests. */
export function startChild(
  file: string,
  args: readonly string[],
  options: { readonly uid?: number } = {},
): TalkingChild {
  const child: ChildProcess = spawn(process.execPath, [file, ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    ...options,
  })
  const lines: string[] = []
  const waits = new Set<() => void>()
  const reader = createInterface({ input: child.stdout as NodeJS.ReadableStream })
  reader.on('line', (line) => {
    lines.push(line)
    for (const look of waits) look()
  })
  let isOver = false
  const ended = new Promise<number | null>((resolve) => {
    child.on('close', (code) => {
      isOver = true
      for (const look of waits) look()
      resolve(code)
    })
  })
  return {
    lines,
    ended,
    until: (fits) =>
      new Promise((resolve, reject) => {
        let seen = 0
        const look = (): void => {
          while (seen < lines.length) {
            seen += 1
            if (!fits(lines[seen - 1] as string)) continue
            waits.delete(look)
            return resolve()
          }
          if (isOver) reject(new Error(`the child ended after: ${lines.slice(-3).join(' | ')}`))
        }
        waits.add(look)
        look()
      }),
    kill: async () => {
      child.kill('SIGKILL')
      await ended
    },
  }
}
