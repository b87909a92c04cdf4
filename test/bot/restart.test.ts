import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { start } from 'rootcatch'
import { Bot } from 'rootcatch/bot'
import { sqlite } from 'rootcatch/sqlite'
import { fakeTelegram, type FakeTelegram } from 'rootcatch/testing'

function newStore(): string {
  const folder = mkdtempSync(join(tmpdir(), 'rootcatch-bot-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'bot.db')
}

const newBot = (telegram: FakeTelegram, more: object = {}): Bot =>
  new Bot(telegram.token, { name: 'shop', shutdown: '10ms', client: { apiRoot: telegram.url }, ...more })

test('what waits in a durable inbox is handled once the bot knows who it is, however long that takes', async () => {
  const file = newStore()
  await using telegram = await fakeTelegram()
  const first = newBot(telegram)
  first.on('message:text', (ctx) => ctx.job.sleep('1h'))
  const running = first.start({ broker: sqlite(file) })
  telegram.send.text('one')
  telegram.send.text('two')
  await telegram.until(() => telegram.unconfirmed.length === 0)
  await first.stop()
  await running

  telegram.next('getMe', { error: 502, delay: '50ms' })
  const second = newBot(telegram)
  const seen: string[] = []
  second.on('message:text', (ctx) => {
    seen.push(`${ctx.me.username} ${ctx.message.text} ${ctx.job.attempt}`)
    return ctx.reply('done')
  })
  const again = second.start({ broker: sqlite(file) })
  await telegram.called('sendMessage', 2)
  await second.stop()
  await again
  expect(seen).toEqual(['fake_bot one 1', 'fake_bot two 1'])
})

test('a dead letter of a bot without polling is replayed as soon as it knows who it is', async () => {
  const file = newStore()
  await using telegram = await fakeTelegram()
  const first = newBot(telegram, { polling: {} })
  first.on('message:text', () => {
    throw new Error('not today')
  })
  first.catch(() => {})
  const running = first.start({ broker: sqlite(file) })
  telegram.send.text('one')
  await telegram.until(() => telegram.unconfirmed.length === 0)
  await first.stop()
  await running

  const second = newBot(telegram, { polling: false })
  second.on('message:text', (ctx) => ctx.reply(`replayed: ${ctx.message.text}`))
  await using system = await start(second, { broker: sqlite(file) })
  const [dead] = await system.dead.list()
  await system.dead.replay((dead as { id: string }).id)
  await second.init() // as the first webhook does
  expect((await telegram.called('sendMessage')).payload['text']).toBe('replayed: one')
})
