/** Many bots under one root: each fails and restarts by itself, and the root catch hears what none of them decides. */
import { restart, resume, start, supervisor } from 'rootcatch'
import { Bot } from 'rootcatch/bot'
import { fakeTelegram } from 'rootcatch/testing'

await using telegramA = await fakeTelegram({ token: '1:a' })
await using telegramB = await fakeTelegram({ token: '2:b' })

const shop = new Bot('1:a', { name: 'shop', client: { apiRoot: telegramA.url } })
shop.command('buy', () => {
  throw new Error('out of stock')
})
shop.catch((err) => {
  throw err.error // shop has no answer: supervisors above it may
})

const news = new Bot('2:b', { name: 'news', client: { apiRoot: telegramB.url } })
news.command('latest', (ctx) => ctx.reply('nothing new'))

const bots = supervisor('bots', { catch: (failure) => (failure.job ? resume : restart) }, [shop, news])
const system = await start(supervisor('app', [bots]))
system.on('failure.decided', ({ failure }) => {
  console.log(failure.path, '·', String(failure.error))
  for (const { path, decision } of failure.trail) console.log(`  ${path}: ${decision}`)
})

telegramA.send.text('/buy')
await telegramA.until(() => telegramA.unconfirmed.length === 0)
telegramB.send.text('/latest')
const { payload } = await telegramB.called('sendMessage')
console.log('news:', payload['text'])
await system.stop()

// prints:
// app/bots/shop/update:1 · Error: out of stock
//   app/bots/shop: escalate
//   app/bots: resume
// news: nothing new
