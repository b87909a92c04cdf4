/**
 * Whether a unit costs the same when there are many, at 1 000, 10 000 and 100 000: to spawn a child beside so many others,
 * to stop one, to stop and start one again; a job that finishes beside so many of its task that are in flight, and one that
 * is tried again; children that all fail in one turn (storm), that restart because of one of them (round), that are all
 * stopped with their system (end); jobs that are all asked for in one turn and finish (burst), or are tried again (trouble).
 *
 * How: each number is taken in a process of its own, as CPU per unit, collector included. In each, 100 000 units are done
 * to warm up, and then three times 100 000, the least of which counts; there is one full collection, before the first of
 * them. With one before each round, as it was, small rounds cost three times what they do, for V8 throws away what it has
 * compiled. Sizes are interleaved, five rounds of them; a ratio is the median of those of the dearest of the larger ones to the
 * smallest. In storms and rounds every child gets a new life at
 * once; where they are many, the collector has to move each of them twice, which costs more than the restart, and at the end
 * all of them are ended in one turn. What counts there is that ten times as many do not cost ten times as much each.
 *
 * It is the same with bursts: a job, its run and what waits for it are 1.1 KB until it is taken, and 100 000 of them fit
 * into no nursery. Half of it are the promises of whoever awaits a run. `promises` are those alone, with a body that is an
 * async function and nothing else of a job, for comparison: they grow more than jobs do.
 */
import { spawnSync } from 'node:child_process'
import { actor, start, supervisor, task, type ChildRef, type Strategy, type System } from 'rootcatch'
import { fromTransition } from 'xstate'
import { atMost, median } from './rows.ts'

const isSmoke = process.argv.includes('--smoke')
const SIZES = isSmoke ? [500, 5_000] : [1_000, 10_000, 100_000]
const ROUNDS = isSmoke ? 1 : 5
const MOST = Math.max(...SIZES)
const WHAT = [
  'spawn',
  'stop',
  'restart',
  'finish',
  'retry',
  'storm',
  'round',
  'end',
  'burst',
  'trouble',
  'promises',
] as const
type What = (typeof WHAT)[number]
const ALL_AT_ONCE: ReadonlySet<What> = new Set<What>(['storm', 'round', 'end', 'burst', 'trouble'])

const NOT_YET = new Error('not yet')

const child = actor(
  'child',
  fromTransition((state: object) => state, {}),
)

const fragile = fromTransition((state: object, { type }: { readonly type: string }) => {
  if (type === 'crash') throw NOT_YET
  return state
}, {})

function compare(): void {
  for (const what of WHAT) {
    const rounds = Array.from({ length: ROUNDS }, () => SIZES.map((size) => one(what, size)))
    const costs = SIZES.map((_, at) => median(rounds.map((round) => round[at] as number)))
    console.log(`${what.padEnd(9)} ${SIZES.map((size, at) => `${costs[at]?.toFixed(2)} µs at ${size}`).join(', ')}`)
    const ratio = median(rounds.map(([first, ...larger]) => Math.max(...larger) / (first as number)))
    const target = ALL_AT_ONCE.has(what) ? { goal: 5, aim: 3 } : { goal: 1.5, aim: 1.2 }
    if (!isSmoke && what !== 'promises') atMost(`growth of ${what}, up to 100 000`, ratio, target)
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

/** CPU of one round in µs, and how many units it had. What is to be there before is not part of it. */
type Round = () => Promise<{ readonly cost: number; readonly units: number }>

async function measure(what: What, size: number): Promise<number> {
  const round = await prepare[what](size)
  await sample(round)
  globalThis.gc?.()
  const costs: number[] = []
  for (let count = 0; count < 3; count += 1) costs.push(await sample(round))
  return Math.min(...costs)
}

async function sample(round: Round): Promise<number> {
  let [total, done] = [0, 0]
  while (done < MOST) {
    const { cost, units } = await round()
    total += cost
    done += units
  }
  return total / done
}

/** Of children that come and go beside others. */
const BATCH = 500

const prepare: Readonly<Record<What, (size: number) => Promise<Round>>> = {
  spawn: async (size) => {
    const system = await crowd(size)
    let added: readonly ChildRef[] = []
    return async () => {
      await remove(system, added)
      return cpu(BATCH, async () => (added = await spawn(system, BATCH)))
    }
  },
  stop: async (size) => {
    const system = await crowd(size)
    return async () => {
      const added = await spawn(system, BATCH)
      return cpu(BATCH, () => remove(system, added))
    }
  },
  restart: async (size) => {
    const system = await crowd(size)
    const supervisor = system.supervisor('app/crowd')
    return () =>
      cpu(BATCH, async () => {
        for (let n = 0; n < BATCH; n += 1) {
          await supervisor.stopChild('child')
          await supervisor.restartChild('child')
        }
      })
  },
  storm: (size) => crash(size, 'one-for-one', (refs) => refs),
  round: (size) => crash(size, 'one-for-all', (refs) => refs.slice(0, 1)),
  end: async (size) => async () => {
    const system = await crowd(size)
    return cpu(size, () => system.stop())
  },
  finish: (size) => jobs({ beside: size, units: BATCH, attempts: 1 }),
  retry: (size) => jobs({ beside: size, units: BATCH, attempts: 2 }),
  burst: (size) => jobs({ beside: 0, units: size, attempts: 1 }),
  trouble: (size) => jobs({ beside: 0, units: size, attempts: 2 }),
  promises: async (size) => () => cpu(size, () => atOnce(size, (n) => new Handle(n))),
}

/** All of one task; the body of those that stay in flight never ends. */
async function jobs(given: { readonly beside: number; readonly units: number; readonly attempts: number }) {
  const { beside, units, attempts } = given
  const options = { concurrency: beside + units, retry: { attempts } }
  const work = task('work', options, async (n: number, { attempt }) => {
    if (n < 0) return new Promise<number>(() => {})
    if (attempt < attempts) throw NOT_YET
    return n
  })
  const system = await start(supervisor('app', [work]))
  for (let n = 0; n < beside; n += 1) system.run(work, -1)
  while ((await system.stats()).jobs.started < beside) await turn()
  return (): ReturnType<Round> => cpu(units, () => atOnce(units, (n) => system.run(work, n)))
}

function atOnce(count: number, unit: (n: number) => PromiseLike<number>): Promise<unknown> {
  return Promise.all(Array.from({ length: count }, (_, n) => unit(n)))
}

/** What is left of a run without a job. */
class Handle implements PromiseLike<number> {
  readonly #promise: Promise<number>

  constructor(n: number) {
    let settle: (value: number) => void
    this.#promise = new Promise((resolve) => (settle = resolve))
    queue.push(() => void echo(n).then(settle))
    if (queue.length === 1) queueMicrotask(() => workOff(queue.splice(0)))
  }

  // oxlint-disable-next-line unicorn/no-thenable -- as a run
  then<Result, Otherwise>(
    onValue?: ((value: number) => Result | PromiseLike<Result>) | null,
    onError?: ((error: unknown) => Otherwise | PromiseLike<Otherwise>) | null,
  ): Promise<Result | Otherwise> {
    return this.#promise.then(onValue, onError) as Promise<Result | Otherwise>
  }
}

const queue: (() => void)[] = []

const echo = async (n: number): Promise<number> => n

/** As many in a step as a worker takes. */
function workOff(all: readonly (() => void)[], from = 0): void {
  for (const begin of all.slice(from, from + 32)) begin()
  if (from + 32 < all.length) queueMicrotask(() => workOff(all, from + 32))
}

function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}

/** Children of which some fail, all in one turn; until all that restarts because of it is up again. */
async function crash(
  size: number,
  strategy: Strategy,
  failing: (refs: readonly ChildRef[]) => readonly ChildRef[],
): Promise<Round> {
  const wide = { limit: 1_000_000, within: '1h' } as const
  const children = Array.from({ length: size }, (_, n) => actor(`child-${n}`, fragile))
  const system = await start(supervisor('app', { strategy, restarts: wide }, children))
  const refs = system
    .supervisor('app')
    .children()
    .map(({ ref }) => ref)
  let left = 0
  let areBack = (): void => {}
  system.on('actor.started', () => {
    left -= 1
    if (left === 0) areBack()
  })
  return () =>
    cpu(size, () => {
      left = size
      const all = new Promise<void>((resolve) => (areBack = resolve))
      for (const ref of failing(refs)) ref.send({ type: 'crash' })
      return all
    })
}

async function crowd(size: number): Promise<System> {
  const system = await start(supervisor('app', [supervisor('crowd', [child])]))
  await spawn(system, size - 1)
  return system
}

async function spawn(system: System, count: number): Promise<readonly ChildRef[]> {
  const refs: ChildRef[] = []
  for (let index = 0; index < count; index += 1) refs.push(await system.spawn(child, { under: 'app/crowd' }))
  return refs
}

async function remove(system: System, refs: readonly ChildRef[]): Promise<void> {
  const supervisor = system.supervisor('app/crowd')
  for (const { path } of refs) await supervisor.stopChild(path.slice(path.lastIndexOf('/') + 1))
}

async function cpu(units: number, work: () => Promise<unknown>): ReturnType<Round> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return { cost: user + system, units }
}

const at = process.argv.indexOf('--one')
if (at === -1) compare()
else console.log(await measure(process.argv[at + 1] as What, Number(process.argv[at + 2])))
