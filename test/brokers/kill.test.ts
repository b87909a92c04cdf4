import { randomInt } from 'node:crypto'
import { dirname, join } from 'node:path'
import { start, supervisor, task } from 'rootcatch'
import { sqlite } from 'rootcatch/sqlite'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { linesOf, spawnWorker, workThroughKills } from '../../bench/kill/story.ts'
import { newFiles, readRow } from '../support/sqlite-store.ts'

const newFile = newFiles()
const SLOTS = 64 // of the worker

describe('a process that is killed at 25 random points of 20 000 jobs', () => {
  const seed = Number(process.env['ROOTCATCH_SEED'] ?? randomInt(2 ** 31))

  test(`loses no job, and runs none twice but what it held at a kill`, { timeout: 120_000 }, async () => {
    const { kills, end, confirmed, lost, unexplained } = await workThroughKills({ jobs: 20_000, kills: 25, seed })
    const again = `set ROOTCATCH_SEED=${seed} for the same points`
    expect(confirmed, again).toBe(20_000)
    expect(lost, again).toEqual([])
    expect(unexplained, again).toEqual([])
    expect(end.held.size, again).toBe(0)
    expect(new Set([...kills, end].map(({ integrity }) => integrity)), again).toEqual(new Set(['ok']))
    const held = kills.map((look) => look.held.size)
    expect(Math.max(...held), again).toBeLessThanOrEqual(SLOTS)
    expect(Math.max(...held), 'no kill hit it at work').toBeGreaterThan(0)
  })
})

describe('two processes on one file', () => {
  test('do each of 10 000 jobs once, and both of them work', async () => {
    const [file, jobs] = [newFile(), 10_000]
    const log = join(dirname(file), 'shared')
    const work = task('work', async (n: number) => n)
    const system = await start(supervisor('app', [work]), { broker: sqlite(file) })
    system.pause(work)
    const workers = ['1', '2'].map((life) => spawnWorker([file, log, '0', life]))
    onTestFinished(() => workers.forEach(({ child }) => child.kill()))
    await Promise.all(workers.map(({ child }) => new Promise((resolve) => child.stdout?.once('data', resolve))))
    const runs = Array.from({ length: jobs }, (_, n) => system.run(work, n))
    await Promise.all(runs.map((run) => run.queued()))
    await vi.waitFor(() => expect(readRow(file, UNFINISHED)).toEqual({ jobs: 0 }), { timeout: 50_000, interval: 50 })
    for (const { child } of workers) child.stdin?.end()
    expect(await Promise.all(workers.map(({ ended }) => ended))).toEqual([0, 0])
    await system.stop()

    const attempts = linesOf(`${log}.ran`).map((line) => line.slice(2))
    expect(new Set(attempts).size).toBe(attempts.length)
    expect(new Set(attempts.map((line) => line.split(' ')[0]))).toEqual(new Set(runs.map(({ id }) => id)))
    const byLife = ['1', '2'].map((life) => linesOf(`${log}.ran`).filter((line) => line.startsWith(`${life} `)).length)
    expect(Math.min(...byLife)).toBeGreaterThan(0)
  })
})

const UNFINISHED = 'SELECT sum(waiting + delayed + leased) AS jobs FROM queues'
