// One life of a process that adds jobs to a file and works them, by what the package exports. It writes down each job that
// the broker has confirmed, and each body that ran: `node worker.ts <file> <log> <jobs> <life>`. Without jobs to add it
// works what others add, until its input is closed.
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { exponential, start, supervisor, task } from 'rootcatch'
import { sqlite } from 'rootcatch/sqlite'

const [file = '', log = '', jobs = '0', life = '1'] = process.argv.slice(2)
const ADDED_AT_ONCE = 250
const [added, ran] = [`${log}.added`, `${log}.ran`]

const work = task(
  'work',
  { concurrency: 64, retry: { attempts: 3, backoff: exponential({ from: '1ms', to: '1ms' }) } },
  async (n: number, ctx) => {
    appendFileSync(ran, `${life} ${ctx.id} ${ctx.attempt}\n`)
    if (n % 3 === 0) await new Promise((resolve) => setImmediate(resolve))
    if (n % 20 === 0 && ctx.attempt === 1) throw new Error('the first attempt of some fails')
    return n
  },
)
// No job of this story ends because it was held at too many kills, or leaves before it was looked at.
const broker = sqlite(file, { lostLimit: 1_000, keepResults: { last: 1_000_000 } })
const system = await start(supervisor('app', [work]), { broker })
process.stdout.write('ready\n')

if (Number(jobs) > 0) await workAll(Number(jobs))
else await new Promise((resolve) => process.stdin.once('end', resolve).resume())
await system.stop()

async function workAll(all: number): Promise<void> {
  let count = existsSync(added) ? readFileSync(added, 'utf8').split('\n').length - 1 : 0
  for (;;) {
    const [queue] = await broker.stats()
    const { waiting = 0, delayed = 0, leased = 0 } = queue ?? {}
    if (count < all && waiting < ADDED_AT_ONCE) count += await add(Math.min(ADDED_AT_ONCE, all - count), count)
    else if (waiting + delayed + leased === 0) return
    else await sleep(2)
  }
}

async function add(more: number, from: number): Promise<number> {
  const runs = Array.from({ length: more }, (_, index) => system.run(work, from + index))
  const confirmed = await Promise.all(runs.map((run) => run.queued()))
  appendFileSync(added, confirmed.map(({ id }) => `${id}\n`).join(''))
  return more
}
