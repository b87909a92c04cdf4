import { formatDuration } from '../duration.ts'
import { PluginError } from '../errors.ts'
import type { HookName, Plugin } from '../plugin.ts'
import { runAs, runAsNobody, type Origin } from './floating.ts'
import type { CallEnd } from './attempt.ts'
import type { Tree } from './tree.ts'

/** Under what a hook is called. */
export interface HookCall {
  readonly tree: Tree
  /** In ms; undefined where the hook takes as long as what it stands around. */
  readonly timeout: number | undefined
  /** Whose rejections are those that nobody handles; undefined where it is no job's hook. */
  readonly origin: Origin | undefined
  /** Nobody waits for the answer any more. */
  readonly withdrawn?: AbortSignal
  /** It settled after nobody waited for it any more. */
  late?(end: CallEnd): void
}

/**
 * Calls a hook once. What it gives at once is given at once, and what it throws is thrown; a promise is waited for as
 * long as the hook may take.
 */
export function callHook(call: HookCall, hook: () => unknown): unknown {
  const result = call.origin === undefined ? runAsNobody(hook) : runAs(call.origin, hook, undefined)
  return isThenable(result) ? settled(call, result) : result
}

/** Whether what a hook gave has to be waited for. A `then` that throws is a hook that threw. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return ((typeof value === 'object' && value !== null) || typeof value === 'function') && 'then' in value
    ? typeof value.then === 'function'
    : false
}

/** Says that a plugin threw where it could only watch, or was one of several to be asked. */
export function reportPlugin(
  tree: Tree,
  where: { readonly path: string; readonly id?: string; readonly attempt?: number },
  { plugin, hook, thrown, consequence }: Thrown,
): PluginError {
  const { path, id, attempt } = where
  const error = new PluginError(plugin.name, hook, path || tree.name, thrown, consequence)
  const job = { ...(id !== undefined && { id }), ...(attempt !== undefined && { attempt }) }
  tree.events.emit('plugin.failed', { path, ...job, plugin: plugin.name, hook, error })
  tree.write('warn', { path, err: error }, error.message)
  return error
}

interface Thrown {
  readonly plugin: Plugin
  readonly hook: HookName
  readonly thrown: unknown
  readonly consequence?: string
}

function settled(call: HookCall, result: PromiseLike<unknown>): Promise<unknown> {
  const { tree, timeout, withdrawn } = call
  return new Promise((resolve, reject) => {
    let isOver = false
    let timer: unknown
    const end = (settle: () => void): void => {
      isOver = true
      if (timer !== undefined) tree.clock.clearTimeout(timer)
      withdrawn?.removeEventListener('abort', onWithdrawn)
      settle()
    }
    const onWithdrawn = (): void => end(() => reject(withdrawn?.reason))
    if (withdrawn?.aborted === true) onWithdrawn()
    else withdrawn?.addEventListener('abort', onWithdrawn)
    if (timeout !== undefined && !isOver) {
      const runsOver = (): void => end(() => reject(new Error(`no answer after ${formatDuration(timeout)}`)))
      timer = tree.clock.setTimeout(runsOver, timeout)
    }
    result.then(
      (value) => (isOver ? call.late?.({ value }) : end(() => resolve(value))),
      (error: unknown) => (isOver ? call.late?.({ error }) : end(() => reject(error))),
    )
  })
}
