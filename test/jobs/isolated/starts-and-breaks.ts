import { start, task } from 'rootcatch'

export const work = task('work', { isolate: true }, () => 1)

// What goes wrong in the thread is that it was refused, and what came of that.
const system = await start(work).catch((error: unknown) => error as Error)
console.log(system instanceof Error ? (system.cause as Error).message : 'started')
