/**
 * What an update costs beside plain grammY: both handle the same updates by `handleUpdate`, five middlewares and a
 * boundary, interleaved in one process. Each of ours is a job that can be observed. Then the heap of an update that
 * waits behind one middleware, where plain grammY keeps 4 KiB, what is kept of those that are finished, and what boundaries, admission
 * and polling cost.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Bot as GrammyBot, type Context } from 'grammy'
import { start, type Broker, memory } from 'rootcatch'
import { Bot } from 'rootcatch/bot'
import { sqlite } from 'rootcatch/sqlite'
import { fakeTelegram } from 'rootcatch/testing'
import { atLeast, atMost, median } from './rows.ts'

const isSmoke = process.argv.includes('--smoke')
const ROUNDS = isSmoke ? 1 : 7
const UPDATES = isSmoke ? 500 : 20_000
const BLOCKED = isSmoke ? 200 : 5_000
const KEPT = isSmoke ? 2_000 : 200_000
const FOLDER = mkdtempSync(join(tmpdir(), 'rootcatch-bench-'))

const botInfo = { id: 1, is_bot: true, first_name: 'Bench', username: 'bench_bot' } as never

type AnyBot = Pick<GrammyBot<Context>, 'use' | 'errorBoundary' | 'handleUpdate'>

const updateOf = (id: number): never =>
  ({
    update_id: id,
    message: { message_id: id, date: 1, text: 'hi', chat: { id: id % 1_000, type: 'private', first_name: 'A' } },
  }) as never

/** One middleware, and behind it the one that waits. */
function passing<Some extends AnyBot>(bot: Some): Some {
  bot.use((_ctx, next) => next())
  return bot
}

function grow<Some extends AnyBot>(bot: Some): Some {
  for (let each = 0; each < 4; each += 1) bot.use((_ctx, next) => next())
  bot.errorBoundary(() => {}).use((_ctx, next) => next())
  return bot
}

async function rateOf(bot: Pick<AnyBot, 'handleUpdate'>): Promise<number> {
  const begin = process.hrtime.bigint()
  for (let id = 0; id < UPDATES; id += 1) await bot.handleUpdate(updateOf(id))
  return UPDATES / (Number(process.hrtime.bigint() - begin) / 1e9)
}

function heap(): number {
  globalThis.gc?.()
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

async function heapPerBlocked(make: () => AnyBot): Promise<number> {
  const bot = make()
  let open = (): void => {}
  const gate = new Promise<void>((resolve) => (open = resolve))
  bot.use(() => gate)
  await Promise.resolve()
  const before = heap()
  const all = Array.from({ length: BLOCKED }, (_, id) => bot.handleUpdate(updateOf(id)))
  await new Promise((resolve) => setImmediate(resolve))
  const used = (heap() - before) / BLOCKED
  open()
  await Promise.all(all)
  return used
}

/** µs per update. */
async function costOf(bot: Handling): Promise<number> {
  return 1e6 / (await rateOf(bot))
}

type Build = (bot: AnyBot) => void

const nested =
  (boundaries: number, handler: (error: unknown) => void, last: () => unknown): Build =>
  (bot) => {
    let at: { errorBoundary: AnyBot['errorBoundary']; use: AnyBot['use'] } = bot
    for (let each = 0; each < boundaries; each += 1) at = at.errorBoundary(handler)
    at.use(() => last() as never)
  }

const thrown = new Error('on purpose')
const throws = (): never => {
  throw thrown
}
const pass = (error: unknown): never => {
  throw error
}
const BUILDS: readonly (readonly [string, Build, boolean])[] = [
  [
    'one boundary, passed without an error',
    nested(
      1,
      () => {},
      () => {},
    ),
    false,
  ],
  [
    'four boundaries, passed without an error',
    nested(
      4,
      () => {},
      () => {},
    ),
    false,
  ],
  ['a throw caught by the innermost of 3', nested(3, () => {}, throws), false],
  ['a throw rethrown by all 3', nested(3, pass, throws), true],
]

/** Interleaved; the middle of the rounds, in µs per update. */
async function boundaries(): Promise<void> {
  for (const [what, build, isLeft] of BUILDS) {
    const [one, other] = [new GrammyBot<Context>('1:bench', { botInfo }), new Bot<Context>('1:bench', { botInfo })]
    const [plainBot, ourBot] = [one, other as unknown as GrammyBot<Context>].map((bot) => {
      build(bot)
      return quiet(bot, isLeft)
    }) as [Handling, Handling]
    await costOf(plainBot)
    await costOf(ourBot)
    const costs: [number, number][] = []
    for (let round = 0; round < ROUNDS; round += 1) costs.push([await costOf(plainBot), await costOf(ourBot)])
    const middle = (at: 0 | 1): number => costs.map((pair) => pair[at]).toSorted((a, b) => a - b)[ROUNDS >> 1] as number
    console.log(`${what}: grammY ${middle(0).toFixed(1)} µs, ours ${middle(1).toFixed(1)} µs an update`)
    await other.stop()
  }
}

type Handling = Pick<AnyBot, 'handleUpdate'>

/** What leaves all boundaries rejects `handleUpdate`; that is part of the cost and no end of the bench. */
function quiet(bot: AnyBot, isLeft: boolean): Handling {
  return {
    handleUpdate: isLeft ? (update) => bot.handleUpdate(update).catch(() => {}) : (update) => bot.handleUpdate(update),
  }
}

async function admitting(name: string, broker: Broker): Promise<void> {
  const bot = new Bot<Context>('1:bench', { botInfo, polling: false })
  bot.use(() => {})
  const system = await start(bot, { broker })
  const times: number[] = []
  for (let batch = 0; batch < 20; batch += 1) {
    const updates = Array.from({ length: 100 }, (_, at) => updateOf(batch * 100 + at + 1))
    const begin = performance.now()
    await bot.inbox?.admit(updates)
    times.push(performance.now() - begin)
  }
  await system.stop()
  console.log(`admitting a batch of 100, ${name}: ${(times.toSorted((a, b) => a - b)[10] as number).toFixed(1)} ms`)
}

/** Updates of as many chats, each of which waits 100 ms, from the first poll to the last one handled. */
async function polled(
  name: string,
  chats: number,
  make: (token: string, client: object) => GrammyBot<Context>,
): Promise<void> {
  const telegram = await fakeTelegram()
  const bot = make(telegram.token, { apiRoot: telegram.url })
  let left = chats
  const { promise: all, resolve } = Promise.withResolvers<void>()
  bot.use(async () => {
    await new Promise((over) => setTimeout(over, 100))
    left -= 1
    if (left === 0) resolve()
  })
  for (let chat = 1; chat <= chats; chat += 1) telegram.send.text('hi', { from: chat })
  const begin = performance.now()
  const running = bot.start()
  await all
  const seconds = (performance.now() - begin) / 1_000
  await bot.stop()
  await running
  await telegram.close()
  console.log(`${chats} updates of ${chats} chats, 100 ms each, polled, ${name}: ${seconds.toFixed(2)} s`)
}

const plain = grow(new GrammyBot<Context>('1:bench', { botInfo }))
const ours = grow(new Bot<Context>('1:bench', { botInfo }) as unknown as GrammyBot<Context>) as never as Bot<Context>
await rateOf(plain)
await rateOf(ours)
const ratios: number[] = []
for (let round = 0; round < ROUNDS; round += 1) {
  const [one, other] = [await rateOf(plain), await rateOf(ours)]
  ratios.push(other / one)
  console.log(
    `round ${round + 1}: grammY ${one.toFixed(0)}/s, ours ${other.toFixed(0)}/s, ratio ${(other / one).toFixed(2)}`,
  )
}
if (!isSmoke) atLeast('an update against plain grammY', median(ratios), { goal: 0.45, aim: 0.65 })

if (globalThis.gc === undefined) console.log('heap: run with --expose-gc')
else {
  const blockedPlain = await heapPerBlocked(() => passing(new GrammyBot<Context>('1:bench', { botInfo })))
  const blocking = passing(new Bot<Context>('1:bench', { botInfo }) as unknown as GrammyBot<Context>)
  await blocking.handleUpdate(updateOf(0))
  const blocked = await heapPerBlocked(() => blocking)
  console.log(`heap per blocked update: grammY ${blockedPlain.toFixed(0)} B, ours ${blocked.toFixed(0)} B`)
  if (!isSmoke) atMost('heap of an update that waits', blocked, { goal: 9 * 1024, unit: 'B' })
  await (blocking as never as Bot<Context>).stop()
  const before = heap()
  for (let id = 0; id < KEPT; id += 1) await ours.handleUpdate(updateOf(id))
  console.log(`kept per finished update over ${KEPT}: ${((heap() - before) / KEPT).toFixed(1)} B`)
}
await ours.stop()
await boundaries()
await admitting('memory', memory())
await admitting('sqlite', sqlite(join(FOLDER, 'bots.db')))
rmSync(FOLDER, { recursive: true, force: true })
await polled('grammY', isSmoke ? 5 : 50, (token, client) => new GrammyBot<Context>(token, { client }))
await polled('ours', isSmoke ? 5 : 500, (token, client) => new Bot<Context>(token, { client }) as never)
