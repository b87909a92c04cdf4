/**
 * Whether a unit costs the same when there are many: spawn, stop and restart of children, jobs that finish and that are
 * tried again, at 1 000, 10 000 and 100 000.
 *
 * How: each number is taken in a process of its own, as CPU per unit, collector included: where there are few, the rounds
 * are more, so that as many units are measured; the least of two. The ratio is the dearest of the larger ones to the smallest.
 */
import { spawnSync } from 'node:child_process'
import { actor, start, supervisor, task, type ChildRef, type System } from 'rootcatch'
import { fromTransition } from 'xstate'
import { atMost } from './rows.ts'

const isSmoke = process.argv.includes('--smoke')
const SIZES = isSmoke ? [500, 5_000] : [1_000, 10_000, 100_000]
const MOST = Math.max(...SIZES)
const WHAT = ['spawn', 'stop', 'restart', 'finish', 'retry'] as const
type What = (typeof WHAT)[number]

const child = actor(
  'child',
  fromTransition((state: object) => state, {}),
)

function compare(): void {
  for (const what of WHAT) {
    const costs = SIZES.map((size) => one(what, size))
    console.log(`${what.padEnd(8)} ${SIZES.map((size, at) => `${costs[at]?.toFixed(2)} µs at ${size}`).join(', ')}`)
    const ratio = Math.max(...costs.slice(1)) / (costs[0] as number)
    if (!isSmoke) atMost(`growth of ${what}, up to 100 000`, ratio, { goal: 1.5, aim: 1.2 })
  }
}

function one(what: What, size: number): number {
  const args = ['--expose-gc', import.meta.filename, '--one', what, String(size)]
  const { stdout, status } = spawnSync(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`${what} ended with ${status}`)
  return Number(stdout)
}

async function measure(what: What, size: number): Promise<number> {
  const rounds = Math.ceil(MOST / size)
  const costs: number[] = []
  for (let sample = 0; sample < 2; sample += 1) {
    let sum = 0
    for (let round = 0; round < rounds; round += 1) sum += await measures[what](size)
    costs.push(sum / rounds)
  }
  return Math.min(...costs)
}

const measures: Readonly<Record<What, (size: number) => Promise<number>>> = {
  spawn: async (size) => {
    const system = await start(supervisor('app', [supervisor('crowd', [])]))
    const cost = await cpu(size, () => spawn(system, size))
    await system.stop()
    return cost
  },
  stop: async (size) => {
    const system = await start(supervisor('app', [supervisor('crowd', [])]))
    await spawn(system, size)
    return cpu(size, () => system.stop())
  },
  restart: async (size) => {
    const system = await start(supervisor('app', [supervisor('crowd', [child])]))
    await spawn(system, size - 1)
    const crowd = system.supervisor('app/crowd')
    const cost = await cpu(size, async () => {
      for (let n = 0; n < size; n += 1) {
        await crowd.stopChild('child')
        await crowd.restartChild('child')
      }
    })
    await system.stop()
    return cost
  },
  finish: (size) => jobs(size, 1),
  retry: (size) => jobs(size, 2),
}

const NOT_YET = new Error('not yet')

async function jobs(size: number, attempts: number): Promise<number> {
  const work = task('work', { concurrency: size, retry: { attempts } }, async (n: number, { attempt }) => {
    if (attempt < attempts) throw NOT_YET
    return n
  })
  const system = await start(supervisor('app', [work]))
  const all = async (): Promise<unknown> => Promise.all(Array.from({ length: size }, (_, n) => system.run(work, n)))
  await all()
  const cost = await cpu(size, all)
  await system.stop()
  return cost
}

async function spawn(system: System, count: number): Promise<readonly ChildRef[]> {
  const refs: ChildRef[] = []
  for (let index = 0; index < count; index += 1) refs.push(await system.spawn(child, { under: 'app/crowd' }))
  return refs
}

async function cpu(units: number, work: () => Promise<unknown>): Promise<number> {
  globalThis.gc?.()
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / units
}

const at = process.argv.indexOf('--one')
if (at === -1) compare()
else console.log(await measure(process.argv[at + 1] as What, Number(process.argv[at + 2])))
