import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { BrokerError, start, supervisor, task, type Broker } from 'rootcatch'
import { sqlite } from 'rootcatch/sqlite'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { newJob, queue } from '../support/broker-job.ts'
import { startChild } from '../support/child-lines.ts'
import { newFiles, readRow } from '../support/sqlite-store.ts'

const newFile = newFiles()
const KB = 1_024

/** A broker, and a disk of its own that can be full. */
async function onDisk(path: string): Promise<{ readonly broker: Broker; room(pages: number): void }> {
  const exec = vi.spyOn(DatabaseSync.prototype, 'exec')
  const broker = sqlite(path)
  await broker.open(systemClock)
  const connection = exec.mock.contexts[0] as DatabaseSync
  exec.mockRestore()
  onTestFinished(async () => broker.close())
  const used = (): number => Number(connection.prepare('PRAGMA page_count').get()?.['page_count'])
  return { broker, room: (pages) => connection.exec(`PRAGMA max_page_count = ${used() + pages}`) }
}

const full = (path: string): string => `${path} cannot be used: database or disk is full. Free some space.`

describe('a full disk', () => {
  test('refuses what does not fit, with the reason, and keeps what was confirmed', async () => {
    const path = newFile()
    const { broker, room } = await onDisk(path)
    const add = async (): Promise<string> => {
      const [added] = await broker.enqueue([newJob(broker, { input: 'x'.repeat(20 * KB) })])
      return String(added?.id)
    }
    room(20)
    const confirmed: string[] = []
    const fill = async (): Promise<void> => {
      for (;;) confirmed.push(await add())
    }
    await expect(fill()).rejects.toThrow(full(path))
    await expect(add()).rejects.toBeInstanceOf(BrokerError)
    expect(confirmed.length).toBeGreaterThan(0)
    expect(readRow(path, 'SELECT group_concat(id) AS ids FROM (SELECT id FROM jobs ORDER BY seq)')).toEqual({
      ids: confirmed.join(),
    })
    expect(await broker.stats()).toMatchObject([{ waiting: confirmed.length }])

    room(1_000)
    confirmed.push(await add())
    expect((await broker.lease(queue, 100)).map(({ id }) => id)).toEqual(confirmed)
    expect(readRow(path, 'PRAGMA integrity_check')).toEqual({ integrity_check: 'ok' })
  })

  test('loses no outcome: it is reported, and settled once there is room', async () => {
    const path = newFile()
    const { broker, room } = await onDisk(path)
    const big = task('big', async () => {
      room(0)
      return 'x'.repeat(200 * KB)
    })
    const system = await start(supervisor('app', [big]), { broker })
    const reported = new Promise((resolve) => system.on('callback.failed', resolve))
    const run = system.run(big, undefined)
    expect(await reported).toMatchObject({ callback: 'broker.settle', error: { message: full(path) } })
    expect(await system.job(run.id)).toMatchObject({ status: 'running' })
    room(1_000)
    expect(await run).toHaveLength(200 * KB)
    expect(await system.job(run.id)).toMatchObject({ status: 'done' })
    await system.stop()
  })
})

describe('a lock', () => {
  test('of a process that was killed is none, and what it had not committed is not there', async () => {
    const path = newFile()
    const first = sqlite(path)
    await first.open(systemClock)
    await first.enqueue([newJob(first, { id: 'a' })])
    await first.close()
    const code = `
      const db = new (process.getBuiltinModule('node:sqlite').DatabaseSync)(${JSON.stringify(path)})
      db.exec('PRAGMA journal_mode = WAL; PRAGMA cache_size = 1; BEGIN EXCLUSIVE; DELETE FROM jobs')
      db.exec("INSERT INTO queues (name) SELECT hex(randomblob(500)) FROM json_each('[1,2,3,4,5,6,7,8,9]')")
      console.log('locked')
      setInterval(() => {}, 1_000)`
    const holder = startChild('--eval', [code])
    await holder.until((line) => line === 'locked')
    await holder.kill()
    const broker = sqlite(path)
    await broker.open(systemClock)
    onTestFinished(async () => broker.close())
    await broker.enqueue([newJob(broker, { id: 'b' })])
    expect((await broker.lease(queue, 10)).map(({ id }) => id)).toEqual(['a', 'b'])
    expect(await broker.stats()).toHaveLength(1)
    expect(readRow(path, 'PRAGMA integrity_check')).toEqual({ integrity_check: 'ok' })
  })

  test('of a process that lives makes jobs wait, and loses none', async () => {
    const path = newFile()
    const broker = sqlite(path)
    await broker.open(systemClock)
    onTestFinished(async () => broker.close())
    const code = `
      const db = new (process.getBuiltinModule('node:sqlite').DatabaseSync)(${JSON.stringify(path)})
      db.exec('BEGIN IMMEDIATE')
      console.log('locked')
      setInterval(() => {}, 1_000)`
    const holder = startChild('--eval', [code])
    await holder.until((line) => line === 'locked')
    const warned = new Promise((resolve) => process.once('warning', resolve))
    const added = broker.enqueue([newJob(broker, { id: 'a' })])
    expect(String(await warned)).toContain(`${path} has been locked by another process`)
    await holder.kill()
    expect(await added).toEqual([{ id: 'a', duplicate: false }])
  })
})

describe('a file that went away under a system', () => {
  test('refuses jobs and reports outcomes, both with the reason, and the system still stops', async () => {
    const path = newFile()
    const gone = `${path} was deleted or replaced while it was open. Stop the system and start it again.`
    const work = task('work', { shutdown: '50ms' }, async () => renameSync(path, `${path}.elsewhere`))
    const system = await start(supervisor('app', [work]), { broker: sqlite(path) })
    const reported = new Promise((resolve) => system.on('callback.failed', resolve))
    const run = system.run(work, undefined)
    expect(await reported).toMatchObject({ callback: 'broker.settle', error: { message: gone } })
    await expect(system.run(work, undefined).queued()).rejects.toThrow(gone)
    await system.stop()
    expect(await run.settled()).toMatchObject({ status: 'cancelled', reason: { code: 'system-stopped' } })

    renameSync(`${path}.elsewhere`, path)
    expect(readRow(path, 'SELECT count(*) AS jobs FROM jobs')).toEqual({ jobs: 1 })
  })
})

describe('a damaged file', () => {
  const PAGE = 4_096
  const damages: readonly (readonly [string, (file: Buffer) => Buffer])[] = [
    ['whose pages are overwritten', (file) => file.fill(0xaa, PAGE)],
    ['whose pages are zero', (file) => file.fill(0, PAGE)],
    ['whose table of contents is overwritten', (file) => file.fill(0xaa, 100, PAGE)],
    ['that was cut', (file) => file.subarray(0, 8 * PAGE)],
    ['that was cut to its header', (file) => file.subarray(0, 100)],
  ]

  test.each(damages)('%s is refused at open, with what to do', async (_, damage) => {
    const path = newFile()
    await fill(path)
    writeFileSync(path, damage(readFileSync(path)))
    const error: unknown = await (async () => sqlite(path).open(systemClock))().catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(BrokerError)
    expect(String(error)).toMatch(/cannot be used: database disk image is malformed\. Restore it from a copy/)
  })

  test('that is damaged where jobs are refuses each call that meets it', async () => {
    const path = newFile()
    await fill(path)
    writeFileSync(path, readFileSync(path).fill(0xaa, 5 * PAGE, 7 * PAGE))
    const broker = sqlite(path)
    await broker.open(systemClock)
    onTestFinished(async () => broker.close())
    await expect(async () => broker.lease(queue, 200)).rejects.toThrow(
      `${path} cannot be used: database disk image is malformed.`,
    )
  })

  async function fill(path: string): Promise<void> {
    const broker = sqlite(path)
    await broker.open(systemClock)
    await broker.enqueue(Array.from({ length: 200 }, () => newJob(broker)))
    await broker.close()
  }
})
