import type { Update, UserFromGetMe } from 'grammy/types'

export const botInfo = {
  id: 123456,
  is_bot: true,
  first_name: 'Test',
  username: 'test_bot',
  can_join_groups: true,
  can_read_all_group_messages: false,
  supports_inline_queries: false,
} as UserFromGetMe

export const TOKEN = '123456:secret'

/** A text message in a chat. */
export function message(id: number, chat = 1, text = 'hi'): Update {
  return {
    update_id: id,
    message: {
      message_id: id,
      date: 1,
      text,
      chat: { id: chat, type: 'private', first_name: 'A' },
      from: { id: chat, is_bot: false, first_name: 'A' },
    },
  } as Update
}
