import { BrokerError } from '../errors.ts'
import type { RedisClient } from './bullmq-engine.ts'

/** Where scripts and streams are as the engine needs them. */
const OLDEST = [6, 2] as const

const warned = new Set<string>()

/** Refuses a server that would lose jobs or cannot take them. `isLogged`: whether they outlive it. */
export async function checkServer(client: RedisClient, name: string): Promise<{ readonly isLogged: boolean }> {
  const [node = client] = client.nodes?.('master') ?? []
  const info = readInfo(await infoOf(node))
  checkVersion(info, name)
  const policy = info.get('maxmemory_policy') ?? 'noeviction'
  if (policy !== 'noeviction') {
    const what = `${name} has maxmemory-policy ${policy}, so it may drop jobs`
    throw new BrokerError('evicting', `${what}. Set it to noeviction.`)
  }
  if (info.get('role') === 'slave') {
    const advice = 'Give the address of the master, or use Sentinel or Cluster.'
    throw new BrokerError('read-only', `${name} is a replica that takes no writes. ${advice}`)
  }
  return { isLogged: info.get('aof_enabled') !== '0' }
}

/** A user who may not ask is not asked what else it could be told. */
async function infoOf(node: RedisClient): Promise<string> {
  try {
    return await node.info()
  } catch (error) {
    if (String(error).includes('NOPERM')) return ''
    throw error
  }
}

function checkVersion(info: ReadonlyMap<string, string>, name: string): void {
  const version = info.get('redis_version') ?? ''
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (version === '' || major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return
  throw new BrokerError(
    'unsupported',
    `${name} is version ${version}, at least ${OLDEST.join('.')} is needed. Update it.`,
  )
}

export function warnOfLog(name: string): void {
  if (warned.has(name)) return
  warned.add(name)
  const what = `${name} writes no append-only file, so jobs may be gone when it ends`
  process.emitWarning(`${what}. Set appendonly yes, and appendfsync as safe as you need it.`, 'RootcatchWarning')
}

function readInfo(text: string): ReadonlyMap<string, string> {
  const lines = text.split(/\r?\n/).map((line) => /^(\w+):(.*)$/.exec(line))
  return new Map(lines.flatMap((line) => (line === null ? [] : [[line[1] as string, line[2] as string] as const])))
}
