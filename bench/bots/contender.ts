// One contender in a process of its own: `contender.ts <grammY|ours> <way>` prints what was measured as JSON.
import { Bot as GrammyBot, type Context } from 'grammy'
import { Bot } from 'rootcatch/bot'
import { botInfo, updateOf, type AnyBot } from './updates.ts'
import { build, type Way } from './ways.ts'

export interface Measured {
  readonly perSecond: number
  /** Of the process, in µs per update. */
  readonly cpu: number
}

const [WARM_UP_MS, MEASURED_MS] = [700, 700]
const UPDATES_PER_TURN = 1_000

const [name = '', way = ''] = process.argv.slice(2)
const ours = name === 'ours' ? new Bot<Context>('1:bench', { botInfo }) : undefined
const handle = build((ours ?? new GrammyBot<Context>('1:bench', { botInfo })) as AnyBot, way as Way)
await handleFor(WARM_UP_MS)
const [startedAt, before] = [performance.now(), process.cpuUsage()]
const updates = await handleFor(MEASURED_MS)
const seconds = (performance.now() - startedAt) / 1_000
const { user, system } = process.cpuUsage(before)
await ours?.stop()
console.log(JSON.stringify({ perSecond: updates / seconds, cpu: (user + system) / updates } satisfies Measured))

/** How many updates were handled, one after the other, by then. The event loop turns meanwhile. */
async function handleFor(ms: number): Promise<number> {
  const until = performance.now() + ms
  let handled = 0
  while (performance.now() < until) {
    for (let each = 0; each < UPDATES_PER_TURN; each += 1) await handle(updateOf((handled += 1)))
    await new Promise((resolve) => setImmediate(resolve))
  }
  return handled
}
