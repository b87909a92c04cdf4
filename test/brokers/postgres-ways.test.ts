import { createConnection, createServer, type AddressInfo, type Socket } from 'node:net'
import { postgres, type PostgresOptions, type PostgresTarget } from 'rootcatch/postgres'
import { manualClock } from 'rootcatch/testing'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Broker, LeasedJob } from '../../src/brokers/broker.ts'
import { ask, importPg } from '../../src/brokers/postgres-driver.ts'
import { fromText, toText } from '../../src/brokers/postgres-text.ts'
import { elsewhere, newJob, outcomes, queue } from '../support/broker-job.ts'
import { postgresMissing, sharedPostgres } from '../support/postgres.ts'

test('any text is kept as one that Postgres takes, and comes back', () => {
  const text = fc.string({ unit: 'binary' })
  const half = fc.constantFrom('\uD800', '\uDFFF', '\u0000', '\u0001', '\u00010000', '🦊')
  fc.assert(
    fc.property(fc.array(fc.oneof(text, half)), (parts) => {
      const given = parts.join('')
      const kept = toText(given)
      expect(fromText(kept)).toBe(given)
      expect(kept).not.toContain('\u0000')
      expect(kept.isWellFormed()).toBe(true)
    }),
  )
})

describe.skipIf(postgresMissing)(`postgres()${postgresMissing === undefined ? '' : `: ${postgresMissing}`}`, () => {
  const url = sharedPostgres()
  let stores = 0
  const fresh = (): PostgresOptions => {
    stores += 1
    return { connection: url(), schema: `store_${stores}` }
  }

  async function opened(options: PostgresOptions): Promise<Broker> {
    const broker = postgres(options)
    await broker.open(manualClock(1_000_000))
    onTestFinished(() => broker.close())
    return broker
  }

  test('keeps names, lanes, keys and groups that no index takes, and that Postgres has no text for', async () => {
    const broker = await opened(fresh())
    for (const odd of ['x'.repeat(10_000), 'a\u0000b', '\uD800', '', "'; DROP TABLE jobs; --"]) {
      const path = `app/${odd}`
      const dedupe = { key: odd, for: undefined }
      const job = newJob(broker, { queue: path, lane: odd, group: odd, dedupe, idempotencyKey: odd })
      await broker.enqueue([job])
      expect(await broker.enqueue([{ ...job, id: 'other' }])).toEqual([{ id: job.id, duplicate: true }])
      const [lease] = await broker.lease(path, 1)
      expect(lease).toMatchObject({ id: job.id, queue: path, lane: odd, idempotencyKey: odd })
      expect(await broker.job(job.id)).toMatchObject({ path: `${path}/job:${job.id}`, lane: odd })
      await broker.step({ queue: path, outcome: outcomes.done(lease as LeasedJob), jobs: [], notes: { [odd]: odd } })
      expect(await broker.notes(path)).toEqual({ [odd]: odd })
    }
  })

  test('gives jobs of other groups than those to go without, in their order', async () => {
    const broker = await opened(fresh())
    const groups = ['a1 a', 'b1 b', 'none', 'c1 __proto__', 'a2 a'].map((text) => text.split(' ') as [string, string?])
    await broker.enqueue(groups.map(([id, group]) => newJob(broker, { id, ...(group !== undefined && { group }) })))
    const take = async (...without: string[]): Promise<readonly string[]> =>
      (await broker.lease(queue, 9, new Set(without))).map(({ id }) => id)
    expect(await take('a', 'b', '__proto__')).toEqual([])
    expect(await take('a', 'x')).toEqual(['b1', 'c1'])
    const many = Array.from({ length: 100 }, (_, n) => newJob(broker, { id: `many ${n}`, group: `group ${n}` }))
    await broker.enqueue(many)
    expect(await take('a', 'group 0')).toEqual([
      'many 1',
      'many 2',
      'many 3',
      'many 4',
      'many 5',
      'many 6',
      'many 7',
      'many 8',
      'many 9',
    ])
    expect((await take()).slice(0, 5)).toEqual(['a1', 'none', 'a2', 'many 0', 'many 10'])
  })

  test('reads a few rows and never the table, with 30 000 jobs that wait', { timeout: 60_000 }, async () => {
    const options = fresh()
    const broker = await opened(options)
    // While the table was empty its statements were planned.
    await broker.enqueue([newJob(broker)])
    for (const lease of await broker.lease(queue, 1)) await broker.settle([outcomes.done(lease)])
    await broker.enqueue(
      Array.from({ length: 30_000 }, (_, n) => newJob(broker, { priority: n % 3, group: `g${n % 5}` })),
    )
    const { Client } = await importPg()
    const client = new Client({ connectionString: url() })
    await client.connect()
    onTestFinished(async () => void (await client.end()))
    const touched = async (): Promise<number> => {
      await ask(client, 'SELECT pg_stat_force_next_flush()').catch(() => {})
      const { rows } = await ask(
        client,
        `SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_all_tables WHERE schemaname = '${options.schema}' AND relname = 'jobs'`,
      )
      return Number(rows[0]?.[0])
    }
    for (let times = 0; times < 50; times += 1) {
      const added = newJob(broker, { dedupe: { key: String(times), for: undefined }, lane: 'l' })
      await broker.enqueue([added])
      const [lease] = await broker.lease(queue, 1)
      await broker.settle([times % 2 === 0 ? outcomes.done(lease as LeasedJob) : outcomes.retry(lease as LeasedJob, 5)])
      const [other] = await broker.lease(queue, 1, new Set(['g0']))
      await broker.extend([other as LeasedJob])
      await broker.settle([outcomes.failed(other as LeasedJob)])
      await broker.cancel(added.id, 'enough')
      await broker.replay(String(other?.id), undefined)
      await broker.stats()
    }
    expect(await settled(touched)).toBeLessThan(50 * 200)
  })

  test('an answer that is lost does not make a step undone: who tells it again hears what became of it', async () => {
    const way = await badWay(url())
    const broker = await opened({ ...fresh(), connection: way.target })
    const known = newJob(broker, { dedupe: { key: 'known', for: Infinity } })
    await broker.enqueue([newJob(broker, { priority: -1 }), known])
    const [lease] = await broker.lease(queue, 1)
    const more = ['new', 'known', 'too many'].map((key) => newJob(broker, { dedupe: { key, for: Infinity } }))
    const room = { name: 'count', limit: 1, back: 0 }
    const step = { queue, outcome: outcomes.done(lease as LeasedJob), jobs: more, notes: { count: 1 }, room }
    way.cutAtNextAnswer()
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
  })

  test('an answer that is lost leaves no job with a holder who does not know of it', async () => {
    const way = await badWay(url())
    const broker = await opened({ ...fresh(), connection: way.target })
    await broker.enqueue([newJob(broker, { id: 'a' }), newJob(broker, { id: 'b' })])
    const [held] = await broker.lease(queue, 1)
    way.cutAtNextAnswer()
    await expect(broker.lease(queue, 1)).rejects.toMatchObject({ code: 'away' })
    expect((await broker.lease(queue, 9)).map(({ id }) => id)).toEqual(['b'])
    expect(await broker.settle([outcomes.done(held as LeasedJob)])).toEqual(['settled'])
    expect(await broker.job('a')).toMatchObject({ status: 'done' })
  })

  test('an outcome whose answer is lost is heard once', async () => {
    const way = await badWay(url())
    const broker = await opened({ ...fresh(), connection: way.target })
    await broker.enqueue([newJob(broker)])
    const [lease] = await broker.lease(queue, 1)
    const done = outcomes.done(lease as LeasedJob)
    way.cutAtNextAnswer()
    await expect(broker.settle([done])).rejects.toMatchObject({ code: 'away' })
    expect(await broker.settle([done])).toEqual(['settled'])
    expect(await broker.stats()).toMatchObject([{ waiting: 0, leased: 0 }])
  })

  test('says in a message that is too long for a notification that something is over', async () => {
    const options = fresh()
    const [a, b] = [await opened(options), await opened(options)]
    const told: unknown[] = []
    a.listen?.(elsewhere({ settled: (id) => told.push(id) }))
    await a.enqueue(Array.from({ length: 900 }, () => newJob(a)))
    await b.settle((await b.lease(queue, 900)).map((lease) => outcomes.done(lease)))
    await expect.poll(() => told).toEqual([undefined])
  })
})

/** Counters of Postgres follow after a while: until they stand still. */
async function settled(read: () => Promise<number>): Promise<number> {
  let last = -1
  await expect
    .poll(
      async () => {
        const now = await read()
        const isStill = now === last
        last = now
        return isStill
      },
      { interval: 1_100, timeout: 20_000 },
    )
    .toBe(true)
  return last
}

/** A way to a server that ends at the answer to a statement, after the server has done it. */
async function badWay(to: string): Promise<{ readonly target: PostgresTarget; cutAtNextAnswer(): void }> {
  const folder = decodeURIComponent(/host=(.+)$/.exec(to)?.[1] ?? '')
  let isAwaited = false
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = createConnection(`${folder}/.s.PGSQL.5432`)
    let isCut = false
    for (const socket of [near, far]) sockets.add(socket.on('error', () => {}))
    near.on('data', (data) => {
      if (isAwaited && data.includes('turn_')) [isCut, isAwaited] = [true, false]
      far.write(data)
    })
    far.on('data', (data) => (isCut ? near.destroy() : near.write(data)))
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const { port } = server.address() as AddressInfo
  return {
    target: { host: '127.0.0.1', port, user: 'postgres', database: 'postgres' },
    cutAtNextAnswer: () => (isAwaited = true),
  }
}
