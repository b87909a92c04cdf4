/** A bot whose parts have error boundaries of their own, one inside the other. */
import { Bot, rootCause, type BotError } from 'rootcatch/bot'
import { fakeTelegram } from 'rootcatch/testing'

await using telegram = await fakeTelegram() // in production: a token of @BotFather, and no apiRoot
const bot = new Bot(telegram.token, { name: 'shop', client: { apiRoot: telegram.url } })
const said = (where: string) => (err: BotError) => {
  console.log(`${where}: ${String(rootCause(err))}, handling "${err.ctx.msg?.text}"`)
}

bot.command('a', () => {
  throw new Error('A broke') // before the boundary: not protected by it
})

const checkout = bot.errorBoundary('checkout', said('checkout'))
checkout.command('x', () => {
  throw new Error('X broke')
})
const card = checkout.errorBoundary('card', (err) => {
  said('card')(err)
  if (err.ctx.hasCommand('pay')) throw err // this one is not for us: the next boundary around gets it
})
card.command(['pay', 'check'], (ctx) => {
  throw new Error(`${ctx.msg.text} broke`)
})

bot.command('d', (ctx) => ctx.reply('still here')) // behind the boundary, and not protected either
bot.catch(said('bot.catch'))

void bot.start()
for (const text of ['/a', '/x', '/check', '/pay', '/d']) telegram.send.text(text)
const { payload } = await telegram.called('sendMessage')
console.log(`reply: ${String(payload['text'])}`)
await bot.stop()

// prints:
// bot.catch: Error: A broke, handling "/a"
// checkout: Error: X broke, handling "/x"
// card: Error: /check broke, handling "/check"
// card: Error: /pay broke, handling "/pay"
// checkout: Error: /pay broke, handling "/pay"
// reply: still here
