import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { resume, start, supervisor } from 'rootcatch'
import { sqlite } from 'rootcatch/sqlite'
import { Bot } from 'rootcatch/bot'
import { startChild } from '../support/child-lines.ts'
import { botInfo, message, TOKEN } from '../support/bot-updates.ts'

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
}, 60_000)
