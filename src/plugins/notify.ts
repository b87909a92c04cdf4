import { readClock, type Clock } from '../clock.ts'
import { formatDuration, type Duration } from '../duration.ts'
import { InvalidOptionError } from '../errors.ts'
import { oneLine } from '../evidence.ts'
import type { EventOf } from '../events.ts'
import type { Failure } from '../failure.ts'
import { checkKeys, readDuration, readFunction, readOneOf, readWholeNumber } from '../options.ts'
import { plugin, type LifeEvent, type Plugin, type PluginSystem } from '../plugin.ts'
import { redact } from '../secrets.ts'
import { codeOf, describeThrown, nameOf } from '../thrown.ts'
import { Notices, type Notice } from './notices.ts'
import { Unreported } from './unreported.ts'

/** Tells a human. `failures` are those that `text` is about, the newest last, at most 10 of them. */
export type Send = (text: string, failures: readonly Failure[]) => unknown

export interface NotifyOptions {
  /** At most so many notices in one window about the same. @default 1 */
  readonly limit?: number
  /** What was held back is told in one notice when this time is over. @default '5m' */
  readonly window?: Duration
  /** What counts as the same: the same error of one task, whatever numbers are in its text; one task; or all. @default 'error' */
  readonly per?: 'error' | 'task' | 'all'
  /** Jobs that failed for good; or also every failure of an actor or supervisor below the place where it is listed. @default 'jobs' */
  readonly of?: 'jobs' | 'all'
  /** Which failures are told at all. @default all */
  readonly when?: (failure: Failure) => boolean
  /** Takes secrets out of the text. @default hides common forms of passwords, tokens and keys */
  readonly redact?: (text: string) => string
  /** Give it the system's where that is not the default. @default the machine's clock */
  readonly clock?: Clock
}

const subject = 'notify()'
const KEYS = ['limit', 'window', 'per', 'of', 'when', 'redact', 'clock']

/**
 * Tells a human when jobs fail, without flooding: of each kind of error one notice, then one per window with the number
 * of those like it. A notice that cannot be sent is reported as `plugin.failed` and not sent again. When the system
 * stops, what was held back is told.
 *
 * @example
 * const pager = notify((text) => bot.api.sendMessage(ADMIN, text), { window: '15m' })
 * const system = await start(root, { plugins: [pager] })
 */
export function notify(send: Send, options: NotifyOptions = {}): Plugin {
  if (typeof send !== 'function') {
    throw new InvalidOptionError(subject, 'send', send, 'Pass a function that takes a text.')
  }
  checkKeys(subject, options, KEYS)
  const limit = readWholeNumber(subject, 'limit', options.limit, { min: 1 }) ?? 1
  const window = readDuration(subject, 'window', options.window, { positive: true }) ?? 300_000
  const per = readOneOf(subject, 'per', options.per, ['error', 'task', 'all']) ?? 'error'
  const of = readOneOf(subject, 'of', options.of, ['jobs', 'all']) ?? 'jobs'
  const when = readFunction(subject, 'when', options.when)
  const hide = readFunction(subject, 'redact', options.redact) ?? redact
  const clock = readClock(subject, options.clock)

  const unreported = new Unreported()
  const say = async (notice: Notice): Promise<void> => {
    await send(hide(textOf(notice, clock.now())), notice.failures)
  }
  const sayLater = (notice: Notice): void => unreported.guard(() => say(notice))
  const notices = new Notices(clock, { limit, window }, sayLater)
  const admits = (failure: Failure): boolean =>
    when?.(failure) !== false && notices.admits(keyOf(failure, per), keyOf(failure, 'task'), failure)
  const seen = new WeakSet<Failure>() // listed at two places above it, it hears of one failure twice
  const owners = new Owners((failure) => {
    const isToldByItsHook = failure.job !== undefined && failure.kind !== 'floating'
    if (isToldByItsHook || seen.has(failure)) return
    seen.add(failure)
    if (admits(failure)) sayLater({ failures: [failure], more: 0, since: undefined })
  })

  return plugin('notify', {
    ...unreported.hooks,
    setup: (event) => owners.add(event, of === 'all'),
    failed: async ({ failure }) => {
      if (failure !== undefined && admits(failure)) await say({ failures: [failure], more: 0, since: undefined })
      unreported.throwNext()
    },
    teardown: async (event) => {
      if (owners.remove(event)) notices.empty().forEach(sayLater)
      await unreported.settled()
      unreported.throwNext()
    },
  })
}

type OnDecided = (event: EventOf<'failure.decided'>) => void

/** The places where one plugin is listed: the last of them to end tells what was held back. */
class Owners {
  readonly #onFailure: (failure: Failure) => void
  readonly #listeners = new Map<PluginSystem, Map<string, OnDecided | undefined>>()

  constructor(onFailure: (failure: Failure) => void) {
    this.#onFailure = onFailure
  }

  add({ system, path }: LifeEvent, isListening: boolean): void {
    const owners = this.#listeners.get(system) ?? new Map<string, OnDecided | undefined>()
    this.#listeners.set(system, owners)
    if (owners.has(path)) return
    const listener: OnDecided = ({ failure }) => {
      if (isBelow(failure.path, path)) this.#onFailure(failure)
    }
    owners.set(path, isListening ? listener : undefined)
    if (isListening) system.on('failure.decided', listener)
  }

  /** Whether that was the last one. */
  remove({ system, path }: LifeEvent): boolean {
    const owners = this.#listeners.get(system)
    const listener = owners?.get(path)
    if (listener !== undefined) system.off('failure.decided', listener)
    owners?.delete(path)
    if (owners?.size === 0) this.#listeners.delete(system)
    return this.#listeners.size === 0
  }
}

function isBelow(path: string, owner: string): boolean {
  return owner === '' || path === owner || path.startsWith(`${owner}/`)
}

/** What makes two failures the same: numbers, ids and quoted parts of a text differ from job to job. */
function keyOf(failure: Failure, per: 'error' | 'task' | 'all'): string {
  if (per === 'all') return ''
  const place = failure.job === undefined ? failure.path : failure.path.slice(0, failure.path.lastIndexOf('/'))
  if (per === 'task') return place
  const text = describeThrown(failure.error)
    .replaceAll(/"[^"]*"|'[^']*'/g, '""')
    .replaceAll(/\b[\da-f]{8,}\b|\d+/gi, '#')
  return [place, failure.kind, nameOf(failure.error), codeOf(failure.error), text].join('\n')
}

function textOf({ failures, more, since }: Notice, now: number): string {
  const latest = failures.at(-1)
  const line = oneLine(latest?.message ?? '', 1000)
  const held = failures.length + more
  if (since === undefined) return line
  const span = now > since ? ` within ${formatDuration(now - since)}` : ''
  return held === 1 ? `${line} (again${span})` : `${line} (and ${held - 1} more like it${span})`
}
