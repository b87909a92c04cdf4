import type { Bot, Context } from 'grammy'

/** Both: grammY's and ours. */
export type AnyBot = Pick<Bot<Context>, 'use' | 'errorBoundary' | 'handleUpdate' | 'api'>

export const botInfo = { id: 1, is_bot: true, first_name: 'Bench', username: 'bench_bot' } as never

export const updateOf = (id: number): never =>
  ({
    update_id: id,
    message: { message_id: id, date: 1, text: 'hi', chat: { id: id % 1_000, type: 'private', first_name: 'A' } },
  }) as never

/** One middleware, and behind it the one that waits. */
export function passing<Some extends AnyBot>(bot: Some): Some {
  bot.use((_ctx, next) => next())
  return bot
}
