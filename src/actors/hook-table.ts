import type { HookName, Plugin } from '../plugin.ts'
import { levelsAbove, type Level } from './climb.ts'

/** The hooks that are called for a task and its jobs. */
export type JobHook = Exclude<HookName, 'setup' | 'teardown'>

/** Which plugins have which hook, in the order they are called. */
export type HookTable = { readonly [Hook in JobHook]: readonly Plugin[] }

const INWARD: ReadonlySet<HookName> = new Set(['setup', 'enqueue', 'before'])

/** The plugins of a task, of the supervisors from the nearest to the root, and of the system; each once, where it comes first. */
export function hookTable(task: { readonly plugins: readonly Plugin[] }, level: Level): HookTable {
  const listed = [...task.plugins]
  for (const { plugins } of levelsAbove(level)) listed.push(...plugins)
  const outward = [...new Set(listed)]
  if (outward.length === 0) return EMPTY
  const having = (hook: JobHook): readonly Plugin[] => inOrder(hook, outward)
  return {
    enqueue: having('enqueue'),
    take: having('take'),
    before: having('before'),
    around: having('around'),
    pluginError: having('pluginError'),
    after: having('after'),
    retrying: having('retrying'),
    done: having('done'),
    fallback: having('fallback'),
    failed: having('failed'),
    cancelled: having('cancelled'),
  }
}

/** Those that have the hook: outward as they are given, inward the other way round, so that pairs nest. */
export function inOrder(hook: HookName, outward: readonly Plugin[]): readonly Plugin[] {
  const having = outward.filter(({ hooks }) => hooks[hook] !== undefined)
  return INWARD.has(hook) ? having.reverse() : having
}

const NONE: readonly Plugin[] = []

const EMPTY: HookTable = {
  enqueue: NONE,
  take: NONE,
  before: NONE,
  around: NONE,
  pluginError: NONE,
  after: NONE,
  retrying: NONE,
  done: NONE,
  fallback: NONE,
  failed: NONE,
  cancelled: NONE,
}

/** Whether nobody looks at the attempts of a job, or at its end. */
export function isUnwatched(table: HookTable): boolean {
  return table === EMPTY
}
