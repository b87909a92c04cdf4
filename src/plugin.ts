import type { PluginTriggerError } from './errors.ts'
import { InvalidOptionError } from './errors.ts'
import { checkKeys, readFunction, readName } from './options.ts'

/** What a hook is told about the task whose job it is asked for. */
export interface PluginTask {
  readonly name: string
  readonly path: string
  readonly description: string | undefined
  readonly tags: readonly string[]
}

/** What a hook is told about the job itself. */
export interface PluginRun {
  readonly id: string
  readonly path: string
  readonly attempt: number
  readonly input: unknown
  readonly idempotencyKey: string
}

export interface PluginErrorEvent {
  readonly task: PluginTask
  readonly run: PluginRun
  /** Where the job is kept. */
  readonly broker: { readonly name: string }
  /** What left the body; `error.details` is what the job said. */
  readonly error: PluginTriggerError
  /** The last answer so far, undefined while nobody answered. */
  readonly answer: unknown
}

/** The moments a plugin can attach to. */
export interface Hooks {
  /**
   * Asked only when a job called `ctx.pluginError(…)` or threw a `PluginTriggerError`. Undefined means not handled; any
   * other value, `0`, `''` and `false` included, becomes the job's result. All plugins are asked, the last answer wins.
   */
  readonly pluginError?: (event: PluginErrorEvent) => unknown
}

export interface Plugin {
  readonly kind: 'plugin'
  readonly name: string
  readonly hooks: Hooks
}

const HOOKS: readonly string[] = ['pluginError']

const brand: unique symbol = Symbol.for('rootcatch.plugin')

const NONE: readonly Plugin[] = Object.freeze([])

/**
 * Defines a plugin, to be listed in the `plugins` of a task, a supervisor or `start()`.
 *
 * @example
 * const rescue = plugin('rescue', {
 *   pluginError: ({ error }) => (error.details['code'] === 'quota' ? 123 : undefined),
 * })
 */
export function plugin(name: string, hooks: Hooks): Plugin {
  readName('plugin', name)
  const subject = `plugin "${name}"`
  checkKeys(subject, hooks, HOOKS)
  readFunction(subject, 'pluginError', hooks.pluginError)
  return Object.freeze({ [brand]: true, kind: 'plugin' as const, name, hooks: Object.freeze({ ...hooks }) })
}

/** Reads a list of plugins as an option. */
export function readPlugins(subject: string, value: unknown): readonly Plugin[] {
  if (value === undefined) return NONE
  if (!Array.isArray(value)) throw new InvalidOptionError(subject, 'plugins', value, 'Pass a list: plugins: [rescue].')
  for (const entry of value) {
    if (typeof entry !== 'object' || entry === null || !(brand in entry)) {
      throw new InvalidOptionError(subject, 'plugins', entry, `Make each with plugin('name', { … }).`)
    }
  }
  return Object.freeze([...value])
}
