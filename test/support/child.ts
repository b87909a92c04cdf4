import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** The folder of the repository. */
export const root: string = fileURLToPath(new URL('../../', import.meta.url))

/** The compiler's entry, for `runNode`. */
export const tsc: string = fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url))

/** How a child process ended. A child that was killed has the code 1. */
export type Ended = { readonly code: number; readonly stdout: string; readonly stderr: string }

/** Runs a program in the repository's folder and waits for its end. A child that is not over after a minute is killed. */
export function run(program: string, args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const limits = { cwd: root, timeout: 60_000, maxBuffer: 64 * 1024 * 1024 }
    execFile(program, args, limits, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1
      resolve({ code, stdout, stderr })
    })
  })
}

/** Runs the Node that runs the tests. `$NODE` would be the system's one inside npm scripts. */
export function runNode(args: readonly string[]): Promise<Ended> {
  return run(process.execPath, args)
}
