import type { FakeUpdate } from './telegram-backlog.ts'

/** A chat by its id, negative for a group; or more of it. */
export type FakeChat = number | { readonly id: number; readonly [key: string]: unknown }

/** Who sends, by their id; or more of them. */
export type FakeUser = number | { readonly id: number; readonly [key: string]: unknown }

export interface FakeOrigin {
  /** @default the private chat of whoever sends */
  readonly chat?: FakeChat
  /** @default the user 1, Ada */
  readonly from?: FakeUser
  /** What else the message, query or member has. */
  readonly with?: Readonly<Record<string, unknown>>
}

/** Makes updates and sends them to the bot; each answers the update as it was sent. */
export interface FakeSend {
  /** Any update; without `update_id` it gets the next one. */
  (update: object): FakeUpdate
  /** A message of text; a word with `/` in front of it is a command. */
  text(text: string, origin?: FakeOrigin): FakeUpdate
  /** The same text with another content, as after an edit. */
  edited(text: string, origin?: FakeOrigin): FakeUpdate
  photo(caption?: string, origin?: FakeOrigin): FakeUpdate
  /** A button under a message of the bot's was pressed. */
  callback(data: string, origin?: FakeOrigin): FakeUpdate
  inlineQuery(query: string, origin?: FakeOrigin): FakeUpdate
  /** What a channel posts, where the bot is a member. */
  channelPost(text: string, origin?: FakeOrigin): FakeUpdate
  /** The update with the number of one that was sent before, as after a crash. */
  again(update: FakeUpdate): FakeUpdate
  /** Anything at all, as it is: for what a bot does with nonsense. */
  raw(value: unknown): void
}

/** `deliver` gets each update; the first has the number `firstId`. */
export function makeSend(deliver: (update: FakeUpdate) => void, firstId: number, now: () => number): FakeSend {
  let nextUpdate = firstId
  let nextMessage = 1
  const send = (update: object): FakeUpdate => {
    const own = 'update_id' in update ? (update.update_id as number) : nextUpdate
    nextUpdate = Math.max(nextUpdate, own + 1)
    const whole = { ...update, update_id: own }
    deliver(whole)
    return whole
  }
  const message = (origin: FakeOrigin, content: object): object => {
    const from = userOf(origin.from)
    const chat = chatOf(origin.chat, from)
    const date = Math.floor(now() / 1_000)
    return { message_id: nextMessage++, date, from, chat, ...content, ...origin.with }
  }
  const text = (value: string): object => ({ text: value, ...entitiesOf(value) })
  return Object.assign(send, {
    text: (value: string, origin: FakeOrigin = {}) => send({ message: message(origin, text(value)) }),
    edited: (value: string, origin: FakeOrigin = {}) => {
      const edit_date = Math.floor(now() / 1_000)
      return send({ edited_message: message(origin, { edit_date, ...text(value) }) })
    },
    photo: (caption?: string, origin: FakeOrigin = {}) => {
      const photo = [{ file_id: `photo-${nextMessage}`, file_unique_id: `p${nextMessage}`, width: 90, height: 90 }]
      return send({ message: message(origin, { photo, ...(caption === undefined ? {} : { caption }) }) })
    },
    callback: (data: string, origin: FakeOrigin = {}) => {
      const from = userOf(origin.from)
      const under = message({ from: 0, chat: chatOf(origin.chat, from) }, { text: 'Choose' })
      const query = { id: String(nextUpdate), from, chat_instance: '1', message: under, data, ...origin.with }
      return send({ callback_query: query })
    },
    inlineQuery: (query: string, origin: FakeOrigin = {}) =>
      send({ inline_query: { id: String(nextUpdate), from: userOf(origin.from), query, offset: '', ...origin.with } }),
    channelPost: (value: string, origin: FakeOrigin = {}) => {
      const chat = origin.chat ?? { id: -1_000_000_000_001, type: 'channel', title: 'News' }
      return send({ channel_post: { ...message({ ...origin, chat }, text(value)), from: undefined } })
    },
    again: (update: FakeUpdate) => send(update),
    raw: (value: unknown) => deliver(value as FakeUpdate),
  })
}

function userOf(user: FakeUser = 1): { readonly id: number } {
  if (typeof user !== 'number') return { is_bot: false, first_name: 'Ada', ...user } as { readonly id: number }
  return { id: user, is_bot: user === 0, first_name: user === 1 ? 'Ada' : `User ${user}` } as { readonly id: number }
}

function chatOf(chat: FakeChat | undefined, from: { readonly id: number }): { readonly id: number } {
  if (typeof chat === 'object') return { type: 'private', first_name: 'Ada', ...chat } as { readonly id: number }
  const id = chat ?? from.id
  const content = id < 0 ? { type: 'group', title: `Group ${-id}` } : { type: 'private', first_name: 'Ada' }
  return { id, ...content } as { readonly id: number }
}

function entitiesOf(text: string): object {
  const entities = [...text.matchAll(/(?<=^|\s)\/[\w@]+/g)].map(({ index, 0: command }) => ({
    type: 'bot_command',
    offset: index,
    length: command.length,
  }))
  return entities.length === 0 ? {} : { entities }
}
