import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Queue, Worker } from 'bullmq'
import { memory, start, supervisor, task } from 'rootcatch'
import { sqlite } from 'rootcatch/sqlite'

/** What takes jobs, works them and says when each is settled: one process, and Redis besides where it is used. */
export interface Contender {
  add(jobs: number, settled: () => void): void
  close(): Promise<void>
}

/** The body of every job. */
const double = async ({ n }: { readonly n: number }): Promise<number> => n * 2

/** Beside the code and not in the system's folder for temporary files, which may be in memory. */
const FOLDER = new URL('../../.cache/', import.meta.url).pathname

export async function rootcatch(kind: 'memory' | 'sqlite', concurrency: number): Promise<Contender> {
  const folder = mkdtempSync(join(FOLDER, 'throughput-'))
  const work = task('work', { concurrency }, double)
  const broker = kind === 'sqlite' ? sqlite(join(folder, 'jobs.db')) : memory()
  const system = await start(supervisor('app', [work]), { broker })
  let n = 0
  return {
    add: (jobs, settled) => {
      for (let index = 0; index < jobs; index += 1) void system.run(work, { n: (n += 1) }).then(settled)
    },
    close: async () => {
      await system.stop()
      rmSync(folder, { recursive: true })
    },
  }
}

/** Added in bulk, nothing kept, ends heard from the worker: of its settings those that are fastest here. */
export async function bullmq(path: string, concurrency: number): Promise<Contender> {
  const connection = { path, maxRetriesPerRequest: null }
  const queue = new Queue<{ n: number }, number>('work', { connection, streams: { events: { maxLen: 0 } } })
  const body = async ({ data }: { readonly data: { readonly n: number } }): Promise<number> => double(data)
  const worker = new Worker<{ n: number }, number>('work', body, {
    connection,
    concurrency,
    removeOnComplete: { count: 0 },
  })
  let tell = (): void => {}
  worker.on('completed', () => tell())
  queue.on('error', fail)
  worker.on('error', fail)
  await Promise.all([worker.waitUntilReady(), queue.waitUntilReady()])
  let n = 0
  return {
    add: (jobs, settled) => {
      tell = settled
      queue.addBulk(Array.from({ length: jobs }, () => ({ name: 'double', data: { n: (n += 1) } }))).catch(fail)
    },
    close: async () => {
      await worker.close()
      await queue.close()
    },
  }
}

function fail(error: unknown): never {
  console.error(error)
  process.exit(1)
}
