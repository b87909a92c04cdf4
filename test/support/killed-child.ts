// A worker with a job that kills its process after some ms: `node killed-child.ts <options of bullmq() as JSON> <ms> [its
// number]`. Without a number it is the first one behind 60 that had been taken ahead, which the child says.
import { writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { resume, start, supervisor, task } from '../../src/index.ts'
import { bullmq, type BullmqOptions } from '../../src/brokers/bullmq.ts'

const quiet = { info() {}, warn() {}, error() {}, debug() {} }
const [options = '', ms = '', number] = process.argv.slice(2)
let hasOneEnded = false // in this turn of the event loop: the next was here already
const work = task('work', { concurrency: 1 }, async (n: number) => {
  const isDeadly = number === undefined ? n > 60 && hasOneEnded : n === Number(number)
  hasOneEnded = true
  setImmediate(() => (hasOneEnded = false))
  if (!isDeadly) return n
  writeSync(1, `${n}\n`)
  if (Number(ms) > 0) await sleep(Number(ms))
  process.kill(process.pid, 'SIGKILL')
  return n
})
const broker = bullmq(JSON.parse(options) as BullmqOptions)
await start(supervisor('app', [work]), { broker, catch: () => resume, log: quiet })
