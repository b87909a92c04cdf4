/**
 * What an update costs beside plain grammY: both handle the same updates by `handleUpdate`, five middlewares and a
 * boundary; each of ours is a job that can be observed. `answered` is for fairness: an Api of ours is made when it is
 * used, so there an update uses it. Then what boundaries cost, the heap of an update that waits behind one middleware,
 * where plain grammY keeps 4 KiB, what is kept of those that are finished, and what admission and polling cost.
 *
 * How: each contender is a process of its own that handles up to 200,000 updates twice and measures the second time;
 * rounds are interleaved. A ratio is that of the least processor time per update that either has shown: the machine may
 * be shared, and what others do only adds to it, to grammY's more than to ours, which leaves less to the collector.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Bot as GrammyBot, type Context } from 'grammy'
import { start, type Broker, memory } from 'rootcatch'
import { Bot } from 'rootcatch/bot'
import { sqlite } from 'rootcatch/sqlite'
import { fakeTelegram } from 'rootcatch/testing'
import type { Measured } from './bots/contender.ts'
import { botInfo, passing, updateOf, type AnyBot } from './bots/updates.ts'
import { WAYS, type Way } from './bots/ways.ts'
import { atLeast, atMost, median } from './rows.ts'

const isSmoke = process.argv.includes('--smoke')
const ROUNDS = isSmoke ? 1 : 7
const BLOCKED = isSmoke ? 200 : 5_000
const KEPT = isSmoke ? 2_000 : 200_000
const CONTENDER = fileURLToPath(new URL('bots/contender.ts', import.meta.url))
const FOLDER = mkdtempSync(join(tmpdir(), 'rootcatch-bench-'))

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

/** Each in a process of its own, turn by turn; the ratio of the best rounds. */
function compare(way: Way): number {
  const rounds = Array.from({ length: ROUNDS }, () => ({ grammY: run('grammY', way), ours: run('ours', way) }))
  const best = (name: 'grammY' | 'ours'): number => Math.min(...rounds.map((each) => each[name].cpu))
  const perSecond = (name: 'grammY' | 'ours'): number => Math.max(...rounds.map((each) => each[name].perSecond))
  const ratios = rounds.map(({ grammY, ours }) => grammY.cpu / ours.cpu)
  console.log(`\n${WAYS[way].title}, ${ROUNDS} rounds`)
  for (const name of ['grammY', 'ours'] as const) {
    const rate = `${Math.round(perSecond(name))} updates/s`.padStart(18)
    console.log(`${name.padEnd(8)} ${rate} ${best(name).toFixed(2).padStart(7)} µs of the processor an update`)
  }
  const ratio = best('grammY') / best('ours')
  const spread = `${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)}`
  console.log(
    `x ${ratio.toFixed(2)}, of single rounds ${median(ratios).toFixed(2)} (${spread}), ` +
      `by the clock ${(perSecond('ours') / perSecond('grammY')).toFixed(2)}`,
  )
  return ratio
}

function run(name: string, way: Way): Measured {
  const { stdout, status } = spawnSync(
    process.execPath,
    [CONTENDER, name, way, String(isSmoke ? 1_000 : WAYS[way].updates)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      encoding: 'utf8',
    },
  )
  if (status !== 0) throw new Error(`${name}, ${way} ended with ${status}`)
  return JSON.parse(stdout) as Measured
}

async function heaps(): Promise<void> {
  const blockedPlain = await heapPerBlocked(() => passing(new GrammyBot<Context>('1:bench', { botInfo })))
  const ours = new Bot<Context>('1:bench', { botInfo })
  const blocking = passing(ours as AnyBot)
  await blocking.handleUpdate(updateOf(0))
  const blocked = await heapPerBlocked(() => blocking)
  console.log(`heap per blocked update: grammY ${blockedPlain.toFixed(0)} B, ours ${blocked.toFixed(0)} B`)
  if (!isSmoke) atMost('heap of an update that waits', blocked, { goal: 9 * 1024, unit: 'B' })
  await ours.stop()
  const kept = new Bot<Context>('1:bench', { botInfo })
  passing(kept as AnyBot)
  await kept.handleUpdate(updateOf(0))
  const before = heap()
  for (let id = 0; id < KEPT; id += 1) await kept.handleUpdate(updateOf(id))
  console.log(`kept per finished update over ${KEPT}: ${((heap() - before) / KEPT).toFixed(1)} B`)
  await kept.stop()
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

const wanted = process.argv.slice(2).filter((word) => word in WAYS) as Way[]
for (const way of wanted.length > 0 ? wanted : (Object.keys(WAYS) as Way[])) {
  const ratio = compare(way)
  if (way === 'passed' && !isSmoke) atLeast('an update against plain grammY', ratio, { goal: 0.45, aim: 0.65 })
}
if (wanted.length === 0) {
  console.log('')
  if (globalThis.gc === undefined) console.log('heap: run with --expose-gc')
  else await heaps()
  await admitting('memory', memory())
  await admitting('sqlite', sqlite(join(FOLDER, 'bots.db')))
  await polled('grammY', isSmoke ? 5 : 50, (token, client) => new GrammyBot<Context>(token, { client }))
  await polled('ours', isSmoke ? 5 : 500, (token, client) => new Bot<Context>(token, { client }) as never)
}
rmSync(FOLDER, { recursive: true, force: true })
