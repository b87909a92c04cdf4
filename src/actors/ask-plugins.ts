import type { PluginError, PluginTriggerError } from '../errors.ts'
import type { JobHookEvent, Plugin, PluginErrorEvent } from '../plugin.ts'
import type { CallEnd } from './attempt.ts'
import { callHook, isThenable, reportPlugin, type HookCall } from './call-hook.ts'
import type { Ending } from './effect.ts'
import { laterHere, type Origin } from './floating.ts'
import type { Tree } from './tree.ts'

/** What the plugins said: the last answer, if there was one, and who threw instead. */
export interface Answers {
  readonly answer: Answer | undefined
  readonly errors: readonly PluginError[]
}

interface Answer {
  readonly value: unknown
  readonly plugin: string
}

export interface Question extends HookCall {
  readonly plugins: readonly Plugin[]
  readonly event: JobHookEvent
  readonly error: PluginTriggerError
}

/**
 * Asks every plugin that has the hook, one at a time. `onEnd` is called a turn later at the soonest, and never once the
 * question was withdrawn by ending what this gives.
 */
export function askPlugins(question: Question, onEnd: (answers: Answers) => void): Ending {
  const asking = new Asking(question, onEnd)
  laterHere(askOn, asking) // the state is to be entered, and can be left, before anybody is asked
  return asking
}

/** Nobody hears it: who would is the one who withdrew. */
const WITHDRAWN = 'withdrawn'

const NO_ERRORS: readonly PluginError[] = []

let askOn: (asking: Asking) => void

/** A question on its way from plugin to plugin. It has a signal, which costs more than most answers, if one takes its time. */
class Asking implements HookCall, Ending {
  readonly #question: Question
  readonly #onEnd: (answers: Answers) => void
  /** How many were asked. */
  #asked = 0
  #answer: Answer | undefined
  #errors: PluginError[] | undefined
  #isWithdrawn = false
  #controller: AbortController | undefined

  constructor(question: Question, onEnd: (answers: Answers) => void) {
    this.#question = question
    this.#onEnd = onEnd
  }

  get tree(): Tree {
    return this.#question.tree
  }

  get timeout(): number | undefined {
    return this.#question.timeout
  }

  get origin(): Origin | undefined {
    return this.#question.origin
  }

  get withdrawn(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#isWithdrawn) this.#controller.abort(WITHDRAWN)
    return this.#controller.signal
  }

  late(end: CallEnd): void {
    this.#question.late?.(end)
  }

  end(): void {
    this.#isWithdrawn = true
    this.#controller?.abort(WITHDRAWN)
  }

  static {
    askOn = (asking) => asking.#askOn()
  }

  /** At once as far as they answer at once. */
  #askOn(): void {
    const { plugins } = this.#question
    while (this.#asked < plugins.length) {
      if (this.#isWithdrawn) return
      const plugin = plugins[this.#asked] as Plugin
      this.#asked += 1
      try {
        const given = this.#ask(plugin)
        if (isThenable(given)) return this.#await(plugin, given)
        this.#hear(plugin, given)
      } catch (thrown) {
        this.#threw(plugin, thrown)
      }
    }
    if (!this.#isWithdrawn) this.#onEnd({ answer: this.#answer, errors: this.#errors ?? NO_ERRORS })
  }

  #ask({ hooks }: Plugin): unknown {
    const { event, error } = this.#question
    const { task, run, broker } = event
    const asked: PluginErrorEvent = { task, run, broker, error, answer: this.#answer?.value }
    return callHook(this, () => hooks.pluginError?.(asked))
  }

  #await(plugin: Plugin, given: PromiseLike<unknown>): void {
    given.then(
      (value) => {
        this.#hear(plugin, value)
        this.#askOn()
      },
      (thrown: unknown) => {
        this.#threw(plugin, thrown)
        this.#askOn()
      },
    )
  }

  #hear({ name }: Plugin, value: unknown): void {
    if (value !== undefined) this.#answer = { value, plugin: name }
  }

  #threw(plugin: Plugin, thrown: unknown): void {
    if (this.#isWithdrawn) return
    const { tree, event } = this.#question
    this.#errors ??= []
    this.#errors.push(reportPlugin(tree, event.run, { plugin, hook: 'pluginError', thrown }))
  }
}
