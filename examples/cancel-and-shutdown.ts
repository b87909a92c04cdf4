/** Jobs are cancelled by whoever asked for them; on SIGTERM what runs may end, and what waits is told. */
import { CancelledError, start, supervisor, task } from 'rootcatch'

const render = task('render', { concurrency: 1, shutdown: '2s' }, async (page: number, ctx) => {
  console.log(`page ${page} begins`)
  await ctx.sleep('50ms')
  return `page ${page}`
})

const system = await start(supervisor('printer', [render]))
process.once('SIGTERM', () => {
  console.log('SIGTERM')
  void system.stop()
})

const isRendering = new Promise((resolve) => system.once('job.started', resolve))
const [first, second, third] = [1, 2, 3].map((page) => system.run(render, page))
await isRendering
second?.cancel('the reader left')
await second?.catch((error: unknown) => {
  if (error instanceof CancelledError) console.log(error.message)
})

process.kill(process.pid, 'SIGTERM') // as a deployment would, in the middle of work
console.log('first:', await first?.settled())
await system.done
const last = await third?.settled()
if (last?.status === 'cancelled') console.log('third:', last.status, String(last.reason).split('.')[0])

// prints:
// page 1 begins
// job printer/render/job:2 was cancelled: the reader left. Use run.settled() where a cancel is expected.
// SIGTERM
// first: { status: 'done', value: 'page 1', attempts: 1 }
// third: cancelled SystemStoppedError: system "printer" stopped before job printer/render/job:3 was over
