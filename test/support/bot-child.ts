// A bot that takes 500 updates on a store and ends none of the odd ones: `node bot-child.ts <where>`.
import { writeSync } from 'node:fs'
import { resume, start, supervisor } from '../../src/index.ts'
import { sqlite } from '../../src/brokers/sqlite.ts'
import { Bot } from '../../src/bot/bot.ts'
import { botInfo, message, TOKEN } from './bot-updates.ts'

const [where = ''] = process.argv.slice(2)
const bot = new Bot(TOKEN, { botInfo, name: 'shop', polling: false })
bot.use(async (ctx) => {
  writeSync(1, `began ${ctx.update.update_id}\n`)
  if (ctx.update.update_id % 2 === 1) await new Promise<void>(() => {})
})
await start(supervisor('app', [bot]), { broker: sqlite(where), catch: () => resume })
const updates = Array.from({ length: 500 }, (_, at) => message(at + 1, at))
for (let from = 0; from < 500; from += 100) await bot.inbox?.admit(updates.slice(from, from + 100))
writeSync(1, 'admitted\n')
