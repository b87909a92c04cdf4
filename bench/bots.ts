/**
 * What an update costs beside plain grammY: both handle the same updates by `handleUpdate`, five middlewares and a
 * boundary, interleaved in one process. Each of ours is a job that can be observed. Then the heap of an update that
 * waits behind one middleware, where plain grammY keeps 4 KiB, and what is kept of those that are finished.
 */
import { Bot as GrammyBot, type Context } from 'grammy'
import { Bot } from 'rootcatch/bot'

const isSmoke = process.argv.includes('--smoke')
const ROUNDS = isSmoke ? 1 : 7
const UPDATES = isSmoke ? 500 : 20_000
const BLOCKED = isSmoke ? 200 : 5_000
const KEPT = isSmoke ? 2_000 : 200_000
const LEAST_RATE = 0.25
const MOST_HEAP = 9 * 1024

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

async function rateOf(bot: AnyBot): Promise<number> {
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
const ratio = ratios.toSorted((a, b) => a - b)[Math.floor(ratios.length / 2)] as number
console.log(`handleUpdate: ${ratio.toFixed(2)} of plain grammY (at least ${LEAST_RATE})`)

if (globalThis.gc === undefined) console.log('heap: run with --expose-gc')
else {
  const blockedPlain = await heapPerBlocked(() => passing(new GrammyBot<Context>('1:bench', { botInfo })))
  const blocking = passing(new Bot<Context>('1:bench', { botInfo }) as unknown as GrammyBot<Context>)
  await blocking.handleUpdate(updateOf(0))
  const blocked = await heapPerBlocked(() => blocking)
  console.log(
    `heap per blocked update: grammY ${blockedPlain.toFixed(0)} B, ours ${blocked.toFixed(0)} B (below ${MOST_HEAP})`,
  )
  await (blocking as never as Bot<Context>).stop()
  const before = heap()
  for (let id = 0; id < KEPT; id += 1) await ours.handleUpdate(updateOf(id))
  console.log(`kept per finished update over ${KEPT}: ${((heap() - before) / KEPT).toFixed(1)} B`)
}
await ours.stop()
