import type { Update } from 'grammy/types'
import type { BotConfig, Context } from 'grammy'
import { CHILD_OPTIONS, readChildPolicy, type ChildOptions, type ChildPolicy } from '../child.ts'
import type { Duration } from '../duration.ts'
import { InvalidOptionError } from '../errors.ts'
import { checkKeys, readDuration, readFunction, readName, readWholeNumber } from '../options.ts'
import { HOOK_TIMEOUT, readPlugins, type Plugin } from '../plugin.ts'
import { readRetry, type RetryOptions, type RetryPolicy } from '../retry.ts'
import type { ClientOptions } from './http.ts'
import { readPolling, type PollingOptions, type PollingPolicy } from './polling-options.ts'

/** What decides the order of updates: those that share a key are handled one at a time. */
export type Lane = (update: Update) => string | number | readonly (string | number)[] | undefined

export interface BotOptions<C extends Context> extends Omit<BotConfig<C>, 'client'>, Omit<ChildOptions, 'ready'> {
  /** Of grammY's client; its calls go through undici unless it has a `fetch`. */
  readonly client?: ClientOptions
  /** Its part of a path. @default `bot:` and the number in the token */
  readonly name?: string
  /** @default the chat's id; updates without a chat wait for nobody */
  readonly lane?: Lane
  /** Updates that run at once; those that wait for a lane or a retry do not count. @default 500 */
  readonly concurrency?: number
  /** How often an update is handled, how long apart and for which errors. @default { attempts: 1 } */
  readonly retry?: RetryOptions
  /** How long one attempt may take. @default none */
  readonly timeout?: Duration
  readonly plugins?: readonly Plugin[]
  /** For a bot under a supervisor, what `start()` takes; false: updates come by webhooks only. @default {} */
  readonly polling?: PollingOptions | false
}

/** The options as they were read. */
export interface BotPolicy {
  readonly name: string
  readonly lane: Lane
  readonly concurrency: number
  readonly retry: RetryPolicy
  readonly timeout: number | undefined
  readonly hookTimeout: number
  readonly plugins: readonly Plugin[]
  /** Undefined: updates come by webhooks only. */
  readonly polling: PollingPolicy | undefined
  readonly child: ChildPolicy
}

const OWN = ['name', 'lane', 'concurrency', 'retry', 'timeout', 'plugins', 'polling'] as const
const GRAMMY = ['client', 'botInfo', 'ContextConstructor']
const OPTIONS = [...OWN, ...GRAMMY, ...CHILD_OPTIONS.filter((key) => key !== 'ready')]

export function readBotOptions<C extends Context>(botId: string, options: BotOptions<C>): BotPolicy {
  const name = options?.name === undefined ? `bot:${botId}` : readName('bot', options.name)
  const subject = `bot "${name}"`
  checkKeys(subject, options, OPTIONS)
  const { polling } = options
  return Object.freeze({
    name,
    lane: readFunction(subject, 'lane', options.lane) ?? chatOf,
    concurrency: readWholeNumber(subject, 'concurrency', options.concurrency, { min: 1 }) ?? 500,
    retry: readRetry(subject, options.retry),
    timeout: readDuration(subject, 'timeout', options.timeout, { positive: true }),
    hookTimeout: HOOK_TIMEOUT,
    plugins: readPlugins(subject, options.plugins),
    polling: polling === false ? undefined : readPolling(`polling of ${subject}`, polling),
    child: readChildPolicy(subject, childOptions(options), { startTimeout: Infinity, shutdown: 10_000 }),
  })
}

function childOptions(options: ChildOptions): ChildOptions {
  const { restart, significant, startTimeout, shutdown } = options
  return { restart, significant, startTimeout, shutdown } as ChildOptions
}

/** The lanes of an update, each once. Throws what the user's function throws, or an error about what it gave. */
export function lanesOf({ lane, name }: BotPolicy, update: Update): readonly string[] {
  const given: unknown = lane(update)
  if (given === undefined) return NONE
  if (typeof given === 'string' || typeof given === 'number') return [String(given)]
  if (Array.isArray(given) && given.every((key) => typeof key === 'string' || typeof key === 'number')) {
    return [...new Set(given.map(String))]
  }
  throw new InvalidOptionError(`bot "${name}"`, 'lane', given, 'Give a text or a number, a list of them, or undefined.')
}

const NONE: readonly string[] = Object.freeze([])

interface HasChat {
  readonly chat?: { readonly id?: unknown }
  readonly message?: HasChat
}

/** The first part of an update that says which chat it belongs to. Whatever it is, it never throws. */
function chatOf(update: Update): string | undefined {
  for (const key in update) {
    const part: unknown = (update as unknown as Record<string, unknown>)[key]
    if (typeof part !== 'object' || part === null) continue
    const { chat, message } = part as HasChat
    const id = chat?.id ?? message?.chat?.id
    if (typeof id === 'number' || typeof id === 'string') return String(id)
  }
  return undefined
}
