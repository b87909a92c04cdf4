import type { PluginError, PluginTriggerError } from '../errors.ts'
import type { Plugin, PluginErrorEvent } from '../plugin.ts'
import { callHook, reportPlugin, type HookCall } from './call-hook.ts'

/** What the plugins said: the last answer, if there was one, and who threw instead. */
export interface Answers {
  readonly answer: { readonly value: unknown; readonly plugin: string } | undefined
  readonly errors: readonly PluginError[]
}

export interface Question extends HookCall {
  readonly plugins: readonly Plugin[]
  readonly event: Omit<PluginErrorEvent, 'error' | 'answer'>
  readonly error: PluginTriggerError
}

/**
 * Asks every plugin that has the hook, one at a time. `onEnd` is called a turn later at the soonest, and never once the
 * question was withdrawn by calling what this gives.
 */
export function askPlugins(question: Question, onEnd: (answers: Answers) => void): () => void {
  const controller = new AbortController()
  const { signal } = controller
  // Later: the state is to be entered, and can be left, before anybody is asked.
  void Promise.resolve()
    .then(() => askEach({ ...question, withdrawn: signal }, signal))
    .then((answers) => {
      if (!signal.aborted) onEnd(answers)
    })
  return () => controller.abort()
}

async function askEach(question: Question, withdrawn: AbortSignal): Promise<Answers> {
  const { tree, event, error } = question
  const errors: PluginError[] = []
  let answer: Answers['answer']
  for (const plugin of question.plugins) {
    if (withdrawn.aborted) break
    const asked = { ...event, error, answer: answer?.value }
    try {
      const value = await callHook(question, () => plugin.hooks.pluginError?.(asked))
      if (value !== undefined) answer = { value, plugin: plugin.name }
    } catch (thrown) {
      if (withdrawn.aborted) break
      errors.push(reportPlugin(tree, event.run, { plugin, hook: 'pluginError', thrown }))
    }
  }
  return { answer, errors }
}
