import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
import { PayloadError, start, task } from 'rootcatch'
import { manualClock, settle, type ManualClock } from 'rootcatch/testing'
import type { Broker, JobStatus, LeasedJob, NewJob, Outcome, Tick } from '../../src/brokers/broker.ts'
import { elsewhere, failureOf, newJob, outcomes, queue } from '../support/broker-job.ts'
import { startChild } from '../support/child-lines.ts'

/** A kind of broker, and how to get at its store. */
export interface BrokerKind {
  /** On a store nobody has used. */
  create(): Broker
  /** On the store of the latest `create`, as another process would open it. Absent: the store ends with its process. */
  again?(): Broker
  /** Arguments that let `support/broker-child.ts` open that store. */
  child?(): readonly string[]
  /** Jobs of whichever state that this store holds. */
  kept?(): number
}

const CHILD = fileURLToPath(import.meta.resolve('../support/broker-child.ts'))

/** What every broker promises (`semantics/tasks.md` §10). */
export function describeBroker(name: string, kind: BrokerKind): void {
  const open: Broker[] = []

  afterEach(async () => {
    for (const broker of open.splice(0)) await broker.close()
  })

  async function opened(broker: Broker, clock: ManualClock): Promise<Broker> {
    open.push(broker)
    await broker.open(clock)
    return broker
  }

  async function fresh(): Promise<{ readonly broker: Broker; readonly clock: ManualClock }> {
    const clock = manualClock(1_000_000)
    return { broker: await opened(kind.create(), clock), clock }
  }

  /** A second process where there can be one, else the same. */
  const second = async (broker: Broker, clock: ManualClock): Promise<Broker> =>
    kind.again === undefined ? broker : opened(kind.again(), clock)

  async function add(broker: Broker, ...jobs: Partial<NewJob>[]): Promise<readonly string[]> {
    const enqueued = await broker.enqueue(jobs.map((job) => newJob(broker, job)))
    return enqueued.map(({ id }) => id)
  }

  async function take(broker: Broker): Promise<LeasedJob> {
    const [lease] = await broker.lease(queue, 1)
    if (lease === undefined) throw new Error('nothing to take')
    return lease
  }

  const idsOf = (leases: readonly { readonly id: string }[]): readonly string[] => leases.map(({ id }) => id)
  const takeIds = async (broker: Broker, limit = 100): Promise<readonly string[]> =>
    idsOf(await broker.lease(queue, limit))

  async function workAll(broker: Broker, limit = 500): Promise<number> {
    let worked = 0
    for (;;) {
      const leases = await broker.lease(queue, limit)
      if (leases.length === 0) return worked
      await broker.settle(leases.map((lease) => outcomes.done(lease)))
      worked += leases.length
    }
  }

  async function die(broker: Broker, ...ids: string[]): Promise<void> {
    await add(broker, ...ids.map((id) => ({ id })))
    for (const lease of await broker.lease(queue, ids.length)) await broker.settle([outcomes.failed(lease)])
  }

  /** What the store says of each queue, without how long the oldest waits. */
  const countsOf = async (broker: Broker): Promise<unknown> =>
    (await broker.stats()).map(({ waiting, delayed, leased, dead }) => ({ waiting, delayed, leased, dead }))

  const leaseTime = kind.create().leaseTime
  const runsOut = Number.isFinite(leaseTime)
  const survives = kind.again !== undefined
  const aWhile = runsOut ? (leaseTime * 2) / 3 : 20_000

  describe(`${name}`, () => {
    test('1 gives a job that was confirmed once', async () => {
      const { broker } = await fresh()
      const [id] = await add(broker, { input: { url: 'x' } })
      expect(await broker.lease(queue, 10)).toMatchObject([
        { id, queue, input: { url: 'x' }, attempts: 0, charged: 0, putOffs: 0, generation: 1 },
      ])
      expect(await takeIds(broker)).toEqual([])
      expect(await broker.lease('app/other', 10)).toEqual([])
    })

    test('2 takes a batch as a whole', async () => {
      const { broker } = await fresh()
      const answers = await broker.enqueue(['a', 'b', 'c'].map((id) => newJob(broker, { id })))
      expect(answers).toEqual(['a', 'b', 'c'].map((id) => ({ id, duplicate: false })))
      expect(await takeIds(broker)).toEqual(['a', 'b', 'c'])
      if (!survives) return // in memory nothing stands between the first and the last
      await expect(add(broker, { id: 'd' }, { id: 'a' })).rejects.toBeInstanceOf(Error)
      expect(await broker.job('d')).toBeUndefined()
      expect(await takeIds(broker)).toEqual([])
    })

    test('3 never gives an id twice', async () => {
      const { broker, clock } = await fresh()
      const other = await second(broker, clock)
      const ids = Array.from({ length: 5_000 }, (_, index) => (index % 3 === 0 ? other : broker).newId())
      expect(new Set(ids).size).toBe(5_000)
    })

    describe('asked by a system', () => {
      const echo = task('echo', async (input: unknown) => input)
      test.each([
        ['4 queues nothing for a payload that JSON cannot keep', { born: new Date(0) }],
        ['5 refuses an input that is too large', 'x'.repeat(300_000)],
        ['6 refuses a key __proto__', JSON.parse('{ "deep": { "__proto__": { "isAdmin": true } } }') as unknown],
      ])('%s', async (_, input) => {
        const { broker, clock } = await fresh()
        const system = await start(echo, { broker, clock })
        await expect(system.run(echo, input)).rejects.toBeInstanceOf(PayloadError)
        expect((await broker.stats()).filter(({ waiting, leased }) => waiting + leased > 0)).toEqual([])
        await system.stop()
      })

      test('6 keeps the keys constructor and prototype', async () => {
        const { broker, clock } = await fresh()
        const kept = { constructor: 1, prototype: { constructor: 'x' } }
        const system = await start(echo, { broker, clock })
        expect(await system.run(echo, kept)).toEqual(kept)
        await system.stop()
      })
    })

    test('7 keeps every text, and 200 KB of it', async () => {
      const { broker } = await fresh()
      const text = `äöü 漢字 🦊 e\u0301 \u0000 \u2028 "quotes" \\ \uD83D half`
      const input = {
        [text]: text,
        long: '🦊'.repeat(50_000),
        nothing: null,
        zero: 0,
        empty: '',
        no: false,
        list: [[]],
      }
      const [id = ''] = await add(broker, { input })
      const lease = await take(broker)
      expect(lease.input).toEqual(input)
      await broker.settle([outcomes.done(lease, input)])
      expect(await broker.job(id)).toMatchObject({ status: 'done', input, value: input })
    })

    test('8 gives a smaller priority first', async () => {
      const { broker } = await fresh()
      await add(broker, { id: 'late', priority: 1_000_000 }, { id: 'middle' }, { id: 'first', priority: -4 })
      const first = await take(broker)
      expect(first.id).toBe('first')
      await broker.settle([outcomes.release(first)])
      expect(await takeIds(broker)).toEqual(['first', 'middle', 'late'])
    })

    test('9 gives equals in the order they came', async () => {
      const { broker } = await fresh()
      const ids = Array.from({ length: 30 }, (_, index) => `job ${index}`)
      for (const id of ids) await add(broker, { id })
      expect([...(await takeIds(broker, 7)), ...(await takeIds(broker))]).toEqual(ids)
    })

    test('10 takes negative priorities', async () => {
      const { broker } = await fresh()
      await add(broker, { id: 'a', priority: -1 }, { id: 'b', priority: -1_000_000 }, { id: 'c', priority: 0 })
      expect(await takeIds(broker)).toEqual(['b', 'a', 'c'])
    })

    test('11 gives delays of 300, 100 and 200 sorted', async () => {
      const { broker, clock } = await fresh()
      for (const delay of [300, 100, 200]) await add(broker, { id: String(delay), delay })
      await clock.advance(300)
      expect(await takeIds(broker)).toEqual(['100', '200', '300'])
    })

    test('12 gives nothing early, not by a millisecond', async () => {
      const { broker, clock } = await fresh()
      await add(broker, { id: 'a', delay: 100 })
      await clock.advance(99)
      expect(await takeIds(broker)).toEqual([])
      expect(await broker.job('a')).toMatchObject({ status: 'delayed', dueAt: 1_000_100 })
      await clock.advance(1)
      expect(await takeIds(broker)).toEqual(['a'])
    })

    test('13 keeps the priority of a job that is tried again', async () => {
      const { broker, clock } = await fresh()
      await add(broker, { id: 'middle', priority: 5 })
      await broker.settle([outcomes.retry(await take(broker), 100)])
      await add(broker, { id: 'last', priority: 9 }, { id: 'first', priority: 0 })
      await clock.advance(100)
      expect(await takeIds(broker)).toEqual(['first', 'middle', 'last'])
    })

    test('14 gives one job of a lane at a time', async () => {
      const { broker } = await fresh()
      await add(broker, { id: 'a', lane: 'x' }, { id: 'b', lane: 'x' })
      const first = await take(broker)
      expect(await takeIds(broker)).toEqual([])
      await broker.settle([outcomes.done(first)])
      expect(await takeIds(broker)).toEqual(['b'])
    })

    test('15 gives a lane in order, whatever the priorities and delays', async () => {
      const { broker, clock } = await fresh()
      await add(broker, { id: 'second', lane: 'x', delay: 50 })
      await add(broker, { id: 'first', lane: 'x', priority: 9 }, { id: 'third', lane: 'x', delay: 80, priority: -9 })
      await clock.advance(100)
      await add(broker, { id: 'fourth', lane: 'x', priority: -10 })
      const order: string[] = []
      for (let step = 0; step < 4; step += 1) {
        const lease = await take(broker)
        order.push(lease.id)
        await broker.settle([outcomes.done(lease)])
      }
      expect(order).toEqual(['first', 'second', 'third', 'fourth'])
    })

    test('15 puts what was due earlier first, although nobody looked', async () => {
      const { broker, clock } = await fresh()
      await add(broker, { id: 'a', lane: 'x', delay: 50 })
      await clock.advance(60)
      await add(broker, { id: 'b', lane: 'x' })
      expect(await takeIds(broker)).toEqual(['a'])
    })

    test.each([
      ['a retry', outcomes.retry],
      ['a restart', outcomes.restart],
    ])('16 keeps a lane closed while its head waits for %s', async (_, outcome) => {
      const { broker, clock } = await fresh()
      await add(broker, { id: 'a', lane: 'x' }, { id: 'b', lane: 'x', priority: -1 })
      await broker.settle([outcome(await take(broker), 100)])
      expect(await takeIds(broker)).toEqual([])
      await clock.advance(100)
      const again = await take(broker)
      expect(again.id).toBe('a')
      await broker.settle([outcomes.release(again)])
      expect(await takeIds(broker)).toEqual(['a'])
    })

    test('17 lets other lanes pass, and those without', async () => {
      const { broker } = await fresh()
      await add(broker, { id: 'a', lane: 'x' }, { id: 'b', lane: 'x' }, { id: 'c', lane: 'y' }, { id: 'd' })
      await add(broker, { id: 'e', lane: 'x', queue: 'app/other' })
      expect(await takeIds(broker)).toEqual(['a', 'c', 'd'])
      expect(await broker.lease('app/other', 9)).toMatchObject([{ id: 'e' }])
    })

    test('18 opens a lane when its head is cancelled', async () => {
      const { broker } = await fresh()
      await add(broker, { id: 'a', lane: 'x' }, { id: 'b', lane: 'x' }, { id: 'c', lane: 'x' }, { id: 'd', lane: 'x' })
      expect(await broker.cancel('b', 'not the head')).toBe('cancelled')
      expect(await broker.cancel('a', 'the head')).toBe('cancelled')
      const next = await take(broker)
      expect(next.id).toBe('c')
      await broker.settle([outcomes.retry(next, 1_000)])
      await broker.cancel('c', 'a head that waits')
      expect(await takeIds(broker)).toEqual(['d'])
    })

    test.each(['__proto__', 'toString', ''])('19 has a lane %j like any other', async (lane) => {
      const { broker } = await fresh()
      await add(broker, { id: 'a', lane }, { id: 'b', lane })
      expect(await broker.lease(queue, 9)).toMatchObject([{ id: 'a', lane }])
    })

    test('20 gives no job to two of eight workers', async () => {
      const { broker, clock } = await fresh()
      const brokers = [broker]
      while (brokers.length < 8) brokers.push(await second(broker, clock))
      await add(broker, ...Array.from({ length: 400 }, () => ({})))
      const taken: string[] = []
      await Promise.all(
        brokers.map(async (each) => {
          for (;;) {
            const leases = await each.lease(queue, 7)
            if (leases.length === 0) return
            taken.push(...idsOf(leases))
            await each.settle(leases.map((lease) => outcomes.done(lease)))
          }
        }),
      )
      expect(new Set(taken).size).toBe(400)
      expect(taken).toHaveLength(400)
    })

    test.runIf(runsOut)('21 gives a job again when its lease is over, with the same attempt', async () => {
      const { broker, clock } = await fresh()
      await add(broker, { id: 'a', lane: 'x' })
      const first = await take(broker)
      await clock.advance(leaseTime - 1)
      expect(await takeIds(broker)).toEqual([])
      await clock.advance(1)
      const again = await take(await second(broker, clock))
      expect(again).toMatchObject({ id: 'a', attempts: first.attempts, charged: first.charged })
    })

    test('22 answers lost to who settles with an old lease, and changes nothing', async () => {
      const { broker, clock } = await fresh()
      await add(broker, { id: 'a' })
      const old = await take(broker)
      if (runsOut) await clock.advance(leaseTime)
      else await broker.settle([outcomes.release(old)])
      const live = await take(broker)
      for (const outcome of Object.values(outcomes)) expect(await broker.settle([outcome(old)])).toEqual(['lost'])
      expect(await broker.job('a')).toMatchObject({ status: 'running', attempts: 1, history: [] })
      expect(await broker.settle([outcomes.done(live), { ...outcomes.done(old), id: 'unknown' }])).toEqual([
        'settled',
        'lost',
      ])
    })

    test('23 holds a job as long as its lease is extended', async () => {
      const { broker, clock } = await fresh()
      await add(broker, { id: 'a' })
      const lease = await take(broker)
      for (let times = 0; times < 5; times += 1) {
        await clock.advance(aWhile)
        expect(await broker.extend([lease])).toEqual(['settled'])
        expect(await takeIds(broker)).toEqual([])
      }
      expect(await broker.settle([outcomes.done(lease)])).toEqual(['settled'])
    })

    test('24 answers lost to who extends a lease that is over', async () => {
      const { broker } = await fresh()
      await add(broker, { id: 'a' }, { id: 'b' })
      const [a, b] = (await broker.lease(queue, 2)) as [LeasedJob, LeasedJob]
      await broker.settle([outcomes.release(a)])
      expect(await broker.extend([a, b, { id: 'unknown', token: 1 }])).toEqual(['lost', 'settled', 'lost'])
      await take(broker)
      expect(await broker.extend([a])).toEqual(['lost'])
    })

    test('25 spends nothing when a job is let go, and puts it where it stood', async () => {
      const { broker } = await fresh()
      await add(broker, { id: 'a' }, { id: 'b' })
      const lease = await take(broker)
      await broker.settle([outcomes.release(lease)])
      expect(await broker.job('a')).toMatchObject({ status: 'waiting', attempts: 0, charged: 0, history: [] })
      expect(await broker.lease(queue, 9)).toMatchObject([{ id: 'a', attempts: 0, charged: 0 }, { id: 'b' }])
    })

    test.runIf(runsOut)('26 fails a job that was lost three times, kind lost, and says so', async () => {
      const { broker, clock } = await fresh()
      const told: unknown[] = []
      broker.listen?.(elsewhere({ buried: ({ id }) => told.push(id) }))
      await add(broker, { id: 'a', lane: 'x' }, { id: 'b', lane: 'x' })
      for (let times = 0; times < 3; times += 1) {
        expect(told).toEqual([])
        expect((await take(broker)).id).toBe('a')
        await clock.advance(leaseTime)
      }
      expect(await takeIds(broker)).toEqual(['b'])
      expect(told).toEqual(['a'])
      expect(await broker.job('a')).toMatchObject({ status: 'failed', attempts: 1, failure: { kind: 'lost' } })
      expect(await broker.deadLetters({ kind: 'lost' })).toMatchObject([{ id: 'a', message: expect.any(String) }])
    })

    test.each<[keyof typeof outcomes, object]>([
      ['done', { status: 'done', value: 'ok', attempts: 1, failure: undefined }],
      ['fallback', { status: 'fallback', value: 'instead', attempts: 1, failure: { kind: 'thrown' } }],
      ['failed', { status: 'failed', attempts: 1, failure: { kind: 'thrown' }, history: [{ message: 'boom' }] }],
      ['cancelled', { status: 'cancelled', reason: 'user left', attempts: 1 }],
      [
        'retry',
        { status: 'waiting', attempts: 1, charged: 1, history: [{ attempt: 1, generation: 1, kind: 'thrown' }] },
      ],
      ['restart', { status: 'waiting', attempts: 0, charged: 0, generation: 2, restarts: { app: 1 } }],
      ['release', { status: 'waiting', attempts: 0, charged: 0, generation: 1 }],
    ])('27 keeps what outcome %s says', async (outcome, record) => {
      const { broker } = await fresh()
      await add(broker, { id: 'a' })
      expect(await broker.settle([outcomes[outcome](await take(broker))])).toEqual(['settled'])
      const found = await broker.job('a')
      expect(found).toMatchObject({ id: 'a', path: `${queue}/job:a`, input: { id: 'a' }, ...record })
      expect(found?.finishedAt).toBe(found?.status === 'waiting' ? undefined : 1_000_000)
      expect(await takeIds(broker)).toEqual(found?.status === 'waiting' ? ['a'] : [])
    })

    test('27 keeps no value and values that look like none', async () => {
      const { broker } = await fresh()
      for (const value of [undefined, null, 0, '', false]) {
        const [id = ''] = await add(broker, { input: value as never })
        const lease = await take(broker)
        expect(lease.input).toBe(value)
        await broker.settle([{ ...outcomes.done(lease), value } as Outcome])
        expect((await broker.job(id))?.value).toBe(value)
      }
    })

    test.runIf(survives)('28 keeps the delay of a retry over a reopening', async () => {
      const { broker, clock } = await fresh()
      await add(broker, { id: 'a', lane: 'x' }, { id: 'b', lane: 'x' })
      await broker.settle([outcomes.retry(await take(broker), 500)])
      await broker.close()
      const again = await second(broker, clock)
      await clock.advance(499)
      expect(await takeIds(again)).toEqual([])
      await clock.advance(1)
      expect(await again.lease(queue, 9)).toMatchObject([{ id: 'a', attempts: 1, charged: 1 }])
    })

    test('29 keeps the first of two outcomes', async () => {
      const { broker } = await fresh()
      await add(broker, { id: 'a' })
      const lease = await take(broker)
      expect(await broker.settle([outcomes.done(lease, 'first'), outcomes.failed(lease)])).toEqual(['settled', 'lost'])
      expect(await broker.settle([outcomes.done(lease, 'third')])).toEqual(['lost'])
      expect(await broker.job('a')).toMatchObject({ status: 'done', value: 'first' })
      expect(await broker.deadLetters({})).toEqual([])
    })

    test('30 tells a duplicate which job it follows', async () => {
      const { broker } = await fresh()
      const dedupe = { key: 'k', for: undefined }
      const batch = ['a', 'b'].map((id) => newJob(broker, { id, dedupe }))
      expect(await broker.enqueue(batch)).toEqual([
        { id: 'a', duplicate: false },
        { id: 'a', duplicate: true },
      ])
      await add(
        broker,
        { id: 'c', dedupe, queue: 'app/other' },
        { id: 'd', dedupe: { key: '__proto__', for: undefined } },
      )
      expect(await broker.job('b')).toBeUndefined()
      expect(await takeIds(broker)).toEqual(['a', 'd'])
      expect(await add(broker, { id: 'e', dedupe })).toEqual(['a'])
    })

    test.each(['done', 'fallback', 'failed', 'cancelled'] as const)(
      '31 frees a key when its job is %s',
      async (end) => {
        const { broker } = await fresh()
        const dedupe = { key: 'k', for: undefined }
        await add(broker, { id: 'a', dedupe })
        const lease = await take(broker)
        await broker.settle([outcomes.retry(lease)])
        expect(await add(broker, { id: 'b', dedupe })).toEqual(['a'])
        await broker.settle([outcomes[end](await take(broker))])
        expect(await add(broker, { id: 'c', dedupe })).toEqual(['c'])
      },
    )

    test('32 holds a key for the time that was asked, whatever became of its job', async () => {
      const { broker, clock } = await fresh()
      const dedupe = { key: 'k', for: 100 }
      await add(broker, { id: 'a', dedupe })
      await broker.settle([outcomes.done(await take(broker))])
      await clock.advance(99)
      expect(await add(broker, { id: 'b', dedupe })).toEqual(['a'])
      await clock.advance(1)
      expect(await add(broker, { id: 'c', dedupe })).toEqual(['c'])
    })

    test.skipIf(kind.again === undefined)(
      '32 gives a job another id when its time is over and a record has its own',
      async () => {
        const { broker, clock } = await fresh()
        const jobs = ['a', 'b'].map((id) => ({ id, dedupe: { key: id, for: 100 } }))
        expect(await add(broker, ...jobs)).toEqual(['a', 'b'])
        await broker.settle([outcomes.done(await take(broker))])
        await clock.advance(100)
        expect(await add(broker, ...jobs)).toEqual(['a#2', 'b#2'])
        await clock.advance(99)
        expect(await add(broker, ...jobs)).toEqual(['a#2', 'b#2'])
        await clock.advance(1)
        expect(await add(broker, ...jobs)).toEqual(['a#3', 'b#3'])
        expect(await takeIds(broker)).toEqual(['b', 'a#2', 'b#2', 'a#3', 'b#3'])
        expect(await broker.job('a')).toMatchObject({ id: 'a', status: 'done' })
      },
    )

    test('33 lets one of many racing callers in', async () => {
      const { broker, clock } = await fresh()
      const other = await second(broker, clock)
      const dedupe = { key: 'k', for: undefined }
      const answers = await Promise.all(
        Array.from({ length: 20 }, async (_, index) => {
          const via = index % 2 === 0 ? broker : other
          return (await via.enqueue([newJob(via, { dedupe })]))[0]
        }),
      )
      expect(answers.filter((answer) => answer?.duplicate === false)).toHaveLength(1)
      expect(new Set(answers.map((answer) => answer?.id)).size).toBe(1)
      expect(await takeIds(broker)).toHaveLength(1)
    })

    test('34 cancels a job that waits or is delayed: it never starts', async () => {
      const { broker, clock } = await fresh()
      await add(broker, { id: 'a' }, { id: 'b', delay: 50 })
      expect(await broker.cancel('a', { why: 'user left' })).toBe('cancelled')
      expect(await broker.cancel('b', undefined)).toBe('cancelled')
      expect(await broker.job('a')).toMatchObject({ status: 'cancelled', reason: { why: 'user left' }, attempts: 0 })
      expect(await broker.job('b')).toMatchObject({ status: 'cancelled', reason: undefined })
      await clock.advance(50)
      expect(await takeIds(broker)).toEqual([])
    })

    test('35 leaves a job that is held to who holds it', async () => {
      const { broker, clock } = await fresh()
      await add(broker, { id: 'a' })
      const lease = await take(broker)
      expect(await (await second(broker, clock)).cancel('a', 'user left')).toBe('leased')
      expect(await broker.job('a')).toMatchObject({ status: 'running' })
      expect(await broker.settle([outcomes.cancelled(lease)])).toEqual(['settled'])
    })

    test.runIf(survives)('35 tells who holds a job, in whichever process, before its next extend', async () => {
      const { broker, clock } = await fresh()
      const told: unknown[] = []
      broker.listen?.(elsewhere({ cancelled: (id, reason) => told.push([id, reason]) }))
      await add(broker, { id: 'a' })
      await take(broker)
      await (await second(broker, clock)).cancel('a', 'user left')
      await clock.advance(leaseTime / 3)
      expect(told).toContainEqual(['a', 'user left'])
    })

    test('36 says of a job that is over, or unknown, that it is', async () => {
      const { broker } = await fresh()
      await add(broker, { id: 'a' })
      await broker.settle([outcomes.done(await take(broker))])
      await die(broker, 'b')
      expect(await Promise.all(['a', 'b', 'c'].map((id) => broker.cancel(id, 'late')))).toEqual([
        'finished',
        'finished',
        'unknown',
      ])
      expect(await broker.job('a')).toMatchObject({ status: 'done', value: 'ok', reason: undefined })
    })

    /** A tick of a schedule with one tick each 100 ms, as a process that knows its task makes it. */
    const tickAt = (broker: Broker, at: number, more: Partial<Tick> = {}): Tick => ({
      queue,
      spec: 'every 100',
      at,
      next: at + 100,
      overlap: false,
      job: newJob(broker, { id: `${queue}@${at}` }),
      ...more,
    })

    test('37 makes one job of a tick, whoever asks and however often', async () => {
      const { broker, clock } = await fresh()
      const other = await second(broker, clock)
      const all = Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? broker : other))
      const given = { queue, spec: 'every 100', next: 1_000_100 }
      expect(new Set(await Promise.all(all.map((each) => each.schedule(given))))).toEqual(new Set([1_000_100]))
      await clock.advance(100)
      const answers = await Promise.all(all.map((each) => each.tick(tickAt(each, 1_000_100))))
      expect(answers.filter(({ answer }) => answer === 'added')).toHaveLength(1)
      expect(answers.filter(({ answer }) => answer !== 'added')).toEqual(
        Array.from({ length: 19 }, () => ({ answer: 'stale', next: 1_000_200 })),
      )
      expect(await takeIds(broker)).toEqual([`${queue}@1000100`])
    })

    test.runIf(kind.child !== undefined)('37 makes one job of each tick of two processes', async () => {
      const { broker } = await fresh()
      const children = [0, 1].map(() => startChild(CHILD, [...(kind.child?.() ?? []), 'tick']))
      expect(await Promise.all(children.map(({ ended }) => ended))).toEqual([0, 0])
      const made = children.map(({ lines }) => lines.filter((line) => line.startsWith('added ')))
      const all = made.flat().map((line) => Number(line.slice(6)))
      expect(new Set(all).size).toBe(all.length)
      expect(all.length).toBeGreaterThanOrEqual(30)
      expect((await takeIds(broker)).map((id) => Number(id.slice(id.indexOf('@') + 1)))).toEqual(
        all.toSorted((a, b) => a - b),
      )
    })

    test('38 makes up once for all ticks that were missed', async () => {
      const { broker, clock } = await fresh()
      await broker.schedule({ queue, spec: 'every 100', next: 1_000_100 })
      if (survives) await broker.close()
      await clock.advance(450)
      const again = survives ? await second(broker, clock) : broker
      const next = 1_000_500 // the first tick after now
      expect(await again.schedule({ queue, spec: 'every 100', next })).toBe(1_000_100)
      expect(await again.tick(tickAt(again, 1_000_100, { next }))).toEqual({ answer: 'added' })
      expect(await again.tick(tickAt(again, 1_000_200))).toEqual({ answer: 'stale', next })
      expect(await again.schedule({ queue, spec: 'every 100', next })).toBe(next)
      expect(await takeIds(again)).toEqual([`${queue}@1000100`])
    })

    test('39 skips a tick whose predecessor is unfinished, unless they may overlap', async () => {
      const { broker } = await fresh()
      await broker.schedule({ queue, spec: 'every 100', next: 100 })
      const first = `${queue}@100`
      expect(await broker.tick(tickAt(broker, 100))).toEqual({ answer: 'added' })
      expect(await broker.tick(tickAt(broker, 200))).toEqual({ answer: 'skipped', unfinished: first })
      const lease = await take(broker)
      expect(await broker.tick(tickAt(broker, 300))).toEqual({ answer: 'skipped', unfinished: first })
      await broker.settle([outcomes.retry(lease, 1_000)])
      expect(await broker.tick(tickAt(broker, 400))).toEqual({ answer: 'skipped', unfinished: first })
      expect(await broker.tick(tickAt(broker, 500, { overlap: true }))).toEqual({ answer: 'added' })
      await broker.settle([outcomes.failed(await take(broker))])
      expect(await broker.tick(tickAt(broker, 600))).toEqual({ answer: 'added' })
      expect(await takeIds(broker)).toEqual([`${queue}@600`])
      expect(await broker.tick(tickAt(broker, 700, { job: undefined }))).toEqual({
        answer: 'skipped',
        unfinished: undefined,
      })
      expect(await broker.schedule({ queue, spec: 'every 100', next: 7 })).toBe(800)
    })

    test('39 skips a tick whose key another job holds', async () => {
      const { broker } = await fresh()
      const dedupe = { key: 'k', for: undefined }
      await add(broker, { id: 'a', dedupe })
      await broker.schedule({ queue, spec: 'every 100', next: 100 })
      const job = newJob(broker, { id: `${queue}@100`, dedupe })
      expect(await broker.tick(tickAt(broker, 100, { job }))).toEqual({ answer: 'skipped', unfinished: 'a' })
    })

    test('40 lets a schedule leave, and be replaced by one of another spec', async () => {
      const { broker, clock } = await fresh()
      const other = await second(broker, clock)
      await broker.schedule({ queue, spec: 'every 100', next: 100 })
      await other.schedule({ queue, spec: 'every 70', next: 140 })
      expect(await broker.tick(tickAt(broker, 100))).toEqual({ answer: 'stale', next: undefined })
      expect(await broker.tick(tickAt(broker, 140, { spec: 'every 70' }))).toEqual({ answer: 'added' })
      expect(await other.unschedule(queue)).toBe(true)
      expect(await broker.unschedule(queue)).toBe(false)
      expect(await broker.unschedule('app/never')).toBe(false)
      expect(await broker.tick(tickAt(broker, 240, { spec: 'every 70' }))).toEqual({ answer: 'stale', next: undefined })
      expect(await takeIds(broker)).toEqual([`${queue}@140`])
    })

    test('40 makes no tick anew that was made before the clock was set back', async () => {
      const { broker } = await fresh()
      await broker.schedule({ queue, spec: 'every 100', next: 100 })
      await broker.tick(tickAt(broker, 100))
      await broker.unschedule(queue)
      await broker.schedule({ queue, spec: 'every 100', next: 100 })
      expect(await broker.tick(tickAt(broker, 100))).toEqual({ answer: 'stale', next: 200 })
      expect(await takeIds(broker)).toEqual([`${queue}@100`])
    })

    test('41 lists dead letters newest first, as many as are asked for, and by task, kind and time', async () => {
      const { broker, clock } = await fresh()
      await die(broker, 'a', 'b')
      await clock.advance(10)
      await die(broker, 'c')
      await add(broker, { id: 'd', queue: 'app/other' })
      const [other] = (await broker.lease('app/other', 1)) as [LeasedJob]
      const late = Object.assign(failureOf(other), { kind: 'timeout' })
      await broker.settle([outcomes.failed(other, late)])
      const ids = async (filter: object): Promise<readonly string[]> => idsOf(await broker.deadLetters(filter))
      expect(await ids({})).toEqual(['d', 'c', 'b', 'a'])
      expect(await ids({ limit: 2 })).toEqual(['d', 'c'])
      expect(await ids({ task: queue })).toEqual(['c', 'b', 'a'])
      expect(await ids({ kind: 'timeout' })).toEqual(['d'])
      expect(await ids({ since: 1_000_010, task: queue })).toEqual(['c'])
      expect(await broker.deadLetter('c')).toMatchObject({
        id: 'c',
        path: `${queue}/job:c`,
        task: queue,
        kind: 'thrown',
        message: expect.stringContaining('boom'),
        attempts: 1,
        diedAt: 1_000_010,
        input: { id: 'c' },
        failure: { error: { message: 'boom' } },
        history: [{ attempt: 1, message: 'boom' }],
      })
    })

    test('41 pages through dead letters, also when the one a page ended with has left', async () => {
      const { broker } = await fresh()
      await die(broker, 'a', 'b', 'c', 'd', 'e')
      const first = await broker.deadLetters({ limit: 2 })
      expect(idsOf(first)).toEqual(['e', 'd'])
      await broker.discard('d')
      await broker.replay('b', undefined)
      await broker.settle([outcomes.failed(await take(broker))]) // dead again, so the newest
      await die(broker, 'f')
      const second = await broker.deadLetters({ limit: 1 }, first.at(-1)?.cursor)
      expect(idsOf(second)).toEqual(['c'])
      expect(idsOf(await broker.deadLetters({}, second[0]?.cursor))).toEqual(['a'])
      expect(idsOf(await broker.deadLetters({}))).toEqual(['f', 'b', 'e', 'c', 'a'])
    })

    test('42 replays a dead letter under its id and key, from attempt 1', async () => {
      const { broker } = await fresh()
      const dedupe = { key: 'k', for: undefined }
      await add(broker, { id: 'a', lane: 'x', dedupe, priority: 3, idempotencyKey: 'stable' })
      await broker.settle([outcomes.retry(await take(broker))])
      await broker.settle([outcomes.failed(await take(broker))])
      expect(await broker.replay('a', undefined)).toEqual({ queue })
      expect(await broker.deadLetters({})).toEqual([])
      expect(await broker.job('a')).toMatchObject({ status: 'waiting', failure: undefined, finishedAt: undefined })
      expect(await add(broker, { id: 'b', dedupe })).toEqual(['a'])
      const again = await take(broker)
      expect(again).toMatchObject({ id: 'a', idempotencyKey: 'stable', attempts: 0, charged: 0, input: { id: 'a' } })
      await broker.settle([outcomes.failed(again)])
      expect((await broker.deadLetter('a'))?.history).toHaveLength(3)
      await broker.replay('a', { better: true })
      expect(await take(broker)).toMatchObject({ id: 'a', input: { better: true } })
    })

    test('43 tells the second of two who replay', async () => {
      const { broker, clock } = await fresh()
      const other = await second(broker, clock)
      await die(broker, 'a')
      const answers = await Promise.all([broker.replay('a', undefined), other.replay('a', undefined)])
      expect(answers.filter((answer) => answer !== undefined)).toEqual([{ queue }])
      expect(await takeIds(broker)).toEqual(['a'])
      expect(await broker.replay('a', undefined)).toBeUndefined()
    })

    test('50 keeps a job that died before it was queued, once, to be replayed like any other', async () => {
      const { broker } = await fresh()
      const job = newJob(broker, { id: '123456:812', input: { update_id: 812 } })
      const dead = { ...job, attempts: 0 } as unknown as LeasedJob
      await broker.bury(job, failureOf(dead, new Error('first')))
      await broker.bury(job, failureOf(dead, new Error('second')))
      const letters = await broker.deadLetters({})
      expect(letters.map(({ id, message, attempts }) => ({ id, message, attempts }))).toEqual([
        { id: '123456:812', message: expect.stringContaining('second'), attempts: 1 },
      ])
      expect(await takeIds(broker)).toEqual([])
      await broker.replay('123456:812', undefined)
      await broker.bury(job, failureOf(dead)) // it waits, so it is not dead
      expect(await broker.deadLetters({})).toEqual([])
      const lease = await take(broker)
      expect(lease).toMatchObject({ id: '123456:812', idempotencyKey: job.idempotencyKey, input: { update_id: 812 } })
    })

    test('44 discards a dead letter once', async () => {
      const { broker } = await fresh()
      await die(broker, 'a', 'b')
      await add(broker, { id: 'waiting' })
      expect(await broker.discard('a')).toBe(true)
      expect(await broker.discard('a')).toBe(false)
      expect(await broker.discard('waiting')).toBe(false)
      expect(await broker.replay('a', undefined)).toBeUndefined()
      expect(idsOf(await broker.deadLetters({}))).toEqual(['b'])
      expect(await countsOf(broker)).toEqual([{ waiting: 1, delayed: 0, leased: 0, dead: 1 }])
    })

    test('45 gives a result to who asks late', async () => {
      const { broker, clock } = await fresh()
      await add(broker, { id: 'a' })
      await broker.settle([outcomes.done(await take(broker), { key: 'cat.png' })])
      await add(broker, ...Array.from({ length: 100 }, () => ({})))
      await workAll(broker)
      await clock.advance('23h')
      expect(await broker.job('a')).toMatchObject({ status: 'done', value: { key: 'cat.png' } })
    })

    test('46 says of a result that is gone that it is unknown', async () => {
      const { broker, clock } = await fresh()
      await add(broker, { id: 'old' })
      await workAll(broker)
      await clock.advance('25h')
      await add(broker, { id: 'first' }, { id: 'next' })
      await workAll(broker)
      expect(await broker.job('old')).toBeUndefined()
      expect(await broker.cancel('old', 'late')).toBe('unknown')
      expect(await broker.job('first')).toMatchObject({ status: 'done' })
      for (let batch = 0; batch < 20; batch += 1) {
        await add(broker, ...Array.from({ length: 500 }, () => ({})))
        await workAll(broker)
      }
      expect(await broker.job('first')).toBeUndefined()
    })

    test('47 has stats that equal a count', async () => {
      const { broker, clock } = await fresh()
      const random = seeded(47)
      const ids: string[] = []
      const held: LeasedJob[] = []
      const pick = <Item>(list: readonly Item[]): Item | undefined => list[Math.floor(random() * list.length)]
      for (let step = 0; step < 400; step += 1) {
        const action = random()
        if (action < 0.35) {
          const lane = random() < 0.5 ? undefined : `lane ${Math.floor(random() * 4)}`
          const delay = random() < 0.7 ? 0 : Math.floor(random() * 200)
          const priority = Math.floor(random() * 3)
          ids.push(...(await add(broker, { lane, delay, priority })))
        } else if (action < 0.6) {
          held.push(...(await broker.lease(queue, 3)))
        } else if (action < 0.85) {
          const [lease] = held.splice(Math.floor(random() * held.length), 1)
          const outcome = pick(Object.values(outcomes))
          if (lease !== undefined && outcome !== undefined) await broker.settle([outcome(lease)])
        } else if (action < 0.9) {
          await broker.cancel(pick(ids) ?? '', 'any')
        } else if (action < 0.95) {
          await (random() < 0.5 ? broker.replay(pick(ids) ?? '', undefined) : broker.discard(pick(ids) ?? ''))
        } else {
          await clock.advance(Math.floor(random() * 100))
        }
        await settle()
        if (ids.length === 0) continue
        const records = await Promise.all(ids.map((id) => broker.job(id)))
        const count = (status: JobStatus): number => records.filter((record) => record?.status === status).length
        expect(await countsOf(broker)).toEqual([
          { waiting: count('waiting'), delayed: count('delayed'), leased: count('running'), dead: count('failed') },
        ])
      }
      expect(ids.length).toBeGreaterThan(100)
    })

    test('47 tells how long the oldest has waited', async () => {
      const { broker, clock } = await fresh()
      const oldest = async (): Promise<unknown> => (await broker.stats())[0]?.oldest
      await add(broker, { id: 'delayed', delay: 50 })
      expect(await oldest()).toBeUndefined()
      await clock.advance(60)
      expect(await oldest()).toBe(10)
      await add(broker, { priority: -1 }, { priority: 7 })
      await clock.advance(5)
      expect(await oldest()).toBe(15)
      await broker.cancel('delayed', undefined)
      expect(await oldest()).toBe(5)
    })

    test.runIf(kind.child !== undefined)('48 has every job where it was after the process was killed', async () => {
      const unused = kind.create()
      const child = startChild(CHILD, [...(kind.child?.() ?? []), 'hold'])
      await child.until((line) => line === 'ready')
      await child.kill()
      const clock = manualClock(Date.now())
      const broker = await opened(kind.again?.() ?? unused, clock)
      const statusOf = async (id: string): Promise<unknown> => (await broker.job(id))?.status
      expect(await Promise.all(['done', 'dead', 'leased', 'waiting', 'delayed'].map(statusOf))).toEqual([
        'done',
        'failed',
        'waiting', // its holder is gone for sure, so nobody waits for the lease to run out
        'waiting',
        'delayed',
      ])
      expect(await broker.job('done')).toMatchObject({ value: 'kept' })
      expect(idsOf(await broker.deadLetters({}))).toEqual(['dead'])
      expect(await broker.lease(queue, 9)).toMatchObject([{ id: 'leased', attempts: 0 }, { id: 'waiting' }])
      expect(await countsOf(broker)).toEqual([{ waiting: 0, delayed: 1, leased: 2, dead: 1 }])
    })

    test('49 keeps nothing of 100 000 finished jobs but the latest results', async () => {
      const { broker } = await fresh()
      const ids: string[] = []
      for (let batch = 0; batch < 100; batch += 1) {
        const jobs = Array.from({ length: 1_000 }, (_, index) => ({
          ...(index % 10 === 0 && { lane: `lane ${index}` }),
          ...(index % 10 === 1 && { dedupe: { key: `key ${index}`, for: undefined } }),
        }))
        ids.push(...(await add(broker, ...jobs)))
        expect(await workAll(broker, 1_000)).toBe(1_000)
      }
      expect(await countsOf(broker)).toEqual([{ waiting: 0, delayed: 0, leased: 0, dead: 0 }])
      for (let index = 0; index < 90_000; index += 997) expect(await broker.job(ids[index] ?? '')).toBeUndefined()
      expect(await broker.job(ids.at(-1) ?? '')).toMatchObject({ status: 'done' })
      expect(kind.kept?.() ?? 10_000).toBe(10_000)
    })

    describe('a step', () => {
      const noted = { queue, jobs: [], notes: {} } as const

      test('settles, adds and notes as one', async () => {
        const { broker } = await fresh()
        await add(broker, { id: 'a' })
        const lease = await take(broker)
        const jobs = ['b', 'c'].map((id) => newJob(broker, { id, dedupe: { key: id, for: undefined } }))
        const answer = await broker.step({ queue, outcome: outcomes.done(lease), jobs, notes: { state: { pages: 1 } } })
        expect(answer).toEqual({
          answer: 'settled',
          enqueued: [
            { id: 'b', duplicate: false },
            { id: 'c', duplicate: false },
          ],
        })
        expect((await broker.job('a'))?.status).toBe('done')
        expect(await takeIds(broker)).toEqual(['b', 'c'])
        expect(await broker.notes(queue)).toEqual({ state: { pages: 1 } })
      })

      test('of a lease that was lost writes nothing', async () => {
        const { broker } = await fresh()
        await add(broker, { id: 'a' })
        const lease = await take(broker)
        await broker.settle([outcomes.done(lease)])
        const step = { queue, outcome: outcomes.done(lease), jobs: [newJob(broker, { id: 'b' })], notes: { x: 1 } }
        expect(await broker.step(step)).toEqual({ answer: 'lost', enqueued: [] })
        expect(await takeIds(broker)).toEqual([])
        expect(await broker.notes(queue)).toEqual({})
      })

      test('tells which of its jobs are known, by a key that outlives them, also one of its own', async () => {
        const { broker } = await fresh()
        const known = (id: string): NewJob =>
          newJob(broker, { id, dedupe: { key: 'page', for: Number.MAX_SAFE_INTEGER } })
        await broker.step({ ...noted, outcome: undefined, jobs: [known('a')] })
        await broker.settle([outcomes.done(await take(broker))])
        const { enqueued } = await broker.step({
          ...noted,
          outcome: undefined,
          jobs: [known('b'), newJob(broker, { id: 'c', dedupe: { key: 'other', for: undefined } })],
        })
        expect(enqueued).toEqual([
          { id: 'a', duplicate: true },
          { id: 'c', duplicate: false },
        ])
      })

      test('keeps notes by name, and takes away those that are null', async () => {
        const { broker, clock } = await fresh()
        await broker.step({ ...noted, outcome: undefined, notes: { one: 1, two: [2] } })
        await broker.step({ ...noted, outcome: undefined, notes: { one: null, three: 'x' } })
        expect(await broker.notes(queue)).toEqual({ two: [2], three: 'x' })
        expect(await broker.notes('app/other')).toEqual({})
        const other = await second(broker, clock)
        expect(await other.notes(queue)).toEqual({ two: [2], three: 'x' })
      })
    })

    describe('step() with room for some', () => {
      const room = { name: 'pages', limit: 3, back: 0 }
      const keyed = (broker: Broker, ...ids: readonly string[]): readonly NewJob[] =>
        ids.map((id) => newJob(broker, { id, dedupe: { key: id, for: Number.MAX_SAFE_INTEGER } }))
      const refused = (id: string): object => ({ id, duplicate: false, refused: true })

      test('adds no more than the limit, whichever process asks, and known ones take none', async () => {
        const { broker, clock } = await fresh()
        const other = await second(broker, clock)
        const step = { queue, outcome: undefined, notes: {}, room }
        await broker.step({ ...step, jobs: keyed(broker, 'a', 'b') })
        const { enqueued } = await other.step({ ...step, jobs: keyed(other, 'a', 'c', 'd', 'b') })
        expect(enqueued).toEqual([
          { id: 'a', duplicate: true },
          { id: 'c', duplicate: false },
          refused('d'),
          { id: 'b', duplicate: true },
        ])
        expect(await takeIds(broker)).toEqual(['a', 'b', 'c'])
        expect(await other.job('d')).toBeUndefined()
      })

      test('counts only jobs of its own queue, and takes back what no longer counts', async () => {
        const { broker } = await fresh()
        const step = { queue, outcome: undefined, notes: {}, room }
        const others = ['x', 'y'].map((id) => newJob(broker, { id, queue: 'app/other' }))
        await broker.step({ ...step, jobs: [...keyed(broker, 'a', 'b', 'c'), ...others] })
        expect(await broker.step({ ...step, jobs: keyed(broker, 'd') })).toMatchObject({ enqueued: [refused('d')] })
        const { enqueued } = await broker.step({ ...step, room: { ...room, back: 1 }, jobs: keyed(broker, 'd', 'e') })
        expect(enqueued).toEqual([{ id: 'd', duplicate: false }, refused('e')])
        await broker.clear(queue)
        expect(await broker.step({ ...step, jobs: keyed(broker, 'f') })).toMatchObject({ enqueued: [{ id: 'f' }] })
      })

      test('of a lease that was lost counts nothing', async () => {
        const { broker } = await fresh()
        await add(broker, { id: 'a' })
        const lease = await take(broker)
        await broker.settle([outcomes.done(lease)])
        const jobs = keyed(broker, 'b', 'c', 'd')
        await broker.step({ queue, outcome: outcomes.done(lease), jobs, notes: {}, room })
        const { enqueued } = await broker.step({ queue, outcome: undefined, jobs, notes: {}, room })
        expect(enqueued.map(({ duplicate, refused: isRefused }) => duplicate || isRefused)).toEqual(
          Array(3).fill(undefined),
        )
      })
    })

    describe('swap()', () => {
      const word = { queue, name: 'leader' } as const

      test('changes a word only from what it is, and tells what it is now', async () => {
        const { broker, clock } = await fresh()
        const other = await second(broker, clock)
        expect(await broker.swap({ ...word, from: undefined, to: null })).toEqual({ swapped: true, now: undefined })
        expect(await broker.swap({ ...word, from: undefined, to: { id: 'a' } })).toEqual({
          swapped: true,
          now: { id: 'a' },
        })
        const wrong = await other.swap({ ...word, from: undefined, to: { id: 'b' } })
        expect(wrong).toEqual({ swapped: false, now: { id: 'a' } })
        expect((await other.swap({ ...word, from: { id: 'a' }, to: { id: 'b' } })).swapped).toBe(true)
        expect(await broker.swap({ ...word, from: { id: 'a' }, to: null })).toEqual({
          swapped: false,
          now: { id: 'b' },
        })
        expect((await broker.swap({ ...word, from: { id: 'b' }, to: null })).swapped).toBe(true)
      })

      test('may be called again when its answer was lost', async () => {
        const { broker } = await fresh()
        const swap = { ...word, from: undefined, to: ['x', null, '__proto__', 'ä'] }
        expect(await broker.swap(swap)).toEqual(await broker.swap(swap))
      })

      test('of many at once lets each change count', async () => {
        const { broker, clock } = await fresh()
        const brokers = [broker, await second(broker, clock)]
        const increment = async (by: Broker): Promise<void> => {
          const { now } = await by.swap({ ...word, from: undefined, to: null })
          let known = now as { count: number; by: number } | undefined
          for (;;) {
            const to = { count: (known?.count ?? 0) + 1, by: Math.random() }
            const answer = await by.swap({ ...word, from: known, to })
            if (answer.swapped) return
            known = answer.now as typeof to
          }
        }
        await Promise.all(Array.from({ length: 40 }, (_, at) => increment(brokers[at % 2] as Broker)))
        expect((await broker.swap({ ...word, from: undefined, to: null })).now).toMatchObject({ count: 40 })
      })

      test('is apart from notes and from other queues, and goes when the queue is cleared', async () => {
        const { broker } = await fresh()
        await broker.swap({ ...word, from: undefined, to: 1 })
        await broker.step({ queue, outcome: undefined, jobs: [], notes: { leader: 2 } })
        expect(await broker.notes(queue)).toEqual({ leader: 2 })
        expect((await broker.swap({ ...word, queue: 'app/other', from: undefined, to: null })).now).toBeUndefined()
        await broker.clear(queue)
        expect((await broker.swap({ ...word, from: undefined, to: null })).now).toBeUndefined()
      })
    })

    test('gives a job that is tried again the input it was put off with', async () => {
      const { broker } = await fresh()
      await add(broker, { input: { tries: 0 } })
      await broker.settle([{ ...outcomes.retry(await take(broker)), input: { tries: 1 } } as Outcome])
      const again = await take(broker)
      expect(again.input).toEqual({ tries: 1 })
      await broker.settle([{ ...outcomes.restart(again), input: { tries: 0 } } as Outcome])
      const anew = await take(broker)
      expect(anew.input).toEqual({ tries: 0 })
      await broker.settle([outcomes.retry(anew)])
      expect((await take(broker)).input).toEqual({ tries: 0 })
    })

    test('clear() empties one queue: what waits, is delayed or held, keys and notes; dead letters stay', async () => {
      const { broker } = await fresh()
      await die(broker, 'dead')
      const dedupe = { key: 'page', for: Number.MAX_SAFE_INTEGER }
      await add(
        broker,
        { id: 'held' },
        { id: 'lane', lane: 'l' },
        { id: 'behind', lane: 'l' },
        { id: 'later', delay: 5 },
      )
      const held = await take(broker)
      await add(broker, { id: 'keyed', dedupe }, { id: 'else', queue: 'app/other' })
      await broker.step({ queue, outcome: undefined, jobs: [], notes: { state: 1 } })
      await add(broker, ...Array.from({ length: 600 }, () => ({})))
      await broker.clear(queue)
      expect(await broker.settle([outcomes.done(held)])).toEqual(['lost'])
      expect(await takeIds(broker)).toEqual([])
      expect(await broker.notes(queue)).toEqual({})
      expect(
        (await broker.stats()).filter(({ waiting, delayed, leased }) => waiting + delayed + leased > 0),
      ).toMatchObject([{ queue: 'app/other', waiting: 1 }])
      expect((await broker.deadLetter('dead'))?.id).toBe('dead')
      const [first] = await broker.enqueue([newJob(broker, { id: 'again', dedupe, lane: 'l' })])
      expect(first).toEqual({ id: 'again', duplicate: false })
      expect(await takeIds(broker)).toEqual(['again'])
    })
  })
}

/** Numbers from 0 to 1, the same in every run. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return state / 2_147_483_648
  }
}
