import { exponential } from 'rootcatch'
import type { Bot } from 'rootcatch/bot'
import { request, spider, type Spider } from 'rootcatch/crawl'
import { fakeTelegram, website, type FakeTelegram, type Website, type WebsiteRoute } from 'rootcatch/testing'

/** A bot and a spider, with a Telegram and a website of this machine. */
export interface Visitors {
  /** Undefined where grammY is not installed. */
  readonly clerk: Bot | undefined
  readonly books: Spider<string>
  readonly telegram: FakeTelegram
  readonly site: Website
}

export async function receiveVisitors(): Promise<Visitors> {
  const telegram = await fakeTelegram()
  const site = await website({ books: 6, perPage: 3, routes: { '/book/2': busyEverySecondTime() } })
  return { clerk: await newClerk(telegram), books: newSpider(site), telegram, site }
}

async function newClerk(telegram: FakeTelegram): Promise<Bot | undefined> {
  const { Bot } = await import('rootcatch/bot').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ERR_MODULE_NOT_FOUND') return { Bot: undefined }
    throw error
  })
  if (Bot === undefined) return undefined
  const clerk = new Bot(telegram.token, { name: 'clerk', client: { apiRoot: telegram.url } })
  const checkout = clerk.errorBoundary('checkout', ({ ctx }) => ctx.reply('The card was refused, sorry.'))
  checkout.command('pay', () => {
    throw new Error('the card was refused')
  })
  clerk.on('message:text', (ctx) => ctx.reply(`You said: ${ctx.message.text}`))
  return clerk
}

function newSpider(site: Website): Spider<string> {
  const books = spider<string>('books', {
    start: [request('list', `${site.url}/shop/1`)],
    backoff: exponential({ from: '400ms', to: '3s', jitter: 0 }),
    allowPrivate: ['127.0.0.1'],
  })
  books.on('list', function* ({ links, request: list }) {
    for (const url of links('h3 a')) yield list.follow('book', url)
    for (const url of links('a[rel=next]')) yield list.follow('list', url)
  })
  books.on('book', ({ $, emit }) => emit($('h1').text()))
  return books
}

/** A page that is answered with 503 every other time. */
function busyEverySecondTime(): WebsiteRoute {
  let asked = 0
  return (_request, response) => {
    asked += 1
    if (asked % 2 === 1) response.writeHead(503).end()
    else response.setHeader('content-type', 'text/html').end('<h1>Book 2, at the second try</h1>')
  }
}
