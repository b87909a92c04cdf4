import { formatDuration } from '../duration.ts'
import { PluginError, type PluginTriggerError } from '../errors.ts'
import type { Plugin, PluginErrorEvent } from '../plugin.ts'
import { runAs, type Origin } from './floating.ts'
import type { Tree } from './tree.ts'

/** What the plugins said: the last answer, if there was one, and who threw instead. */
export interface Answers {
  readonly answer: { readonly value: unknown; readonly plugin: string } | undefined
  readonly errors: readonly PluginError[]
}

export interface Question {
  readonly tree: Tree
  readonly plugins: Iterable<Plugin>
  readonly event: Omit<PluginErrorEvent, 'error' | 'answer'>
  readonly error: PluginTriggerError
  readonly timeout: number
  readonly origin: Origin
  /** A hook settled after nobody waited for it any more. */
  late(end: { readonly value: unknown } | { readonly error: unknown }): void
}

/**
 * Asks every plugin that has the hook, one at a time. `onEnd` is called a turn later at the soonest, and never once the
 * question was withdrawn by calling what this gives.
 */
export function askPlugins(question: Question, onEnd: (answers: Answers) => void): () => void {
  const controller = new AbortController()
  void askEach(question, controller.signal).then((answers) => {
    if (!controller.signal.aborted) onEnd(answers)
  })
  return () => controller.abort()
}

async function askEach(question: Question, withdrawn: AbortSignal): Promise<Answers> {
  const errors: PluginError[] = []
  let answer: Answers['answer']
  for (const plugin of question.plugins) {
    if (withdrawn.aborted) break
    if (plugin.hooks.pluginError === undefined) continue
    try {
      const value = await askOne(question, plugin, answer?.value, withdrawn)
      if (value !== undefined) answer = { value, plugin: plugin.name }
    } catch (error) {
      if (withdrawn.aborted) break
      errors.push(report(question, plugin, error))
    }
  }
  return { answer, errors }
}

function askOne(question: Question, plugin: Plugin, answer: unknown, withdrawn: AbortSignal): Promise<unknown> {
  const { tree, event, error, timeout, origin } = question
  return new Promise((resolve, reject) => {
    let isOver = false
    const end = (settle: () => void): void => {
      isOver = true
      tree.clock.clearTimeout(timer)
      withdrawn.removeEventListener('abort', onWithdrawn)
      settle()
    }
    const onWithdrawn = (): void => end(() => reject(withdrawn.reason))
    const runsOver = (): void => end(() => reject(new Error(`no answer after ${formatDuration(timeout)}`)))
    const timer = tree.clock.setTimeout(runsOver, timeout)
    withdrawn.addEventListener('abort', onWithdrawn)
    const hook = async (): Promise<unknown> => plugin.hooks.pluginError?.({ ...event, error, answer })
    runAs(origin, hook).then(
      (value) => (isOver ? question.late({ value }) : end(() => resolve(value))),
      (thrown: unknown) => (isOver ? question.late({ error: thrown }) : end(() => reject(thrown))),
    )
  })
}

function report({ tree, event }: Question, plugin: Plugin, thrown: unknown): PluginError {
  const { path, id, attempt } = event.run
  const error = new PluginError(plugin.name, 'pluginError', path, thrown)
  tree.events.emit('plugin.failed', { path, id, attempt, plugin: plugin.name, hook: 'pluginError', error })
  tree.write('warn', { path, err: error }, error.message)
  return error
}
