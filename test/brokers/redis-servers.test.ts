import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { resume, start, supervisor, task, type System } from 'rootcatch'
import { bullmq, type BullmqOptions } from 'rootcatch/bullmq'
import { afterEach, describe, expect, inject, test } from 'vitest'
import { freePort, ownRedis, type OwnRedis } from '../support/own-redis.ts'
import { redisMissing } from '../support/redis.ts'

const double = task('double', async (n: number) => n * 2)
const found = inject('redis')

describe.skipIf(redisMissing ?? !('server' in found))('several Redis', () => {
  const servers: OwnRedis[] = []
  const systems: System[] = []
  const others: (() => Promise<void>)[] = []

  afterEach(async () => {
    for (const system of systems.splice(0)) await system.stop({ within: '1s' })
    for (const end of others.splice(0)) await end()
    for (const server of servers.splice(0)) await server.remove()
  })

  async function serve(...settings: readonly string[]): Promise<OwnRedis> {
    const server = await ownRedis()
    servers.push(server)
    await server.start(...settings)
    return server
  }

  async function joinStore(connection: BullmqOptions['connection'], prefix = 'app'): Promise<System> {
    const log = { info() {}, warn() {}, error() {}, debug() {} }
    const broker = bullmq({ connection, prefix })
    const system = await start(supervisor('app', [double]), { broker, catch: () => resume, log: log as never })
    systems.push(system)
    return system
  }

  test('behind a Sentinel: jobs and runs go on when another one becomes the master', async () => {
    const master = await serve()
    const replica = await serve('--replicaof', '127.0.0.1', String(master.port))
    await expect.poll(() => replica.ask('INFO', 'replication')).toContain('master_link_status:up')
    const sentinel = await startSentinel(master.port)
    others.push(sentinel.end)
    const connection = { sentinels: [{ host: '127.0.0.1', port: sentinel.port }], name: 'mymaster' }
    const system = await joinStore(connection)
    expect(await system.run(double, 1)).toBe(2)

    system.pause(double)
    const waiting = system.run(double, 2)
    const { id } = await waiting.queued()
    await expect.poll(() => replica.ask('EXISTS', `{app}:app/double:j-${id}`)).toBe(1)
    await master.kill()
    await expect.poll(() => replica.ask('INFO', 'replication')).toContain('role:master')
    system.unpause(double)
    expect(await waiting).toBe(4)
    expect(await system.run(double, 3)).toBe(6)
  })

  test('as a Cluster of three: apps lie on different nodes, and each is whole on its own', async () => {
    const settings = ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1', '--cluster-port']
    const nodes = [
      await serve(...settings, String(await freePort())),
      await serve(...settings, String(await freePort())),
      await serve(...settings, String(await freePort())),
    ] as const
    const slots = [['0', '5460'] as const, ['5461', '10922'] as const, ['10923', '16383'] as const]
    for (const [index, [from, to]] of slots.entries()) await nodes[index]?.ask('CLUSTER', 'ADDSLOTSRANGE', from, to)
    for (const [index, node] of nodes.entries()) await node.ask('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1))
    for (const node of nodes.slice(1)) {
      const bus = String(((await node.ask('CONFIG', 'GET', 'cluster-port')) as readonly string[])[1])
      await nodes[0].ask('CLUSTER', 'MEET', '127.0.0.1', String(node.port), bus)
    }
    for (const node of nodes) {
      await expect.poll(() => node.ask('CLUSTER', 'INFO')).toContain('cluster_state:ok')
      await expect.poll(() => node.ask('CLUSTER', 'INFO')).toContain('cluster_known_nodes:3')
    }

    const connection = { nodes: [{ host: '127.0.0.1', port: nodes[0].port }] }
    for (const prefix of ['a', 'b', 'c']) {
      const asking = await joinStore(connection, prefix)
      const working = await joinStore(connection, prefix)
      asking.pause(double)
      expect(await Promise.all([1, 2, 3].map((n) => asking.run(double, n)))).toEqual([2, 4, 6])
      expect(await working.queues()).toMatchObject([{ queue: 'app/double', waiting: 0, leased: 0 }])
    }
    const sizes = await Promise.all(nodes.map((node) => node.ask('DBSIZE')))
    expect(sizes.filter((size) => Number(size) > 0).length).toBeGreaterThan(1)
  })

  async function startSentinel(master: number): Promise<{ readonly port: number; end(): Promise<void> }> {
    if (!('server' in found)) throw new Error('this needs a Redis that can be started')
    const folder = mkdtempSync(join(tmpdir(), 'rootcatch-sentinel-'))
    const port = await freePort()
    const file = join(folder, 'sentinel.conf')
    const lines = [
      `port ${port}`,
      'bind 127.0.0.1',
      `dir ${folder}`,
      `sentinel monitor mymaster 127.0.0.1 ${master} 1`,
      'sentinel down-after-milliseconds mymaster 500',
      'sentinel failover-timeout mymaster 3000',
    ]
    writeFileSync(file, lines.join('\n'))
    const child: ChildProcess = spawn(found.server, [file, '--sentinel'], { stdio: 'ignore' })
    const ended = new Promise<unknown>((resolve) => child.once('exit', resolve))
    const end = async (): Promise<void> => {
      child.kill('SIGKILL')
      await ended
      rmSync(folder, { recursive: true, force: true })
    }
    return { port, end }
  }
})
