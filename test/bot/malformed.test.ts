import { describe, expect, test } from 'vitest'
import { memory, resume, start, supervisor } from 'rootcatch'
import { Bot } from 'rootcatch/bot'
import { sqlite } from 'rootcatch/sqlite'
import { fakeTelegram } from 'rootcatch/testing'

let deep: unknown = 1
for (let level = 0; level < 2_000; level += 1) deep = [deep]

/** What no Telegram would send, and whether it is an update all the same: it has a number. */
const nonsense: readonly (readonly [string, unknown, boolean | 'where nothing keeps it'])[] = [
  ['null', null, false],
  ['a number', 5, false],
  ['a text', 'x', false],
  ['a list', [[]], false],
  ['no number', {}, false],
  ['a number that is a text', { update_id: 'a' }, false],
  ['a number beyond all numbers', { update_id: 1e300 }, false],
  ['a message that is a number', { update_id: 2, message: 5 }, true],
  ['a chat that is null', { update_id: 2, message: { chat: null, text: 1 } }, true],
  ['a kind that nobody knows', { update_id: 2, nonsense: { from: null } }, true],
  ['a huge text', { update_id: 2, message: { text: 'x'.repeat(1_000_000) } }, true],
  ['deep nesting', { update_id: 2, message: { text: 'x', deep } }, 'where nothing keeps it'],
  ['a message without anything', { update_id: 2, message: {} }, true],
]

describe.each([
  ['memory()', memory],
  ['sqlite()', () => sqlite(':memory:')],
] as const)('updates that make no sense, on %s', (_name, broker) => {
  test.each(nonsense)('%s: reported or handled, confirmed, and the bot goes on', async (_what, raw, is) => {
    const isUpdate = is === true || (is !== false && broker === memory)
    await using telegram = await fakeTelegram()
    const bot = new Bot(telegram.token, { name: 'shop', client: { apiRoot: telegram.url } })
    const seen: unknown[] = []
    bot.use((ctx) => {
      seen.push(ctx.update.update_id)
      void ctx.from
      void ctx.chat?.id
    })
    await using system = await start(supervisor('app', [bot]), { broker: broker(), catch: () => resume })
    const refused: string[] = []
    system.on('job.refused', ({ error }) => refused.push(String(error)))
    telegram.send.text('before', { chat: 1 })
    telegram.send.raw(raw)
    telegram.send({
      update_id: 3,
      message: { message_id: 1, date: 1, text: 'behind', chat: { id: 1, type: 'private' } },
    })
    await telegram.until(() => telegram.unconfirmed.length === 0)
    await expect.poll(() => seen).toContain(3) // what is kept is confirmed before it is handled
    expect(seen.toSorted()).toEqual(isUpdate ? [1, 2, 3] : [1, 3])
    expect(refused.length > 0).toBe(!isUpdate)
    for (const line of refused) expect(line).toMatch(/update/)
    expect(system.stats().jobs.failed).toBe(0)
  })
})

test('the token of a bot is in no report and no JSON of a failure, whoever put it there', async () => {
  await using telegram = await fakeTelegram()
  const { token } = telegram
  const bot = new Bot(token, { name: 'shop', client: { apiRoot: telegram.url } })
  bot.on('message:text', () => {
    throw new Error(`GET https://api.telegram.org/bot${token}/getMe`, { cause: { token } })
  })
  await using system = await start(supervisor('app', [bot]), { catch: () => resume })
  telegram.send.text('hi')
  await telegram.until(() => telegram.unconfirmed.length === 0)
  const [failure] = system.failures()
  expect(failure?.report()).toContain('failed (thrown)')
  expect(failure?.report()).not.toContain(token.slice(4))
  expect(JSON.stringify(failure)).not.toContain(token.slice(4))
})
