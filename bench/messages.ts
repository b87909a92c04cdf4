/**
 * Messages to one actor under a supervisor, and to a gen_server of Erlang/OTP where `erl` is installed. Both add up what
 * they are sent, and are looked at in the end. An actor of ours takes a message at once, in the turn of its sender; one
 * of OTP has a mailbox and a process of its own, which a second core may run.
 *
 * How: each process runs alone, in interleaved rounds, warmed up; the ratio is the median of the ratios per round.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { atLeast, median } from './rows.ts'

const isSmoke = process.argv.includes('--smoke')
const ROUNDS = isSmoke ? 1 : 5
const COUNT = isSmoke ? '20000' : '4000000'
const file = (name: string): string => fileURLToPath(new URL(`messages/${name}`, import.meta.url))
const hasErlang = spawnSync('escript', [file('otp.escript'), '100']).status === 0

const rounds = Array.from({ length: ROUNDS }, () => ({
  ours: run(process.execPath, file('ours.ts')),
  otp: hasErlang ? run('escript', file('otp.escript')) : Number.NaN,
}))
console.log(`rootcatch   ${Math.round(median(rounds.map(({ ours }) => ours)))} messages/s`)
if (hasErlang) {
  console.log(`OTP         ${Math.round(median(rounds.map(({ otp }) => otp)))} messages/s`)
  const ratio = median(rounds.map(({ ours, otp }) => ours / otp))
  if (!isSmoke) atLeast('a message to an actor, against OTP', ratio, { goal: 0.5, aim: 1 })
} else console.log('OTP         left out: there is no escript')

function run(program: string, script: string): number {
  const { stdout, status } = spawnSync(program, [script, COUNT], {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`${script} ended with ${status}`)
  return Number(stdout)
}
