import { statSync } from 'node:fs'
import type { Broker } from '../brokers/broker.ts'
import { bullmq } from '../brokers/bullmq.ts'
import { postgres } from '../brokers/postgres.ts'
import { sqlite } from '../brokers/sqlite.ts'
import { systemClock } from '../clock.ts'
import { redact } from '../secrets.ts'
import { UsageError } from './usage-error.ts'

/** The broker that is meant by a file or a URL. Nothing is opened yet. */
export function brokerAt(where: string): Broker {
  if (isRedis(where)) return bullmqAt(where)
  if (isPostgres(where)) return postgresAt(where)
  if (/^[a-z][a-z\d+.-]+:\/\//i.test(where)) {
    throw new UsageError(
      `${redact(where)} is not a store of rootcatch. Give the path of a file, like ./app.db, or a redis:// or postgres:// URL.`,
    )
  }
  return sqlite(where)
}

/** Opens a store that is there, for as long as `work` takes. Another process may work it meanwhile. */
export async function withStore<Value>(
  where: string | undefined,
  work: (broker: Broker, where: string) => Promise<Value>,
): Promise<Value> {
  if (where === undefined || where === '') {
    throw new UsageError('no store was given. Add --broker <file>, or set ROOTCATCH_BROKER.')
  }
  const broker = brokerAt(where)
  const isServer = isRedis(where) || isPostgres(where)
  if (!isServer) checkFile(where)
  await broker.open(systemClock)
  try {
    return await work(broker, isServer ? redact(where) : where)
  } finally {
    await broker.close()
  }
}

/** What all keys begin with is the query of the URL: redis://10.0.0.3:6379?prefix=app */
function bullmqAt(where: string): Broker {
  let url: URL
  try {
    url = new URL(where)
  } catch {
    throw new UsageError(
      `${redact(where)} is no URL. Write redis://host:port, with ?prefix=app if you gave bullmq() one.`,
    )
  }
  const prefix = url.searchParams.get('prefix')
  url.searchParams.delete('prefix')
  return bullmq({ connection: url.href, ...(prefix !== null && { prefix }) })
}

/** The schema is the query of the URL: postgres://app@10.0.0.3/app?schema=app_jobs */
function postgresAt(where: string): Broker {
  const schema = /[?&]schema=([^&]*)/.exec(where)?.[1]
  const connection = where.replace(/([?&])schema=[^&]*(?:&|$)/, '$1').replace(/[?&]$/, '')
  return postgres({ connection, ...(schema !== undefined && { schema: decodeURIComponent(schema) }) })
}

const isPostgres = (where: string): boolean => /^postgres(?:ql)?:/i.test(where)
const isRedis = (where: string): boolean => /^rediss?:/i.test(where)

/** To look at a store must not make one. */
function checkFile(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) throw new UsageError(`there is no file ${path}. Give the one that sqlite() was given.`)
  if (found.isFile() && found.size === 0) throw new UsageError(`${path} is empty, so it has no jobs yet.`)
}
