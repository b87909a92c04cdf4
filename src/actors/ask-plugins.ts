import type { PluginError, PluginTriggerError } from '../errors.ts'
import type { Plugin, PluginErrorEvent } from '../plugin.ts'
import { callHook, isThenable, reportPlugin, type HookCall } from './call-hook.ts'

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
  const withdrawal = new Withdrawal()
  // Later: the state is to be entered, and can be left, before anybody is asked.
  void Promise.resolve()
    .then(() => askEach(question, withdrawal))
    .then((answers) => {
      if (!withdrawal.isOver) onEnd(answers)
    })
  return () => withdrawal.end()
}

/** Whether a question was withdrawn. It has a signal, which costs more than most answers, if one takes its time. */
class Withdrawal {
  isOver = false
  #controller: AbortController | undefined

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.isOver) this.#controller.abort(WITHDRAWN)
    return this.#controller.signal
  }

  end(): void {
    this.isOver = true
    this.#controller?.abort(WITHDRAWN)
  }
}

/** Nobody hears it: who would is the one who withdrew. */
const WITHDRAWN = 'withdrawn'

async function askEach(question: Question, withdrawal: Withdrawal): Promise<Answers> {
  const { tree, timeout, origin, late, event, error } = question
  const call: HookCall = {
    tree,
    timeout,
    origin,
    ...(late && { late }),
    get withdrawn() {
      return withdrawal.signal
    },
  }
  const errors: PluginError[] = []
  let answer: Answers['answer']
  for (const plugin of question.plugins) {
    if (withdrawal.isOver) break
    const asked = { ...event, error, answer: answer?.value }
    try {
      const given = callHook(call, () => plugin.hooks.pluginError?.(asked))
      const value = isThenable(given) ? await given : given
      if (value !== undefined) answer = { value, plugin: plugin.name }
    } catch (thrown) {
      if (withdrawal.isOver) break
      errors.push(reportPlugin(tree, event.run, { plugin, hook: 'pluginError', thrown }))
    }
  }
  return { answer, errors }
}
