import { isSecretKey, redact, secretsOf } from '../secrets.ts'
import type { InspectorPolicy } from './options.ts'
import { MASKED, plain, PAGE_LIMITS, type Limits, type Shown } from './plain.ts'

/** What may leave the process, and in which form. */
export class Showing {
  /** Whether contexts, inputs, outputs and data of events are shown at all. */
  readonly hasPayloads: boolean
  readonly #policy: Pick<InspectorPolicy, 'payloads' | 'redact'>
  readonly #env: RegExp | undefined

  constructor(policy: Pick<InspectorPolicy, 'payloads' | 'redact'>, env: NodeJS.ProcessEnv) {
    this.hasPayloads = policy.payloads !== 'none'
    this.#policy = policy
    const secrets = secretsOf(env).slice(0, 200)
    const escaped = secrets.map((secret) => secret.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
    this.#env = escaped.length === 0 ? undefined : new RegExp(escaped.join('|'), 'g')
  }

  /** A text of ours or the user's: a path, a message, the type of an event. */
  text(text: string): string {
    if (this.#policy.payloads === 'full') return text
    const rest = this.#env === undefined ? text : text.replace(this.#env, MASKED)
    return suspicious.test(rest) ? redact(rest) : rest
  }

  /** A payload as JSON; undefined where none are shown. */
  payload(value: unknown, node: string, path: string, limits: Limits = PAGE_LIMITS): unknown {
    return this.hasPayloads ? this.data(value, node, path, limits) : undefined
  }

  /** What is shown whatever payloads are: failures, without their details. */
  data(value: unknown, node: string, path: string, limits: Limits = PAGE_LIMITS): unknown {
    return plain(value, this.#shownOf(node), limits, path)
  }

  #shownOf(node: string): Shown {
    const { redact: last, payloads } = this.#policy
    return {
      text: (text) => this.text(text),
      hides: payloads === 'full' ? () => false : isSecretKey,
      last: (path, value) => {
        if (last === undefined) return value
        try {
          const answer = last(path, value, node)
          // What it gives is shown as any other value would be, but nobody is asked about it again.
          return typeof answer === 'object' && answer !== null ? plain(answer, asItIs) : asItIs.last('', leafOf(answer))
        } catch {
          return MASKED
        }
      },
    }
  }
}

const asItIs: Shown = { text: (text) => text, hides: () => false, last: (_, value) => value }

function leafOf(value: unknown): unknown {
  return plain(value, asItIs)
}

/** Texts without any of these hold nothing that `redact` knows. */
const suspicious = /[:=@]|bearer|basic|eyJ|-----|(?:[srp]k|gh[opsur]|xox.|pat|npm|hf)[-_]|AKIA|ASIA|AIza/i
