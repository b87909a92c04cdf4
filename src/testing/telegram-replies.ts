import type { Duration } from '../duration.ts'
import type { FakeFile } from './telegram-body.ts'

/** What the server answers instead of what Telegram would. */
export type FakeReply = { readonly delay?: Duration } & (
  | { readonly result: unknown }
  /** `ok: false`, with this code in the body and, unless `status` says otherwise, as the HTTP status. */
  | {
      readonly error: number
      readonly description?: string
      /** Seconds. */
      readonly retryAfter?: number
      readonly parameters?: Readonly<Record<string, unknown>>
      readonly status?: number
    }
  /** Any text, as a proxy in between would send it. */
  | { readonly body: string; readonly status?: number; readonly type?: string }
  /** The connection breaks: `before` the call is carried out, or `after`, so that only its answer is lost. */
  | { readonly drop: 'before' | 'after' }
  /** No answer ever comes. */
  | { readonly hang: true }
)

/** One call of the bot, as the server saw it. */
export interface FakeCall {
  readonly method: string
  readonly payload: Readonly<Record<string, unknown>>
  readonly files: readonly FakeFile[]
  /** Milliseconds, by the server's clock. */
  readonly at: number
  /** Which of the connections it came by, counted from 1. */
  readonly connection: number
  /** `broken`: the client went away, or the server did, before it was answered. */
  readonly state: 'open' | 'answered' | 'broken'
}

const descriptions: Readonly<Record<number, string>> = {
  400: 'Bad Request: chat not found',
  401: 'Unauthorized',
  403: 'Forbidden: bot was blocked by the user',
  404: 'Not Found',
  409: 'Conflict: terminated by other getUpdates request; make sure that only one bot instance is running',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
}

/** The JSON of an error, as Telegram words it. */
export function errorBody(reply: {
  readonly error: number
  readonly description?: string
  readonly retryAfter?: number
  readonly parameters?: Readonly<Record<string, unknown>>
}): object {
  const { error, retryAfter } = reply
  const known = retryAfter === undefined ? descriptions[error] : `Too Many Requests: retry after ${retryAfter}`
  const parameters = { ...(retryAfter === undefined ? {} : { retry_after: retryAfter }), ...reply.parameters }
  return {
    ok: false,
    error_code: error,
    description: reply.description ?? known ?? `Error ${error}`,
    ...(Object.keys(parameters).length === 0 ? {} : { parameters }),
  }
}

/** What Telegram would answer to a call that needs no memory of others. */
export function usualResult(call: FakeCall, me: object, messageId: () => number): unknown {
  const { method, payload } = call
  const message = (content: object = payload): object => {
    const { chat_id, ...rest } = content as { chat_id?: unknown }
    return { message_id: messageId(), date: Math.floor(call.at / 1_000), from: me, chat: chatOf(chat_id), ...rest }
  }
  if (method === 'getMe') return me
  if (method === 'getChat') return chatOf(payload['chat_id'])
  if (method === 'getFile') return { file_id: payload['file_id'], file_unique_id: '1', file_path: 'files/1' }
  if (method === 'sendMediaGroup') return (payload['media'] as object[]).map((media) => message({ ...payload, media }))
  if (method === 'copyMessage') return { message_id: messageId() }
  if (method === 'sendChatAction' || method === 'answerCallbackQuery') return true
  if (/^(?:send|forward)[A-Z]/.test(method)) return message()
  if (/^edit[A-Z]/.test(method) && payload['message_id'] !== undefined) return { ...message(), ...payload }
  return true
}

function chatOf(id: unknown): object {
  const isGroup = typeof id === 'number' && id < 0
  return isGroup ? { id, type: 'group', title: 'Group' } : { id, type: 'private', first_name: 'Ada' }
}
