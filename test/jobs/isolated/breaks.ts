import { isMainThread } from 'node:worker_threads'
import { task } from 'rootcatch'

export const broken = task('broken', { isolate: true }, () => 1)

if (!isMainThread) throw new TypeError('no such library')
