// A worker with a job that kills its process after some ms: `node killed-child.ts <options of bullmq() as JSON> <number> <ms>`.
import { setTimeout as sleep } from 'node:timers/promises'
import { resume, start, supervisor, task } from '../../src/index.ts'
import { bullmq, type BullmqOptions } from '../../src/brokers/bullmq.ts'

const quiet = { info() {}, warn() {}, error() {}, debug() {} }
const [options = '', deadly = '', after = ''] = process.argv.slice(2)
const work = task('work', { concurrency: 1 }, async (n: number) => {
  if (n !== Number(deadly)) return n
  if (Number(after) > 0) await sleep(Number(after))
  process.kill(process.pid, 'SIGKILL')
  return n
})
await start(supervisor('app', [work]), {
  broker: bullmq(JSON.parse(options) as BullmqOptions),
  catch: () => resume,
  log: quiet,
})
