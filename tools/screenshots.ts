// Makes the pictures of docs/guides/inspecting.md from a shop that runs, in the Chromium that is there:
// `npm run -s build && npx node tools/screenshots.ts`.
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { chromium, type Page } from 'playwright-core'
import { actor, exponential, PermanentError, restart, resume, start, supervisor, task } from 'rootcatch'
import { inspector } from 'rootcatch/inspect'
import { assign, fromPromise, setup } from 'xstate'
import { findChromium } from './chromium.ts'

const folder = fileURLToPath(new URL('../docs/pictures/', import.meta.url))
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

type CheckoutEvent = { readonly type: 'order'; readonly item: string } | { readonly type: 'pay' | 'cancel' | 'jam' }

const checkout = setup({
  types: {
    context: {} as { readonly paid: number; readonly item: string; readonly card: { readonly token: string } },
    events: {} as CheckoutEvent,
  },
  actors: { charge: fromPromise(async () => pause(450)) },
  guards: { isBig: ({ context }) => context.item === 'a house' },
  actions: {
    jam: () => {
      throw new TypeError('the drawer is stuck')
    },
  },
}).createMachine({
  id: 'checkout',
  context: { paid: 0, item: '', card: { token: 'tok-4242' } },
  initial: 'idle',
  states: {
    idle: {
      on: {
        order: { target: 'open', actions: assign({ item: ({ event }) => event.item }) },
        jam: { actions: 'jam' },
      },
    },
    open: {
      initial: 'cart',
      on: { cancel: 'idle' },
      states: {
        cart: { on: { pay: [{ guard: 'isBig', target: 'review' }, { target: 'charging' }] } },
        review: { after: { 500: 'charging' } },
        charging: { invoke: { src: 'charge', id: 'charge', onDone: '#checkout.paid', onError: 'cart' } },
      },
    },
    paid: { id: 'paid', entry: assign({ paid: ({ context }) => context.paid + 1 }), after: { 600: 'idle' } },
  },
})

const stock = setup({}).createMachine({
  id: 'stock',
  initial: 'counted',
  states: { counted: { on: { sell: 'low' } }, low: { after: { 900: 'counted' } } },
})

const backoff = exponential({ from: '200ms', to: '1s' })
const resize = task('resize', { retry: { attempts: 3, backoff }, concurrency: 4 }, async (input: { n: number }) => {
  await pause(60 + ((input.n * 37) % 240))
  if (input.n % 11 === 0)
    throw new Error('connect ECONNREFUSED 10.0.0.3:443', { cause: new Error('other side closed') })
  if (input.n % 29 === 0) throw new PermanentError(`No image ${input.n}.`)
  return { key: `image-${input.n}.png` }
})
const mail = task('mail', { timeout: '400ms', retry: { attempts: 2, backoff } }, async (input: { n: number }) =>
  pause(input.n % 7 === 0 ? 900 : 120),
)

const found = findChromium()
if ('missing' in found) throw new Error(found.missing)
mkdirSync(folder, { recursive: true })
let link = ''
const app = supervisor('app', [
  supervisor('storefront', { restarts: { limit: 20, within: '5s' } }, [
    actor('checkout', checkout),
    actor('stock', stock),
  ]),
  supervisor('media', { catch: () => resume }, [resize]),
  supervisor('office', [mail]),
])
const system = await start(app, {
  catch: (failure) => (failure.job === undefined ? restart : resume),
  inspect: inspector({ port: 0, control: true, announce: (given) => (link = given), redact: shorten }),
})
const browser = await chromium.launch({
  executablePath: found.path,
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
})
const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, colorScheme: 'light' })
await page.goto(link)
const shop = open()
await pause(14_000)
await take(page)
clearInterval(shop)
await browser.close()
await system.stop({ within: '1s' })

/** Pictures are the same wherever they are made. */
function shorten(_path: string, value: unknown): unknown {
  return typeof value === 'string' ? value.replaceAll(new URL('..', import.meta.url).href, 'file:///shop/') : value
}

/** Customers come and go. */
function open(): NodeJS.Timeout {
  const send = (name: string, event: CheckoutEvent | { readonly type: 'sell' }): void =>
    system
      .supervisor('app/storefront')
      .children()
      .find((child) => child.name === name)
      ?.ref.send(event)
  let n = 0
  return setInterval(() => {
    n += 1
    send('checkout', { type: 'order', item: n % 3 === 0 ? 'a house' : 'a pen' })
    setTimeout(() => send('checkout', { type: 'pay' }), 250)
    if (n % 4 === 0) send('stock', { type: 'sell' })
    if (n % 30 === 0) setTimeout(() => send('checkout', { type: 'jam' }), 100)
    for (let more = 0; more < 3; more += 1) system.run(resize, { n: n * 3 + more })
    if (n % 2 === 0) system.run(mail, { n })
  }, 320)
}

async function take(from: Page): Promise<void> {
  const shoot = async (name: string): Promise<void> => {
    await pause(600)
    await from.screenshot({ path: `${folder}inspector-${name}.png` })
  }
  await from.getByRole('treeitem', { name: /^checkout,/ }).click()
  await shoot('tree')
  await from.keyboard.press('2')
  await shoot('failures')
  await from
    .getByRole('article')
    .filter({ hasText: 'attempt 3 of 3' })
    .first()
    .getByRole('button', { name: 'job' })
    .click()
  await shoot('job')
  await from.keyboard.press('4')
  await from.locator('.dead tbody tr').first().click()
  await shoot('dead-letters')
  await from.keyboard.press('5')
  await shoot('sequence')
  await from.emulateMedia({ colorScheme: 'dark' })
  await from.keyboard.press('6')
  await shoot('plots-dark')
}
