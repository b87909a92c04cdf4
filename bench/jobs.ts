/**
 * Trivial jobs through the whole job chart, 1 000 in flight, the four ways they can go, against the same chart run by
 * XState itself and against what others put around an async function.
 *
 * How: every contender is a process of its own, measured for 1 s after a warm-up of 2 s; rounds are interleaved and a
 * ratio is the median of the ratios per round. Ours runs as users run it: under a supervisor in a tree, with runs that are
 * awaited, records in the memory broker, and stats. XState's is a chart of the same states as one writes it: what is done
 * is invoked as a promise, and the wait is `after`; each job is an actor of it below a root that does nothing else. "Bare" is
 * our own chart run by XState, with callbacks instead of promises, and with no wait at all: nobody writes that, but it is
 * the cheapest way to have XState run one. Nobody else runs a chart: p-queue and plain async have a
 * loop around the body written by hand, Effect its `retry` and `orElse`, nact an actor per job. Errors thrown are one and
 * the same object, so that nobody pays for taking stacks. CPU is that of the process, helpers of V8 included.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Measured, Way } from './jobs/drive.ts'
import { installPeers } from './peers/install.ts'
import { atLeast, atMost, median } from './rows.ts'

const isSmoke = process.argv.includes('--smoke')
const ROUNDS = isSmoke ? 1 : 5
const contender = fileURLToPath(new URL('jobs/contender.ts', import.meta.url))
const hasPeers = !isSmoke && installPeers()
const PEERS = hasPeers ? ['p-queue', 'nact', 'effect', 'plain'] : []
/** Ours again, with jobs on actors of XState instead of light ones. */
const SEAM = 'on xstate'
const WAYS: Readonly<Record<Way, { readonly goal: number; readonly aim: number; readonly others: readonly string[] }>> =
  {
    ok: { goal: 25, aim: 50, others: ['xstate bare', SEAM, 'listening', ...PEERS] },
    retry: { goal: 12, aim: 20, others: ['xstate bare', ...PEERS] },
    fallback: { goal: 15, aim: 25, others: ['xstate bare', ...PEERS] },
    answer: { goal: 12, aim: 20, others: ['xstate bare'] },
  }
const wanted = process.argv.slice(2).filter((word) => word in WAYS)

for (const [way, { goal, aim, others }] of Object.entries(WAYS)) {
  if (wanted.length > 0 && !wanted.includes(way)) continue
  const names = ['rootcatch', 'xstate', ...others]
  const rounds = Array.from({ length: ROUNDS }, () => new Map(names.map((name) => [name, run(name, way)])))
  const of = (name: string, what: keyof Measured): readonly number[] =>
    rounds.map((round) => (round.get(name) as Measured)[what])
  const ratio = (name: string, own = 'rootcatch'): number =>
    median(rounds.map((round) => (round.get(own) as Measured).perSecond / (round.get(name) as Measured).perSecond))
  console.log(`\n${way}, 1 000 in flight, ${ROUNDS} rounds`)
  for (const name of names) {
    const rate = Math.round(median(of(name, 'perSecond')))
    console.log(
      `${name.padEnd(11)} ${String(rate).padStart(8)} jobs/s ${median(of(name, 'cpu')).toFixed(2).padStart(7)} µs CPU ` +
        `${median(of(name, 'delay')).toFixed(1).padStart(5)} ms loop p99   rootcatch is x ${ratio(name).toFixed(2)}`,
    )
  }
  if (isSmoke) continue // says nothing about speed
  atLeast(`${way} job against stock XState`, ratio('xstate'), { goal, aim })
  if (way === 'ok' && hasPeers) {
    atLeast('ok job against p-queue', ratio('p-queue'), { goal: 1 })
    atLeast('ok job against Effect', ratio('effect'), { goal: 0, aim: 0.5 })
  }
  if (way === 'ok') atLeast('ok job without light actors against stock XState', ratio('xstate', SEAM), { goal: 20 })
  if (way === 'ok')
    atMost('loop delay p99 while saturated', median(of('rootcatch', 'delay')), { goal: 20, aim: 10, unit: 'ms' })
}

function run(name: string, way: string): Measured {
  const { stdout, status } = spawnSync(
    process.execPath,
    [contender, name === SEAM ? 'rootcatch' : name, way, ...(isSmoke ? ['--smoke'] : [])],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      encoding: 'utf8',
      env: { ...process.env, ...(name === SEAM && { ROOTCATCH_ACTORS: 'xstate' }) },
    },
  )
  if (status !== 0) throw new Error(`${name} ended with ${status}`)
  return JSON.parse(stdout) as Measured
}
