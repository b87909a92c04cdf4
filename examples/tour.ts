/** A tour of one tree: tasks, actors, a bot and a spider that fail on purpose, retry, fall back and come back. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { styleText } from 'node:util'
import { gunzipSync, gzipSync } from 'node:zlib'
import { actor, exponential, plugin, restart, resume, start, supervisor, task, type TreeNode } from 'rootcatch'
import { Bot } from 'rootcatch/bot'
import { request, spider } from 'rootcatch/crawl'
import { inspector } from 'rootcatch/inspect'
import { fakeTelegram, website, type WebsiteRoute } from 'rootcatch/testing'
import { assign, setup } from 'xstate'

const colours: Readonly<Record<string, 'green' | 'yellow' | 'red' | 'magenta'>> = {
  done: 'green',
  answered: 'green',
  fallback: 'yellow',
  retrying: 'yellow',
  failed: 'red',
  cancelled: 'magenta',
}

// The work: files of this repository. Tasks are named functions with a policy.

const read = (name: string) => readFile(new URL(`../${name}`, import.meta.url))
const kilobytes = (bytes: Uint8Array) => `${(bytes.length / 1000).toFixed(1)} kB`
const waits = exponential({ from: '300ms', to: '2s', jitter: 0 })

const compress = task('compress', { retry: { attempts: 3, backoff: waits } }, async (name: string, ctx) => {
  if (ctx.attempt < 3) throw new Error('the disk is busy') // on purpose
  const bytes = await read(name)
  return `${name}: ${kilobytes(bytes)} to ${kilobytes(gzipSync(bytes))}`
})

const count = task(
  'count',
  { fallback: (name: string, { error }) => `0 words, ${(error as NodeJS.ErrnoException).code}: ${name}` },
  async (name: string, ctx) => {
    if (name.endsWith('.svg')) ctx.pluginError({ code: 'picture', message: 'a picture is no text' })
    return `${(await read(name)).toString().split(/\s+/).length} words: ${name}`
  },
)

const unpack = task('unpack', async (name: string) => gunzipSync(await read(name)).length)

const hash = task('hash', async function* (name: string, ctx) {
  const sum = createHash('sha256').update(await read(name))
  for (let percent = 0; percent < 100; percent += 20) {
    yield percent
    await ctx.sleep('150ms') // real work would take its time too
  }
  return `sha256 of ${name}: ${sum.digest('hex').slice(0, 12)}`
})

const pictures = plugin('pictures', {
  pluginError: async ({ run, error }) => {
    if (error.details['code'] !== 'picture') return undefined // no answer: somebody else's, or an ordinary error
    return `${(await read(String(run.input))).toString().split('<text').length - 1} labels: ${run.input}`
  },
})

// Actors are any XState logic.

const till = setup({
  types: { context: {} as { coins: number }, events: {} as { type: 'pay'; coins: number } },
}).createMachine({
  context: { coins: 0 },
  initial: 'open',
  states: {
    open: {
      on: {
        pay: {
          actions: assign(({ context, event }) => {
            if (event.coins < 0) throw new RangeError(`somebody paid ${event.coins} coins`)
            return { coins: context.coins + event.coins }
          }),
        },
      },
    },
  },
})

const guest = setup({
  types: { input: {} as { name: string }, context: {} as { name: string }, events: {} as { type: 'leave' } },
}).createMachine({
  context: ({ input }) => input,
  initial: 'sitting',
  states: { sitting: { on: { leave: 'gone' } }, gone: { type: 'final' } },
  output: ({ context }) => `${context.name} left`,
})

// A bot and a spider, on a Telegram and a website of this machine.

const telegram = await fakeTelegram()
const clerk = new Bot(telegram.token, { name: 'clerk', client: { apiRoot: telegram.url } })
const checkout = clerk.errorBoundary('checkout', ({ error, ctx }) => {
  line('tour/clerk/checkout', 'caught', `${sayError(error)}, in "${ctx.msg?.text}"`)
})
checkout.command('pay', () => {
  throw new Error('the card was refused')
})
clerk.on('message:text', (ctx) => ctx.reply(`You said: ${ctx.message.text}`))

const site = await website({ books: 3, perPage: 3, routes: { '/book/2': busyAtFirst() } })
const books = spider('books', {
  start: [request('list', `${site.url}/shop/1`)],
  backoff: waits,
  allowPrivate: ['127.0.0.1'],
})
books.on('list', function* ({ links, request: page }) {
  for (const url of links('h3 a')) yield page.follow('book', url)
})
books.on('book', ({ $, emit }) => emit($('h1').text()))

// The tree: supervisors own children and decide about their failures.

const files = supervisor('files', { plugins: [pictures] }, [compress, count, unpack, hash])
const shop = supervisor('shop', { strategy: 'rest-for-one', backoff: waits, catch: () => restart }, [
  actor('till', till),
  supervisor('guests', []),
])
let link = ''
const system = await start(supervisor('tour', [files, shop, clerk, books]), {
  catch: () => resume,
  inspect: inspector({ announce: (given) => void (link = given) }),
})

// What happens is observed as events.

const isOfTask = (path: string) => path.startsWith('tour/files/')
system.on('job.retrying', ({ path, error, delay }) => {
  line(
    isOfTask(path) ? path : 'tour/books',
    'retrying',
    `${sayError(error).split('. ')[0]}; again in ${Math.round(delay)} ms`,
  )
})
system.on('job.answered', ({ path, plugin: name }) => line(path, 'answered', `by the plugin "${name}"`))
system.on('job.done', ({ path, value }) => {
  if (isOfTask(path)) line(path, 'done', String(value)) // the bot and the spider speak for themselves
})
system.on('job.fellBack', ({ path, value }) => line(path, 'fallback', String(value)))
system.on('job.failed', ({ path, failure }) => line(path, 'failed', sayError(failure.error)))
system.on('job.cancelled', ({ path, reason }) => line(path, 'cancelled', sayError(reason).split(' before ')[0]))
system.on('failure.decided', ({ failure, decision }) => {
  if (failure.job === undefined) line(failure.path, 'failed', `${sayError(failure.error)}; ${decision}`)
})
system.on('actor.started', ({ path, generation }) => line(path, 'started', `generation ${generation}`))
system.on('actor.ended', ({ path, output }) => line(path, 'ended', String(output)))
system.on('actor.stopped', ({ path }) => line(path, 'stopped'))

const interrupt = new AbortController()
const { signal } = interrupt
process.once('SIGINT', () => interrupt.abort('Ctrl-C'))
process.once('SIGTERM', () => interrupt.abort('SIGTERM'))

const pause = (ms: number) => sleep(ms, undefined, { signal })

console.log('A tour of rootcatch: one tree, and what may happen in it. Ctrl-C ends it.')
console.log(`To look at it in a browser meanwhile: ${link}`)
try {
  await act('A task tries again', 'The disk is busy twice. A job that waits to try again takes no slot.')
  await system.run(compress, 'package-lock.json', { signal }).settled()

  await act('A task falls back', 'The file is not there, so the fallback gives the value.')
  await system.run(count, 'chapter-13.md', { signal }).settled()

  await act('A plugin answers', 'The job asks its plugins; what one answers becomes the result.')
  await system.run(count, 'machines/job.svg', { signal }).settled()

  await act('An actor crashes and comes back', 'With rest-for-one, so does what was started after it.')
  const [first] = system.supervisor('tour/shop').children()
  for (const payment of [3, 4, -5].map((coins) => ({ type: 'pay', coins }))) first?.ref.send(payment)
  await pause(600)

  await act('A failure climbs to the root catch', 'No supervisor decides, so the root catch does. The rest goes on.')
  await system.run(unpack, 'README.md', { signal }).settled()
  const failure = system.failures().find(({ job }) => job !== undefined)
  console.log(`\n${failure?.report().replace(/^/gm, '     ') ?? ''}`)
  await pause(800)

  await act('Actors are spawned in code', 'A temporary actor that ended is forgotten. Bob stays.')
  for (const name of ['Ann', 'Bob']) {
    const ref = await system.spawn(actor('guest', guest, { input: { name }, restart: 'temporary' }), {
      under: 'tour/shop/guests',
    })
    await pause(200)
    if (name === 'Ann') ref.send({ type: 'leave' })
  }

  await act('A job is cancelled', 'That is no failure: nobody above is asked.')
  const run = system.run(hash, 'package-lock.json', { signal })
  for await (const percent of run) {
    line(run.path, 'progress', `${percent} %`)
    if (percent === 40) run.cancel('seen enough')
  }

  await act(
    'A bot catches an error',
    'In the boundary it was thrown in. The next message of the same chat is handled after it.',
  )
  telegram.send.text('/pay')
  telegram.send.text('hello')
  const reply = await Promise.race([telegram.called('sendMessage'), pause(5_000)])
  line('tour/clerk', 'replied', String(reply?.payload['text']))

  await act('A spider tries again', 'A page of the shop is busy at first. All other pages are got meanwhile.')
  const crawl = system.run(books)
  for await (const title of crawl) line('tour/books', 'item', String(title))
  const { requests, items } = await crawl
  line('tour/books', 'done', `${requests} requests, ${items} items`)

  await act('The tree as it is', 'One job runs, and one waits to try again.')
  system.run(hash, 'LICENSE', { signal })
  system.run(compress, 'LICENSE', { signal })
  await pause(50)
  drawTree(system.tree())
  await pause(400)
} catch (error) {
  if (!signal.aborted) throw error
} finally {
  heading('Everything stops', 'In reverse start order. What runs may end, what waits is cancelled.')
  await system.stop()
  await Promise.all([telegram.close(), site.close()])
  const { jobs, failures, actors } = await system.stats()
  heading('Summary', 'Each job that was accepted has one outcome.')
  const { added, done, fellBack, failed, cancelled } = jobs
  console.log(`   ${added} accepted = ${done} done + ${fellBack} fallback + ${failed} failed + ${cancelled} cancelled`)
  console.log(
    `   ${jobs.retried} retries, ${actors.started} starts of actors, ${failures.restart} failure answered by a restart`,
  )
}

async function act(title: string, about: string): Promise<void> {
  await pause(400)
  heading(title, about)
}

function heading(title: string, about: string): void {
  console.log(`\n${styleText('bold', title)}\n   ${styleText('dim', about)}`)
}

/** Three columns: who, what, and what there is to say about it. */
function line(who: string, what: string, text = ''): void {
  console.log(`   ${who.padEnd(27)}${styleText(colours[what] ?? 'cyan', what.padEnd(11))}${text}`.trimEnd())
}

function drawTree({ name, state, generation, jobs, children = [] }: TreeNode, branch = '', below = ''): void {
  const counts = jobs && `   ${jobs.running} running, ${jobs.retrying} retrying`
  line(branch + name, String(state), `generation ${generation}${counts ?? ''}`)
  for (const child of children) {
    const isLast = child === children.at(-1)
    drawTree(child, below + (isLast ? '└─ ' : '├─ '), below + (isLast ? '   ' : '│  '))
  }
}

/** A page that is answered with 503 once. */
function busyAtFirst(): WebsiteRoute {
  let asked = 0
  return (_request, response) => {
    asked += 1
    if (asked === 1) response.writeHead(503).end()
    else response.setHeader('content-type', 'text/html').end('<h1>Book 2, at the second try</h1>')
  }
}

function sayError(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
