import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { BrokerError, resume, start, supervisor, task, type System } from 'rootcatch'
import { bullmq, type BullmqOptions } from 'rootcatch/bullmq'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { checkServer } from '../../src/brokers/bullmq-server.ts'
import { makeCertificate } from '../support/certificate.ts'
import { freePort, ownRedis, type OwnRedis } from '../support/own-redis.ts'
import { redisMissing } from '../support/redis.ts'

const double = task('double', async (n: number, ctx) => {
  if (n < 0) await ctx.sleep(-n)
  return n * 2
})

describe.skipIf(redisMissing)(`a Redis that${redisMissing === undefined ? '' : `: ${redisMissing}`}`, () => {
  let redis: OwnRedis
  const open: System[] = []
  const told: string[] = []

  beforeEach(async () => {
    redis = await ownRedis()
    told.length = 0
  })
  afterEach(async () => {
    for (const system of open.splice(0)) await system.stop({ within: '1s' })
    await redis.remove()
  })

  const log = {
    info() {},
    debug() {},
    warn: (...said: unknown[]) => void told.push(said.map(String).join(' ')),
    error: (data: { readonly err?: unknown }, text: string) => void told.push(`${text}: ${String(data.err)}`),
  }

  async function join(connection: BullmqOptions['connection'] = redis.url): Promise<System> {
    const broker = bullmq({ connection, lease: '3s' })
    const system = await start(supervisor('app', [double]), { broker, catch: () => resume, log: log as never })
    open.push(system)
    return system
  }

  const refused = async (connection?: BullmqOptions['connection']): Promise<BrokerError> => {
    const error: unknown = await join(connection).then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(BrokerError)
    return error as BrokerError
  }

  test('is down at the start is named at once, and the same broker opens when it is there', async () => {
    const startedAt = performance.now()
    const error = await refused()
    expect(performance.now() - startedAt).toBeLessThan(2_000)
    expect(error.code).toBe('away')
    expect(error.message).toMatch(/^Redis at 127\.0\.0\.1:\d+ is away: connect ECONNREFUSED .+ bring it back\.$/)
    const broker = bullmq({ connection: redis.url })
    const clock = { now: Date.now, setTimeout, clearTimeout: clearTimeout as never }
    await expect(async () => broker.open(clock)).rejects.toMatchObject({ code: 'away' })
    await redis.start()
    await broker.open(clock)
    await broker.close()
  })

  test('wants a password says so, without telling the one that was wrong', async () => {
    await redis.start('--requirepass', 'hunter2')
    expect(await refused({ port: redis.port, password: 'hunter3' })).toMatchObject({
      code: 'denied',
      message: expect.not.stringContaining('hunter'),
    })
    expect((await refused()).message).toMatch(/does not let us in: NOAUTH .+ Correct username and password/)
    const system = await join({ port: redis.port, password: 'hunter2' })
    expect(await system.run(double, 21)).toBe(42)
  })

  test('may drop jobs is refused: an eviction policy', async () => {
    await redis.start('--maxmemory-policy', 'allkeys-lru')
    expect(await refused()).toMatchObject({
      code: 'evicting',
      message: `Redis at 127.0.0.1:${redis.port} has maxmemory-policy allkeys-lru, so it may drop jobs. Set it to noeviction.`,
    })
  })

  test('is a replica is refused at the start, and said in the middle; jobs go on when it is the master again', async () => {
    await redis.start()
    const system = await join()
    expect(await system.run(double, 1)).toBe(2)
    await redis.ask('REPLICAOF', '127.0.0.1', '1')
    expect((await refused()).code).toBe('read-only')
    await expect(system.run(double, 2)).rejects.toMatchObject({ code: 'read-only' })
    await redis.ask('REPLICAOF', 'NO', 'ONE')
    expect(await system.run(double, 3)).toBe(6)
  })

  test('is out of memory takes no more jobs and says so, while those it has are worked off', async () => {
    await redis.start()
    const system = await join()
    system.pause(double)
    const waiting = [1, 2, 3].map((n) => system.run(double, n))
    await Promise.all(waiting.map((run) => run.queued()))
    await redis.ask('CONFIG', 'SET', 'maxmemory', '1mb')
    await expect(system.run(double, 4)).rejects.toMatchObject({
      code: 'full',
      message: expect.stringContaining('is out of memory, so it takes no jobs. Give it more maxmemory.'),
    })
    system.unpause(double)
    expect(await Promise.all(waiting)).toEqual([2, 4, 6])
    await redis.ask('CONFIG', 'SET', 'maxmemory', '0')
    expect(await system.run(double, 5)).toBe(10)
  })

  test('goes in the middle: who asks fails fast, what was done is told when it is back, nothing is done twice', async () => {
    await redis.start('--appendfsync', 'always')
    const system = await join()
    const lost: unknown[] = []
    system.on('job.lost', (event) => lost.push(event))
    const run = system.run(double, -300)
    await expect.poll(() => system.stats().attempts).toBe(1)
    await redis.kill()
    const startedAt = performance.now()
    await expect(system.run(double, 1)).rejects.toMatchObject({ code: 'away' })
    expect(performance.now() - startedAt).toBeLessThan(2_500)
    await sleep(500)
    await redis.start('--appendfsync', 'always')
    expect(await run).toBe(-600)
    expect(await system.run(double, 2)).toBe(4)
    expect(lost).toEqual([])
    expect((await system.job(run.id))?.attempts).toBe(1)
  })

  test('stands still for a while delays jobs, and that is all', async () => {
    await redis.start()
    const system = await join()
    const before = system.run(double, 1)
    await redis.ask('CLIENT', 'PAUSE', '800')
    const meanwhile = system.run(double, 2)
    expect(await Promise.all([before, meanwhile])).toEqual([2, 4])
  })

  test('lost all it had takes new jobs', async () => {
    await redis.start()
    const system = await join()
    system.pause(double)
    await system.run(double, 1).queued()
    await redis.ask('FLUSHALL')
    system.unpause(double)
    expect(await system.run(double, 2)).toBe(4)
  })

  test('is away does not hold up a stop', async () => {
    await redis.start()
    const system = await join()
    await redis.kill()
    const startedAt = performance.now()
    await system.stop({ within: '1s' })
    expect(performance.now() - startedAt).toBeLessThan(5_000)
  })

  test('has users: one with the rights to its keys and channels is enough', async () => {
    await redis.start()
    const rights = ['~{rootcatch}*', '&{rootcatch}*', '+@all', '-@dangerous', '-@admin', '+info']
    await redis.ask('ACL', 'SETUSER', 'worker', 'on', '>secret', ...rights)
    const system = await join({ port: redis.port, username: 'worker', password: 'secret' })
    expect(await system.run(double, 4)).toBe(8)
    await redis.ask('ACL', 'SETUSER', 'reader', 'on', '>secret', '~*', '&*', '+@read', '+info', '+@connection')
    expect((await refused({ port: redis.port, username: 'reader', password: 'secret' })).code).toBe('denied')
  })

  test('is a Cluster keeps an app in one slot, by the braces in its prefix', async () => {
    const bus = ['--cluster-port', String(await freePort())] // the usual one, 10 000 above, may be past the last port
    await redis.start('--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1', ...bus)
    await redis.ask('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
    await expect.poll(() => redis.ask('CLUSTER', 'INFO')).toContain('cluster_state:ok')
    const connection = { nodes: [{ host: '127.0.0.1', port: redis.port }] }
    const [one, two] = [await join(connection), await join(connection)]
    one.pause(double)
    expect(await one.run(double, 5)).toBe(10)
    expect(await two.queues()).toMatchObject([{ queue: 'app/double', waiting: 0 }])
  })

  const tls = makeCertificate()
  test.skipIf(tls === undefined)('speaks TLS is spoken to by the options of ioredis', async () => {
    const { key, cert } = tls as { readonly key: string; readonly cert: string }
    const port = await freePort()
    const folder = mkdtempSync(`${tmpdir()}/rootcatch-tls-`)
    const [keyFile, certFile] = [`${folder}/key.pem`, `${folder}/cert.pem`]
    writeFileSync(keyFile, key)
    writeFileSync(certFile, cert)
    const files = ['--tls-cert-file', certFile, '--tls-key-file', keyFile, '--tls-ca-cert-file', certFile]
    await redis.start('--tls-port', String(port), '--tls-auth-clients', 'no', ...files)
    const system = await join({ port, tls: { ca: cert } })
    expect(await system.run(double, 6)).toBe(12)
    rmSync(folder, { recursive: true })
  })

  test('is older than the engine needs is refused', async () => {
    const client = { info: async () => 'redis_version:5.0.14\r\n' }
    await expect(checkServer(client as never, 'Redis at x')).rejects.toMatchObject({
      code: 'unsupported',
      message: 'Redis at x is version 5.0.14, at least 6.2 is needed. Update it.',
    })
  })
})
