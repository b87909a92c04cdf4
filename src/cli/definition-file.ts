import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { isDefinition } from '../definition.ts'
import { oneLine } from '../evidence.ts'
import { nearest } from '../nearest.ts'
import type { StartOptions } from '../start.ts'
import type { Definition } from '../supervisor.ts'
import { describeThrown } from '../thrown.ts'
import { UsageError } from './usage-error.ts'

export interface Loaded {
  readonly root: Definition
  /** What the file exports as `options`. */
  readonly options: StartOptions
}

/** Imports a file and takes the definition it exports. TypeScript is Node's business: it strips types by itself. */
export async function loadDefinition(file: string, name: string | undefined): Promise<Loaded> {
  const path = resolve(file)
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) throw new UsageError(`there is no file ${path}.`)
  if (!found.isFile()) throw new UsageError(`${path} is not a file.`)
  let exported: Readonly<Record<string, unknown>>
  try {
    exported = (await import(pathToFileURL(path).href)) as typeof exported
  } catch (cause) {
    throw new Error(`${file} could not be loaded: ${describeThrown(cause)}`, { cause })
  }
  const root = name === undefined ? onlyRoot(file, exported) : namedRoot(file, name, exported)
  return { root, options: readOptions(file, exported['options']) }
}

function namedRoot(file: string, name: string, exported: Readonly<Record<string, unknown>>): Definition {
  const found = exported[name]
  if (isRoot(found)) return found
  if (name in exported) throw new UsageError(`${name} of ${file} is no definition. ${ADVICE}`)
  const meant = nearest(name, Object.keys(exported))
  const advice = meant === undefined ? `It exports ${listOf(Object.keys(exported))}.` : `Did you mean "${meant}"?`
  throw new UsageError(`${file} exports no "${oneLine(name)}". ${advice}`)
}

/** The default export, or the only definition that stands in no other one. */
function onlyRoot(file: string, exported: Readonly<Record<string, unknown>>): Definition {
  if (isRoot(exported['default'])) return exported['default']
  const definitions = Object.entries(exported).filter((entry): entry is [string, Definition] => isRoot(entry[1]))
  const inside = new Set(definitions.flatMap(([, definition]) => descendants(definition)))
  const roots = new Map(definitions.filter(([, one]) => !inside.has(one)).map(([name, one]) => [one, name]))
  const [only, ...others] = roots.keys()
  if (only === undefined) throw new UsageError(`${file} exports no definition. ${ADVICE}`)
  if (others.length === 0) return only
  const names = [...roots.values()]
  throw new UsageError(`${file} exports ${names.length} definitions: ${listOf(names)}. Choose one with --export.`)
}

const ADVICE = 'Export what task(), actor() or supervisor() gave, and do not start it there.'

function isRoot(value: unknown): value is Definition {
  return isDefinition(value)
}

function descendants(definition: Definition): readonly Definition[] {
  if (definition.kind !== 'supervisor') return []
  return definition.children.flatMap((child) => [child, ...descendants(child)])
}

function readOptions(file: string, options: unknown): StartOptions {
  if (options === undefined) return {}
  if (typeof options === 'object' && options !== null && !Array.isArray(options)) return options
  throw new UsageError(`options of ${file} is no object. Export what start() takes: { broker, plugins, catch }.`)
}

function listOf(names: readonly string[]): string {
  return names.length === 0 ? 'nothing' : names.map((name) => oneLine(name, 60)).join(', ')
}
