import { isDefinition } from '../definition.ts'
import { IsolateError } from '../errors.ts'
import { markThread, moduleName, refusedInThread } from '../isolate.ts'
import type { AnyTask } from '../task.ts'

/** Imports the module and finds the task among its exports, whatever that export is called. */
export async function loadTask(name: string, module: string): Promise<AnyTask> {
  const tasks = exportsOf(await importModule(name, module)).filter((value) => isTask(value, name))
  const [task, another] = new Set(tasks as readonly AnyTask[])
  if (task === undefined) throw IsolateError.ofExport(name, moduleName(module))
  if (another !== undefined) throw IsolateError.ofExports(name, moduleName(module))
  return task
}

async function importModule(name: string, module: string): Promise<object> {
  markThread(name, moduleName(module))
  try {
    const namespace = (await import(module)) as object
    if (refusedInThread() === undefined) return namespace
    throw refusedInThread()
  } catch (error) {
    throw refusedInThread() ?? IsolateError.ofImport(name, moduleName(module), error)
  }
}

/** What a CommonJS module exports stands under `default`. */
function exportsOf(namespace: object): readonly unknown[] {
  const { default: only } = namespace as { readonly default?: unknown }
  const inner = typeof only === 'object' && only !== null && !isDefinition(only) ? Object.values(only) : []
  return [...Object.values(namespace), ...inner]
}

function isTask(value: unknown, name: string): boolean {
  return isDefinition(value) && (value as Partial<AnyTask>).kind === 'task' && (value as Partial<AnyTask>).name === name
}
