// A process of a fleet that runs one bot: `node fleet-bot-child.ts <broker> <where> <url of Telegram> <token> <poll | url path>`.
// Says when it is up, when it polls, and when it begins and ends an update: its number, its chat, and the time.
import { writeSync } from 'node:fs'
import { createServer } from 'node:http'
import { start, supervisor } from 'rootcatch'
import { Bot, webhookCallback } from 'rootcatch/bot'
import { bullmq } from 'rootcatch/bullmq'
import { postgres } from 'rootcatch/postgres'
import { sqlite } from 'rootcatch/sqlite'

const [kind = '', where = '', apiRoot = '', token = '', how = ''] = process.argv.slice(2)
const say = (line: string): void => void writeSync(1, `${line}\n`)
/** The same clock in all processes: what Node takes for its origin may be off by how long it was kept waiting then. */
const time = (): string => (Number(process.hrtime.bigint()) / 1e6).toFixed(3)

const polling = how === 'poll' ? { limit: 20, timeout: 5, onStart: () => say('polls') } : false
const bot = new Bot(token, { name: 'shop', client: { apiRoot }, polling, concurrency: 4 })
bot.use(async ({ update: { update_id: id }, chat }) => {
  say(`began ${id} ${chat?.id} ${time()}`)
  await new Promise((resolve) => setTimeout(resolve, 15))
  say(`done ${id} ${chat?.id} ${time()}`)
})
const broker =
  kind === 'sqlite'
    ? sqlite(where, { lease: '4s' })
    : kind === 'postgres'
      ? postgres({ connection: where.split(' ')[0] as string, schema: where.split(' ')[1] as string, lease: '4s' })
      : bullmq({ ...(JSON.parse(where) as { connection: string }), lease: '4s' })
await start(supervisor('app', [bot]), { broker })
if (how === 'poll') say('up')
else {
  const server = createServer(webhookCallback(bot, 'http', { keep: true }))
  server.listen(how, () => say('up'))
}
