// A worker of a fleet that another process looks at: `node inspected-child.ts <options of bullmq() as JSON> <where to>`.
import { createWebSocketInspector } from '@statelyai/inspect'
import { writeSync } from 'node:fs'
import { bullmq, type BullmqOptions } from '../../src/brokers/bullmq.ts'
import { start, supervisor } from '../../src/index.ts'
import { chaosWork } from './fleet-task.ts'

const [options = '', url = ''] = process.argv.slice(2)
const quiet = { info() {}, warn() {}, error() {}, debug() {} }
await start(supervisor('app', [chaosWork(() => {})]), {
  broker: bullmq(JSON.parse(options) as BullmqOptions),
  inspect: createWebSocketInspector({ url }).inspect as never,
  log: quiet,
})
writeSync(1, 'ready\n')
