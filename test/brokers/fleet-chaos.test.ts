import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import { resume, start, supervisor, type RunOutcome } from 'rootcatch'
import { bullmq, type BullmqOptions } from 'rootcatch/bullmq'
import { describe, expect, test } from 'vitest'
import { startChild } from '../support/child-lines.ts'
import { chaosWork } from '../support/fleet-task.ts'
import { ownRedis } from '../support/own-redis.ts'
import { redisMissing } from '../support/redis.ts'

const CHILD = fileURLToPath(import.meta.resolve('../support/fleet-child.ts'))
const JOBS = 5_000
const WORKERS = 3
const SLOTS = 20

describe.skipIf(redisMissing)(`a fleet${redisMissing === undefined ? '' : `: ${redisMissing}`}`, () => {
  test(
    'settles every job, whoever is killed meanwhile, Redis included: none is lost, and twice runs only what was under way',
    { timeout: 120_000 },
    async () => {
      const redis = await ownRedis()
      await redis.start('--appendfsync', 'always')
      const options: BullmqOptions = {
        connection: { host: '127.0.0.1', port: redis.port },
        lease: '2s',
        lostLimit: 100,
        keepResults: { last: 100_000 },
      }
      const lines: (readonly string[])[] = []
      const spawn = (): ReturnType<typeof startChild> => {
        const child = startChild(CHILD, [JSON.stringify(options)])
        lines.push(child.lines)
        return child
      }
      const workers = Array.from({ length: WORKERS }, spawn)
      const work = chaosWork(() => {})
      const asking = await start(supervisor('app', [work]), {
        broker: bullmq(options),
        catch: () => resume,
        log: { info() {}, warn() {}, error() {}, debug() {} },
      })
      asking.pause(work)
      await Promise.all(workers.map((worker) => worker.until((line) => line === 'ready')))

      let incidents = 0
      const killWorker = async (): Promise<void> => {
        const which = Math.floor(Math.random() * WORKERS)
        await workers[which]?.kill()
        workers[which] = spawn()
      }
      const restartRedis = async (): Promise<void> => {
        await redis.kill()
        await sleep(500)
        await redis.start('--appendfsync', 'always')
      }
      const happenings = [
        killWorker,
        killWorker,
        () => redis.ask('CLIENT', 'PAUSE', '1000'),
        killWorker,
        restartRedis,
        killWorker,
        killWorker,
        () => redis.ask('CLIENT', 'PAUSE', '500', 'WRITE'),
        restartRedis,
        killWorker,
      ]
      const chaos = (async () => {
        for (const happen of happenings) {
          await sleep(1_200)
          incidents += 1
          await happen()
        }
      })()

      // Asked again with the same key where the answer did not come: it may have been taken, and is then the same job.
      const ask = async (n: number): Promise<RunOutcome> => {
        for (;;) {
          const run = asking.run(work, n, { dedupe: { key: String(n), for: '1h' } })
          try {
            await run.queued()
          } catch {
            await sleep(100)
            continue
          }
          return run.settled()
        }
      }
      const outcomes: Promise<RunOutcome>[] = []
      for (let n = 0; n < JOBS; n += 1) {
        outcomes.push(ask(n))
        if (n % 25 === 0) await sleep(60)
      }
      const settled = await Promise.all(outcomes)
      await chaos
      expect(settled.filter(({ status }) => status !== 'done')).toEqual([])
      expect(settled.map(({ value }) => value)).toEqual(settled.map((_, n) => n * 2))

      const ended = new Map<number, number>()
      for (const line of lines.flat()) {
        if (line.startsWith('ended ')) ended.set(Number(line.slice(6)), (ended.get(Number(line.slice(6))) ?? 0) + 1)
      }
      const twice = [...ended.values()].filter((times) => times > 1).length
      expect(ended.size).toBeGreaterThan(JOBS - incidents * SLOTS) // a line may end with its process
      expect(twice).toBeLessThanOrEqual(incidents * SLOTS * WORKERS)
      expect(await asking.queues()).toMatchObject([{ queue: 'app/work', waiting: 0, delayed: 0, leased: 0, dead: 0 }])
      await Promise.all(workers.map((worker) => worker.kill()))
      await asking.stop()
      await redis.remove()
    },
  )
})
