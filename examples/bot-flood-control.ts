/** A bot that Telegram tells to slow down: the update waits as long as it was told to, and no attempt is charged. */
import { Bot } from 'rootcatch/bot'
import { fakeTelegram } from 'rootcatch/testing'

await using telegram = await fakeTelegram()
telegram.next('sendMessage', { error: 429, retryAfter: 1 }) // what Telegram answers to whoever sends too fast

const bot = new Bot(telegram.token, { client: { apiRoot: telegram.url }, retry: { attempts: 3 } })
bot.on('message:text', async (ctx) => {
  await ctx.reply(`attempt ${ctx.job.attempt}: ${ctx.message.text}`)
})

void bot.start()
telegram.send.text('hello')
const refused = await telegram.called('sendMessage', 1)
const sent = await telegram.called('sendMessage', 2)
console.log(refused.payload['text'], '→ 429')
console.log(sent.payload['text'], '→ sent', sent.at - refused.at >= 1_000 ? 'a second later' : 'too early')
await bot.stop()

// prints:
// attempt 1: hello → 429
// attempt 2: hello → sent a second later
