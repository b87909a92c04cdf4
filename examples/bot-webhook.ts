/** A bot behind a webhook on node:http: an error is the web server's, and Telegram sends the update again. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Bot, webhookCallback } from 'rootcatch/bot'
import { fakeTelegram } from 'rootcatch/testing'

await using telegram = await fakeTelegram()
const bot = new Bot(telegram.token, { client: { apiRoot: telegram.url }, polling: false })
let calls = 0
bot.on('message:text', async (ctx) => {
  calls += 1
  if (calls === 1) throw new Error('the database is away')
  await ctx.reply(`done: ${ctx.message.text}`)
})

const handle = webhookCallback(bot, 'http', { secretToken: 'only-telegram-knows' })
const server = createServer((request, response) => {
  handle(request, response).catch((error: unknown) => {
    console.log(`middleware failed: ${String((error as Error).message)}`)
    response.writeHead(500).end()
  })
})
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`

const update = telegram.send.text('pay')
const deliver = async (secret: string): Promise<number> => {
  const headers = { 'content-type': 'application/json', 'x-telegram-bot-api-secret-token': secret }
  return (await fetch(url, { method: 'POST', headers, body: JSON.stringify(update) })).status
}
console.log('a stranger:', await deliver('guess'))
console.log('Telegram:', await deliver('only-telegram-knows'))
console.log('Telegram again:', await deliver('only-telegram-knows'))
console.log('and once more:', await deliver('only-telegram-knows'), `handled ${calls} times`)
await bot.stop()
server.close()

// prints:
// a stranger: 401
// middleware failed: Error in middleware: the database is away
// Telegram: 500
// Telegram again: 200
// and once more: 200 handled 2 times
