/**
 * What a job costs while it rests: heap bytes of one whose body waits, and of one that waits for its next attempt; what
 * adding, firing and finishing cost beside many that wait.
 *
 * How: each number is taken in a process of its own. Bytes are the difference of the heap after collections, before and
 * with so many jobs, runs and records included, per job. Costs are CPU per job of all threads, the collector's included,
 * over 600 000 jobs beside 1 000 that wait for an hour and beside a million; a ratio of 1 says that those who wait cost
 * the others nothing.
 *
 * Collections come when V8 wants them: beside a million that wait there is a full one about each 500 000 jobs, and its
 * cost is part of theirs. The heap is held below 2 GB so that it comes: with the 4 GB of a usual process, 2 000 000 waits
 * fire before it. It used to be forced before each round of 5 000 jobs, which left sweeping a heap of a gigabyte to the
 * threads of the collector while those ran: 30 µs a job where the main thread took 10, or 8 once they had swept. That is
 * waited for now, once, before the first round.
 */
import { spawnSync } from 'node:child_process'
import { exponential, start, supervisor, task, type Run, type System } from 'rootcatch'
import { atMost, median } from './rows.ts'

const isSmoke = process.argv.includes('--smoke')
const [HUNDRED_THOUSAND, MILLION] = isSmoke ? [5_000, 20_000] : [100_000, 1_000_000]
const ROUNDS = isSmoke ? 1 : 3

const BYTES: ReadonlySet<string> = new Set(['idle', 'parked'])

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
  const room = BYTES.has(what) ? 6_000 : 2_000
  const args = ['--expose-gc', `--max-old-space-size=${room}`, import.meta.filename, '--one', what, String(count)]
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
const [WARM_UP, MEASURED] = isSmoke ? [1, 2] : [20, 120]

class NotYet extends Error {
  static readonly it = new NotYet('not yet') // one for all: what is thrown is not ours to measure
}

type AnyRun = Run<unknown, unknown>

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
  const rest = async (many: number, keep?: AnyRun[]): Promise<void> => {
    const { retried } = await jobs()
    for (let n = 0; n < many; n += 1) {
      const run = system.run(again, n)
      keep?.push(run)
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
  globalThis.gc?.()
  await calm()
  let cost = 0
  for (let round = -WARM_UP; round < MEASURED; round += 1) {
    const added: AnyRun[] = []
    const before = process.cpuUsage()
    if (what === 'adds') await rest(SAMPLE, added)
    else await finish(system, what === 'fires' ? soonAgain : sums)
    const { user, system: kernel } = process.cpuUsage(before)
    if (round >= 0) cost += user + kernel
    for (const run of added) run.cancel() // as many wait in each round
  }
  return end(cost / (MEASURED * SAMPLE))
}

async function finish(system: System, busy: typeof soonAgain | typeof sums): Promise<void> {
  await Promise.all(Array.from({ length: SAMPLE }, (_, n) => system.run(busy, n)))
}

/** Until no thread does anything any more. */
async function calm(): Promise<void> {
  for (;;) {
    const before = process.cpuUsage()
    await new Promise((resolve) => void setTimeout(resolve, 200))
    const { user, system: kernel } = process.cpuUsage(before)
    if (user + kernel < 5_000) return
  }
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
