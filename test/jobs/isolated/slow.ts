import { isMainThread } from 'node:worker_threads'
import { task } from 'rootcatch'

/** Its thread takes longer to begin than an attempt may take. */
export const slow = task('slow', { isolate: true, timeout: 1_000 }, (what: string) => {
  if (what === 'exit') process.exit(0)
  return what
})

if (!isMainThread) for (const end = performance.now() + 1_200; performance.now() < end;);
