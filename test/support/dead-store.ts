import { PermanentError, resume, start, supervisor, task, type Broker, type System } from 'rootcatch'
import { sqlite } from 'rootcatch/sqlite'

const upload = task('upload', () => {
  throw new PermanentError('403 for https://bob:hunter2@files.example\n\u001b[31mAuthorization: Bearer abcdef123456')
})
const resize = task('resize', { timeout: '1ms' }, (_: unknown, ctx) => ctx.sleep('1h'))
const tree = supervisor('app', [supervisor('media', [upload, resize])])

/** Fills a store, by its broker or the path of its file: two uploads that were thrown, a resize that timed out, and one of each that waits. */
export async function fillStore(
  store: string | Broker,
): Promise<{ readonly thrown: readonly string[]; readonly timedOut: string }> {
  const broker = typeof store === 'string' ? sqlite(store) : store
  const system = await start(tree, { broker, catch: () => resume })
  const thrown = [await fail(system, upload), await fail(system, upload)]
  const timedOut = await fail(system, resize)
  system.pause(upload)
  system.pause(resize)
  await system.run(upload, { user: 'me', password: 'hunter2' }).queued()
  await system.run(resize, undefined, { delay: '1h' }).queued()
  await system.stop()
  return { thrown, timedOut }
}

async function fail(system: System, which: typeof upload | typeof resize): Promise<string> {
  const run = system.run(which as typeof upload, { user: 'me', password: 'hunter2' })
  await run.settled()
  return run.id
}
