/**
 * Crash and restart of one child, again and again, each time once it is back: ours against a supervisor of Erlang/OTP
 * with a gen_server, where `erl` is installed.
 *
 * How: both crash on a message and tell when they are up again; restart windows are wide, nothing is logged. Each
 * process runs alone, in interleaved rounds; the ratio is the median of the ratios per round. A supervisor of OTP
 * goes through the list of its latest restarts each time, so it is renewed for each hundred.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { atLeast, median } from './rows.ts'

const isSmoke = process.argv.includes('--smoke')
const ROUNDS = isSmoke ? 1 : 5
const COUNT = isSmoke ? '1000' : '40000'
const file = (name: string): string => fileURLToPath(new URL(`restarts/${name}`, import.meta.url))
const hasErlang = spawnSync('escript', [file('otp.escript'), '100']).status === 0

const ours: number[] = []
const otp: number[] = []
for (let round = 0; round < ROUNDS; round += 1) {
  ours.push(run(process.execPath, file('ours.ts')))
  if (hasErlang) otp.push(run('escript', file('otp.escript')))
}
console.log(`rootcatch   ${Math.round(median(ours))} restarts/s`)
if (hasErlang) console.log(`OTP         ${Math.round(median(otp))} restarts/s`)
else console.log('OTP         left out: there is no escript')
if (!isSmoke) {
  atLeast('crash and restart of one child', median(ours), { goal: 27_000, aim: 54_000, unit: '/s' })
  if (hasErlang) {
    atLeast('crash and restart against OTP', median(ours.map((rate, at) => rate / (otp[at] as number))), {
      goal: 1,
      aim: 2,
    })
  }
}

function run(program: string, script: string): number {
  const { stdout, status } = spawnSync(program, [script, COUNT], {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`${script} ended with ${status}`)
  return Number(stdout)
}
