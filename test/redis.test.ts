import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Queue, Worker } from 'bullmq'
import { afterAll, describe, expect, test } from 'vitest'
import { findRedis } from '../tools/redis.ts'
import { redisMissing, sharedRedis } from './support/redis.ts'

const folder = mkdtempSync(join(tmpdir(), 'rootcatch-'))
const program = (name: string): string => {
  const path = join(folder, name)
  writeFileSync(path, '', { mode: 0o755 })
  return path
}
const valkey = program('valkey-server')
const none = { PATH: '', ROOTCATCH_NO_INSTALL: '1' }

afterAll(() => rmSync(folder, { recursive: true }))

describe('findRedis()', () => {
  test.each([
    ['a URL that is given', { ...none, ROOTCATCH_REDIS: 'redis://127.0.0.1:1' }, { url: 'redis://127.0.0.1:1' }],
    ['a program that is given', { ...none, ROOTCATCH_REDIS: valkey }, { server: valkey }],
    ['a program on the PATH', { ...none, PATH: `/nowhere:${folder}` }, { server: valkey }],
  ])('takes %s', (_, env, found) => {
    expect(findRedis(env)).toEqual(found)
  })

  test('says what is wrong with what is given, instead of taking another', () => {
    expect(findRedis({ PATH: folder, ROOTCATCH_REDIS: '/nowhere/redis' })).toEqual({
      missing: 'ROOTCATCH_REDIS is "/nowhere/redis", which is neither a URL nor a program. Give redis://… or a path.',
    })
  })

  test('says what to do where there is none, and fails where tests must not be skipped', () => {
    const missing = expect.stringMatching(/^There is no Redis, .+ Install redis-server, or set ROOTCATCH_REDIS/)
    expect(findRedis(none)).toEqual({ missing })
    expect(() => findRedis({ ...none, CI: 'true' })).toThrow('There is no Redis')
  })
})

describe.skipIf(redisMissing)(`a Redis for tests${redisMissing === undefined ? '' : `: ${redisMissing}`}`, () => {
  const address = sharedRedis()

  test('serves BullMQ', async () => {
    const connection = { ...address(), maxRetriesPerRequest: null }
    const queue = new Queue<number>('double', { connection })
    const done = new Promise<unknown>((resolve, reject) => {
      const worker = new Worker<number>('double', async ({ data }) => data * 2, { connection })
      worker.on('error', reject)
      worker.on('completed', (_, value) => resolve(worker.close().then(() => value)))
    })
    await queue.add('21', 21)
    expect(await done).toBe(42)
    await queue.close()
  })
})
