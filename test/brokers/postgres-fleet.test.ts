import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import { resume, start, supervisor, type RunOutcome, type System } from 'rootcatch'
import { postgres, type PostgresOptions } from 'rootcatch/postgres'
import { manualClock } from 'rootcatch/testing'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { newJob, outcomes, queue } from '../support/broker-job.ts'
import { startChild, type TalkingChild } from '../support/child-lines.ts'
import { chaosWork } from '../support/fleet-task.ts'
import { ownPostgres, type OwnPostgres } from '../support/own-postgres.ts'
import { postgresMissing } from '../support/postgres.ts'

const CHILD = fileURLToPath(import.meta.resolve('../support/postgres-child.ts'))
const STORE_CHILD = fileURLToPath(import.meta.resolve('../support/broker-child.ts'))
const SLOTS = 20
const log = { info() {}, warn() {}, error() {}, debug() {} }

describe.skipIf(postgresMissing)(
  `processes on one Postgres${postgresMissing === undefined ? '' : `: ${postgresMissing}`}`,
  () => {
    let server: OwnPostgres
    let stores = 0

    beforeAll(async () => {
      server = await ownPostgres()
      await server.start()
    }, 60_000)
    afterAll(() => server.remove(), 60_000)

    const optionsOf = (more: Partial<PostgresOptions> = {}): PostgresOptions => {
      stores += 1
      return {
        connection: server.url,
        schema: `store_${stores}`,
        lostLimit: 100,
        keepResults: { last: 100_000 },
        ...more,
      }
    }

    async function begin(options: PostgresOptions): Promise<{
      readonly asking: System
      readonly spawn: () => Promise<TalkingChild>
      readonly ask: (n: number) => Promise<RunOutcome>
    }> {
      const work = chaosWork(() => {})
      const asking = await start(supervisor('app', [work]), { broker: postgres(options), catch: () => resume, log })
      asking.pause(work)
      const children: TalkingChild[] = []
      onTestFinished(async () => {
        await Promise.all(children.map((child) => child.kill()))
        await asking.stop()
      })
      return {
        asking,
        spawn: async () => {
          const child = startChild(CHILD, [JSON.stringify(options)])
          children.push(child)
          await child.until((line) => line === 'ready')
          return child
        },
        // Asked again with the same key where the answer did not come: it may have been taken, and is then the same job.
        ask: async (n) => {
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
        },
      }
    }

    const numbers = (child: TalkingChild, word: string): number[] =>
      child.lines.flatMap((line) => (line.startsWith(`${word} `) ? [Number(line.slice(word.length + 1))] : []))

    test('share the work, and run each job once', { timeout: 60_000 }, async () => {
      const { spawn, ask } = await begin(optionsOf())
      const workers = await Promise.all([spawn(), spawn()])
      const outcomesOfAll = await Promise.all(Array.from({ length: 400 }, (_, n) => ask(n)))
      expect(outcomesOfAll.map(({ value }) => value)).toEqual(outcomesOfAll.map((_, n) => 2 * n))
      const ended = workers.map((worker) => numbers(worker, 'ended'))
      expect(Math.min(...ended.map((list) => list.length))).toBeGreaterThan(0)
      expect(ended.flat().toSorted((a, b) => a - b)).toEqual(Array.from({ length: 400 }, (_, n) => n))
    })

    test(
      'lose no job when one is killed, or the server: twice runs only what was under way',
      { timeout: 60_000 },
      async () => {
        const { asking, spawn, ask } = await begin(optionsOf({ lease: '1s' }))
        const workers = await Promise.all([spawn(), spawn()])
        const all: Promise<RunOutcome>[] = []
        const asked = (async () => {
          for (let n = 0; n < 1_200; n += 1) {
            all.push(ask(n))
            if (n % 20 === 0) await sleep(40)
          }
        })()
        await sleep(500)
        await workers[0]?.kill()
        workers.push(await spawn())
        await server.kill()
        await sleep(200)
        await server.start()
        await sleep(500)
        await workers[1]?.kill()
        await asked
        const settled = await Promise.all(all)
        expect(settled.map(({ status }) => status)).toEqual(settled.map(() => 'done'))
        expect(settled.map(({ value }) => value)).toEqual(settled.map((_, n) => 2 * n))
        const ended = workers.flatMap((worker) => numbers(worker, 'ended'))
        expect(ended.length - new Set(ended).size).toBeLessThanOrEqual(3 * SLOTS * 2)
        expect(await asking.queues()).toMatchObject([{ waiting: 0, delayed: 0, leased: 0, dead: 0 }])
      },
    )

    test(
      'give a job of one that was killed again, and say that it was lost once too often',
      { timeout: 60_000 },
      async () => {
        const options = optionsOf({ lostLimit: 2 })
        const holder = startChild(STORE_CHILD, ['postgres', JSON.stringify({ ...options, lostLimit: 2 }), 'hold'])
        await holder.until((line) => line === 'ready')
        await holder.kill()
        const clock = manualClock(Date.now())
        const told: unknown[] = []
        const broker = postgres({ ...options, lostLimit: 2 })
        await broker.open(clock) // of this machine, and gone for sure: nobody waits for its lease
        onTestFinished(() => broker.close())
        broker.listen?.({
          settled: () => {},
          cancelled: () => {},
          buried: ({ id, failure }) => told.push([id, failure.kind]),
        })
        const [again] = await broker.lease(queue, 1)
        expect(again).toMatchObject({ id: 'leased', attempts: 0 })
        await clock.advance(broker.leaseTime)
        expect((await broker.lease(queue, 1))[0]?.id).toBe('waiting')
        expect(told).toEqual([['leased', 'lost']])
        expect(await broker.job('leased')).toMatchObject({ status: 'failed', failure: { kind: 'lost' } })
      },
    )

    test('hear of each other without a look: what is added, and what is over', { timeout: 60_000 }, async () => {
      const options = optionsOf({ poll: '1h' })
      const [a, b] = [postgres(options), postgres(options)]
      for (const broker of [a, b]) {
        await broker.open(systemClock)
        onTestFinished(() => broker.close())
      }
      const [woken, settled]: [number[], unknown[]] = [[], []]
      b.watch(queue, () => woken.push(1))
      a.listen?.({ settled: (id) => settled.push(id), cancelled: () => {}, buried: () => {} })
      expect(await b.lease(queue, 1)).toEqual([]) // from now on it waits
      const [added] = await a.enqueue([newJob(a)])
      await expect.poll(() => woken.length).toBeGreaterThan(0)
      const [lease] = await b.lease(queue, 1)
      await b.settle([outcomes.done(lease as never)])
      await expect.poll(() => settled).toEqual([added?.id])
    })
  },
)
