/** A bot on a durable inbox: what came in before a crash or a restart is handled after it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Bot } from 'rootcatch/bot'
import { sqlite } from 'rootcatch/sqlite'
import { fakeTelegram } from 'rootcatch/testing'

const folder = mkdtempSync(join(tmpdir(), 'inbox-'))
const file = join(folder, 'bot.db')
await using telegram = await fakeTelegram()

function makeBot(greeting: string): Bot {
  const bot = new Bot(telegram.token, { client: { apiRoot: telegram.url }, shutdown: '50ms' })
  bot.on('message:text', async (ctx) => {
    if (ctx.message.text === 'slow' && greeting === 'first') await ctx.job.sleep('1h')
    await ctx.reply(`${greeting}: ${ctx.message.text}`)
  })
  return bot
}

const first = makeBot('first')
const running = first.start({ broker: sqlite(file) })
telegram.send.text('slow')
telegram.send.text('after it') // the same chat, so it waits for its turn
await telegram.until(() => telegram.unconfirmed.length === 0) // both are on disk, and Telegram was told so
await first.stop() // gives up what is not over in time; it stays in the inbox
await running
console.log(
  `Telegram has ${telegram.unconfirmed.length} left, replies so far: ${telegram.callsOf('sendMessage').length}`,
)

const second = makeBot('second')
void second.start({ broker: sqlite(file) })
await telegram.called('sendMessage', 2)
for (const { payload } of telegram.callsOf('sendMessage')) console.log(payload['text'])
await second.stop()
rmSync(folder, { recursive: true })

// prints:
// Telegram has 0 left, replies so far: 0
// second: slow
// second: after it
