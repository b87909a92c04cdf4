import { plugin, PluginTriggerError, start, supervisor, task, type Task } from 'rootcatch'
import type { Contender, Way } from './drive.ts'
import { double, doubleLater, fail, type Input } from './work.ts'

/** All in use: a supervisor in a tree, runs that are awaited, records of the broker, stats; `listens` adds a listener. */
export async function ours(way: Way, listens: boolean): Promise<Contender> {
  const work = tasks[way]
  const system = await start(supervisor('app', [supervisor('sums', [work])]))
  let heard = 0
  if (listens) system.on('job.done', () => (heard += 1))
  return {
    begin: (n, settled) => void system.run(work, { n }).then(settled),
    close: async () => {
      const { jobs, openRuns } = await system.stats()
      const done = way === 'fallback' ? jobs.fellBack : jobs.done
      const isHeard = !listens || heard === jobs.done
      if (openRuns !== 0 || done !== jobs.added || !isHeard) throw new Error('a job is missing')
      await system.stop()
    },
  }
}

const concurrency = 1_000
/** As `ctx.pluginError(…)` throws it; the same one, as all bodies here throw, so that nobody pays for taking a stack. */
const HELP = new PluginTriggerError({ message: 'help', code: 'help' })
const answers = plugin('answers', { pluginError: () => 'answered' })

const tasks: Readonly<Record<Way, Task<Input, unknown>>> = {
  ok: task('work', { concurrency }, double),
  retry: task('work', { concurrency, retry: { attempts: 2 } }, (input: Input, { attempt }) =>
    doubleLater(input, attempt),
  ),
  fallback: task('work', { concurrency, fallback: ({ n }: Input) => n * 3 }, (_: Input) => fail()),
  answer: task('work', { concurrency, plugins: [answers] }, async (): Promise<unknown> => {
    throw HELP
  }),
}
