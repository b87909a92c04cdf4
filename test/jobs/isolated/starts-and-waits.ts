import { start, task } from 'rootcatch'

export const work = task('work', { isolate: true }, () => 1)

await using system = await start(work)
console.log(await system.run(work, undefined))
