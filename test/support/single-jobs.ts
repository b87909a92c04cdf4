// Adds and works jobs of a file, each only after the one before is settled: `node single-jobs.ts <file> <jobs>`. Says on a
// line of its own what it was just told, and when a body runs.
import { writeSync } from 'node:fs'
import { start, supervisor, task } from 'rootcatch'
import { sqlite } from 'rootcatch/sqlite'

const [file = '', jobs = '1'] = process.argv.slice(2)
const say = (line: string): void => void writeSync(1, `${line}\n`)

const work = task('work', async () => say('runs'))
const system = await start(supervisor('app', [work]), { broker: sqlite(file) })
for (let left = Number(jobs); left > 0; left -= 1) {
  system.pause(work) // so that nothing else is written before it is confirmed
  say('adds')
  const run = system.run(work, undefined)
  await run.queued()
  say('confirmed')
  system.unpause(work)
  await run
  say('settled')
}
await system.stop()
