/**
 * The fleet's broker beside a bare BullMQ worker that does the same: jobs are added one by one, worked and settled, in one
 * process, on one Redis of its own over a unix socket with `appendfsync everysec`. Both keep the latest 10 000 results,
 * 1 000 events and the engine's metrics.
 *
 * How: rounds are interleaved, each in a new process that warms up first; a ratio is the median of the ratios per round.
 * Throughput is with work at hand: twenty jobs are under way for each slot. Latency is without a queue: from asking for a
 * job until its result is there, with as many under way as there are slots. Ours tells who awaits the run, which the bare
 * one leaves to whoever wants it. CPU is that of the process, Redis is besides.
 */
import { spawnSync } from 'node:child_process'
import { findRedis, startRedis } from '../tools/redis.ts'
import { bare, rootcatch } from './fleet/contenders.ts'
import { atLeast, atMost, median } from './rows.ts'

interface Load {
  readonly concurrency: number
  readonly inFlight: number
  readonly jobs: number
  readonly rounds: number
}

interface Measured {
  readonly perSecond: number
  /** ms. */
  readonly p99: number
  /** Of the process, in µs per job. */
  readonly cpu: number
}

const isSmoke = process.argv.includes('--smoke')
const QUEUED = 20
const LOADS: readonly Load[] = isSmoke
  ? [{ concurrency: 50, inFlight: 50, jobs: 1_000, rounds: 1 }]
  : [
      // One at a time each job waits for two processes to be given a core in turn: rounds differ by half.
      { concurrency: 1, inFlight: QUEUED, jobs: 5_000, rounds: 11 },
      { concurrency: 1, inFlight: 1, jobs: 1_500, rounds: 7 },
      { concurrency: 50, inFlight: 50 * QUEUED, jobs: 15_000, rounds: 5 },
      { concurrency: 50, inFlight: 50, jobs: 10_000, rounds: 5 },
    ]
const CONTENDERS = { ours: rootcatch, bare }
type Name = keyof typeof CONTENDERS

let total = 0
const child = process.argv.indexOf('--contender')
if (child === -1) await compare()
else console.log(JSON.stringify(await measure(process.argv.slice(child + 1))))

async function compare(): Promise<void> {
  const found = findRedis()
  if ('missing' in found) return console.log(`skipped: ${found.missing}`)
  if ('url' in found) return console.log('skipped: this needs a Redis it can start; set ROOTCATCH_REDIS to a program.')
  const redis = await startRedis(found, { appendfsync: 'everysec' })
  for (const load of LOADS) {
    const rounds = Array.from({ length: load.rounds }, (_, round) => {
      const names: readonly Name[] = round % 2 === 0 ? ['ours', 'bare'] : ['bare', 'ours']
      const path = 'path' in redis.address ? redis.address.path : ''
      const all = names.map((name) => [name, spawnContender(name, load, path)] as const)
      return Object.fromEntries(all) as Record<Name, Measured>
    })
    tell(load, rounds)
  }
  await redis.stop()
}

function tell({ concurrency, inFlight, jobs }: Load, rounds: readonly Record<Name, Measured>[]): void {
  const of = (name: Name, what: keyof Measured): number => median(rounds.map((round) => round[name][what]))
  const ratiosOf = (what: keyof Measured): readonly number[] =>
    rounds.map(({ ours, bare: other }) => ours[what] / other[what])
  for (const name of ['ours', 'bare'] as const) {
    const text = `${Math.round(of(name, 'perSecond'))} jobs/s, p99 ${of(name, 'p99').toFixed(1)} ms, ${of(name, 'cpu').toFixed(0)} µs CPU`
    console.log(`concurrency ${concurrency}, ${inFlight} under way, ${jobs} jobs, ${name}: ${text}`)
  }
  if (isSmoke) return
  if (inFlight > concurrency) {
    atLeast(`bullmq() against a bare worker, ${concurrency} at once`, median(ratiosOf('perSecond')), {
      goal: 0.9,
      aim: 0.97,
    })
  } else {
    atMost(`bullmq() against a bare worker, ${concurrency} at once: p99`, median(ratiosOf('p99')), { goal: 1.2 })
  }
}

function spawnContender(name: Name, load: Load, path: string): Measured {
  const args = [import.meta.filename, '--contender', name, JSON.stringify(load), path]
  const { stdout, status } = spawnSync(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`${name} ended with ${status}`)
  return JSON.parse(stdout) as Measured
}

async function measure([name = '', text = '', path = '']: readonly string[]): Promise<Measured> {
  const { concurrency, inFlight, jobs } = JSON.parse(text) as Load
  const contender = await CONTENDERS[name as Name](path, concurrency)
  const drive = (count: number): Promise<readonly number[]> =>
    new Promise((resolve) => {
      const [startedAt, took] = [new Map<number, number>(), [] as number[]]
      let added = 0
      const settled = (n: number): void => {
        took.push(performance.now() - (startedAt.get(n) as number))
        if (took.length === count) return resolve(took)
        refillSoon()
      }
      let isDue = false
      const refillSoon = (): void => {
        if (isDue) return
        isDue = true
        setImmediate(refill)
      }
      const refill = (): void => {
        isDue = false
        const more = Math.min(count - added, inFlight - (added - took.length))
        for (let index = 0; index < more; index += 1) startedAt.set(base + added + index + 1, performance.now())
        added += more
        if (more > 0) contender.add(more, settled)
      }
      const base = total
      total += count
      refill()
    })
  await drive(Math.ceil(jobs / 3)) // warm-up
  const [startedAt, before] = [performance.now(), process.cpuUsage()]
  const took = await drive(jobs)
  const seconds = (performance.now() - startedAt) / 1_000
  const { user, system } = process.cpuUsage(before)
  await contender.close()
  const p99 = took.toSorted((a, b) => a - b)[Math.floor(took.length * 0.99)] as number
  return { perSecond: jobs / seconds, p99, cpu: (user + system) / jobs }
}
