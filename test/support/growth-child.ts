// What is kept of finished updates, in bytes each: `node --expose-gc growth-child.ts <warm-up> <updates>`.
import { resume, start, supervisor } from '../../src/index.ts'
import { Bot } from '../../src/bot/bot.ts'
import { botInfo, message, TOKEN } from './bot-updates.ts'

const [first = 0, all = 0] = process.argv.slice(2).map(Number)
const bot = new Bot(TOKEN, { botInfo, name: 'shop', polling: false, lane: ({ update_id: id }) => `chat ${id}` })
bot.catch(() => {})
bot
  .errorBoundary('calm', () => {})
  .filter(
    ({ update: { update_id: id } }) => id % 10 === 0,
    () => Promise.reject('calmed'),
  )
bot.use(({ update: { update_id: id } }) => (id % 10 === 1 ? Promise.reject(new Error('failed')) : undefined))
const system = await start(supervisor('app', [bot]), { catch: () => resume })

let id = 0
async function handle(count: number): Promise<void> {
  for (const end = id + count; id < end;) {
    const batch = Array.from({ length: 100 }, () => message((id += 1), id))
    await bot.inbox?.admit(batch)
    while (bot.inbox?.unconfirmed() !== 0) await new Promise((resolve) => setImmediate(resolve))
  }
}

function heap(): number {
  for (let round = 0; round < 4; round += 1) globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

await handle(first)
const before = heap()
await handle(all)
const kept = (heap() - before) / all
const { jobs } = system.stats()
await system.stop()
console.log(JSON.stringify({ kept, done: jobs.done, failed: jobs.failed }))
