import { describe, expect, test } from 'vitest'
import { Failure, memory, type Broker, type JobRecord } from 'rootcatch'
import { manualClock } from 'rootcatch/testing'
import { addToTrail, type FailedJob, type FailureData } from '../../src/failure.ts'

type NewJob = Parameters<Broker['enqueue']>[0][number]

/** An open broker, on a clock that stands still. */
function opened(): { broker: Broker; clock: ReturnType<typeof manualClock>; add: (job?: Partial<NewJob>) => string } {
  const clock = manualClock()
  const broker = memory()
  void broker.open(clock)
  const add = (job: Partial<NewJob> = {}): string => {
    const id = broker.newId()
    const plain = {
      id,
      queue: 'q',
      input: null,
      idempotencyKey: id,
      priority: 0,
      delay: 0,
      lane: undefined,
      dedupe: undefined,
    }
    const [enqueued] = broker.enqueue([{ ...plain, ...job }]) as readonly { id: string }[]
    return enqueued?.id as string
  }
  return { broker, clock, add }
}

/** As tasks ask for theirs. */
function usualJob(broker: Broker): Partial<NewJob> {
  const id = broker.newId()
  return { id, idempotencyKey: `q/job:${id}`, keyIsPath: true }
}

type Leases = Awaited<ReturnType<Broker['lease']>>
const lease = (broker: Broker, limit = 10, queue = 'q'): Leases => broker.lease(queue, limit) as Leases
const ids = (leases: Leases): string[] => leases.map(({ id }) => id)
const failure = (message = 'no'): Failure =>
  new Failure({ error: new Error(message), path: 'q/job:1', kind: 'thrown', at: 0, attempt: 1 })
const stats = (broker: Broker): object | undefined => (broker.stats() as readonly object[])[0]

describe('memory', () => {
  test('gives due jobs only, no job twice, each with a token of its own', () => {
    const { broker, add } = opened()
    const [a, b] = [add(), add()]
    add({ delay: 100 })
    add({ queue: 'other' })
    const first = lease(broker, 1)
    const rest = lease(broker)
    expect([ids(first), ids(rest), ids(lease(broker))]).toEqual([[a], [b], []])
    expect(first[0]?.token).toBe(1)
    expect(stats(broker)).toEqual({ queue: 'q', waiting: 0, delayed: 1, leased: 2, dead: 0, oldest: undefined })
  })

  test('priority, smaller first; then due time; then arrival', async () => {
    const { broker, clock, add } = opened()
    const late = add({ delay: 30 })
    const early = add({ delay: 10 })
    const urgentLate = add({ delay: 30, priority: -5 })
    await clock.advance(20)
    const now = add()
    const last = add({ priority: 1 })
    const lastToo = add({ priority: 1 })
    await clock.advance(20)
    expect(ids(lease(broker))).toEqual([urgentLate, early, now, late, last, lastToo])
  })

  test('delays of 300, 100, 200 come out sorted and never early, woken once each', async () => {
    const { broker, clock, add } = opened()
    const wakes: number[] = []
    broker.watch('q', () => wakes.push(clock.now()))
    const jobs = [300, 100, 200].map((delay) => add({ delay }))
    expect(clock.pending).toBe(1)
    for (const [at, index] of [
      [100, 1],
      [200, 2],
      [300, 0],
    ] as const) {
      await clock.advance(99)
      expect(lease(broker)).toEqual([])
      await clock.advance(1)
      expect(clock.now()).toBe(at)
      expect(ids(lease(broker))).toEqual([jobs[index]])
    }
    expect(wakes).toEqual([100, 200, 300])
    expect(clock.pending).toBe(0)
  })

  test('a delayed job that is cancelled leaves no timer behind', () => {
    const { broker, clock, add } = opened()
    const id = add({ delay: 30 * 24 * 60 * 60 * 1_000 })
    expect(clock.pending).toBe(1)
    expect(broker.cancel(id, 'why')).toBe('cancelled')
    expect(clock.pending).toBe(0)
    expect(broker.job(id)).toMatchObject({ status: 'cancelled', reason: 'why', attempts: 0 })
  })

  test('settles with the live token only; an old lease keeps its old token', () => {
    const { broker, add } = opened()
    const id = add()
    const [first] = lease(broker)
    expect(broker.settle([{ kind: 'release', id, token: first?.token as number }])).toEqual(['settled'])
    const [second] = lease(broker)
    expect(second?.token).not.toBe(first?.token)
    expect(broker.extend([first, second] as never)).toEqual(['lost', 'settled'])
    const done = { kind: 'done', id, attempts: 1, value: 'x' } as const
    expect(broker.settle([{ ...done, token: first?.token as number }])).toEqual(['lost'])
    expect(broker.job(id)).toMatchObject({ status: 'running', attempts: 1 })
    expect(broker.settle([{ ...done, token: second?.token as number }])).toEqual(['settled'])
    expect(broker.settle([{ ...done, token: second?.token as number }])).toEqual(['lost'])
    expect(broker.extend([second] as never)).toEqual(['lost'])
  })

  test('a release spends nothing and comes back first', () => {
    const { broker, add } = opened()
    const jobs = [add(), add(), add(), add()]
    const taken = lease(broker, 3)
    for (const { id, token } of [taken[2], taken[0], taken[1]] as typeof taken) {
      void broker.settle([{ kind: 'release', id, token }])
    }
    expect(ids(lease(broker))).toEqual(jobs)
    expect(broker.job(jobs[0] as string)).toMatchObject({ charged: 0, generation: 1 })
  })

  test('a retry keeps its priority and lies in the broker until it is due', async () => {
    const { broker, clock, add } = opened()
    const id = add({ priority: -1 })
    const other = add()
    const [{ token } = { token: 0 }] = lease(broker, 1)
    void broker.settle([
      { kind: 'retry', id, token, delay: 50, failure: failure(), attempts: 1, charged: 1, putOffs: 0 },
    ])
    expect(ids(lease(broker))).toEqual([other])
    await clock.advance(50)
    const third = add()
    expect(lease(broker)).toMatchObject([{ id, attempts: 1, charged: 1 }, { id: third }])
    expect(broker.job(id)).toMatchObject({ history: [{ attempt: 1, kind: 'thrown', message: 'no' }] })
  })

  test('what is due stands before what becomes due in the same moment, also where no timer fired yet', () => {
    let now = 0
    const broker = memory()
    void broker.open({ now: () => now, setTimeout: () => 0, clearTimeout: () => {} }) // timers that never fire
    const job = (id: string, delay: number): NewJob => {
      return { id, queue: 'q', input: null, idempotencyKey: id, priority: 0, delay, lane: undefined, dedupe: undefined }
    }
    void broker.enqueue([job('delayed', 10), job('a', 0)])
    const [{ token } = { token: 0 }] = lease(broker)
    now = 20
    void broker.settle([
      { kind: 'retry', id: 'a', token, delay: 0, failure: failure(), attempts: 1, charged: 1, putOffs: 0 },
    ])
    void broker.enqueue([job('b', 0)])
    expect(ids(lease(broker))).toEqual(['delayed', 'a', 'b'])
  })

  test('cancel: waiting is taken out, leased is told, finished and unknown say so', () => {
    const { broker, add } = opened()
    const [a, b, c] = [add(), add(), add()]
    expect(broker.cancel(b, 'why')).toBe('cancelled')
    expect(ids(lease(broker))).toEqual([a, c])
    expect(broker.cancel(a, 'why')).toBe('leased')
    expect(broker.cancel(b, 'again')).toBe('finished')
    expect(broker.cancel('77', 'why')).toBe('unknown')
    expect(broker.job(b)).toMatchObject({ reason: 'why' })
  })

  test('opens the lane of a head that was cancelled, and wakes whoever takes from it', () => {
    const { broker, add } = opened()
    const [head, next] = [add({ lane: 'one' }), add({ lane: 'one' })]
    let wakes = 0
    broker.watch('q', () => (wakes += 1))
    expect(broker.cancel(head, 'why')).toBe('cancelled')
    expect(wakes).toBe(1)
    expect(ids(lease(broker))).toEqual([next])
  })

  test('cancelled jobs that waited leave nothing in a queue that is never taken from', () => {
    const { broker, add } = opened()
    for (let n = 0; n < 100; n += 1) broker.cancel(add({ priority: n, lane: n % 2 ? 'lane' : undefined }), 'no')
    expect(broker.stats(), 'nobody watches it, and it holds nothing').toEqual([])
    expect(lease(broker)).toEqual([])
  })

  test('says how long the oldest due job has waited', async () => {
    const { broker, clock, add } = opened()
    expect(broker.stats()).toEqual([])
    add({ priority: 5 })
    await clock.advance(70)
    add({ priority: -5 })
    await clock.advance(30)
    expect(stats(broker)).toMatchObject({ waiting: 2, oldest: 100 })
  })

  test('keeps a key while its job is unfinished, over retries, and frees it then', async () => {
    const { broker, clock, add } = opened()
    const dedupe = { key: 'k', for: undefined }
    const id = add({ dedupe })
    expect(add({ dedupe })).toBe(id)
    expect(add({ dedupe, queue: 'other' })).not.toBe(id) // per task
    const [{ token } = { token: 0 }] = lease(broker)
    void broker.settle([
      { kind: 'retry', id, token, delay: 50, failure: failure(), attempts: 1, charged: 1, putOffs: 0 },
    ])
    expect(add({ dedupe })).toBe(id)
    await clock.advance(50)
    const [again] = lease(broker)
    void broker.settle([{ kind: 'done', id, token: again?.token as number, attempts: 2, value: 1 }])
    expect(add({ dedupe })).not.toBe(id)
  })

  test('keeps a key for its time, although the job is finished, and forgets it afterwards', async () => {
    const { broker, clock, add } = opened()
    for (let n = 0; n < 5_000; n += 1) add({ dedupe: { key: `k${n}`, for: 100 } })
    const held = add({ dedupe: { key: 'k', for: 100 } })
    for (const { id, token } of lease(broker, 10_000)) {
      void broker.settle([{ kind: 'done', id, token, attempts: 1, value: null }])
    }
    await clock.advance(99)
    expect(add({ dedupe: { key: 'k', for: 100 } })).toBe(held)
    await clock.advance(1)
    expect(add({ dedupe: { key: 'k', for: 100 } })).not.toBe(held)
  })

  test('a replayed job holds its key again, if nobody else does', () => {
    const { broker, add } = opened()
    const dedupe = { key: 'k', for: undefined }
    const die = (): string => {
      const id = add({ dedupe })
      const [{ token } = { token: 0 }] = lease(broker)
      void broker.settle([{ kind: 'failed', id, token, attempts: 1, failure: failure() }])
      return id
    }
    const dead = die()
    expect(broker.replay(dead, undefined)).toEqual({ queue: 'q' })
    expect(broker.replay(dead, undefined)).toBeUndefined()
    expect(add({ dedupe })).toBe(dead)
    expect(lease(broker)).toMatchObject([{ id: dead, attempts: 0, generation: 2 }])
  })

  test('results are kept for 24 hours or the last 10 000', async () => {
    const { broker, clock, add } = opened()
    const finish = (): string => {
      const id = add()
      const [{ token } = { token: 0 }] = lease(broker)
      void broker.settle([{ kind: 'done', id, token, attempts: 1, value: id }])
      return id
    }
    const first = finish()
    await clock.advance('23h')
    const second = finish()
    expect(broker.job(first)).toMatchObject({ status: 'done', value: first })
    await clock.advance('2h')
    const third = finish()
    expect([broker.job(first), broker.job(second)]).toMatchObject([undefined, { value: second }])
    for (let n = 0; n < 9_998; n += 1) finish()
    expect(broker.job(second)).toBeDefined()
    finish()
    expect([broker.job(second), broker.job(third)]).toMatchObject([undefined, { value: third }])
  })

  test('results stay those of their jobs where the places of earlier ones are used again', async () => {
    const { broker, clock, add } = opened()
    for (const queue of ['q', 'other']) broker.watch(queue, () => {}) // so that neither is forgotten meanwhile
    const finish = (n: number): string => {
      const queue = n % 300 < 40 ? 'other' : 'q'
      const isLate = n % 7 === 0
      const id = broker.newId()
      const path = `${queue}/job:${id}`
      add({ id, queue, idempotencyKey: path, keyIsPath: true, input: { n }, delay: 0 })
      for (let attempts = 1; attempts <= (isLate ? 2 : 1); attempts += 1) {
        const [{ token } = { token: 0 }] = lease(broker, 1, queue)
        const isLast = attempts === (isLate ? 2 : 1)
        const progress = { attempts, charged: 1, putOffs: 0 }
        if (isLast) void broker.settle([{ kind: 'done', id, token, attempts, value: -n }])
        else void broker.settle([{ kind: 'retry', id, token, delay: 0, failure: failure(`of ${id}`), ...progress }])
      }
      return id
    }
    const finished: string[] = []
    for (let n = 0; n < 25_000; n += 1) {
      finished.push(finish(n))
      if (n % 1_000 === 0) await clock.advance(10)
    }
    const wrong = finished.filter((id, n) => {
      const record = broker.job(id) as JobRecord | undefined
      if (n < 15_000) return record !== undefined
      const isLate = n % 7 === 0
      const isRight =
        record?.path === `${n % 300 < 40 ? 'other' : 'q'}/job:${id}` &&
        (record.input as { readonly n: number }).n === n &&
        record.value === -n &&
        record.attempts === (isLate ? 2 : 1) &&
        record.dueAt === record.addedAt &&
        record.history.length === (isLate ? 1 : 0) &&
        (!isLate || record.history[0]?.message.includes(`of ${id}`) === true)
      return !isRight
    })
    expect(wrong).toEqual([])
  })

  test('tells of a fallback the failure as it was, whatever that was made of', () => {
    const { broker, add } = opened()
    const inner = new Failure({ error: 'deep', path: 'q/job:1', kind: 'thrown', at: 3, attempt: 1 })
    const decided = new Failure({ error: 1, path: 'x', kind: 'lost', at: 2 })
    addToTrail(decided, { path: 'app', decision: 'stop', by: 'catch' })
    const given: readonly ((usual: FailureData) => FailureData)[] = [
      (usual) => usual,
      (usual) => ({ ...usual, error: 'a text' }),
      (usual) => ({ ...usual, error: undefined }),
      (usual) => ({ ...usual, error: Number.NaN }),
      (usual) => ({ ...usual, error: inner }),
      (usual) => ({ ...usual, kind: 'timeout', attempt: 3, elapsed: 0, at: 1_700_000_000_123 }),
      (usual) => ({ ...usual, attempt: undefined, elapsed: undefined }),
      (usual) => ({ ...usual, cause: inner }),
      (usual) => ({ ...usual, plugins: [new Error('plugin')] }),
      (usual) => ({ ...usual, generation: undefined }),
      (usual) => ({ ...usual, generation: 2 }),
      (usual) => ({ ...usual, path: 'elsewhere' }),
      (usual) => ({ ...usual, job: undefined }),
      (usual) => ({ ...usual, job: { id: '7', task: 'other', attempts: 1 } }),
      (usual) => ({ ...usual, job: { ...(usual.job as FailedJob), attempts: Infinity } }),
      (usual) => ({ ...usual, job: { ...(usual.job as FailedJob), lane: ['a', 'b'] } }),
      (usual) => ({ ...usual, job: { ...(usual.job as FailedJob), url: 'http://a.test/' } }),
    ]
    const told = given.map((made) => {
      const id = add(usualJob(broker))
      const usual = {
        error: new Error(`of ${id}`),
        path: `q/job:${id}`,
        kind: 'thrown' as const,
        at: 5,
        attempt: 1,
        elapsed: 12,
        generation: 1,
        job: { id, task: 'q', attempts: 4 },
      }
      return { id, failure: new Failure(made(usual)) }
    })
    for (const failure of [decided, inner]) told.push({ id: add(usualJob(broker)), failure })
    for (const [index, { id, token }] of lease(broker, 100).entries()) {
      const { failure } = told[index] as { failure: Failure }
      void broker.settle([{ kind: 'fallback', id, token, attempts: 2, value: { n: index }, failure }])
    }
    for (const [index, { id, failure }] of told.entries()) {
      const record = {
        status: 'fallback',
        attempts: 2,
        charged: 0,
        value: { n: index },
        history: [],
        path: `q/job:${id}`,
      }
      expect(broker.job(id)).toMatchObject(record)
      expect((broker.job(id) as JobRecord).failure).toEqual(failure.toJSON())
    }
  })

  test('tells of a job that went well later what it told while that was not over', () => {
    const { broker, add } = opened()
    for (const failures of [1, 2, 3]) {
      const id = add(usualJob(broker))
      const settle = (outcome: object): void => {
        const [{ token } = { token: 0 }] = lease(broker)
        void broker.settle([{ id, token, ...outcome } as never])
      }
      for (let attempts = 1; attempts <= failures; attempts += 1) {
        const error = new Error(`attempt ${attempts}`)
        const why = new Failure({ error, path: 'q', kind: 'timeout', at: 40 + attempts, attempt: attempts })
        settle({ kind: 'retry', delay: 0, failure: why, attempts, charged: attempts, putOffs: attempts + 1 })
      }
      const before = broker.job(id) as JobRecord
      expect(before.history).toHaveLength(failures)
      settle({ kind: 'done', attempts: failures + 1, value: 'well' })
      const now = { status: 'done', value: 'well', attempts: failures + 1, finishedAt: before.addedAt }
      expect(broker.job(id)).toEqual({ ...before, ...now })
    }
  })

  test('close forgets what was open, keeps dead letters and outcomes, and leaves no timer', () => {
    const { broker, clock, add } = opened()
    const [dead, done, running, waiting, delayed] = [add(), add(), add(), add(), add({ delay: 100 })] as const
    const [a, b] = lease(broker, 3)
    void broker.settle([{ kind: 'failed', id: dead, token: a?.token as number, attempts: 1, failure: failure() }])
    void broker.settle([{ kind: 'done', id: done, token: b?.token as number, attempts: 1, value: 1 }])
    void broker.close()
    expect(clock.pending).toBe(0)
    expect([dead, done, running, waiting, delayed].map((id) => (broker.job(id) as { status: string }).status)).toEqual([
      'failed',
      'done',
      'cancelled',
      'cancelled',
      'cancelled',
    ])
    void broker.open(clock)
    expect(stats(broker)).toMatchObject({ waiting: 0, delayed: 0, leased: 0, dead: 1 })
    const next = add()
    expect(ids(lease(broker))).toEqual([next])
    expect(broker.discard(dead)).toBe(true)
    expect(stats(broker)).toMatchObject({ dead: 0 })
  })

  test('an own key __proto__ in what it was given reaches no lease', () => {
    const { broker, add } = opened()
    const id = add({ input: JSON.parse('{"__proto__":{"admin":true},"a":1}') as never })
    expect(broker.job(id)).toMatchObject({ input: { a: 1 } })
    const { input } = broker.job(id) as { input: object }
    expect([Object.keys(input), Object.getPrototypeOf(input)]).toEqual([['a'], Object.prototype])
  })

  test('keeps the last hundred attempts of a job', () => {
    const { broker, add } = opened()
    const id = add()
    for (let n = 1; n <= 150; n += 1) {
      const [{ token } = { token: 0 }] = lease(broker)
      void broker.settle([
        { kind: 'retry', id, token, delay: 0, failure: failure(`${n}`), attempts: n, charged: n, putOffs: 0 },
      ])
    }
    const { history } = broker.job(id) as unknown as { history: { message: string }[] }
    expect(history).toHaveLength(100)
    expect([history[0]?.message, history.at(-1)?.message]).toEqual(['51', '150'])
  })

  test('costs the same with 100 000 jobs waiting, in one priority, in many, in lanes and delayed', () => {
    const { broker, add } = opened()
    for (let n = 0; n < 25_000; n += 1) {
      add()
      add({ priority: n })
      add({ lane: `lane ${n % 100}` })
      add({ delay: 1 + ((n * 7_919) % 25_000) })
    }
    const before = performance.now()
    for (let n = 0; n < 20_000; n += 1) {
      for (const { id, token } of lease(broker, 1)) {
        void broker.settle([{ kind: 'done', id, token, attempts: 1, value: null }])
      }
    }
    expect(performance.now() - before).toBeLessThan(2_000) // 20 000 scans of the queue would take minutes
  })
})
