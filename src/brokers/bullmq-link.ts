import { formatDuration } from '../duration.ts'
import { BrokerError } from '../errors.ts'
import { redact } from '../secrets.ts'
import { describeThrown } from '../thrown.ts'
import {
  composeScript,
  importEngine,
  type ScriptSettings,
  type RedisClient,
  type RedisPackage,
} from './bullmq-engine.ts'
import { checkServer } from './bullmq-server.ts'

/** Where Redis is. Options go to ioredis as they are: Sentinel, TLS, ACL users, a unix socket. */
export type RedisTarget =
  | string
  | Readonly<Record<string, unknown>>
  | { readonly nodes: readonly unknown[]; readonly options?: Readonly<Record<string, unknown>> }

/** How a call bears that Redis is away: what a worker does waits for it, what a caller asks for fails soon. */
export type Patience = 'waits' | 'fails'

export interface LinkHands {
  heard(message: string): void
  /** The connection is there again. What was said meanwhile was not heard. */
  isBack(): void
}

const PATIENCE: Readonly<Record<Patience, number>> = { waits: 10_000, fails: 1_000 }
/** A call that was sent is answered within that time, or told to be without an answer. */
const ANSWERED_WITHIN = 10_000
const LOOKS_FOR_LATE = 500
const CONNECTS_WITHIN = 10_000

interface Sent {
  readonly until: number
  readonly reject: (error: unknown) => void
}

/** Two connections to Redis: one that asks, one that listens. */
export class Link {
  /** For messages: `Redis at 10.0.0.3:6379`. */
  readonly name: string
  readonly isCluster: boolean
  /** Whether it writes an append-only file. */
  isLogged = true
  readonly #target: RedisTarget
  readonly #settings: ScriptSettings
  readonly #hands: LinkHands
  #asking: RedisClient | undefined
  #hearing: RedisClient | undefined
  #lastError: unknown
  #isClosed = false
  readonly #sent = new Set<Sent>()
  #lateCheck: NodeJS.Timeout | undefined
  readonly #waiting = new Set<() => void>()

  constructor(target: RedisTarget, settings: ScriptSettings, hands: LinkHands) {
    this.#target = target
    this.#settings = settings
    this.#hands = hands
    this.isCluster = typeof target === 'object' && 'nodes' in target
    this.name = `Redis at ${placeOf(target)}`
  }

  get client(): RedisClient {
    if (this.#asking === undefined) throw this.away('it is not open')
    return this.#asking
  }

  /** Whether a call is sent at once. */
  get isReady(): boolean {
    const { status } = this.client
    return status === 'ready' || (this.isCluster && status === 'connect')
  }

  /** Connects once; that it cannot be reached is told at once, and only later it is tried again. */
  async open(channels: () => readonly string[]): Promise<void> {
    const { redis, engine } = await importEngine()
    const script = composeScript(engine, this.#settings, this.isCluster)
    this.#isClosed = false
    try {
      this.#asking = await this.#connect(redis, 'asks')
      this.isLogged = (await checkServer(this.#asking, this.name)).isLogged
      this.#asking.defineCommand('rootcatch', { numberOfKeys: 1, lua: script })
      this.#hearing = await this.#connect(redis, 'listens')
    } catch (error) {
      this.close()
      throw this.explain(error)
    }
    this.#channels = channels
    this.#hearing.on('message', (_, message) => this.#hands.heard(message))
    this.#asking.on('ready', () => this.#isBack())
  }

  #channels: () => readonly string[] = () => []

  /** From now on, and again after each reconnection: ioredis subscribes anew by itself. */
  async listen(): Promise<void> {
    await this.#hearing?.subscribe(...this.#channels())
    this.#hearing?.on('ready', () => void this.#hearsAgain())
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#lateCheck)
    this.#lateCheck = undefined
    for (const client of [this.#asking, this.#hearing]) client?.disconnect()
    this.#dropSent()
    for (const go of this.#waiting) go()
    this.#asking = this.#hearing = undefined
  }

  /** Runs the script. An error tells what is the matter with Redis, and whether something was written is not known. */
  call(key: string, given: readonly string[], patience: Patience): Promise<unknown> {
    if (this.isReady) return this.#send(key, given, patience) // before anything else happens
    return this.#ready(patience).then(() => this.#send(key, given, patience))
  }

  #send(key: string, given: readonly string[], patience: Patience): Promise<unknown> {
    const { client } = this
    return new Promise((resolve, reject) => {
      const sent: Sent = {
        until: performance.now() + (patience === 'fails' ? ANSWERED_WITHIN : 6 * ANSWERED_WITHIN),
        reject: (error) => {
          this.#sent.delete(sent)
          reject(this.explain(error))
        },
      }
      this.#sent.add(sent)
      this.#lateCheck ??= setTimeout(() => this.#rejectLate(), LOOKS_FOR_LATE)
      const answered = (value: unknown): void => {
        this.#sent.delete(sent)
        resolve(value)
      }
      ;(client as RedisClient & Commands).rootcatch(key, ...given).then(answered, sent.reject)
    })
  }

  /** One timer for all calls: most of them are answered long before. */
  #rejectLate(): void {
    this.#lateCheck = undefined
    const now = performance.now()
    const error = this.away(`it has not answered for ${formatDuration(ANSWERED_WITHIN)}`)
    for (const sent of this.#sent) if (sent.until < now) sent.reject(error)
    if (this.#sent.size > 0) this.#lateCheck = setTimeout(() => this.#rejectLate(), LOOKS_FOR_LATE)
  }

  away(because: string): BrokerError {
    return new BrokerError('away', `${this.name} is away: ${because}. Outcomes are kept and sent again; bring it back.`)
  }

  /** What Redis, or the way to it, said: as what is the matter, and what to do. */
  explain(error: unknown): unknown {
    if (error instanceof BrokerError) return error
    const said = error instanceof Error ? error.message : ''
    const cause = { cause: error }
    if (/\bOOM\b/.test(said)) {
      return new BrokerError(
        'full',
        `${this.name} is out of memory, so it takes no jobs. Give it more maxmemory.`,
        cause,
      )
    }
    if (/\bREADONLY\b/.test(said)) {
      const advice = 'Give the address of the master, or use Sentinel or Cluster.'
      return new BrokerError('read-only', `${this.name} is a replica that takes no writes. ${advice}`, cause)
    }
    if (/\b(?:NOAUTH|WRONGPASS|NOPERM)\b|invalid password/i.test(said)) {
      const advice = 'Correct username and password of connection, or the rights of that user.'
      return new BrokerError('denied', `${this.name} does not let us in: ${redact(said)}. ${advice}`, cause)
    }
    if (/\bMISCONF\b/.test(said)) {
      return new BrokerError('full', `${this.name} cannot write to its disk: ${redact(said)}. Look at its log.`, cause)
    }
    if (isOfTheWay(error, said)) return this.away(describeThrown(this.#lastError ?? error))
    return error
  }

  async #connect(redis: RedisPackage, what: string): Promise<RedisClient> {
    const client = makeClient(redis, this.#target, `rootcatch ${what}`)
    client.on('error', (error) => (this.#lastError = error))
    client.on('close', () => client === this.#asking && this.#dropSent())
    this.#lastError = undefined
    let timer: NodeJS.Timeout | undefined
    const tooLate = new Promise<never>((_, reject) => {
      const error = this.away(`it has not answered for ${formatDuration(CONNECTS_WITHIN)}`)
      timer = setTimeout(() => reject(this.#lastError ?? error), CONNECTS_WITHIN)
    })
    try {
      await Promise.race([client.connect(), tooLate])
      return client
    } catch (error) {
      client.disconnect()
      throw this.#lastError ?? error
    } finally {
      clearTimeout(timer)
    }
  }

  /** What was sent is not sent again: it may have been done, and only who asked can tell whether that matters. */
  #dropSent(): void {
    for (const { reject } of this.#sent) reject(new Error('Connection is closed.'))
  }

  #isBack(): void {
    this.#lastError = undefined
    for (const go of this.#waiting) go()
  }

  /** What was not heard is asked for when all that comes is heard, and there is a connection to ask by. */
  async #hearsAgain(): Promise<void> {
    try {
      await this.#hearing?.ping() // answered after the subscriptions
    } catch {
      return // it was cut again, and will be back
    }
    while (!this.#isClosed) {
      try {
        await this.#ready('waits')
        return this.#hands.isBack()
      } catch {
        // It takes longer; or it was closed.
      }
    }
  }

  async #ready(patience: Patience): Promise<void> {
    if (this.isReady) return
    await new Promise<void>((resolve, reject) => {
      const go = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(go)
        if (this.#isClosed) reject(this.away('it was closed'))
        else resolve()
      }
      const tooLate = (): void => {
        this.#waiting.delete(go)
        const waited = formatDuration(PATIENCE[patience])
        const why = this.#lastError === undefined ? '' : `: ${describeThrown(this.#lastError)}`
        reject(this.away(`it has not answered for ${waited}${why}`))
      }
      const timer = setTimeout(tooLate, PATIENCE[patience])
      this.#waiting.add(go)
    })
  }
}

function makeClient(redis: RedisPackage, target: RedisTarget, connectionName: string): RedisClient {
  const own = {
    connectionName,
    lazyConnect: true,
    // What a worker asks has no limit of tries; how long it waits, and how long a caller does, is decided per call.
    maxRetriesPerRequest: null,
    // Of calls without an answer nobody else could say whether they were done.
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: connectionName.endsWith('listens'),
    retryStrategy: (times: number) => Math.min(2_000, 50 * 2 ** Math.min(times, 6)) * (0.5 + Math.random() / 2),
  }
  if (typeof target === 'string') return new redis.Redis(target, own)
  if (!('nodes' in target)) return new redis.Redis({ ...own, ...target, maxRetriesPerRequest: null })
  const { nodes, options = {} } = target as { readonly nodes: readonly unknown[]; readonly options?: object }
  const { redisOptions } = options as { readonly redisOptions?: object }
  const { connectionName: name, maxRetriesPerRequest, autoResendUnfulfilledCommands } = own
  const perNode = { connectionName: name, maxRetriesPerRequest, autoResendUnfulfilledCommands, ...redisOptions }
  return new redis.Cluster(nodes, { ...options, lazyConnect: true, redisOptions: perNode })
}

interface Commands {
  rootcatch(key: string, ...given: readonly string[]): Promise<unknown>
}

function isOfTheWay(error: unknown, said: string): boolean {
  const { code, syscall, name } = error as { readonly code?: string; readonly syscall?: string; readonly name?: string }
  if (syscall !== undefined || /^E[A-Z]+$/.test(code ?? '')) return true
  if (name === 'MaxRetriesPerRequestError' || name === 'AbortError' || name === 'ClusterAllFailedError') return true
  return /Connection is closed|Stream isn't writeable|LOADING|CLUSTERDOWN|MASTERDOWN|UNKILLABLE|Socket/i.test(said)
}

function placeOf(target: RedisTarget): string {
  if (typeof target === 'string')
    return redact(target)
      .replace(/^rediss?:\/\//, '')
      .replace(/^[^@/]*@/, '')
  if ('nodes' in target) return String((target.nodes as readonly unknown[]).map(nodeName).join(', '))
  const { path, sentinels, name } = target
  if (typeof path === 'string') return path
  if (Array.isArray(sentinels)) return `${String(name)} of Sentinel ${sentinels.map(nodeName).join(', ')}`
  return nodeName(target)
}

function nodeName(node: unknown): string {
  if (typeof node !== 'object' || node === null) return redact(String(node))
  const { host = '127.0.0.1', port = 6379 } = node as { readonly host?: string; readonly port?: number }
  return `${host}:${port}`
}
