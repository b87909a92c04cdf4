import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { start, supervisor, task, type Broker } from 'rootcatch'
import { sqlite } from 'rootcatch/sqlite'
import { manualClock } from 'rootcatch/testing'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { LeasedJob } from '../../src/brokers/broker.ts'
import { newJob, outcomes, queue } from '../support/broker-job.ts'
import { run } from '../support/child.ts'
import { newFiles } from '../support/sqlite-store.ts'

const newFile = newFiles()
const CHILD = fileURLToPath(import.meta.resolve('../support/single-jobs.ts'))
const JOBS = 50
const STRACE = 'strace'
const canTrace = spawnSync(STRACE, ['-o', '/dev/null', 'true']).status === 0

describe('what a user was told', () => {
  test('was committed before, by a connection that waits for the disk', async () => {
    const log = logOfCommits()
    const work = task('work', async () => void log.push('runs'))
    const system = await start(supervisor('app', [work]), { broker: sqlite(newFile()) })
    system.pause(work)
    log.length = 0
    const asked = system.run(work, undefined)
    await asked.queued()
    log.push('confirmed')
    expect(log).toEqual(['on disk', 'confirmed'])
    log.length = 0
    system.unpause(work)
    await asked
    log.push('settled')
    expect(log.slice(log.indexOf('runs'))).toEqual(['runs', 'on disk', 'settled'])
    await system.stop()
  })

  test.skipIf(!canTrace)(
    `was on the disk before, as the kernel saw it${canTrace ? '' : ': there is no strace that may trace'}`,
    async () => {
      const trace = newFile()
      const words = ['-f', '-e', 'trace=fsync,fdatasync,write', '-e', 'signal=none', '-o', trace]
      const { code } = await run(STRACE, [...words, process.execPath, CHILD, newFile(), String(JOBS)])
      expect(code).toBe(0)
      const seen = readFileSync(trace, 'utf8').split('\n').flatMap(stepOf).join(' ').split('adds ').slice(1)
      expect(seen).toHaveLength(JOBS)
      const step = /^(?:synced )+confirmed (?:synced )*runs (?:synced )+settled (?:synced )*$/
      expect(seen.filter((steps) => !step.test(`${steps.trimEnd()} `))).toEqual([])
    },
  )
})

describe('who holds a job', () => {
  const clock = manualClock(1_000)
  const opened = async (path: string): Promise<Broker> => {
    const broker = sqlite(path, { lostLimit: 1 })
    await broker.open(clock)
    onTestFinished(async () => broker.close())
    return broker
  }

  test('is committed without a wait for the disk: after a power loss nobody does', async () => {
    const broker = await opened(newFile())
    await broker.enqueue([newJob(broker, { id: 'a' })])
    const log = logOfCommits()
    const [lease] = await broker.lease(queue, 1)
    expect(log).toEqual(['not on disk'])
    await broker.settle([outcomes.done(lease as LeasedJob)])
    expect(log).toEqual(['not on disk', 'on disk'])
  })

  test('shares the wait of what is done in the same tick', async () => {
    const broker = await opened(newFile())
    await broker.enqueue([newJob(broker, { id: 'a' })])
    const log = logOfCommits()
    await Promise.all([broker.lease(queue, 1), broker.enqueue([newJob(broker, { id: 'b' })])])
    expect(log).toEqual(['on disk'])
  })

  test('waits for the disk when somebody lost a job for good', async () => {
    const broker = await opened(newFile())
    await broker.enqueue([newJob(broker, { id: 'a' })])
    await broker.lease(queue, 1)
    await broker.enqueue([newJob(broker, { id: 'b' })])
    await clock.advance('30s')
    const log = logOfCommits()
    expect(await broker.lease(queue, 2)).toMatchObject([{ id: 'b' }])
    expect(log).toEqual(['not on disk', 'on disk'])
    expect(await broker.job('a')).toMatchObject({ status: 'failed', failure: { kind: 'lost' } })
  })
})

/** A line for each commit, and whether it waited for the disk. */
function logOfCommits(): string[] {
  const log: string[] = []
  const exec = DatabaseSync.prototype.exec
  const spy = vi.spyOn(DatabaseSync.prototype, 'exec').mockImplementation(function (this: DatabaseSync, sql) {
    exec.call(this, sql)
    if (sql !== 'COMMIT') return
    log.push(this.prepare('PRAGMA synchronous').get()?.['synchronous'] === 2 ? 'on disk' : 'not on disk')
  })
  onTestFinished(() => spy.mockRestore())
  return log
}

/** What a line of strace says that counts here. */
function stepOf(line: string): readonly string[] {
  if (/ f(?:data)?sync(?:\(\d+| resumed>)\)\s*= 0$/.test(line)) return ['synced']
  const said = / write\(1, "(\w+)\\n"/.exec(line)?.[1]
  return said === undefined ? [] : [said]
}
