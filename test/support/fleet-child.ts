// A worker of a fleet: `node fleet-child.ts <options of bullmq() as JSON>`. Says a line for each job it begins and ends.
import { writeSync } from 'node:fs'
import { start, supervisor } from '../../src/index.ts'
import { bullmq, type BullmqOptions } from '../../src/brokers/bullmq.ts'
import { chaosWork } from './fleet-task.ts'

const say = (line: string): void => void writeSync(1, `${line}\n`)
const quiet = { info() {}, warn() {}, error() {}, debug() {} }
const options = JSON.parse(process.argv[2] ?? '') as BullmqOptions
await start(supervisor('app', [chaosWork(say)]), { broker: bullmq(options), log: quiet })
say('ready')
