import type { IncomingHttpHeaders, ServerResponse } from 'node:http'

/** A request on its way through the site. */
export interface Visit {
  readonly url: URL
  /** How often this path was asked for, this time included. */
  readonly count: number
  readonly method: string
  readonly body: string
  readonly cookie: string
  readonly headers: IncomingHttpHeaders
}

export interface Shop {
  readonly books: number
  readonly perPage: number
}

/** The pages that behave: a start page, lists that lead to books, and a part for who has signed in. */
export function answerShop(visit: Visit, response: ServerResponse, shop: Shop): boolean {
  const [, room = '', number = ''] = visit.url.pathname.split('/')
  const answer = pages.get(room)?.(Number(number), visit, shop)
  if (answer === undefined) return false
  const { status = 200, html = '', headers = {} } = answer
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', ...headers }).end(html)
  return true
}

interface Answer {
  readonly status?: number
  readonly html?: string
  readonly headers?: Readonly<Record<string, string>>
}

type Page = (number: number, visit: Visit, shop: Shop) => Answer | undefined

const pages: ReadonlyMap<string, Page> = new Map<string, Page>([
  ['', (_number, { url }) => (url.pathname === '/' ? { html: startPage() } : undefined)],
  ['shop', (number, _visit, shop) => listPage(number, shop)],
  ['book', (number, _visit, shop) => bookPage(number, shop)],
  ['login', (_number, visit) => loginPage(visit)],
  ['account', (_number, visit) => accountPage(visit)],
])

/** The session of everybody who signed in. */
const SESSION = 'session=reader'

const corners = [
  '/shop/1',
  '/login',
  '/account',
  '/captcha',
  '/captcha/2',
  '/flaky/2',
  '/throttle/2',
  '/slow/1000',
  '/drip/100',
  '/redirect/3',
  '/loop',
]

function startPage(): string {
  const links = corners.map((path) => `<li><a href="${path}">${path}</a></li>`)
  return frame('A website to crawl', `<ul>${links.join('')}</ul>`)
}

function listPage(page: number, { books, perPage }: Shop): Answer | undefined {
  const last = Math.max(1, Math.ceil(books / perPage))
  if (!Number.isInteger(page) || page < 1 || page > last) return undefined
  const first = (page - 1) * perPage + 1
  const numbers = Array.from({ length: Math.min(perPage, books - first + 1) }, (_, index) => first + index)
  const items = numbers.map((number) => `<li><h3><a href="/book/${number}">Book ${number}</a></h3></li>`)
  const next = page < last ? `<a rel="next" href="/shop/${page + 1}">Next</a>` : ''
  return { html: frame(`Page ${page}`, `<ol>${items.join('')}</ol>${next}`) }
}

function bookPage(number: number, { books }: Shop): Answer | undefined {
  if (!Number.isInteger(number) || number < 1 || number > books) return undefined
  const price = (5 + ((number * 37) % 60) + 0.99).toFixed(2)
  const tags = ['paper', number % 2 === 0 ? 'even' : 'odd'].map((tag) => `<li class="tag">${tag}</li>`)
  const image = `<img src="/cover/${number}.png" alt="">`
  return { html: frame(`Book ${number}`, `<p class="price">${price} €</p>${image}<ul>${tags.join('')}</ul>`) }
}

function loginPage({ method, body }: Visit): Answer {
  if (method !== 'POST') {
    const fields = '<input name="user"><input name="password" type="password"><button>Sign in</button>'
    return { html: frame('Sign in', `<form method="post" action="/login">${fields}</form>`) }
  }
  const form = new URLSearchParams(body)
  const isRight = form.get('user') === 'reader' && form.get('password') === 'secret'
  if (!isRight) return { status: 403, html: frame('Wrong name or password', '') }
  return { status: 303, headers: { location: '/account', 'set-cookie': `${SESSION}; Path=/; HttpOnly` } }
}

function accountPage({ cookie }: Visit): Answer {
  if (!cookie.split('; ').includes(SESSION)) return { status: 302, headers: { location: '/login' } }
  return { html: frame('Your account', '<p class="user">reader</p>') }
}

/** A whole page around a heading and what follows it. */
export function frame(title: string, content: string): string {
  return `<!doctype html><html><head><title>${title}</title></head><body><h1>${title}</h1>${content}</body></html>`
}
