// One contender in a process of its own: `contender.ts <grammY|ours> <way> <updates>` prints what was measured as JSON.
import { Bot as GrammyBot, type Context } from 'grammy'
import { Bot } from 'rootcatch/bot'
import { botInfo, updateOf, type AnyBot } from './updates.ts'
import { build, type Way } from './ways.ts'

export interface Measured {
  readonly perSecond: number
  /** Of the process, in µs per update. */
  readonly cpu: number
}

const UPDATES_PER_TURN = 1_000

const [name = '', way = '', count = ''] = process.argv.slice(2)
const updates = Number(count)
const ours = name === 'ours' ? new Bot<Context>('1:bench', { botInfo }) : undefined
const handle = build((ours ?? new GrammyBot<Context>('1:bench', { botInfo })) as AnyBot, way as Way)
await handleAll()
const [startedAt, before] = [performance.now(), process.cpuUsage()]
await handleAll()
const seconds = (performance.now() - startedAt) / 1_000
const { user, system } = process.cpuUsage(before)
await ours?.stop()
console.log(JSON.stringify({ perSecond: updates / seconds, cpu: (user + system) / updates } satisfies Measured))

/** One after the other; the event loop turns meanwhile. */
async function handleAll(): Promise<void> {
  for (let id = 1; id <= updates; id += 1) {
    await handle(updateOf(id))
    if (id % UPDATES_PER_TURN === 0) await new Promise((resolve) => setImmediate(resolve))
  }
}
