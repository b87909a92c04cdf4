// Where the Redis of tests and benches comes from, and servers of their own that they start. Run as a program it only
// finds one, so that a machine can be prepared: `npx node tools/redis.ts`.
import { spawn, spawnSync } from 'node:child_process'
import { accessSync, constants, mkdtempSync, rmSync, statSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export type FoundRedis = { readonly url: string } | { readonly server: string } | { readonly missing: string }

/** How ioredis and BullMQ reach a server. */
export type RedisAddress = { readonly url: string } | { readonly path: string }

export interface RunningRedis {
  readonly address: RedisAddress
  /** Ends the server, if it was started here, and removes its folder. */
  stop(): Promise<void>
}

/** What became durable when a write is answered: nothing, what is older than a second, or all of it. */
export type Appendfsync = 'off' | 'everysec' | 'always'

const SERVERS = ['redis-server', 'valkey-server']
const APT = 'apt-get'
const PACKAGE = 'redis-server'
const STARTS_WITHIN = 10_000

/** Looks in the environment, on the PATH, and at last in Debian's packages. With CI=true a missing one is an error. */
export function findRedis(env: NodeJS.ProcessEnv = process.env): FoundRedis {
  const found = named(env['ROOTCATCH_REDIS']) ?? onPath(env) ?? installed(env)
  if ('missing' in found && env['CI'] === 'true') throw new Error(found.missing)
  return found
}

/** Starts a server that listens on a socket in a folder of its own; one that is given by URL is used as it is. */
export async function startRedis(
  found: Exclude<FoundRedis, { readonly missing: string }>,
  { appendfsync = 'off' }: { readonly appendfsync?: Appendfsync } = {},
): Promise<RunningRedis> {
  if ('url' in found) return { address: found, stop: async () => {} }
  const folder = mkdtempSync(join(tmpdir(), 'rootcatch-redis-'))
  const path = join(folder, 'redis.sock')
  const log = appendfsync === 'off' ? ['--appendonly', 'no'] : ['--appendonly', 'yes', '--appendfsync', appendfsync]
  const own = ['--port', '0', '--unixsocket', path, '--dir', folder, '--save', '', '--maxmemory-policy', 'noeviction']
  const server = spawn(found.server, [...own, ...log], { stdio: 'ignore' })
  const ended = new Promise<unknown>((resolve) => server.once('exit', resolve).once('error', resolve))
  const end = (): unknown => server.kill('SIGKILL')
  process.once('exit', end) // whoever started it may end by a throw
  const stop = async (): Promise<void> => {
    process.off('exit', end)
    end()
    await ended
    rmSync(folder, { recursive: true, force: true })
  }
  const isUp = await Promise.race([answers(path), ended.then(() => false)])
  if (isUp) return { address: { path }, stop }
  await stop()
  throw new Error(`${found.server} did not start within ${STARTS_WITHIN / 1_000}s. Run it by hand to see why.`)
}

function named(given: string | undefined): FoundRedis | undefined {
  if (given === undefined || given === '') return undefined
  if (/^(?:rediss?|valkeys?):\/\//.test(given)) return { url: given }
  if (isProgram(given)) return { server: given }
  return { missing: `ROOTCATCH_REDIS is "${given}", which is neither a URL nor a program. Give redis://… or a path.` }
}

function onPath({ PATH = '' }: NodeJS.ProcessEnv): FoundRedis | undefined {
  for (const name of SERVERS) {
    for (const folder of PATH.split(delimiter)) {
      if (folder !== '' && isProgram(join(folder, name))) return { server: join(folder, name) }
    }
  }
  return undefined
}

function installed(env: NodeJS.ProcessEnv): FoundRedis {
  const remedy = 'Install redis-server, or set ROOTCATCH_REDIS to a URL or to the path of a server.'
  if (env['ROOTCATCH_NO_INSTALL'] === '1') return { missing: `There is no Redis, and none may be installed. ${remedy}` }
  if (process.getuid?.() !== 0 || !hasApt(env)) return { missing: `There is no Redis on the PATH. ${remedy}` }
  console.error(`There is no Redis: ${APT} installs ${PACKAGE} (ROOTCATCH_NO_INSTALL=1 leaves that out).`)
  apt(env, ['update'])
  apt(env, ['install', '-y', '--no-install-recommends', PACKAGE])
  return onPath(env) ?? { missing: `${APT} could not install ${PACKAGE}. ${remedy}` }
}

function apt(env: NodeJS.ProcessEnv, words: readonly string[]): void {
  // At run level 1 Debian starts no service of what it installs.
  const own = { ...env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  spawnSync(APT, ['-q', '-o', 'DPkg::Lock::Timeout=120', ...words], { env: own, stdio: 'ignore' })
}

const hasApt = ({ PATH = '' }: NodeJS.ProcessEnv): boolean =>
  PATH.split(delimiter).some((folder) => folder !== '' && isProgram(join(folder, APT)))

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

async function answers(path: string): Promise<boolean> {
  const until = Date.now() + STARTS_WITHIN
  while (Date.now() < until) {
    if (await accepts(path)) return true
    await sleep(20)
  }
  return false
}

const accepts = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createConnection(path)
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })

if (import.meta.main) {
  const found = findRedis()
  console.log('missing' in found ? found.missing : `Redis: ${'url' in found ? found.url : found.server}`)
}
