import { InvalidOptionError } from '../errors.ts'
import { checkKeys } from '../options.ts'
import type { EnqueueAnswer, EnqueueEvent, Plugin } from '../plugin.ts'
import type { RunOptions } from '../run-options.ts'
import { callHook, isThenable, type HookCall } from './call-hook.ts'

/** What somebody asks a job for. */
export interface Asked {
  readonly input: unknown
  readonly options: RunOptions
}

/** Lets plugins look at what is asked for, one after the other, and replace it. What one throws refuses the job. */
export function askToEnqueue(
  call: HookCall,
  plugins: readonly Plugin[],
  event: Omit<EnqueueEvent, 'input' | 'options'>,
  asked: Asked,
): Asked | Promise<Asked> {
  const [plugin, ...rest] = plugins
  if (plugin === undefined) return asked
  const goOn = (answer: unknown): Asked | Promise<Asked> =>
    askToEnqueue(call, rest, event, answer === undefined ? asked : replaced(plugin, answer, asked))
  const answer = callHook(call, () => plugin.hooks.enqueue?.({ ...event, ...asked }))
  return isThenable(answer) ? Promise.resolve(answer).then(goOn) : goOn(answer)
}

function replaced(plugin: Plugin, answer: unknown, asked: Asked): Asked {
  const subject = `plugin "${plugin.name}"`
  if (typeof answer !== 'object' || answer === null) {
    const advice = 'Return { input } or { options } to replace them, or nothing.'
    throw new InvalidOptionError(subject, 'answer of enqueue', answer, advice)
  }
  checkKeys(`enqueue of ${subject}`, answer, ['input', 'options'])
  const { options = asked.options } = answer as EnqueueAnswer
  return { ...asked, ...answer, options }
}
