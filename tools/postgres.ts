// Where the Postgres of tests and benches comes from, and servers of their own that they start. Run as a program it only
// finds one, so that a machine can be prepared: `npx node tools/postgres.ts`.
import { spawn, spawnSync } from 'node:child_process'
import { accessSync, chownSync, constants, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** The folder of `initdb` and `postgres`, and who they run as: they refuse to run as root. */
export type FoundPostgres =
  | { readonly programs: string; readonly uid?: number; readonly gid?: number }
  | { readonly missing: string }

type Usable = Exclude<FoundPostgres, { readonly missing: string }>

export interface RunningPostgres {
  /** By which user `postgres` reaches it. */
  readonly url: string
  /** Ends it, and removes its folder. */
  stop(): Promise<void>
}

export interface PostgresSettings {
  /** Whether what is committed is on disk: as slow as the disk, and only for measurements. */
  readonly fsync?: boolean
}

const DEBIAN = '/usr/lib/postgresql'
const APT = 'apt-get'
const PACKAGE = 'postgresql'
const INSTALLS_WITHIN = 30_000
const STARTS_WITHIN = 20_000

/** Looks in the environment, on the PATH, where Debian puts it, and at last in Debian's packages. */
export function findPostgres(env: NodeJS.ProcessEnv = process.env): FoundPostgres {
  const programs = named(env) ?? onPath(env) ?? ofDebian() ?? installed(env)
  if (typeof programs !== 'string') return programs
  if (process.getuid?.() !== 0) return { programs }
  const user = ['postgres', 'nobody'].map(idsOf).find((ids) => ids !== undefined)
  return user === undefined
    ? { missing: 'Postgres does not run as root, and there is no user for it.' }
    : { programs, ...user }
}

/** A folder with a database cluster in it: `postgres` is its user, and needs no password on the socket. */
export function makeCluster(found: Usable): string {
  const folder = mkdtempSync(join(tmpdir(), 'rootcatch-postgres-'))
  if (found.uid !== undefined) chownSync(folder, found.uid, found.gid as number)
  const options = ['-D', join(folder, 'data'), '-U', 'postgres', '-E', 'UTF8', '--locale=C', '--no-sync', '-A', 'trust']
  const made = spawnSync(join(found.programs, 'initdb'), options, { ...idsFor(found), cwd: folder, encoding: 'utf8' })
  if (made.status === 0) return folder
  rmSync(folder, { recursive: true, force: true })
  throw new Error(`initdb made no cluster: ${made.stderr}`)
}

/** Runs a cluster; `kill` ends it as a power switch would. */
export async function runCluster(
  found: Usable,
  folder: string,
  settings: readonly string[],
): Promise<{ kill(): Promise<void> }> {
  const data = join(folder, 'data')
  rmSync(join(data, 'postmaster.pid'), { force: true })
  const own = ['-D', data, '-k', folder, ...settings.flatMap((setting) => ['-c', setting])]
  const server = spawn(join(found.programs, 'postgres'), own, { ...idsFor(found), cwd: folder, stdio: 'ignore' })
  const ended = new Promise<unknown>((resolve) => server.once('exit', resolve).once('error', resolve))
  const end = (): unknown => server.kill('SIGQUIT') // at once, and its children with it
  process.once('exit', end) // whoever started it may end by a throw
  const kill = async (): Promise<void> => {
    process.off('exit', end)
    end()
    await ended
  }
  const isUp = await Promise.race([answers(folder), ended.then(() => false)])
  if (isUp) return { kill }
  await kill()
  throw new Error(`postgres did not start within ${STARTS_WITHIN / 1_000}s. Run it by hand to see why.`)
}

/** Starts a server that listens on a socket in a folder of its own. */
export async function startPostgres(found: Usable, { fsync = false }: PostgresSettings = {}): Promise<RunningPostgres> {
  const folder = makeCluster(found)
  const sync = fsync ? [] : ['fsync=off']
  const { kill } = await runCluster(found, folder, ['listen_addresses=', ...sync, 'max_connections=200'])
  return {
    url: `postgres://postgres@/postgres?host=${encodeURIComponent(folder)}`,
    stop: async () => {
      await kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function named({ ROOTCATCH_POSTGRES: given }: NodeJS.ProcessEnv): string | FoundPostgres | undefined {
  if (given === undefined || given === '') return undefined
  if (hasPrograms(given)) return given
  return {
    missing: `ROOTCATCH_POSTGRES is "${given}", where there is no initdb. Give the folder of initdb and postgres.`,
  }
}

const onPath = ({ PATH = '' }: NodeJS.ProcessEnv): string | undefined =>
  PATH.split(delimiter).find((folder) => folder !== '' && hasPrograms(folder))

/** The newest of those that are installed. */
function ofDebian(): string | undefined {
  if (!existsSync(DEBIAN)) return undefined
  const versions = readdirSync(DEBIAN).toSorted((a, b) => Number(b) - Number(a))
  return versions.map((version) => join(DEBIAN, version, 'bin')).find(hasPrograms)
}

function installed(env: NodeJS.ProcessEnv): string | FoundPostgres {
  const remedy = 'Install postgresql, or set ROOTCATCH_POSTGRES to the folder of initdb and postgres.'
  const missing = (why: string): FoundPostgres => ({ missing: `${why} ${remedy}` })
  if (env['ROOTCATCH_NO_INSTALL'] === '1') return missing('There is no Postgres, and none may be installed.')
  if (process.getuid?.() !== 0 || !hasApt(env)) return missing('There is no Postgres on the PATH.')
  console.error(`There is no Postgres: ${APT} installs ${PACKAGE} (ROOTCATCH_NO_INSTALL=1 leaves that out).`)
  const words = ['install', '-y', '--no-install-recommends']
  const isThere = apt(env, ['update']) && apt(env, [...words, '--download-only', PACKAGE])
  if (isThere) apt(env, [...words, PACKAGE], 4 * INSTALLS_WITHIN) // what is begun is not to be cut off
  return ofDebian() ?? missing(`${APT} could not install ${PACKAGE}.`)
}

function apt(env: NodeJS.ProcessEnv, words: readonly string[], timeout = INSTALLS_WITHIN): boolean {
  // At run level 1 Debian starts no service of what it installs.
  const own = { ...env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  return spawnSync(APT, ['-q', ...words], { env: own, stdio: 'ignore', timeout }).status === 0
}

function idsOf(name: string): { readonly uid: number; readonly gid: number } | undefined {
  const [uid, gid] = ['-u', '-g'].map((which) =>
    Number(spawnSync('id', [which, name], { encoding: 'utf8' }).stdout || -1),
  )
  return uid === undefined || gid === undefined || uid < 0 || gid < 0 ? undefined : { uid, gid }
}

const idsFor = ({ uid, gid }: Usable): { readonly uid?: number; readonly gid?: number } =>
  uid === undefined || gid === undefined ? {} : { uid, gid }

const hasPrograms = (folder: string): boolean => ['initdb', 'postgres'].every((name) => isProgram(join(folder, name)))

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

/** Until it takes connections on its socket. */
async function answers(folder: string): Promise<boolean> {
  const until = Date.now() + STARTS_WITHIN
  while (Date.now() < until) {
    const socket = existsSync(folder) ? readdirSync(folder).find((name) => /^\.s\.PGSQL\.\d+$/.test(name)) : undefined
    if (socket !== undefined && (await accepts(join(folder, socket)))) return true
    await sleep(20)
  }
  return false
}

/** A server that is starting takes the connection and says so; one that is up asks on. */
const accepts = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createConnection(path)
    const end = (isUp: boolean): void => {
      socket.destroy()
      resolve(isUp)
    }
    socket.once('error', () => end(false)).once('close', () => end(false))
    socket.once('connect', () => socket.write(GREETING))
    socket.once('data', (data) => end(data[0] === 'R'.charCodeAt(0)))
  })

/** Version 3.0 of the protocol, for user and database `postgres`. */
const GREETING = ((): Buffer => {
  const words = Buffer.from('user\0postgres\0database\0postgres\0\0')
  const head = Buffer.alloc(8)
  head.writeInt32BE(8 + words.length, 0)
  head.writeInt32BE(196_608, 4)
  return Buffer.concat([head, words])
})()

if (import.meta.main) {
  const found = findPostgres()
  console.log('missing' in found ? found.missing : `Postgres: ${found.programs}`)
}
