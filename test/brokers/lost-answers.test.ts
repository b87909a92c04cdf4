import { createConnection, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { bullmq } from 'rootcatch/bullmq'
import { manualClock } from 'rootcatch/testing'
import { describe, expect, test } from 'vitest'
import type { LeasedJob } from '../../src/brokers/broker.ts'
import type { RedisAddress } from '../../tools/redis.ts'
import { newJob, outcomes, queue } from '../support/broker-job.ts'
import { redisMissing, sharedRedis } from '../support/redis.ts'

describe.skipIf(redisMissing)(
  `an answer of Redis that is lost${redisMissing === undefined ? '' : `: ${redisMissing}`}`,
  () => {
    const address = sharedRedis()

    test('does not make a step undone: who tells it again hears that it was settled, and what became of its jobs', async () => {
      const way = await badWay(address())
      const broker = bullmq({ connection: { host: '127.0.0.1', port: way.port }, prefix: 'lost-step' })
      await broker.open(manualClock(1_000_000))
      const known = newJob(broker, { dedupe: { key: 'known', for: Infinity } })
      await broker.enqueue([newJob(broker, { priority: -1 }), known])
      const [lease] = await broker.lease(queue, 1)
      const more = [
        newJob(broker, { dedupe: { key: 'new', for: Infinity } }),
        newJob(broker, { dedupe: { key: 'known', for: Infinity } }),
        newJob(broker, { dedupe: { key: 'too many', for: Infinity } }),
      ]
      const room = { name: 'count', limit: 1, back: 0 }
      const step = { queue, outcome: outcomes.done(lease as LeasedJob), jobs: more, notes: { count: 1 }, room }
      way.cutAtAnswerTo('step')
      await expect(broker.step(step)).rejects.toMatchObject({ code: 'away' })
      expect(await broker.step(step)).toEqual({
        answer: 'settled',
        enqueued: [
          { id: more[0]?.id, duplicate: false },
          { id: known.id, duplicate: true },
          { id: more[2]?.id, duplicate: false, refused: true },
        ],
      })
      expect(await broker.stats()).toMatchObject([{ queue, waiting: 2, leased: 0 }])
      expect((await broker.step({ ...step, outcome: outcomes.done(lease as LeasedJob) })).answer).toBe('lost')
      await broker.close()
      way.close()
    })

    test('of a turn makes no job that was done run again', async () => {
      const way = await badWay(address())
      const broker = bullmq({ connection: { host: '127.0.0.1', port: way.port }, prefix: 'lost-turn' })
      await broker.open(manualClock(1_000_000))
      await broker.enqueue([newJob(broker)])
      const [lease] = await broker.lease(queue, 1)
      const done = outcomes.done(lease as LeasedJob)
      way.cutAtAnswerTo('turn')
      const added = broker.enqueue([newJob(broker)])
      await expect(broker.settle([done])).rejects.toMatchObject({ code: 'away' })
      await expect(added).rejects.toMatchObject({ code: 'away' }) // it may have been added, and was
      expect(await broker.settle([done])).toEqual(['settled'])
      expect(await broker.stats()).toMatchObject([{ queue, waiting: 1, leased: 0 }])
      await broker.close()
      way.close()
    })
  },
)

interface BadWay {
  readonly port: number
  /** The next answer to such an operation does not arrive, and the connection is gone. */
  cutAtAnswerTo(operation: string): void
  close(): void
}

async function badWay(address: RedisAddress): Promise<BadWay> {
  let awaited: string | undefined
  const sockets = new Set<Socket>()
  const server: Server = createServer((near) => {
    const far = 'path' in address ? createConnection(address.path) : createConnection(portOf(address.url))
    let isCut = false
    for (const socket of [near, far]) sockets.add(socket.on('error', () => {}))
    near.on('data', (data) => {
      if (awaited !== undefined && data.includes(`\r\n${awaited}\r\n`)) isCut = true
      if (isCut) awaited = undefined
      far.write(data)
    })
    far.on('data', (data) => (isCut ? near.destroy() : near.write(data)))
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    cutAtAnswerTo: (operation) => (awaited = operation),
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

function portOf(url: string): { readonly host: string; readonly port: number } {
  const { hostname, port } = new URL(url)
  return { host: hostname, port: Number(port || 6379) }
}
