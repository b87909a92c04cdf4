import { execFile, spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root, type Ended } from './child.ts'

const binary = join(root, 'dist/src/cli/rootcatch.js')

const plain: NodeJS.ProcessEnv = { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined, ROOTCATCH_BROKER: undefined }

/** Runs the command as users do, without a terminal, and waits for its end. */
export function rootcatch(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { cwd: root, timeout: 30_000, env: { ...plain, ...env } }
    execFile(process.execPath, [binary, ...args], options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : 1, stdout, stderr })
    })
  })
}

/** Whether there is a `script` that gives a command a terminal. */
export const hasTerminal: boolean = String(spawnSync('script', ['--version']).stdout).includes('util-linux')

/** The command in a terminal of so many columns, and what `input` types into it. */
export function inTerminal(args: readonly string[], { columns = 80, rows = 24, input = '' } = {}): TalkingCommand {
  const quoted = [process.execPath, binary, ...args].map((part) => `'${part}'`).join(' ')
  const child = spawn('script', ['-qefc', `stty cols ${columns} rows ${rows} -echo; exec ${quoted}`, '/dev/null'], {
    cwd: root,
    env: { ...plain, TERM: 'xterm' },
  })
  if (input !== '') child.stdin.write(input)
  return talk(child)
}

/** The command while it runs. */
export interface TalkingCommand {
  readonly child: ChildProcess
  /** All it has said so far, on both streams. */
  readonly said: () => string
  /** Resolves once it said that; rejects if it ends before. */
  until(text: string | RegExp): Promise<void>
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>
}

/** Starts the command without a terminal. */
export function startCommand(args: readonly string[], env: NodeJS.ProcessEnv = {}): TalkingCommand {
  return talk(spawn(process.execPath, [binary, ...args], { cwd: root, env: { ...plain, ...env } }))
}

function talk(child: ChildProcess): TalkingCommand {
  let said = ''
  let look = (): void => {}
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      said += text
      look()
    })
  }
  let isOver = false
  const ended = new Promise<number | string>((resolve) => {
    child.on('close', (code, signal) => {
      isOver = true
      look()
      resolve(code ?? String(signal))
    })
  })
  return {
    child,
    ended,
    said: () => said,
    until: (text) =>
      new Promise((resolve, reject) => {
        look = () => {
          if (typeof text === 'string' ? said.includes(text) : text.test(said)) resolve()
          else if (isOver) reject(new Error(`the command ended and never said ${text}:\n${said}`))
        }
        look()
      }),
  }
}

/** Writes a file that imports the package by its name, so it has to lie inside the repository. Gives its path. */
export function userFile(name: string, text: string): string {
  const folder = join(root, '.cache', 'cli')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, name), text)
  return join('.cache', 'cli', name)
}
