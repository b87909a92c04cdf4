import { fileURLToPath } from 'node:url'
import { LeaseLostError, restart, resume, start, supervisor, task, type Failure, type System } from 'rootcatch'
import { sqlite } from 'rootcatch/sqlite'
import { manualClock, settle, type ManualClock } from 'rootcatch/testing'
import { describe, expect, test } from 'vitest'
import type { Broker } from '../../src/brokers/broker.ts'
import { newJob, queue } from '../support/broker-job.ts'
import { startChild } from '../support/child-lines.ts'
import { jobRecorder, type JobRecorder } from '../support/job-recorder.ts'
import { slowly } from '../support/slow-task.ts'
import { newFiles } from '../support/sqlite-store.ts'

const newFile = newFiles()
const HOLDING = fileURLToPath(import.meta.resolve('../support/broker-child.ts'))
const AWAITING = fileURLToPath(import.meta.resolve('../support/awaiting-child.ts'))

/** Takes the next job as a process that ends at once, and lets its lease run out. */
async function lose(broker: Broker, path: string, clock: ManualClock): Promise<void> {
  await expect.poll(async () => (await broker.lease(path, 1)).length).toBe(1)
  await clock.advance('1s')
  await clock.advance('31s')
  await settle()
}

/** A paused system, and another process that loses its jobs. */
async function losing(
  root: Parameters<typeof start>[0],
  options: Parameters<typeof start>[1] = {},
): Promise<{ system: System; clock: ManualClock; broker: Broker; seen: JobRecorder; file: string }> {
  const file = newFile()
  const clock = manualClock(1_000)
  const system = await start(root, { clock, broker: sqlite(file, { lostLimit: 1 }), ...options })
  const broker = sqlite(file, { lostLimit: 1 })
  await broker.open(clock)
  const seen = jobRecorder()
  seen.listen(system)
  return { system, clock, broker, seen, file }
}

describe('a job that was lost too often', () => {
  test('fails like any other: events, run, stats, failures and the catch above', async () => {
    const job = task('job', { retry: { attempts: 5 } }, () => 1)
    const asked: Failure[] = []
    const root = supervisor('app', { catch: (failure) => (asked.push(failure), resume) }, [job])
    const { system, clock, broker, seen } = await losing(root)
    system.pause(job)
    const run = system.run(job)
    await run.queued()
    await lose(broker, 'app/job', clock)
    const { status, failure, attempts } = await run.settled()
    expect([status, attempts]).toEqual(['failed', 1])
    expect(failure).toMatchObject({
      kind: 'lost',
      path: run.path,
      attempt: 1,
      job: { id: run.id, task: 'app/job', attempts: 5 },
      trail: [{ path: 'app', decision: 'resume', by: 'catch' }],
    })
    expect(failure?.error).toBeInstanceOf(LeaseLostError)
    expect(failure?.message).toContain('was lost 1 time: its process ended, or its lease ran out.')
    expect(asked).toEqual([failure])
    expect(seen.events(run.path).slice(-3)).toEqual(['failure.decided', 'job.failed', 'dead.added'])
    expect(system.stats()).toMatchObject({ jobs: { failed: 1 }, failures: { resume: 1 }, openRuns: 0 })
    expect(system.failures()).toEqual([failure])
    expect(await system.dead.show(run.id)).toMatchObject({ kind: 'lost', failure: { job: { task: 'app/job' } } })
    await broker.close()
    await system.stop()
  })

  test('is queued again if a supervisor restarts it, as often as that one may', async () => {
    const job = task('job', () => 'done')
    const options = { catch: () => restart, restarts: { limit: 1, within: '5s' } } as const
    const { system, clock, broker, seen } = await losing(supervisor('app', options, [job]), { catch: () => resume })
    system.pause(job)
    const run = system.run(job)
    await run.queued()
    await lose(broker, 'app/job', clock)
    await expect.poll(() => seen.all('job.restarted')).toMatchObject([{ path: run.path, generation: 2 }])
    expect(await system.job(run.id)).toMatchObject({ status: 'waiting', attempts: 0, restarts: { app: 1 } })
    expect(seen.all('job.failed')).toEqual([])
    await lose(broker, 'app/job', clock)
    expect(await run.settled()).toMatchObject({
      status: 'failed',
      failure: { kind: 'lost', generation: 2, trail: [{ path: 'app', by: 'limit' }, { path: '' }] },
    })
    expect(seen.all('dead.added')).toHaveLength(1)
    await broker.close()
    await system.stop()
  })

  test('that is restarted runs, and whoever waits has its value', async () => {
    const job = task('job', () => 'done')
    const { system, clock, broker } = await losing(supervisor('app', { catch: () => restart }, [job]))
    system.pause(job)
    const run = system.run(job)
    await run.queued()
    await lose(broker, 'app/job', clock)
    system.unpause(job)
    const later = async (): Promise<unknown> => {
      await clock.advance(10)
      return system.job(run.id)
    }
    await expect.poll(later).toMatchObject({ status: 'done' })
    expect(await run).toBe('done')
    await broker.close()
    await system.stop()
  })

  test('is announced once over all processes, and told to everybody who waits', async () => {
    const job = task('job', () => 1)
    const { system, clock, broker, seen, file } = await losing(job, { catch: () => resume })
    const other = await start(job, { clock, broker: sqlite(file, { lostLimit: 1 }), catch: () => resume })
    seen.listen(other)
    system.pause(job)
    other.pause(job)
    const run = other.run(job)
    await run.queued()
    await lose(broker, 'job', clock)
    expect(await run.settled()).toMatchObject({ status: 'failed', failure: { kind: 'lost', job: { id: run.id } } })
    await clock.advance('1m')
    expect(seen.all('dead.added')).toHaveLength(1)
    expect(seen.all('job.failed')).toHaveLength(1)
    expect(system.stats().jobs.failed + other.stats().jobs.failed).toBe(1)
    await broker.close()
    await system.stop()
    await other.stop()
  })

  test('is left to a process that knows its task', async () => {
    const job = task('job', () => 1)
    const strangers = await losing(
      task('known', () => 1),
      { catch: () => resume },
    )
    const { clock, broker, file } = strangers
    await broker.enqueue([newJob(broker, { id: 'a', queue: 'job' })])
    await lose(broker, 'job', clock)
    await clock.advance('1m')
    expect(strangers.seen.all('dead.added')).toEqual([])
    expect(await broker.job('a')).toMatchObject({ status: 'running' })
    await broker.close()

    const system = await start(job, { clock, broker: sqlite(file, { lostLimit: 1 }), catch: () => resume })
    const seen = jobRecorder()
    seen.listen(system)
    await expect.poll(() => seen.events('job/job:a')).toEqual(['failure.decided', 'job.failed', 'dead.added'])
    await clock.advance('1m')
    expect(strangers.system.failures()).toEqual([])
    await system.stop()
    await strangers.system.stop()
  })

  test('and found by another process is announced by the one that knows its task, paused or not', async () => {
    const job = task('job', () => 1)
    const { system, clock, broker, seen, file } = await losing(job, { catch: () => resume })
    system.pause(job)
    const run = system.run(job)
    await run.queued()
    await broker.lease('job', 1)
    // Its lease is over for the other one first.
    const later = manualClock(clock.now() + 60_000)
    const finder = sqlite(file, { lostLimit: 1 })
    await finder.open(later)
    expect(await finder.job(run.id)).toMatchObject({ status: 'running' })
    await clock.advance('1s')
    await expect.poll(() => seen.all('dead.added')).toMatchObject([{ path: run.path }])
    expect(await run.settled()).toMatchObject({ failure: { kind: 'lost' } })
    await finder.close()
    await broker.close()
    await system.stop()
  })

  test('and is given up before anybody has buried it is cancelled', async () => {
    const { clock, broker, file, system } = await losing(task('known', () => 1))
    await broker.enqueue([newJob(broker, { id: 'a', queue: 'job' })])
    await lose(broker, 'job', clock)
    expect(await broker.cancel('a', 'enough')).toBe('leased')
    const knows = await start(
      task('job', () => 1),
      { clock, broker: sqlite(file, { lostLimit: 1 }) },
    )
    await expect.poll(() => broker.job('a')).toMatchObject({ status: 'cancelled', reason: 'enough' })
    expect(knows.failures()).toEqual([])
    await knows.stop()
    await broker.close()
    await system.stop()
  })

  test('because its process was killed is announced by the one that opens the file next', async () => {
    const file = newFile()
    const killed = startChild(HOLDING, ['sqlite', file, 'hold'])
    await killed.until((line) => line === 'ready')
    await killed.kill()
    const asked: string[] = []
    const resize = task('resize', () => 1)
    const root = supervisor('app', { catch: ({ path }) => (asked.push(path), resume) }, [resize])
    const system = await start(root, { broker: sqlite(file, { lostLimit: 1 }) })
    const seen = jobRecorder()
    seen.listen(system)
    const path = `${queue}/job:leased`
    await expect.poll(() => seen.events(path)).toEqual(['failure.decided', 'job.failed', 'dead.added'])
    expect(asked).toEqual([path])
    await system.stop()
  })
})

describe('a process that only waits for a run', () => {
  test('lives until another process has ended the job, and no longer', async () => {
    const file = newFile()
    const waiting = startChild(AWAITING, [file])
    await waiting.until((line) => line === 'queued')
    const system = await start(slowly, { broker: sqlite(file) })
    expect(await waiting.ended).toBe(0)
    expect(waiting.lines).toEqual(['queued', 'x done'])
    await system.stop()
  })
})
