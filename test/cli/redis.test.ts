import { resume, start, supervisor, task } from 'rootcatch'
import { bullmq } from 'rootcatch/bullmq'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { rootcatch } from '../support/command.ts'
import { fillStore } from '../support/dead-store.ts'
import { ownRedis, type OwnRedis } from '../support/own-redis.ts'
import { redisMissing } from '../support/redis.ts'

describe.skipIf(redisMissing)(`rootcatch on Redis${redisMissing === undefined ? '' : `: ${redisMissing}`}`, () => {
  let redis: OwnRedis
  let url = ''
  let ids: Awaited<ReturnType<typeof fillStore>>

  beforeAll(async () => {
    redis = await ownRedis()
    await redis.start('--requirepass', 'hunter2')
    url = `redis://:hunter2@127.0.0.1:${redis.port}?prefix=shop`
    ids = await fillStore(bullmq({ connection: url.replace('?prefix=shop', ''), prefix: 'shop' }))
  })
  afterAll(() => redis?.remove())

  test('stats counts the jobs of the whole fleet, and tells no password', async () => {
    const { code, stdout, stderr } = await rootcatch(['stats', '--broker', url])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/app\/media\/upload +1 +0 +0 +2/)
    expect(stdout).toMatch(/app\/media\/resize +0 +1 +0 +1/)
    const empty = await rootcatch(['stats', '--broker', url.replace('shop', 'other')])
    expect(empty.stderr).toContain('redis://:[redacted]@127.0.0.1')
    expect(empty.stderr).not.toContain('hunter2')
  })

  test('dead lists, shows, replays and discards', async () => {
    const list = await rootcatch(['dead', 'list', '--broker', url, '--json'])
    const letters = JSON.parse(list.stdout) as { readonly id: string }[]
    expect(letters.map(({ id }) => id)).toEqual([ids.timedOut, ids.thrown[1], ids.thrown[0]])
    const [first = '', second = ''] = ids.thrown
    const shown = await rootcatch(['dead', 'show', first, '--broker', url])
    expect(shown.stdout).toContain('decided   root catch: resume (catch)')
    expect((await rootcatch(['dead', 'replay', first, '--broker', url])).stdout).toBe('replayed 1 dead letter\n')
    expect((await rootcatch(['dead', 'discard', second, '--yes', '--broker', url])).code).toBe(0)
    expect((await rootcatch(['dead', 'replay', second, '--broker', url])).code).toBe(1)
    const work = task('upload', async () => 'uploaded')
    const system = await start(supervisor('app', [supervisor('media', [work])]), {
      broker: bullmq({ connection: { port: redis.port, password: 'hunter2' }, prefix: 'shop' }),
      catch: () => resume,
    })
    await expect.poll(async () => (await system.job(first))?.status).toBe('done')
    await system.stop()
  })

  test('what keeps it from the store is one line, with exit code 2', async () => {
    const wrong = await rootcatch(['stats', '--broker', url.replace('hunter2', 'wrong')])
    expect(wrong.code).toBe(2)
    expect(wrong.stderr).toMatch(/does not let us in: WRONGPASS/)
    expect(wrong.stderr.trim().split('\n')).toHaveLength(1)
  })
})
