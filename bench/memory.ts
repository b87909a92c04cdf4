/**
 * What a job costs while it rests: heap bytes of one whose body waits, and of one that waits for its next attempt; what
 * adding, firing and finishing cost beside many that wait.
 *
 * How: each number is taken in a process of its own. Bytes are the difference of the heap after collections, before and
 * with so many jobs, runs and records included, per job. Costs are CPU per job, the least of some rounds, beside 1 000
 * jobs that wait for an hour and beside a million; a ratio of 1 says that those who wait cost the others nothing.
 */
import { spawnSync } from 'node:child_process'
import { exponential, start, supervisor, task, type System } from 'rootcatch'
import { atMost, median } from './rows.ts'

const isSmoke = process.argv.includes('--smoke')
const [HUNDRED_THOUSAND, MILLION] = isSmoke ? [5_000, 20_000] : [100_000, 1_000_000]
const ROUNDS = isSmoke ? 1 : 5

function compare(): void {
  for (const [name, what, target] of [
    ['idle job', 'idle', { goal: 1_000, aim: 512 }],
    ['job that waits to be tried again', 'parked', { goal: 1_200, aim: 768 }],
  ] as const) {
    for (const count of [HUNDRED_THOUSAND, MILLION]) {
      const row = `heap of an ${name}, ${count.toLocaleString('en').replaceAll(',', ' ')} of them`
      const bytes = one(what, count)
      if (isSmoke) console.log(`${row}: ${bytes} B`)
      else atMost(row.replace('an job', 'a job'), bytes, { ...target, unit: 'B' })
    }
  }
  for (const [name, what] of [
    ['adding a wait', 'adds'],
    ['firing a wait', 'fires'],
    ['finishing other jobs', 'finishes'],
  ] as const) {
    const many = what === 'finishes' ? HUNDRED_THOUSAND : MILLION
    const ratios = Array.from({ length: ROUNDS }, () => one(what, many) / one(what, 1_000))
    const row = `${name} beside ${many.toLocaleString('en').replaceAll(',', ' ')} that wait, against beside 1 000`
    if (isSmoke) console.log(`${row}: x ${median(ratios).toFixed(2)}`)
    else atMost(row, median(ratios), { goal: 2, aim: 1.2 })
  }
}

function one(what: string, count: number): number {
  const args = ['--expose-gc', '--max-old-space-size=6000', import.meta.filename, '--one', what, String(count)]
  const { stdout, status } = spawnSync(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`${what} ended with ${status}`)
  return Number(stdout)
}

const hour = exponential({ from: '1h', to: '1h' })
const soon = exponential({ from: '20ms', to: '20ms', jitter: 0 })
const SAMPLE = 5_000

class NotYet extends Error {
  static readonly it = new NotYet('not yet') // one for all: what is thrown is not ours to measure
}

const waits = task('waits', { concurrency: 2 * MILLION }, (_: number) => new Promise<void>(() => {}))
const again = task('again', { concurrency: 1_000, retry: { attempts: 2, backoff: hour } }, (_: number): number => {
  throw NotYet.it
})
const soonAgain = task(
  'soon',
  { concurrency: 10_000, retry: { attempts: 2, backoff: soon } },
  (n: number, ctx): number => {
    if (ctx.attempt === 1) throw NotYet.it
    return n
  },
)
const sums = task('sums', { concurrency: 1_000 }, async (n: number) => n + 1)

async function measure(what: string, count: number): Promise<number> {
  const system = await start(supervisor('app', [waits, again, soonAgain, sums]))
  const jobs = async (): Promise<Awaited<ReturnType<System['stats']>>['jobs']> => (await system.stats()).jobs
  const rest = async (many: number): Promise<void> => {
    const { retried } = await jobs()
    for (let n = 0; n < many; n += 1) {
      system.run(again, n)
      if (n % SAMPLE === 0) await turn()
    }
    while ((await jobs()).retried < retried + many) await turn()
  }
  if (what === 'idle') {
    const before = heap()
    for (let n = 0; n < count; n += 1) {
      system.run(waits, n)
      if (n % SAMPLE === 0) await turn()
    }
    while ((await jobs()).started < count) await turn()
    return end(Math.round((heap() - before) / count))
  }
  if (what === 'parked') {
    await rest(1_000) // what is made once is there
    const before = heap()
    await rest(count)
    return end(Math.round((heap() - before) / count))
  }
  await rest(count)
  const work = (): Promise<unknown> => {
    if (what === 'adds') return rest(SAMPLE)
    const busy = what === 'fires' ? soonAgain : sums
    return Promise.all(Array.from({ length: SAMPLE }, (_, n) => system.run(busy, n)))
  }
  const costs: number[] = []
  for (let round = 0; round < 12; round += 1) {
    globalThis.gc?.()
    const before = process.cpuUsage()
    await work()
    const { user, system: kernel } = process.cpuUsage(before)
    costs.push((user + kernel) / SAMPLE)
  }
  return end(Math.min(...costs))
}

/** A million jobs need not be put away one by one. */
function end(result: number): number {
  console.log(result)
  process.exit(0)
}

function heap(): number {
  for (let round = 0; round < 4; round += 1) globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}

const child = process.argv.indexOf('--one')
if (child === -1) compare()
else await measure(process.argv[child + 1] as string, Number(process.argv[child + 2]))
