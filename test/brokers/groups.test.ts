import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { memory } from 'rootcatch'
import { sqlite } from 'rootcatch/sqlite'
import { manualClock } from 'rootcatch/testing'
import type { Broker, NewJob } from '../../src/brokers/broker.ts'
import { newJob, outcomes, queue } from '../support/broker-job.ts'
import { newFiles } from '../support/sqlite-store.ts'

const newFile = newFiles()
const kinds: readonly (readonly [string, () => Broker])[] = [
  ['memory', memory],
  ['sqlite', () => sqlite(newFile())],
]

async function opened(create: () => Broker): Promise<Broker> {
  const broker = create()
  await broker.open(manualClock(1000))
  onTestFinished(() => broker.close())
  return broker
}

const add = async (broker: Broker, jobs: readonly Partial<NewJob>[]): Promise<void> =>
  void (await broker.enqueue(jobs.map((job) => newJob(broker, job))))

const take = async (broker: Broker, limit: number, ...without: string[]): Promise<readonly string[]> =>
  (await broker.lease(queue, limit, new Set(without))).map(({ id }) => id)

describe.each(kinds)('groups of jobs (%s)', (_, create) => {
  test('are left out when jobs are taken; the others come in their order', async () => {
    const broker = await opened(create)
    await add(broker, [
      { id: 'a1', group: 'a' },
      { id: 'b1', group: 'b' },
      { id: 'ungrouped' },
      { id: 'a2', group: 'a', priority: -1 },
      { id: 'b2', group: 'b', priority: -1 },
      { id: 'c1', group: '__proto__' },
    ])
    expect(await take(broker, 9, 'a', 'b', '__proto__')).toEqual([])
    expect(await take(broker, 2, 'a')).toEqual(['b2', 'b1'])
    expect(await take(broker, 1, 'a', 'x')).toEqual(['c1'])
    expect(await take(broker, 9)).toEqual(['a2', 'a1', 'ungrouped'])
  })

  test('stay theirs over retries, releases and a replay', async () => {
    const broker = await opened(create)
    await add(
      broker,
      ['retried', 'released', 'dead'].map((id) => ({ id, group: 'a' })),
    )
    const [retried, released, dead] = await broker.lease(queue, 3)
    if (retried === undefined || released === undefined || dead === undefined) throw new Error('three were there')
    await broker.settle([
      outcomes.retry(retried, 0),
      { id: released.id, token: released.token, kind: 'release' },
      outcomes.failed(dead),
    ])
    await broker.replay('dead', undefined)
    expect(await take(broker, 9, 'a')).toEqual([])
    expect((await take(broker, 9)).toSorted()).toEqual(['dead', 'released', 'retried'])
  })

  test('of 20 000 that wait hold up nobody behind them', async () => {
    const broker = await opened(create)
    await add(
      broker,
      Array.from({ length: 20_000 }, () => ({ group: 'slow' })),
    )
    await add(broker, [{ id: 'fast', group: 'fast' }])
    const started = performance.now()
    expect(await take(broker, 16, 'slow')).toEqual(['fast'])
    for (let time = 0; time < 500; time += 1) expect(await take(broker, 16, 'slow')).toEqual([])
    expect(performance.now() - started).toBeLessThan(5000)
  })

  test('give the same as leaving them out by hand, whatever waits', async () => {
    const job = fc.record({ group: fc.constantFrom('a', 'b', 'c'), priority: fc.integer({ min: -1, max: 1 }) })
    const property = fc.asyncProperty(
      fc.array(job, { maxLength: 30 }),
      fc.subarray(['a', 'b', 'c']),
      fc.integer({ min: 1, max: 20 }),
      async (jobs, without, limit) => {
        const broker = create()
        await broker.open(manualClock(1000))
        await add(
          broker,
          jobs.map((each, index) => ({ id: String(index), ...each })),
        )
        const expected = jobs
          .map(({ group, priority }, index) => ({ id: String(index), group, priority }))
          .filter(({ group }) => !without.includes(group))
          .sort((x, y) => x.priority - y.priority || Number(x.id) - Number(y.id))
          .slice(0, limit)
          .map(({ id }) => id)
        expect(await take(broker, limit, ...without)).toEqual(expected)
        await broker.close()
      },
    )
    await fc.assert(property, { numRuns: 60 })
  })
})

test('many groups on sqlite are not looked at one by one', async () => {
  const file = newFile()
  const broker = await opened(() => sqlite(file))
  await add(
    broker,
    Array.from({ length: 500 }, (_, index) => ({ id: String(index), group: `host ${index}` })),
  )
  expect(await take(broker, 3, 'host 0', 'host 2')).toEqual(['1', '3', '4'])
  const db = new DatabaseSync(file, { readOnly: true })
  const plan = db.prepare(`EXPLAIN QUERY PLAN SELECT min(grp) FROM jobs
    WHERE queue = 1 AND state = 0 AND grp IS NOT NULL AND grp > 'x'`)
  expect(JSON.stringify(plan.all())).toContain('ready_groups')
  db.close()
})

/** Counts how often it is asked. */
class Asked extends Set<string> {
  times = 0

  override has(value: string): boolean {
    this.times += 1
    return super.has(value)
  }
}

describe('a lease from memory that leaves a group out', () => {
  test('looks at groups, not at the jobs that wait in them', async () => {
    const broker = await opened(memory)
    const slow = Array.from({ length: 20_000 }, (_, index) => ({ group: 'slow', priority: index % 3 }))
    await add(broker, [...slow, { id: 'fast', group: 'fast', priority: 9 }])
    const without = new Asked(['slow'])
    expect((await broker.lease(queue, 16, without)).map(({ id }) => id)).toEqual(['fast'])
    expect(without.times).toBeLessThan(10)
  })

  test('leaves them where they stood', async () => {
    const broker = await opened(memory)
    const jobs = ['a', 'b', 'a', 'c', 'b', 'a'].map((group, index) => ({ id: `${group}${index}`, group }))
    await add(broker, jobs)
    expect(await take(broker, 1, 'a', 'c')).toEqual(['b1'])
    const [first] = await broker.lease(queue, 1)
    await broker.settle([{ id: first?.id ?? '', token: first?.token ?? 0, kind: 'release' }])
    expect(await take(broker, 9)).toEqual(['a0', 'a2', 'c3', 'b4', 'a5'])
  })
})
