import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test, vi } from 'vitest'
import {
  BrokerError,
  exponential,
  InvalidOptionError,
  start,
  SystemStoppedError,
  task,
  UnknownOptionError,
} from 'rootcatch'
import { manualClock, settle } from 'rootcatch/testing'
import type { Broker, BrokerClock, LeasedJob } from '../../src/brokers/broker.ts'
import { GroupCommit, type Transactor } from '../../src/brokers/sqlite-commit.ts'
import { findDriver } from '../../src/brokers/sqlite-driver.ts'
import { isGone, thisProcess } from '../../src/owner.ts'
import { sqlite } from '../../src/brokers/sqlite.ts'
import { systemClock } from '../../src/clock.ts'
import { elsewhere, newJob, outcomes, queue } from '../support/broker-job.ts'
import { startChild } from '../support/child-lines.ts'
import { newFiles, readRow } from '../support/sqlite-store.ts'

const CHILD = fileURLToPath(import.meta.resolve('../support/broker-child.ts'))
const newFile = newFiles()
const open: Broker[] = []

afterEach(async () => {
  for (const broker of open.splice(0)) await broker.close()
})

async function opened(path: string, clock: BrokerClock = systemClock, options = {}): Promise<Broker> {
  const broker = sqlite(path, options)
  await broker.open(clock)
  open.push(broker)
  return broker
}

const add = async (broker: Broker, ...ids: string[]): Promise<unknown> =>
  broker.enqueue(ids.map((id) => newJob(broker, { id })))
const count = (path: string): unknown => readRow(path, 'SELECT count(*) AS jobs FROM jobs')['jobs']
const take = async (broker: Broker, limit = 1): Promise<readonly LeasedJob[]> => broker.lease(queue, limit)

describe('the file', () => {
  test('is in WAL mode, ours, of this schema, and made of strict tables', async () => {
    const path = newFile()
    await opened(path)
    expect(readRow(path, 'PRAGMA journal_mode')).toEqual({ journal_mode: 'wal' })
    expect(readRow(path, 'PRAGMA application_id')).toEqual({ application_id: 0x72637463 })
    expect(readRow(path, 'PRAGMA user_version')).toEqual({ user_version: 4 })
    const loose = `SELECT count(*) AS tables FROM pragma_table_list
      WHERE type = 'table' AND schema = 'main' AND name NOT LIKE 'sqlite_%' AND NOT strict`
    expect(readRow(path, loose)).toEqual({ tables: 0 })
  })

  test('of an earlier schema is brought up to this one, with all its jobs', async () => {
    const path = newFile()
    const broker = await opened(path)
    await add(broker, 'a')
    await broker.close()
    const earlier = new DatabaseSync(path)
    earlier.exec(
      'DROP TABLE schedules; DROP TABLE notes; DROP INDEX ready_groups; ALTER TABLE jobs DROP COLUMN grp; PRAGMA user_version = 1',
    )
    earlier.close()
    const again = await opened(path)
    expect(readRow(path, 'PRAGMA user_version')).toEqual({ user_version: 4 })
    expect(await take(again)).toMatchObject([{ id: 'a' }])
    expect(await again.schedule({ queue, spec: 'every 100', next: 100 })).toBe(100)
  })

  test('is written through a connection that waits for others and for the disk', async () => {
    const exec = vi.spyOn(DatabaseSync.prototype, 'exec')
    const path = newFile()
    await opened(path)
    const said = exec.mock.calls.map(([sql]) => sql)
    const connection = exec.mock.contexts[0] as DatabaseSync
    exec.mockRestore()
    expect(said).toContain('PRAGMA synchronous = FULL')
    expect({ ...connection.prepare('PRAGMA synchronous').get() }).toEqual({ synchronous: 2 })
    expect({ ...connection.prepare('PRAGMA busy_timeout').get() }).toEqual({ timeout: 5_000 })
  })

  test('can be read by its owner alone, and so can what lies beside it', async () => {
    const path = newFile()
    const broker = await opened(path)
    await add(broker, 'a')
    for (const suffix of ['', '-wal', '-shm']) expect(statSync(path + suffix).mode & 0o777).toBe(0o600)
  })

  test('stands alone after close, and is as it was when it is opened again', async () => {
    const path = newFile()
    const broker = await opened(path)
    await broker.open(systemClock) // twice is once
    await add(broker, 'a')
    await broker.close()
    await broker.close()
    expect(existsSync(`${path}-wal`)).toBe(false)
    expect(readRow(path, 'SELECT count(*) AS owners FROM owners')).toEqual({ owners: 0 })
    await broker.open(systemClock)
    expect(await broker.job('a')).toMatchObject({ status: 'waiting' })
  })

  test('says what to do when it is not open', async () => {
    const broker = sqlite('./never.db')
    await expect(async () => broker.job('a')).rejects.toThrow('./never.db is not open. Give the broker to start()')
    expect(existsSync('./never.db')).toBe(false)
  })

  test('may be no file at all', async () => {
    const broker = await opened(':memory:')
    await add(broker, 'a')
    expect(await take(broker)).toMatchObject([{ id: 'a' }])
    expect(existsSync(':memory:')).toBe(false)
  })
})

describe('a path that is refused', () => {
  const refusal = async (path: string): Promise<BrokerError> => {
    const broker = sqlite(path)
    const error: unknown = await broker.open(systemClock)?.then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(BrokerError)
    return error as BrokerError
  }

  const foreign = (path: string, sql: string): void => {
    const db = new DatabaseSync(path)
    db.exec(sql)
    db.close()
  }

  test.each([
    ['another database', 'CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES (1)'],
    ['another database in WAL mode', 'PRAGMA journal_mode = WAL; CREATE TABLE notes (text TEXT)'],
    ['an empty one with a version', 'PRAGMA user_version = 3'],
    ['one of another application', 'PRAGMA application_id = 42'],
  ])('%s stays as it is, to the byte', async (_, sql) => {
    const path = newFile()
    foreign(path, sql)
    const before = readFileSync(path)
    const { code, message } = await refusal(path)
    expect(code).toBe('store-foreign')
    expect(message).toBe(`${path} is a database of something else; nothing was changed. Give the path of a new file.`)
    expect(readFileSync(path).equals(before)).toBe(true)
    expect(existsSync(`${path}-wal`) || existsSync(`${path}-shm`)).toBe(false)
  })

  test.each(['', 'x', 'hello\n'.repeat(50)])('a text file stays as it is: %j', async (text) => {
    const path = newFile()
    writeFileSync(path, text)
    if (text === '') return void (await opened(path)) // an empty file is a new one
    expect((await refusal(path)).code).toBe('store-foreign')
    expect(readFileSync(path, 'utf8')).toBe(text)
  })

  test('one of a newer rootcatch names both versions, and stays as it is', async () => {
    const path = newFile()
    const broker = await opened(path)
    await broker.close()
    foreign(path, 'PRAGMA user_version = 7')
    const before = readFileSync(path)
    const { code, message } = await refusal(path)
    expect(code).toBe('store-newer')
    expect(message).toBe(
      `${path} was written by a newer rootcatch (schema 7, this one knows 4). Update rootcatch, or use another file.`,
    )
    expect(readFileSync(path).equals(before)).toBe(true)
  })

  test('a newer one whose version lies in its WAL is refused too', async () => {
    const path = newFile()
    const holder = new DatabaseSync(path)
    await opened(path)
    holder.exec('PRAGMA user_version = 7')
    expect((await refusal(path)).code).toBe('store-newer')
    holder.exec('PRAGMA user_version = 1')
    holder.close()
  })

  test('a directory', async () => {
    const path = newFile()
    mkdirSync(path)
    const { code, message } = await refusal(path)
    expect([code, message]).toEqual([
      'store-foreign',
      `${path} is a directory; nothing was changed. Give the path of a file.`,
    ])
  })

  test('a file in a folder that is not there', async () => {
    const { code, message } = await refusal(`${newFile()}/deep/app.db`)
    expect(code).toBe('away')
    expect(message).toContain('ENOENT')
  })

  test('a file that cannot be written', async () => {
    const path = newFile()
    await (await opened(path)).close()
    const folder = dirname(path)
    chmodSync(path, 0o444)
    chmodSync(folder, 0o555)
    // Nothing is read-only to root: there a child without its rights has to try.
    const isRoot = process.getuid?.() === 0
    const child = startChild(CHILD, ['sqlite', path, 'open'], isRoot ? { uid: 65_534 } : {})
    await child.ended
    chmodSync(folder, 0o755)
    expect(child.lines).toEqual([expect.stringMatching(/^BrokerError: .+ cannot be used: .*(readonly|permission)/i)])
  })

  test('is not remembered: the next open tries again', async () => {
    const path = newFile()
    writeFileSync(path, 'not ours')
    const broker = sqlite(path)
    await expect(broker.open(systemClock)).rejects.toBeInstanceOf(BrokerError)
    rmSync(path)
    await broker.open(systemClock)
    open.push(broker)
    await add(broker, 'a')
  })
})

describe('sqlite()', () => {
  test.each([
    [() => sqlite(''), InvalidOptionError],
    [() => sqlite('x.db', { lease: 0 }), InvalidOptionError],
    [() => sqlite('x.db', { lostLimit: 0 }), InvalidOptionError],
    [() => sqlite('x.db', { keepResults: { last: -1 } }), InvalidOptionError],
    [() => sqlite('x.db', { leese: '1s' } as never), UnknownOptionError],
    [() => sqlite('x.db', { keepResults: { fore: '1s' } } as never), UnknownOptionError],
  ])('refuses %s', (make, error) => {
    expect(make).toThrow(error)
  })

  test('keeps as many results as it is told, for as long', async () => {
    const clock = manualClock(1_000)
    const path = newFile()
    const broker = await opened(path, clock, { keepResults: { last: 3, for: '1m' } })
    for (const id of ['a', 'b', 'c', 'd', 'e']) {
      await add(broker, id)
      await broker.settle((await take(broker)).map((lease) => outcomes.done(lease)))
    }
    expect(count(path)).toBe(3)
    await clock.advance('2m')
    await broker.close()
    await opened(path, clock, { keepResults: { last: 3, for: '1m' } })
    expect(count(path)).toBe(0)
  })

  test('drops a key __proto__ of what somebody wrote into the file, also if it is escaped', async () => {
    const path = newFile()
    const broker = await opened(path)
    await add(broker, 'a', 'b')
    const other = new DatabaseSync(path)
    const write = other.prepare('UPDATE jobs SET input = ? WHERE id = ?')
    write.run('{"deep":[{"__proto__":{"isAdmin":true},"x":1}]}', 'a')
    write.run('{"\\u005f_proto__":{"isAdmin":true},"constructor":2}', 'b')
    other.close()
    const [a, b] = (await take(broker, 2)).map(({ input }) => input)
    expect(JSON.stringify([a, b])).toBe('[{"deep":[{"x":1}]},{"constructor":2}]')
  })

  test('keeps the reason of a cancel, whatever it is', async () => {
    const broker = await opened(newFile())
    const cyclic: unknown[] = []
    cyclic.push(cyclic)
    const reasons = ['user left', { code: 1 }, new TypeError('left'), cyclic, Symbol('why'), 10n, () => 1]
    for (const [index, reason] of reasons.entries()) {
      await add(broker, `job ${index}`)
      expect(await broker.cancel(`job ${index}`, reason)).toBe('cancelled')
    }
    expect(await broker.job('job 0')).toMatchObject({ reason: 'user left' })
    expect(await broker.job('job 2')).toMatchObject({ reason: { name: 'TypeError', message: 'left' } })
    expect(await broker.job('job 4')).toMatchObject({ reason: { thrown: 'Symbol(why)', type: 'symbol' } })
  })

  test('says so when the file was deleted, instead of writing into nothing', async () => {
    const path = newFile()
    const broker = await opened(path)
    await add(broker, 'a')
    rmSync(path)
    await expect(add(broker, 'b')).rejects.toThrow(`${path} was deleted or replaced while it was open`)
    writeFileSync(path, '')
    await expect(add(broker, 'c')).rejects.toThrow('was deleted or replaced')
  })

  test('says what is wrong with one call and does the others of the same tick', async () => {
    const path = newFile()
    const broker = await opened(path)
    await add(broker, 'a')
    const answers = await Promise.allSettled([add(broker, 'b'), add(broker, 'c', 'a'), add(broker, 'd')])
    expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect((await take(broker, 9)).map(({ id }) => id)).toEqual(['a', 'b', 'd'])
    expect(await broker.stats()).toMatchObject([{ waiting: 0, leased: 3 }])
  })

  test('gives ids although the file is locked', async () => {
    const path = newFile()
    const broker = await opened(path)
    const first = broker.newId()
    rmSync(path)
    const ids = Array.from({ length: 3_000 }, () => broker.newId())
    expect(new Set([first, ...ids]).size).toBe(3_001)
  })

  test('leaves no timer behind', async () => {
    const clock = manualClock(1_000)
    const broker = await opened(newFile(), clock)
    const end = broker.watch(queue, () => {})
    broker.listen?.(elsewhere({ settled: () => {} }))
    await broker.enqueue([newJob(broker, { delay: 1_000 }), newJob(broker)])
    await take(broker)
    expect(clock.pending).toBeGreaterThan(0)
    await broker.close()
    expect(clock.pending).toBe(0)
    end()
  })

  test('keeps the process alive while somebody watches, and no longer', async () => {
    const path = newFile()
    const code = `
      import { sqlite } from './src/brokers/sqlite.ts'
      import { systemClock } from './src/clock.ts'
      const broker = sqlite(${JSON.stringify(path)})
      await broker.open(systemClock)
      broker.watch('app/resize', () => {})
      // A timer that holds nothing itself rings only in a process that something else keeps alive.
      setTimeout(() => broker.close().then(() => console.log('closed')), 200).unref()`
    const child = startChild('--input-type=module-typescript', ['--eval', code])
    expect(await child.ended).toBe(0)
    expect(child.lines).toEqual(['closed'])
  })
})

describe('group commit', () => {
  test('answers each call after its commit, never before', async () => {
    const path = newFile()
    const broker = await opened(path)
    const seen: unknown[] = []
    const calls = ['a', 'b', 'c'].map((id) => add(broker, id).then(() => seen.push(count(path))))
    expect(count(path)).toBe(0)
    await Promise.all(calls)
    expect(seen).toEqual([3, 3, 3])
    await take(broker).then(() => {
      expect(readRow(path, 'SELECT leased FROM queues')).toEqual({ leased: 1 })
    })
  })

  const clockOf = (transactor: Partial<Transactor>) => {
    const clock = manualClock()
    const log: string[] = []
    const commits = new GroupCommit(
      {
        begin: () => log.push('begin'),
        commit: () => log.push('commit'),
        rollback: () => log.push('rollback'),
        committed: () => log.push('told'),
        isBusy: (calls) => log.push(`busy ${calls}`),
        explain: (error) => error,
        ...transactor,
      },
      clock,
    )
    return { clock, log, commits }
  }

  test('puts the calls of one tick into one transaction, and no more than 256 rows', async () => {
    const { commits, log } = clockOf({})
    const order: number[] = []
    const calls = [100, 100, 100, 300, 1].map((rows, index) => commits.run(rows, () => order.push(index)))
    expect(log).toEqual([])
    await Promise.all(calls)
    expect(order).toEqual([0, 1, 2, 3, 4])
    expect(log.filter((line) => line === 'begin')).toHaveLength(4) // 200, 100, 300, 1
    expect(log.join(' ')).not.toContain('rollback')
  })

  test('answers a call that throws alone, and does the others', async () => {
    const { commits, log } = clockOf({})
    const work = (value: number): Promise<number> =>
      commits.run(1, () => {
        if (value === 2) throw new Error('not this one')
        return value
      })
    const answers = await Promise.allSettled([1, 2, 3].map(work))
    expect(answers).toMatchObject([{ value: 1 }, { reason: { message: 'not this one' } }, { value: 3 }])
    expect(log.join(' ')).toBe('begin rollback begin commit told')
  })

  test('refuses all of them when nothing can be written, and goes on trying', async () => {
    let isFull = true
    const commit = (): void => {
      if (isFull) throw new Error('database or disk is full')
    }
    const { commits } = clockOf({ commit })
    const answers = await Promise.allSettled([1, 2].map((value) => commits.run(1, () => value)))
    expect(answers).toMatchObject([
      { reason: { message: 'database or disk is full' } },
      { reason: { message: 'database or disk is full' } },
    ])
    isFull = false
    expect(await commits.run(1, () => 3)).toBe(3)
  })

  test('tries again when another process holds the lock for too long, and drops nothing', async () => {
    let isLocked = true
    const begin = (): void => {
      if (isLocked) throw Object.assign(new Error('database is locked'), { code: 'ERR_SQLITE_ERROR', errcode: 5 })
    }
    const { commits, clock, log } = clockOf({ begin })
    const answers: unknown[] = []
    for (const value of [1, 2]) void commits.run(1, () => value).then((answer) => answers.push(answer))
    await settle()
    void commits.run(1, () => 3).then((answer) => answers.push(answer))
    await clock.advance(500)
    expect(answers).toEqual([])
    expect(log.filter((line) => line.startsWith('busy'))).toEqual(['busy 2']) // said once
    isLocked = false
    const drained = commits.drained()
    await clock.advance(50)
    await drained
    expect(answers).toEqual([1, 2, 3])
  })
})

describe('two processes on one file', () => {
  test('wakes who waits in this process at once, and in another within 250 ms', async () => {
    const path = newFile()
    const clock = manualClock(1_000)
    const [here, there] = [await opened(path, clock), await opened(path, clock)]
    const woken: string[] = []
    here.watch(queue, () => woken.push('here'))
    there.watch(queue, () => woken.push('there'))
    await add(here, 'a')
    expect(woken).toEqual(['here'])
    await clock.advance(250)
    expect(woken).toContain('there')
  })

  test('wakes for what another process delayed, when it is due', async () => {
    const path = newFile()
    const clock = manualClock(1_000)
    const [here, there] = [await opened(path, clock), await opened(path, clock)]
    const woken: number[] = []
    there.watch(queue, () => woken.push(clock.now()))
    await here.enqueue([newJob(here, { id: 'a', delay: 10_000 })])
    await clock.advance(9_999)
    expect(woken).toEqual([])
    await clock.advance(1)
    expect(woken).toEqual([11_000])
    expect(await take(there)).toMatchObject([{ id: 'a' }])
  })

  test('gives what a process lost to one that waits, when the lease is over', async () => {
    const path = newFile()
    const clock = manualClock(1_000)
    const [here, there] = [await opened(path, clock), await opened(path, clock)]
    there.watch(queue, () => {})
    await add(here, 'a')
    await take(here)
    await clock.advance(1_000)
    let isWoken = false
    there.watch(queue, () => (isWoken = true))
    await clock.advance(29_000)
    expect(isWoken).toBe(true)
    expect(await take(there)).toMatchObject([{ id: 'a', attempts: 0 }])
  })

  test('tells a process which jobs others finished, and not its own', async () => {
    const path = newFile()
    const clock = manualClock(1_000)
    const [here, there] = [await opened(path, clock), await opened(path, clock)]
    const told: unknown[] = []
    const end = here.listen?.(elsewhere({ settled: (id) => told.push(id) }))
    await add(here, 'own', 'done', 'dead', 'cancelled')
    await here.settle((await take(here)).map((lease) => outcomes.done(lease)))
    const [done, dead] = (await take(there, 2)) as [LeasedJob, LeasedJob]
    await there.settle([outcomes.done(done), outcomes.failed(dead)])
    await there.cancel('cancelled', 'user left')
    await clock.advance(250)
    expect(told).toEqual(['done', 'cancelled', 'dead'])
    await clock.advance(1_000)
    expect(told).toHaveLength(3)
    end?.()
    await there.replay('dead', undefined)
    await there.discard('dead')
    await clock.advance(1_000)
    expect(told).toHaveLength(3)
  })

  test('says that some are over when it is no longer known which', async () => {
    const path = newFile()
    const clock = manualClock(1_000)
    const options = { keepResults: { last: 1 } }
    const [here, there] = [await opened(path, clock, options), await opened(path, clock, options)]
    const told: unknown[] = []
    here.listen?.(elsewhere({ settled: (id) => told.push(id) }))
    await add(here, 'a', 'b', 'c')
    for (let times = 0; times < 3; times += 1) {
      await there.settle((await take(there)).map((lease) => outcomes.done(lease)))
    }
    await clock.advance(250)
    expect(told).toEqual(['c', undefined])
  })

  test('ends a job that was given up while it was held, however it is let go', async () => {
    const path = newFile()
    const clock = manualClock(1_000)
    const [here, there] = [await opened(path, clock), await opened(path, clock)]
    const told: unknown[] = []
    here.listen?.(elsewhere({ settled: (id) => told.push(id) }))
    await add(here, 'retry', 'restart', 'release', 'lost')
    const leases = await take(here, 4)
    for (const { id } of leases) await there.cancel(id, `no ${id}`)
    await here.settle(leases.slice(0, 3).map((lease) => outcomes[lease.id as 'retry' | 'restart' | 'release'](lease)))
    await clock.advance('30s')
    await take(here)
    for (const { id } of leases) {
      expect(await here.job(id)).toMatchObject({ status: 'cancelled', reason: `no ${id}` })
    }
    expect(told).toEqual(['retry', 'restart', 'release', 'lost'])
  })

  test('lets one make a new file while the other waits', async () => {
    const path = newFile()
    const children = Array.from({ length: 4 }, () => startChild(CHILD, ['sqlite', path, 'open']))
    expect(await Promise.all(children.map(({ ended }) => ended))).toEqual([0, 0, 0, 0])
    expect(children.flatMap(({ lines }) => lines)).toEqual(['opened', 'opened', 'opened', 'opened'])
    expect(readRow(path, 'PRAGMA integrity_check')).toEqual({ integrity_check: 'ok' })
  })

  test('does each of 2 000 jobs once', async () => {
    const { path, ids } = await filled(2_000)
    const children = [0, 1].map(() => startChild(CHILD, ['sqlite', path, 'work']))
    expect(await Promise.all(children.map(({ ended }) => ended))).toEqual([0, 0])
    const lines = children.flatMap((child) => child.lines)
    expect(lines.filter((line) => line.startsWith('took '))).toHaveLength(2_000)
    expect(new Set(lines.filter((line) => line.startsWith('done ')))).toEqual(new Set(ids.map((id) => `done ${id}`)))
  })
})

describe('after kill -9', () => {
  test('no confirmed job is missing, and only those that were held are given again', async () => {
    const { path, ids } = await filled(2_000)
    const lines: string[] = []
    const heldAtAKill = new Set<string>()
    for (let kills = 0; kills < 5; kills += 1) {
      const child = startChild(CHILD, ['sqlite', path, 'work'])
      let left = 20 + Math.floor(Math.random() * 300)
      await child.until(() => (left -= 1) === 0)
      await child.kill()
      lines.push(...child.lines)
      for (const id of stillHeld(child.lines)) heldAtAKill.add(id)
      expect(readRow(path, 'PRAGMA integrity_check')).toEqual({ integrity_check: 'ok' })
    }
    const last = startChild(CHILD, ['sqlite', path, 'work'])
    expect(await last.ended).toBe(0)
    lines.push(...last.lines)

    const broker = await opened(path, systemClock, { keepResults: { last: 10_000 } })
    const records = await Promise.all(ids.map((id) => broker.job(id)))
    expect(records.filter((record) => record?.status !== 'done')).toEqual([])
    expect(await broker.stats()).toMatchObject([{ waiting: 0, delayed: 0, leased: 0, dead: 0 }])
    expect(lines.filter((line) => line.startsWith('lost '))).toEqual([])
    const taken = lines.filter((line) => line.startsWith('took ')).map((line) => line.slice(5))
    const twice = taken.filter((id, index) => taken.indexOf(id) !== index)
    expect(twice.filter((id) => !heldAtAKill.has(id))).toEqual([])
    const done = lines.filter((line) => line.startsWith('done '))
    expect(new Set(done).size).toBe(done.length) // what was confirmed as settled never came back
  })
})

describe('a system on it', () => {
  test('leaves running, retrying and waiting jobs to the next, with no attempt spent', async () => {
    const path = newFile()
    let isSecond = false
    const retry = { attempts: 2, backoff: exponential({ from: '20ms', to: '20ms', jitter: 0 }) }
    const job = task('job', { concurrency: 2, shutdown: 'kill', retry }, async (kind: string, ctx) => {
      if (isSecond) return `${kind}, attempt ${ctx.attempt}`
      if (kind === 'retrying') throw new Error('boom')
      return ctx.sleep('1d')
    })
    const first = await start(job, { broker: sqlite(path) })
    const retrying = first.run(job, 'retrying')
    const failed = new Promise<void>((resolve) => first.on('job.retrying', () => resolve()))
    await failed
    const others = ['running', 'running too', 'waiting'].map((kind) => first.run(job, kind))
    const isTaken = new Promise<void>((resolve) => first.on('job.started', () => resolve()))
    await Promise.all(others.map((run) => run.queued()))
    await isTaken
    await first.stop()
    expect(await others[0]?.settled()).toMatchObject({ status: 'cancelled', reason: expect.any(SystemStoppedError) })

    isSecond = true
    const second = await start(job, { broker: sqlite(path) })
    const ids = [retrying, ...others].map(({ id }) => id)
    const areDone = async (): Promise<boolean> => {
      const records = await Promise.all(ids.map((id) => second.job(id)))
      return records.every((record) => record?.status === 'done')
    }
    await expect.poll(areDone).toBe(true)
    expect(await Promise.all(ids.map(async (id) => (await second.job(id))?.value))).toEqual([
      'retrying, attempt 2',
      'running, attempt 1',
      'running too, attempt 1',
      'waiting, attempt 1',
    ])
    await second.stop()
  })
})

describe('20 000 jobs', () => {
  test('leave file and WAL flat', async () => {
    const path = newFile()
    const broker = await opened(path, systemClock, { keepResults: { last: 100 } })
    const sizes: number[] = []
    for (let batch = 0; batch < 40; batch += 1) {
      await broker.enqueue(Array.from({ length: 500 }, () => newJob(broker)))
      await broker.settle((await take(broker, 500)).map((lease) => outcomes.done(lease)))
      sizes.push(statSync(path).size + statSync(`${path}-wal`).size)
    }
    expect(Math.max(...sizes.slice(20))).toBeLessThanOrEqual(Math.max(...sizes.slice(0, 20)) * 1.1)
    expect(statSync(`${path}-wal`).size).toBeLessThan(8 * 1024 * 1024)
    await broker.close()
    expect(existsSync(`${path}-wal`)).toBe(false)
  })
})

describe('an owner', () => {
  test('is gone when its process has ended, or another has its number', async () => {
    const me = thisProcess()
    expect(isGone(me)).toBe(false)
    expect(isGone({ ...me, born: 'before' })).toBe(true)
    const child = startChild('--eval', ['0'])
    await child.ended
    expect(isGone({ ...me, pid: 2 ** 22 + 1 })).toBe(true) // more than Linux gives
    expect(isGone({ ...me, place: 'elsewhere', born: 'before' })).toBe(false)
  })
})

describe('the driver', () => {
  test('is the one of Node where that is silent, and where there is no other', async () => {
    for (const version of ['24.21.0', '24.14.0', '22.19.0']) {
      const db = (await findDriver(version))(':memory:')
      expect(db.prepare('SELECT 1 AS one').get()).toEqual({ one: 1 })
      db.close()
    }
  })
})

/** A file with jobs that wait. */
async function filled(jobs: number): Promise<{ readonly path: string; readonly ids: readonly string[] }> {
  const path = newFile()
  const broker = sqlite(path)
  await broker.open(systemClock)
  const enqueued = await broker.enqueue(Array.from({ length: jobs }, () => newJob(broker)))
  await broker.close()
  return { path, ids: enqueued.map(({ id }) => id) }
}

/** Those that a child took and did not say it has settled; what it took last it may not have said. */
function stillHeld(lines: readonly string[]): readonly string[] {
  const held = new Set<string>()
  for (const line of lines) {
    const [what, id = ''] = line.split(' ')
    if (what === 'took') held.add(id)
    else held.delete(id)
  }
  return [...held]
}
