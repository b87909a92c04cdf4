/**
 * Trivial jobs end to end (added, worked, settled, awaited) by the memory broker, the sqlite broker and BullMQ on a Redis
 * of its own, side by side.
 *
 * How: each contender is one process that adds and works, with the same body, the same number of jobs in flight and as
 * many slots; Redis is one process more, on a unix socket. sqlite is a file on disk with `synchronous=FULL`: what is
 * confirmed or settled is on disk before that is told. Redis writes its log every second (`appendfsync everysec`), so it
 * may lose the last one; a full run also has it with `always`, which promises what sqlite does, and without any log.
 * BullMQ adds in bulk, keeps nothing and needs no event stream: of its settings the fastest. `steady` keeps so many jobs
 * in flight and adds when some end; `backlog` adds all of them first. The rounds are interleaved, each in a new process
 * that warms up first; a ratio is the median of the ratios per round. CPU is that of the contender's process; that of
 * Redis is not in it. A machine that is busy with something else flatters whoever needs one process.
 */
import { mkdirSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { findRedis, startRedis, type Appendfsync, type RunningRedis } from '../tools/redis.ts'
import { atLeast, median, type Target } from './rows.ts'
import { bullmq, rootcatch } from './throughput/contenders.ts'
import { drive, type Load } from './throughput/drive.ts'

interface Rate {
  readonly perSecond: number
  /** Of the process, in µs per job. */
  readonly cpu: number
}

const isSmoke = process.argv.includes('--smoke')
const ROUNDS = isSmoke ? 1 : 5
const LOADS: readonly Load[] = isSmoke
  ? [{ pattern: 'steady', inFlight: 32, jobs: 600 }]
  : [
      { pattern: 'steady', inFlight: 1, jobs: 2_000 },
      { pattern: 'steady', inFlight: 32, jobs: 10_000 },
      { pattern: 'steady', inFlight: 256, jobs: 20_000 },
      { pattern: 'backlog', inFlight: 256, jobs: 20_000 },
    ]
const RULER = 'bullmq everysec'
const REDIS: readonly Appendfsync[] = isSmoke ? ['everysec'] : ['everysec', 'always', 'off']
const NAMES = ['memory', 'sqlite', ...REDIS.map((appendfsync) => `bullmq ${appendfsync}`)]
/** Of the load that counts, in multiples of BullMQ. */
const TARGETS: Readonly<Record<string, Target>> = { memory: { goal: 20, aim: 40 }, sqlite: { goal: 5, aim: 8 } }
const isHeadline = ({ pattern, inFlight }: Load): boolean => pattern === 'steady' && inFlight === 256

const child = process.argv.indexOf('--contender')
if (child === -1) await compare()
else console.log(JSON.stringify(await measure(process.argv.slice(child + 1))))

async function compare(): Promise<void> {
  const found = findRedis()
  if ('missing' in found) return console.log(`skipped: ${found.missing}`)
  if ('url' in found) return console.log('skipped: this needs a Redis it can start; set ROOTCATCH_REDIS to a program.')
  mkdirSync(new URL('../.cache/', import.meta.url), { recursive: true })
  const servers = new Map<string, RunningRedis>()
  for (const appendfsync of REDIS) servers.set(`bullmq ${appendfsync}`, await startRedis(found, { appendfsync }))
  for (const load of LOADS) {
    const rounds = Array.from(
      { length: ROUNDS },
      () => new Map(NAMES.map((name) => [name, spawnContender(name, load, servers.get(name))])),
    )
    print(load, rounds)
  }
  for (const server of servers.values()) await server.stop()
}

function spawnContender(name: string, load: Load, redis: RunningRedis | undefined): Rate {
  const path = redis !== undefined && 'path' in redis.address ? redis.address.path : ''
  const args = [import.meta.filename, '--contender', name, JSON.stringify(load), path]
  const { stdout, status } = spawnSync(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`${name} ended with ${status}`)
  return JSON.parse(stdout) as Rate
}

async function measure([name = '', text = '', redis = '']: readonly string[]): Promise<Rate> {
  const load = JSON.parse(text) as Load
  const { inFlight, jobs } = load
  const made = await (name === 'memory' || name === 'sqlite' ? rootcatch(name, inFlight) : bullmq(redis, inFlight))
  await drive(made, { ...load, jobs: Math.ceil(jobs / 5) }) // warm-up
  const [startedAt, before] = [performance.now(), process.cpuUsage()]
  await drive(made, load)
  const seconds = (performance.now() - startedAt) / 1_000
  const { user, system } = process.cpuUsage(before)
  await made.close()
  return { perSecond: jobs / seconds, cpu: (user + system) / jobs }
}

function print(load: Load, rounds: readonly ReadonlyMap<string, Rate>[]): void {
  const of = (name: string, what: keyof Rate): readonly number[] =>
    rounds.map((round) => (round.get(name) as Rate)[what])
  const ruler = of(RULER, 'perSecond')
  console.log(`\n${load.pattern}, ${load.inFlight} in flight, ${load.jobs} jobs, ${ROUNDS} rounds`)
  for (const name of NAMES) {
    const rates = of(name, 'perSecond')
    const ratios = rates.map((rate, round) => rate / (ruler[round] as number))
    const ratio = median(ratios)
    const spread = `${Math.min(...ratios).toFixed(1)}–${Math.max(...ratios).toFixed(1)}`
    console.log(
      `${name.padEnd(16)}${String(Math.round(median(rates))).padStart(7)} jobs/s ${median(of(name, 'cpu')).toFixed(0).padStart(5)} µs CPU ` +
        ` x ${ratio.toFixed(2)} (${spread})`,
    )
    const target = isHeadline(load) ? TARGETS[name] : undefined
    if (target !== undefined) atLeast(`${name} broker against BullMQ, end to end`, ratio, target)
  }
}
