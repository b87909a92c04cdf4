import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { inject } from 'vitest'

/** A Redis that a test may treat badly: with a port, a folder that outlives it, and settings of its own. */
export interface OwnRedis {
  readonly port: number
  readonly url: string
  /** Starts it, again too, on what it had written. */
  start(...settings: readonly string[]): Promise<void>
  /** As a power switch would. */
  kill(): Promise<void>
  /** A command by a connection of its own. */
  ask(...words: readonly [string, ...string[]]): Promise<unknown>
  /** Ends it and removes its folder. */
  remove(): Promise<void>
}

export async function ownRedis(found = inject('redis')): Promise<OwnRedis> {
  if (!('server' in found)) throw new Error('this needs a Redis that can be started')
  const { server } = found
  const folder = mkdtempSync(join(tmpdir(), 'rootcatch-redis-'))
  const port = await freePort()
  let child: ChildProcess | undefined
  let ended: Promise<unknown> = Promise.resolve()
  const kill = async (): Promise<void> => {
    child?.kill('SIGKILL')
    await ended
    child = undefined
  }
  const onExit = (): unknown => child?.kill('SIGKILL')
  process.once('exit', onExit)
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    kill,
    start: async (...settings) => {
      await kill()
      const own = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'yes']
      child = spawn(server, [...own, '--maxmemory-policy', 'noeviction', ...settings], { stdio: 'ignore' })
      ended = new Promise((resolve) => child?.once('exit', resolve))
      await answers(port)
    },
    ask: async (...[command, ...words]) => {
      const redis = new Redis({ port, lazyConnect: true, retryStrategy: () => null })
      try {
        await redis.connect()
        return await redis.call(command, ...words)
      } finally {
        redis.disconnect()
      }
    },
    remove: async () => {
      process.off('exit', onExit)
      await kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

/** Until it has read what it had written. */
async function answers(port: number): Promise<void> {
  for (let tries = 0; tries < 500; tries += 1) {
    if (await ping(port)) return
    await sleep(20)
  }
  throw new Error(`Redis did not start on port ${port}.`)
}

const ping = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1')
    const end = (isUp: boolean): void => {
      socket.destroy()
      resolve(isUp)
    }
    socket.once('connect', () => socket.write('PING\r\n')).once('error', () => end(false))
    socket.once('data', (data) => end(!data.toString().startsWith('-LOADING')))
  })
