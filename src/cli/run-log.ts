import { oneLine, textOf } from '../evidence.ts'
import type { System } from '../system.ts'
import { safeLine } from './dead-text.ts'
import { paint, print, type Style } from './output.ts'

/** A line with its time: short for eyes, whole for files. */
export function logLine(text: string, style?: Style): void {
  const now = new Date()
  const time = process.stdout.isTTY ? now.toTimeString().slice(0, 8) : now.toISOString()
  const line = safeLine(text, 2_000)
  print(`${paint('dim', time)} ${style === undefined ? line : paint(style, line)}`)
}

const STYLES: Readonly<Record<string, Style>> = { warn: 'yellow', error: 'red', debug: 'dim' }

/** A line for each thing somebody has to know of, and for each that jobs log. */
export function logEvents(system: System, isVerbose: boolean): void {
  system.on('failure.decided', ({ failure, decision }) => {
    const follows = failure.job === undefined || decision !== 'resume' ? `; decided: ${decision}` : ''
    logLine(`${failure.message}${follows}`, 'red')
    if (isVerbose) process.stdout.write(`${failure.report()}\n`)
  })
  system.on('job.log', ({ path, level, message, data }) => {
    logLine(`${level} ${path}: ${message}${data === undefined ? '' : ` ${textOf(data, 1_000)}`}`, STYLES[level])
  })
  system.on('callback.failed', ({ path, callback, error }) => {
    logLine(`${callback}${path === '' ? '' : ` of ${path}`} threw: ${textOf(error)}`, 'yellow')
  })
  system.on('plugin.failed', ({ error }) => logLine(textOf(error), 'yellow'))
  if (!isVerbose) return
  system.on('job.retrying', ({ path, attempt, delay, error }) => {
    logLine(`${path} tries again in ${delay}ms after attempt ${attempt}: ${textOf(error)}`, 'dim')
  })
}

/** What a system is called in a line: a single task or actor has a supervisor without a name. */
export function nameOf({ name }: System): string {
  return name === '' ? 'the system' : oneLine(name, 60)
}
