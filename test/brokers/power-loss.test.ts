import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { start, supervisor, task } from 'rootcatch'
import { sqlite } from 'rootcatch/sqlite'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { run } from '../support/child.ts'
import { newFiles } from '../support/sqlite-store.ts'

const newFile = newFiles()
const CHILD = fileURLToPath(import.meta.resolve('../support/single-jobs.ts'))
const JOBS = 50
const STRACE = 'strace'
const canTrace = spawnSync(STRACE, ['-o', '/dev/null', 'true']).status === 0

describe('what a user was told', () => {
  test('was committed before, by a connection that waits for the disk', async () => {
    const log: string[] = []
    const exec = DatabaseSync.prototype.exec
    const spy = vi.spyOn(DatabaseSync.prototype, 'exec').mockImplementation(function (this: DatabaseSync, sql) {
      exec.call(this, sql)
      if (sql === 'COMMIT') log.push(`committed, synchronous ${synchronousOf(this)}`)
    })
    onTestFinished(() => spy.mockRestore())
    const work = task('work', async () => void log.push('runs'))
    const system = await start(supervisor('app', [work]), { broker: sqlite(newFile()) })
    system.pause(work)
    log.length = 0
    const asked = system.run(work, undefined)
    await asked.queued()
    log.push('confirmed')
    expect(log).toEqual(['committed, synchronous 2', 'confirmed'])
    log.length = 0
    system.unpause(work)
    await asked
    log.push('settled')
    expect(log.slice(log.indexOf('runs'))).toEqual(['runs', 'committed, synchronous 2', 'settled'])
    await system.stop()
  })

  test.skipIf(!canTrace)(
    `was on the disk before, as the kernel saw it${canTrace ? '' : ': there is no strace that may trace'}`,
    { timeout: 60_000 },
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

const synchronousOf = (db: DatabaseSync): unknown => db.prepare('PRAGMA synchronous').get()?.['synchronous']

/** What a line of strace says that counts here. */
function stepOf(line: string): readonly string[] {
  if (/ f(?:data)?sync(?:\(\d+| resumed>)\)\s*= 0$/.test(line)) return ['synced']
  const said = / write\(1, "(\w+)\\n"/.exec(line)?.[1]
  return said === undefined ? [] : [said]
}
