import type { PluginTriggerError } from './errors.ts'
import { InvalidOptionError } from './errors.ts'
import type { EventName, Listener } from './events.ts'
import type { Failure } from './failure.ts'
import { checkKeys, readFunction, readName } from './options.ts'
import type { Run } from './run.ts'
import type { RunArguments, Runnable, RunOptions } from './run-options.ts'

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
  /** 0 before the first. */
  readonly attempt: number
  /** A copy, as it is stored. */
  readonly input: unknown
  readonly idempotencyKey: string
}

/** What every hook that is asked about a job is told. */
export interface JobHookEvent {
  readonly task: PluginTask
  readonly run: PluginRun
  /** Where the job is kept. */
  readonly broker: { readonly name: string; readonly durable: boolean }
}

export interface EnqueueEvent extends JobHookEvent {
  /** As it was given, or as the plugin before replaced it. */
  readonly input: unknown
  readonly options: RunOptions
}

export interface BeforeEvent extends JobHookEvent {
  readonly attempt: number
  /** As the body is given it. */
  readonly input: unknown
  /** The attempt's own, as `ctx.signal`: aborts with why the attempt is given up, whatever the body does then. */
  readonly signal: AbortSignal
}

export interface AroundEvent extends BeforeEvent {
  /** Runs the body, or the plugin inside of this one; to be called once. */
  readonly next: () => Promise<unknown>
}

export interface PluginErrorEvent extends JobHookEvent {
  /** What left the body; `error.details` is what the job said. */
  readonly error: PluginTriggerError
  /** The last answer so far, undefined while nobody answered. */
  readonly answer: unknown
}

export interface AfterEvent extends JobHookEvent {
  readonly attempt: number
  readonly value: unknown
  /** The plugin whose answer the value is. */
  readonly answeredBy: string | undefined
}

export interface RetryingEvent extends JobHookEvent {
  readonly failure: Failure
  /** Until the next attempt, in ms. */
  readonly delay: number
}

export interface SettledEvent extends JobHookEvent {
  readonly status: 'done' | 'fallback' | 'failed' | 'cancelled'
  readonly value: unknown
  readonly failure: Failure | undefined
  /** Why it was given up. */
  readonly reason: unknown
  readonly attempts: number
}

export interface TakeEvent {
  readonly task: PluginTask
  readonly broker: JobHookEvent['broker']
  /** Slots of the task that are free. */
  readonly free: number
  /** Asks again now: the answer has changed although no job of this task ended. May be kept. */
  readonly ask: () => void
}

/** How many jobs may be taken now; when to ask again, in ms, if that may change without one of them ending. */
export type TakeAnswer = number | { readonly limit: number; readonly again?: number }

/** The system as a plugin sees it; it is the `System` that `start()` gives. */
export interface PluginSystem {
  readonly name: string
  readonly isStopped: boolean
  run<Input, Output, Progress>(
    task: Runnable<Input, Output, Progress>,
    ...given: RunArguments<Input>
  ): Run<Output, Progress>
  on<Name extends EventName | '*'>(name: Name, listener: Listener<Name>): unknown
  off<Name extends EventName | '*'>(name: Name, listener: Listener<Name>): unknown
}

/** The plugin's owner begins or has ended: a task, a supervisor, a bot, a spider, or the system. */
export interface LifeEvent {
  readonly system: PluginSystem
  /** Of the owner; '' where that is the system. */
  readonly path: string
}

/**
 * The moments a plugin can attach to. Outward hooks are called for the task's plugins first, then for those of the
 * supervisors above it, then for those of `start()`, as written; inward hooks in the reverse order, so that pairs nest.
 * What a hook that only watches throws is reported as `plugin.failed` and changes nothing.
 */
export interface Hooks {
  /** Inward, before the owner's first child starts. Its throw fails that start. */
  readonly setup?: (event: LifeEvent) => unknown
  /** Outward, after the owner's last child stopped. */
  readonly teardown?: (event: LifeEvent) => unknown
  /** Inward, in `system.run`, before validation: gives another input or other options, or nothing. Its throw refuses. */
  readonly enqueue?: (
    event: EnqueueEvent,
  ) => EnqueueAnswer | undefined | void | Promise<EnqueueAnswer | undefined | void>
  /**
   * Outward, before a worker asks the broker for jobs, and at once: how many it may take. The smallest answer counts,
   * undefined is none. What is not taken waits in the queue and costs no attempt.
   */
  readonly take?: (event: TakeEvent) => TakeAnswer | undefined | void
  /** Inward, before the body of each attempt, within its timeout. */
  readonly before?: (event: BeforeEvent) => unknown
  /** Inward, around the body of each attempt: gives the attempt's value. Its throw fails the attempt. */
  readonly around?: (event: AroundEvent) => unknown
  /**
   * Outward. Asked only when a job called `ctx.pluginError(…)` or threw a `PluginTriggerError`. Undefined means not
   * handled; any other value, `0`, `''` and `false` included, becomes the job's result. All plugins are asked, the last
   * answer wins.
   */
  readonly pluginError?: (event: PluginErrorEvent) => unknown
  /** Outward, when an attempt gave a value, or a plugin did. */
  readonly after?: (event: AfterEvent) => unknown
  /** Outward, when another attempt is decided. */
  readonly retrying?: (event: RetryingEvent) => unknown
  /** Outward. Once the broker has taken it, and before `await run` goes on; as are the three below. */
  readonly done?: (event: SettledEvent) => unknown
  readonly fallback?: (event: SettledEvent) => unknown
  readonly failed?: (event: SettledEvent) => unknown
  readonly cancelled?: (event: SettledEvent) => unknown
}

/** What an `enqueue` hook replaces. */
export interface EnqueueAnswer {
  readonly input?: unknown
  readonly options?: RunOptions
}

export type HookName = keyof Hooks

export interface Plugin {
  readonly kind: 'plugin'
  readonly name: string
  readonly hooks: Hooks
}

const HOOKS: readonly HookName[] = [
  'setup',
  'teardown',
  'enqueue',
  'take',
  'before',
  'around',
  'pluginError',
  'after',
  'retrying',
  'done',
  'fallback',
  'failed',
  'cancelled',
]

/** How long one hook may take where no task says otherwise. */
export const HOOK_TIMEOUT = 10_000

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
  for (const hook of HOOKS) readFunction(subject, hook, hooks[hook])
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
