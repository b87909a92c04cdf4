import { BrokerError, MissingPackageError } from '../errors.ts'
import { peek } from '../evidence.ts'
import { CORE } from './bullmq-lua-core.ts'
import { ENDS } from './bullmq-lua-ends.ts'
import { JOBS } from './bullmq-lua-jobs.ts'
import { SHORT } from './bullmq-lua-short.ts'
import { STORE } from './bullmq-lua-store.ts'
import { SHARED } from './bullmq-lua.ts'

/** A script of the engine. */
interface EngineScript {
  readonly content: string
  readonly keys: number
}

export type EngineScripts = Readonly<Record<string, EngineScript | undefined>>

/** What a script knows of how a store is set: it stands in its text, so that no call has to say it. */
export interface ScriptSettings {
  readonly lease: number
  readonly lostLimit: number
  readonly retention: { readonly for: number; readonly last: number }
  readonly events: number
  readonly metrics: number
}

/** Those that are used, and how many keys they had when this was written: with another number they are others. */
const USED: Readonly<Record<string, number>> = {
  addDelayedJob: 6,
  addPrioritizedJob: 9,
  moveToActive: 11,
  moveToDelayed: 11,
  moveToFinished: 14,
  pause: 7,
  reprocessJob: 9,
}

/** Of those three scripts that the short way stands for. */
const KNOWN = 'six-OjDK9Dv0'

/** What is used of ioredis, an optional peer. */
export interface RedisClient {
  readonly status: string
  connect(): Promise<unknown>
  disconnect(): void
  defineCommand(name: string, definition: { readonly numberOfKeys: number; readonly lua: string }): void
  info(): Promise<string>
  ping(): Promise<unknown>
  incr(key: string): Promise<number>
  hset(key: string, ...fields: readonly string[]): Promise<number>
  hdel(key: string, ...fields: readonly string[]): Promise<number>
  hgetall(key: string): Promise<Readonly<Record<string, string>>>
  subscribe(...channels: readonly string[]): Promise<unknown>
  nodes?(role: 'master'): readonly RedisClient[]
  on(event: 'error', listener: (error: Error) => void): this
  on(event: 'message', listener: (channel: string, message: string) => void): this
  on(event: 'ready' | 'close' | 'end', listener: () => void): this
  once(event: 'ready' | 'end', listener: () => void): this
}

export interface RedisPackage {
  readonly Redis: new (...given: readonly unknown[]) => RedisClient
  readonly Cluster: new (nodes: readonly unknown[], options: object) => RedisClient
}

/** Loads what users install beside rootcatch; a missing one is told with the command to run. */
export async function importEngine(): Promise<{ readonly redis: RedisPackage; readonly engine: EngineScripts }> {
  // Optional peers: neither compiler nor bundler may look for them. The scripts alone cost a tenth of all of BullMQ.
  const [client, engineScripts] = ['ioredis', 'bullmq/dist/cjs/scripts/index.js']
  const redis = await importPeer<RedisPackage>(client)
  const { default: engine } = await importPeer<{ readonly default: EngineScripts }>(engineScripts)
  return { redis, engine }
}

/**
 * The engine's scripts as functions, and ours that call them, as one script: what one call does is one step in Redis. What
 * is not asked for costs nothing but its place, for Redis makes the functions of a script at each call.
 */
export function composeScript(engine: EngineScripts, settings: ScriptSettings, isCluster: boolean): string {
  const { retention, lease, lostLimit, events, metrics } = settings
  const loaders = Object.entries(USED).map(([name, keys]) => {
    const script = engine[name]
    if (script?.keys !== keys) throw otherEngine(name)
    const { helpers, body } = splitScript(script.content)
    return `${name} = function()\nlocal rcall = redis.call\n${helpers}\nreturn function(KEYS, ARGV)\n${body}\nend\nend,\n`
  })
  return `
local IS_SHORT, IS_CLUSTER, LEASE, LOST_LIMIT = ${isKnown(engine)}, ${isCluster}, ${Math.ceil(lease)}, ${lostLimit}
local KEEP_LAST, KEEP_AGE, EVENTS, METRICS = ${retention.last}, ${retention.for / 1_000}, '${events}', '${metrics || ''}'
${CORE}
local E = setmetatable({}, { __index = function(known, name)
  local loaders = {
    ${loaders.join('')}
  }
  local script = loaders[name]()
  rawset(known, name, script)
  return script
end })
${SHORT}
function makeOthers()
  ${SHARED}
  ${JOBS}
  ${ENDS}
end
if OP == 'turn' then return F.turn() end
if OP == 'lease' then return F.lease() end
${STORE}
`
}

/** The short way writes what these scripts write; beside others it is not taken. */
function isKnown(engine: EngineScripts): boolean {
  const hash = process.getBuiltinModule('node:crypto').createHash('sha256') // not at the import of rootcatch/bullmq
  for (const name of ['addPrioritizedJob', 'moveToActive', 'moveToFinished']) hash.update(engine[name]?.content ?? '')
  return hash.digest('base64url').slice(0, 12) === KNOWN
}

/** Apart, so that a step with many jobs makes the functions inside a script once and not for each. */
function splitScript(content: string): { readonly helpers: string; readonly body: string } {
  const [helpers, body]: [string[], string[]] = [[], []]
  let isHelper = false
  for (const line of content.split('\n')) {
    isHelper ||= /^local (?:function \w|\w+ = function)/.test(line)
    ;(isHelper ? helpers : body).push(line)
    if (/^end\s*$/.test(line) || /^local .*\bend\s*$/.test(line)) isHelper = false
  }
  return { helpers: helpers.join('\n'), body: body.join('\n') }
}

function otherEngine(name: string): BrokerError {
  const what = `the bullmq that is installed has another script ${name} than this rootcatch knows`
  return new BrokerError('unsupported', `${what}. Run: npm install bullmq@6.7`)
}

async function importPeer<Module>(name: string): Promise<Module> {
  try {
    return (await import(name)) as Module
  } catch (error) {
    const code = peek(error, 'code')
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw error
    const missing = name.split('/')[0] as string
    throw new MissingPackageError('rootcatch/bullmq', missing, ['bullmq', 'ioredis'], { cause: error })
  }
}
