import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { resume, start, supervisor } from 'rootcatch'
import { sqlite } from 'rootcatch/sqlite'
import { fakeTelegram } from 'rootcatch/testing'
import { Bot } from 'rootcatch/bot'
import { startChild, type TalkingChild } from '../support/child-lines.ts'
import { botInfo, message, TOKEN } from '../support/bot-updates.ts'

const POLLING = fileURLToPath(import.meta.resolve('../support/polling-child.ts'))
const CHILD = fileURLToPath(import.meta.resolve('../support/bot-child.ts'))

test('kill -9 with 500 updates in flight: each is handled at least once, none is forgotten, none comes twice', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rootcatch-bot-kill-'))
  const file = join(folder, 'app.db')
  try {
    const child = startChild(CHILD, [file])
    await child.until((line) => line === 'admitted')
    await child.until((line) => line.startsWith('began 4'))
    await child.kill()
    const began = new Set(child.lines.filter((line) => line.startsWith('began ')).map((line) => Number(line.slice(6))))
    const bot = new Bot(TOKEN, { botInfo, name: 'shop', polling: false })
    const seen: number[] = []
    bot.use((ctx) => void seen.push(ctx.update.update_id))
    const system = await start(supervisor('app', [bot]), { broker: sqlite(file), catch: () => resume })
    // What Telegram had not been told of comes again.
    await bot.inbox?.admit(Array.from({ length: 100 }, (_, at) => message(at + 401, at + 400)))
    const isHandled = (id: number): boolean => seen.includes(id) || (id % 2 === 0 && began.has(id))
    const all = Array.from({ length: 500 }, (_, at) => at + 1)
    while (!all.every(isHandled)) await new Promise((resolve) => setTimeout(resolve, 5))
    await system.stop()
    expect(new Set(seen).size).toBe(seen.length)
    expect(all.filter((id) => id % 2 === 1).every((id) => seen.includes(id))).toBe(true)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test.each([
  ['while updates come in', 120],
  ['when all 500 have begun', 500],
])(
  'kill -9 of a bot that polls, %s: each update is handled, and Telegram has none left',
  async (_, begun) => {
    const folder = mkdtempSync(join(tmpdir(), 'rootcatch-bot-poll-'))
    await using telegram = await fakeTelegram()
    const args = [join(folder, 'app.db'), telegram.url, telegram.token]
    const children: TalkingChild[] = []
    const idsOf = (lines: readonly string[], what: string): readonly number[] =>
      lines.filter((line) => line.startsWith(`${what} `)).map((line) => Number(line.slice(what.length + 1)))
    try {
      for (let nth = 0; nth < 500; nth += 1) telegram.send.text('hi', { chat: nth + 1 })
      const first = startChild(POLLING, [...args, 'hang'])
      children.push(first)
      let seen = 0
      await first.until((line) => line.startsWith('began ') && (seen += 1) === begun)
      await first.kill()
      const handled = new Set(idsOf(first.lines, 'done'))
      const again = startChild(POLLING, [...args, 'finish'])
      children.push(again)
      await again.until((line) => {
        for (const id of idsOf([line], 'done')) handled.add(id)
        return handled.size === 500
      })
      await telegram.until(() => telegram.unconfirmed.length === 0)
      const late = idsOf(again.lines, 'done')
      expect(late.filter((id) => id % 2 === 1)).toHaveLength(250) // those that hung have begun anew
      expect(new Set(late).size).toBe(late.length)
    } finally {
      await Promise.all(children.map((child) => child.kill()))
      rmSync(folder, { recursive: true })
    }
  },
  60_000,
)
