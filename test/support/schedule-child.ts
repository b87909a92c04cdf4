// A process with a schedule on a store: `node schedule-child.ts <where>`. Says a line for each tick whose job is done.
import { writeSync } from 'node:fs'
import { start, task } from '../../src/index.ts'
import { sqlite } from '../../src/brokers/sqlite.ts'

const [where = ''] = process.argv.slice(2)
const tick = task('tick', { every: '200ms' }, () => {})
const system = await start(tick, { broker: sqlite(where) })
system.on('job.done', ({ id }) => writeSync(1, `${Date.parse(id.slice(id.indexOf('@') + 1))}\n`))
setInterval(() => {}, 60_000)
