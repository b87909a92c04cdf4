// A process that only waits for a job which another one works: `node awaiting-child.ts <where>`.
import { writeSync } from 'node:fs'
import { start } from '../../src/index.ts'
import { sqlite } from '../../src/brokers/sqlite.ts'
import { slowly } from './slow-task.ts'

const [where = ''] = process.argv.slice(2)
const system = await start(slowly, { broker: sqlite(where) })
system.pause(slowly)
const run = system.run(slowly, 'x')
await run.queued()
writeSync(1, 'queued\n')
writeSync(1, `${await run}\n`)
await system.stop()
