import { resume, stop } from '../decision.ts'
import { formatDuration, parseDuration } from '../duration.ts'
import { inspector } from '../inspect/inspector.ts'
import { start, type StartOptions } from '../start.ts'
import { describeThrown } from '../thrown.ts'
import { loadDefinition } from './definition-file.ts'
import { drainOnSignals } from './drain.ts'
import { logEvents, logLine, nameOf } from './run-log.ts'
import { showStatus } from './show-status.ts'
import { brokerAt } from './store.ts'
import { UsageError } from './usage-error.ts'

export interface RunFileOptions {
  readonly export?: string
  readonly broker?: string
  readonly deadline: string
  readonly inspect?: true
  readonly verbose?: true
}

/** Runs the definition of a file until it is told to stop, or fails. Gives the exit code. */
export async function runFile(file: string, options: RunFileOptions): Promise<number> {
  const within = readDeadline(options.deadline)
  const broker = options.broker === undefined ? undefined : brokerAt(options.broker)
  const { root, options: exported } = await loadDefinition(file, options.export)
  const inspect = options.inspect && exported.inspect === undefined ? inspector() : exported.inspect
  const system = await start(root, {
    catch: decideQuietly,
    ...exported,
    ...(broker && { broker }),
    ...(inspect && { inspect }),
  } as StartOptions)
  logEvents(system, options.verbose === true)
  const drain = drainOnSignals(system, within, (text) => logLine(text, 'yellow'))
  const where = options.broker === undefined ? '' : `; jobs are kept in ${options.broker}`
  logLine(`${nameOf(system)} is up, from ${file}${where}`)

  const begun = performance.now()
  const endStatus = showStatus(system, drain)
  const failure = await system.done.then(
    () => undefined,
    (error: unknown) => error,
  )
  const cutOffCode = drain.cutOffCode()
  endStatus()
  if (failure !== undefined) {
    logLine(`${nameOf(system)} failed: ${describeThrown(failure)}`, 'red')
    return 1
  }
  const { done, fellBack, failed } = system.stats().jobs
  const how = cutOffCode === undefined ? 'stopped' : 'was cut off'
  const time = formatDuration(Math.round(performance.now() - begun))
  logLine(`${nameOf(system)} ${how} after ${time}: done ${done + fellBack}, failed ${failed}`)
  return cutOffCode ?? 0
}

/** Decides as the default root catch does; its report with stacks is for `--verbose`. */
const decideQuietly: StartOptions['catch'] = (failure) => (failure.job === undefined ? stop : resume)

function readDeadline(text: string): number {
  const ms = parseDuration(text)
  if (ms !== undefined) return ms
  throw new UsageError(`--deadline got "${text}". Write a duration like 500ms, 30s or 5m.`)
}
