import { Queue, Worker } from 'bullmq'
import { start, supervisor, task } from 'rootcatch'
import { bullmq } from 'rootcatch/bullmq'

/** What takes jobs, works them and says when each is settled; all of it in one process, beside a Redis. */
export interface Contender {
  add(jobs: number, settled: (n: number) => void): void
  close(): Promise<void>
}

/** The body of every job. */
const double = async ({ n }: { readonly n: number }): Promise<number> => n * 2

/** As a user has it: runs that are awaited, results and events kept as by default. */
export async function rootcatch(path: string, concurrency: number): Promise<Contender> {
  const work = task('work', { concurrency }, double)
  const broker = bullmq({ connection: { path }, prefix: `ours-${Date.now()}` })
  const system = await start(supervisor('app', [work]), { broker })
  let n = 0
  return {
    add: (jobs, settled) => {
      for (let index = 0; index < jobs; index += 1) {
        const job = (n += 1)
        void system.run(work, { n: job }).then(() => settled(job))
      }
    },
    close: () => system.stop(),
  }
}

/** A bare worker that keeps as much as ours does: the latest results, events and metrics. */
export async function bare(path: string, concurrency: number): Promise<Contender> {
  const connection = { path, maxRetriesPerRequest: null }
  const prefix = `bare-${Date.now()}`
  const queue = new Queue<{ n: number }, number>('work', { connection, prefix, streams: { events: { maxLen: 1_000 } } })
  const body = async ({ data }: { readonly data: { readonly n: number } }): Promise<number> => double(data)
  const worker = new Worker<{ n: number }, number>('work', body, {
    connection,
    prefix,
    concurrency,
    metrics: { maxDataPoints: 1_440 },
    removeOnComplete: { count: 10_000, age: 24 * 60 * 60 },
  })
  let tell: (n: number) => void = () => {}
  worker.on('completed', ({ data }) => tell(data.n))
  queue.on('error', fail)
  worker.on('error', fail)
  await Promise.all([worker.waitUntilReady(), queue.waitUntilReady()])
  let n = 0
  return {
    add: (jobs, settled) => {
      tell = settled
      for (let index = 0; index < jobs; index += 1) queue.add('double', { n: (n += 1) }).catch(fail)
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
