import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inject } from 'vitest'
import { ask, importPg } from '../../src/brokers/postgres-driver.ts'
import { makeCluster, runCluster } from '../../tools/postgres.ts'
import type { Link } from '../../src/brokers/postgres-link.ts'
import { freePort } from './own-redis.ts'

/** A Postgres that a test may treat badly: on a port, with a folder that outlives it. */
export interface OwnPostgres {
  readonly port: number
  readonly url: string
  /** Starts it, again too, on what it had written. */
  start(...settings: readonly string[]): Promise<void>
  /** As a power switch would. */
  kill(): Promise<void>
  /** A statement by a connection of its own, as the owner of all. */
  ask(text: string): ReturnType<Link['read']>
  /** Ends it and removes its folder. */
  remove(): Promise<void>
}

/** By socket everybody may come in, by port whoever has a password. */
const WAYS = 'local all all trust\nhost all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n'

export async function ownPostgres(): Promise<OwnPostgres> {
  const found = inject('postgres')
  if ('missing' in found) throw new Error(found.missing)
  const folder = makeCluster(found)
  writeFileSync(join(folder, 'data', 'pg_hba.conf'), WAYS)
  const port = await freePort()
  let running: { kill(): Promise<void> } | undefined
  const kill = async (): Promise<void> => {
    await running?.kill()
    running = undefined
  }
  return {
    port,
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    kill,
    start: async (...settings) => {
      await kill()
      const own = ['listen_addresses=127.0.0.1', `port=${port}`, 'fsync=off', ...settings]
      running = await runCluster(found, folder, own)
    },
    ask: async (text) => {
      const { Client } = await importPg()
      const client = new Client({ host: folder, port, user: 'postgres', database: 'postgres' })
      await client.connect()
      try {
        return (await ask(client, text)).rows
      } finally {
        await client.end()
      }
    },
    remove: async () => {
      await kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
