// A bot that polls onto a store: `node polling-child.ts <where> <url of Telegram> <token> <hang | finish>`.
import { writeSync } from 'node:fs'
import { sqlite } from '../../src/brokers/sqlite.ts'
import { Bot } from '../../src/bot/bot.ts'

const [where = '', apiRoot = '', token = '', how = ''] = process.argv.slice(2)
const bot = new Bot(token, { name: 'shop', client: { apiRoot } })
bot.use(async ({ update: { update_id: id } }) => {
  writeSync(1, `began ${id}\n`)
  if (how === 'hang' && id % 2 === 1) await new Promise<void>(() => {})
  await undefined
  writeSync(1, `done ${id}\n`)
})
await bot.start({ broker: sqlite(where), limit: 50 })
