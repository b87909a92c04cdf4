/**
 * Crash and restart of one child, again and again, each time once it is back: ours against a supervisor of Erlang/OTP
 * with a gen_server, where `erl` is installed.
 *
 * How: both crash on a message and tell when they are up again; restart windows are wide, nothing is logged. Each
 * process runs alone, in interleaved rounds, warmed up by 20 000, long enough to be over half a second; the ratio is the
 * median of the ratios per round. Ours is as users run it: events, with a listener to one; counters; the latest failures.
 * To OTP's advantage, its three log reports per crash are off, and its supervisor, which goes through the list of its
 * latest restarts each time, is renewed for each hundred.
 *
 * Once as errors are by default, with ten frames of their stack, and once without any. OTP gets its frames for next to
 * nothing; in V8 to take them down costs about as much as half of the restart, and it is the child's own `new Error` that
 * pays for it: no supervisor can change that. So the goal is for the restart, and the other is told beside it.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { atLeast, median } from './rows.ts'

const isSmoke = process.argv.includes('--smoke')
const ROUNDS = isSmoke ? 1 : 5
const COUNT = isSmoke ? 1_000 : 100_000
const file = (name: string): string => fileURLToPath(new URL(`restarts/${name}`, import.meta.url))
const hasErlang = spawnSync('escript', [file('otp.escript'), '100', '0']).status === 0

for (const frames of [0, 10]) measure(frames)

function measure(frames: number): void {
  const ours: number[] = []
  const otp: number[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    ours.push(run(process.execPath, 'ours.ts', frames))
    if (hasErlang) otp.push(run('escript', 'otp.escript', frames))
  }
  const ratio = hasErlang ? median(ours.map((rate, at) => rate / (otp[at] as number))) : undefined
  const rates = [`rootcatch ${Math.round(median(ours))} restarts/s`, hasErlang && `OTP ${Math.round(median(otp))}`]
  console.log(`errors with ${frames} frames: ${rates.filter(Boolean).join(', ')}`)
  if (ratio !== undefined) console.log(`  x ${ratio.toFixed(2)} of OTP`)
  else console.log('  OTP is left out: there is no escript')
  if (isSmoke || frames > 0) return
  atLeast('crash and restart of one child', median(ours), { goal: 27_000, aim: 54_000, unit: '/s' })
  if (ratio !== undefined) atLeast('crash and restart against OTP', ratio, { goal: 1, aim: 2 })
}

function run(program: string, script: string, frames: number): number {
  const { stdout, status } = spawnSync(program, [file(script), String(COUNT), String(frames)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`${script} ended with ${status}`)
  return Number(stdout)
}
