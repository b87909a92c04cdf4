// A process that stops on signals: `node signalled-child.ts <case>`. Says a line for each thing that happened.
import { writeSync } from 'node:fs'
import { start, stopOnSignals, supervisor, task } from 'rootcatch'

const [what = ''] = process.argv.slice(2)
const say = (line: string): void => void writeSync(1, `${line}\n`)

for (const name of what === 'two systems' ? ['a', 'b'] : ['a']) void live(name)

async function live(name: string): Promise<void> {
  let finish = (): void => {}
  const work = task('work', { shutdown: Infinity }, async (_: unknown, ctx) => {
    const isTold = new Promise<void>((resolve) => (finish = resolve))
    const isCutOff = new Promise<void>((_resolve, reject) => ctx.signal.addEventListener('abort', () => reject()))
    const keepsAlive = setInterval(() => {}, 60_000)
    await Promise.race([isTold, isCutOff]).finally(() => clearInterval(keepsAlive))
  })
  const system = await start(supervisor(name, [work]))
  const takeOff = stopOnSignals(system, {
    within: what === 'deadline' ? '20ms' : '1h',
    onSignal: (signal, how) => {
      say(`${name} ${signal} ${how}`)
      if (what === 'drain') finish()
      if (what === 'throw') throw new Error('from a user')
      if (what !== 'echo' || how !== 'drain') return
      process.once(signal, () => finish()) // heard after the one of the system: an echo has changed nothing by then
      process.kill(process.pid, signal)
    },
  })
  if (what === 'taken off') takeOff()
  const run = system.run(work)
  system.once('job.started', () => say('ready'))
  if (what === 'failed') system.once('job.started', () => void system.stop({ within: 0 }))
  await system.done
  say(`${name} ${(await run.settled()).status}`)
  say(`${name} left ${process.listenerCount('SIGTERM') + process.listenerCount('SIGINT')}`)
}
