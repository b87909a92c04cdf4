import { isAbsolute, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Duration } from './duration.ts'
import { InvalidOptionError, IsolateError } from './errors.ts'
import { checkKeys, readDuration, readWholeNumber } from './options.ts'

/** How the threads of a task are. */
export interface IsolateOptions {
  /** The module that exports the task, such as `import.meta.url`. @default the one that calls `task()` */
  readonly module?: string | URL
  /**
   * MiB of heap that a thread may have, from 16; one that grows beyond ends, and its attempt fails. A single allocation
   * far beyond it ends the process, as it always does. @default Node's own limit
   */
  readonly memory?: number
  /** How long a body may go on once its signal has aborted; then its thread is ended. @default '250ms' */
  readonly grace?: Duration
}

/** Isolation as it was read: the module as a URL, the duration in ms. */
export interface IsolatePolicy {
  readonly module: string
  readonly memory: number | undefined
  readonly grace: number
}

const OPTIONS = ['module', 'memory', 'grace']
const DEFAULT_GRACE = 250
const LEAST_MEMORY = 16 // with much less a thread does not begin, and with 2 it takes the process along
const OWN_FRAMES = 2

/** Reads `isolate`; undefined where the task runs as all others do. To be called by what the user's module calls. */
export function readIsolate(subject: string, value: unknown): IsolatePolicy | undefined {
  if (value === undefined || value === false) return undefined
  if (value !== true && (typeof value !== 'object' || value === null)) {
    throw new InvalidOptionError(subject, 'isolate', value, 'Use true, or an object: { module: import.meta.url }.')
  }
  const options: IsolateOptions = value === true ? {} : value
  const own = `isolate of ${subject}`
  checkKeys(own, options, OPTIONS)
  const util = process.getBuiltinModule('node:util') // by import it brings streams and threads along
  const { module = util.getCallSites(OWN_FRAMES + 1, { sourceMap: false })[OWN_FRAMES]?.scriptName } = options
  return Object.freeze({
    module: readModule(own, module, options.module),
    memory: readWholeNumber(own, 'memory', options.memory, { min: LEAST_MEMORY }),
    grace: readDuration(own, 'grace', options.grace) ?? DEFAULT_GRACE,
  })
}

/** A module as one would write it: its path from the current folder. */
export function moduleName(module: string): string {
  if (!module.startsWith('file:')) return module.slice(0, 100)
  const path = fileURLToPath(module)
  const fromHere = relative(process.cwd(), path)
  return fromHere.startsWith('..') ? path : fromHere
}

/** Notes that this thread works for a task: its module may be imported here, but starts no system. */
export function markThread(task: string, module: string): void {
  ;(globalThis as Marked)[mark] = { task, module, refused: undefined }
}

/** What the module of this thread was refused, also where it did not mind. */
export function refusedInThread(): IsolateError | undefined {
  return (globalThis as Marked)[mark]?.refused
}

/** Refuses a second system where a thread imports what starts the first. */
export function refuseInThread(): void {
  const marked = (globalThis as Marked)[mark]
  if (marked === undefined) return
  marked.refused = IsolateError.ofStart(marked.task, marked.module)
  throw marked.refused
}

/** Known to a second copy of the package, too: the module of the task may import that one. */
const mark: unique symbol = Symbol.for('rootcatch.thread')

type Marked = {
  [mark]?: { readonly task: string; readonly module: string; refused: IsolateError | undefined }
}

function readModule(subject: string, module: unknown, given: unknown): string {
  const url = module instanceof URL ? module.href : module
  if (typeof url === 'string' && /^(?:file|data):/.test(url)) return url
  if (typeof url === 'string' && isAbsolute(url)) return pathToFileURL(url).href
  throw new InvalidOptionError(subject, 'module', given, 'Define the task in a file, and pass import.meta.url of that.')
}
