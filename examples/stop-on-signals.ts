/** The first signal lets work end and the second cuts it off; what was cut off is a durable broker's again. */
import { start, stopOnSignals, supervisor, task } from 'rootcatch'

const render = task('render', { shutdown: '10s' }, async (page: number, ctx) => {
  await ctx.sleep(page === 1 ? '50ms' : '1h')
  return `page ${page}`
})

const system = await start(supervisor('printer', [render]))
stopOnSignals(system, {
  within: '10s',
  onSignal: (signal, how) => console.log(`${signal}: ${how}`),
})

const [first, second] = [system.run(render, 1), system.run(render, 2)]
system.once('job.started', () => process.kill(process.pid, 'SIGTERM')) // as a deployment would, in the middle of work
console.log('first:', await first)
process.kill(process.pid, 'SIGINT') // somebody does not want to wait for page 2
await system.done
console.log('second:', (await second.settled()).status)

// prints:
// SIGTERM: drain
// first: page 1
// SIGINT: cut off
// second: cancelled
