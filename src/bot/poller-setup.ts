import type { Api } from 'grammy'
import type { UserFromGetMe } from 'grammy/types'
import type { Election } from '../actors/election.ts'
import type { Clock } from '../clock.ts'
import type { EventData } from '../events.ts'
import type { Inbox } from './inbox.ts'
import type { PollingPolicy } from './polling-options.ts'

export type PollerEventName = Extract<EventName, `poller.${string}` | 'update.released'>

type EventName = keyof EventData

/** What a poller needs of its bot. */
export interface PollerSetup {
  /** Of the bot. */
  readonly path: string
  /** `bot.api`: its transformers see every call. */
  readonly api: Pick<Api, 'getMe' | 'deleteWebhook' | 'getUpdates'>
  readonly inbox: Inbox
  readonly options: PollingPolicy
  readonly clock: Clock
  /** Which of the processes on a store polls; undefined: there is only this one. */
  readonly election?: Pick<Election, 'won' | 'isHeld' | 'release'> | undefined
  /** `onStart` and `drop_pending_updates` are for the first connection of a start, not for those after a restart. */
  readonly isFirst: boolean
  /** The time in ms for running updates to end, unless `stop` says another one. */
  readonly shutdown: number
  /** Who the bot is, if that is known. */
  me(): UserFromGetMe | undefined
  /** Telegram said who the bot is. */
  isMe(me: UserFromGetMe): void
  /** The kinds of updates that the bot has listeners for. */
  listened(): Iterable<string>
  /** It begins to poll. */
  ready(): void
  emit<Name extends PollerEventName>(name: Name, data: EventData[Name]): void
  /** It has given up, and nothing of it runs any more. */
  fail(error: unknown): void
  /** From 0 to 1, as `Math.random`, for the jitter of waits. */
  readonly random?: () => number
}
