// A worker with a job that kills its process: `node killed-child.ts <options of bullmq() as JSON> <number of that job>`.
import { resume, start, supervisor, task } from '../../src/index.ts'
import { bullmq, type BullmqOptions } from '../../src/brokers/bullmq.ts'

const quiet = { info() {}, warn() {}, error() {}, debug() {} }
const [options = '', deadly = ''] = process.argv.slice(2)
const work = task('work', { concurrency: 1 }, async (n: number) => {
  if (n === Number(deadly)) process.kill(process.pid, 'SIGKILL')
  return n
})
await start(supervisor('app', [work]), {
  broker: bullmq(JSON.parse(options) as BullmqOptions),
  catch: () => resume,
  log: quiet,
})
