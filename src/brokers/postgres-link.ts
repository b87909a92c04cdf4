import { formatDuration } from '../duration.ts'
import { BrokerError } from '../errors.ts'
import { redact } from '../secrets.ts'
import { ask, importPg, type PostgresClient, type PostgresTarget } from './postgres-driver.ts'
import { away, explain, isOfTheWay } from './postgres-errors.ts'

export interface LinkHands {
  /** What this process is told, by the channel it listens on. */
  heard(message: string): void
  /** Both connections are there again. What was said meanwhile was not heard. */
  isBack(): void
}

type Rows = readonly (readonly (string | null)[])[]

const CONNECTS_WITHIN = 10_000
const ANSWERED_WITHIN = 30_000
const LONGEST_PAUSE = 2_000

const nothing = (): void => {}

/** Two connections to Postgres: one that writes, one that reads and listens. They go and come together. */
export class Link {
  /** For messages: `Postgres at 10.0.0.3:5432/app`. */
  readonly name: string
  readonly #target: PostgresTarget
  readonly #schema: string
  readonly #hands: LinkHands
  #writing: PostgresClient | undefined
  #reading: PostgresClient | undefined
  #channel: string | undefined
  readonly #asked = new WeakMap<PostgresClient, Promise<void>>()
  #lastError: unknown
  #retry: NodeJS.Timeout | undefined
  #tries = 0
  #isClosed = true

  constructor(target: PostgresTarget, schema: string, hands: LinkHands) {
    this.#target = target
    this.#schema = schema
    this.#hands = hands
    this.name = `Postgres at ${placeOf(target)}`
  }

  get isReady(): boolean {
    return this.#writing !== undefined
  }

  /** Why it is not there, for those who waited. */
  get problem(): unknown {
    return this.#lastError
  }

  /** Connects once; that it cannot be reached is told at once, and only later it is tried again. */
  async open(): Promise<void> {
    this.#isClosed = false
    try {
      await this.#connect()
    } catch (error) {
      this.#isClosed = true
      throw this.explain(error)
    }
  }

  async listen(channel: string): Promise<void> {
    this.#channel = channel
    await this.read(`LISTEN ${channel}`)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#retry)
    const clients = [this.#writing, this.#reading]
    this.#writing = this.#reading = undefined
    await Promise.all(clients.map((client) => client && end(client)))
  }

  write(text: string, values?: readonly unknown[]): Promise<Rows> {
    return this.#ask(this.#writing, text, values)
  }

  read(text: string, values?: readonly unknown[]): Promise<Rows> {
    return this.#ask(this.#reading, text, values)
  }

  explain(error: unknown): unknown {
    return explain(error, this.name, this.#schema)
  }

  /** One after the other, as pg wants to be asked. */
  async #ask(client: PostgresClient | undefined, text: string, values: readonly unknown[] | undefined): Promise<Rows> {
    if (client === undefined) throw this.explain(this.#lastError ?? away(this.name, 'it is not connected'))
    const before = this.#asked.get(client)
    const answer =
      before === undefined ? this.#askNow(client, text, values) : before.then(() => this.#askNow(client, text, values))
    const over = answer.then(nothing, nothing)
    this.#asked.set(client, over)
    return answer
  }

  async #askNow(client: PostgresClient, text: string, values: readonly unknown[] | undefined): Promise<Rows> {
    const tooLate = setTimeout(() => {
      this.#dropped(client, away(this.name, `it has not answered for ${formatDuration(ANSWERED_WITHIN)}`))
    }, ANSWERED_WITHIN)
    try {
      return (await ask(client, text, values)).rows
    } catch (error) {
      if (isOfTheWay(error)) this.#dropped(client, error)
      throw error
    } finally {
      clearTimeout(tooLate)
    }
  }

  async #connect(): Promise<void> {
    const pg = await importPg()
    const made: PostgresClient[] = []
    try {
      const [writing, reading] = (await Promise.all(
        ['writes', 'listens'].map(async (what) => {
          const client = new pg.Client(optionsOf(this.#target, what))
          made.push(client)
          client.on('error', (error) => this.#dropped(client, error))
          client.on('end', () => this.#dropped(client, undefined))
          await client.connect()
          return client
        }),
      )) as [PostgresClient, PostgresClient]
      if (this.#channel !== undefined) await ask(reading, `LISTEN ${this.#channel}`)
      await checkWrites(writing, this.name)
      reading.on('notification', ({ payload = '' }) => this.#hands.heard(payload))
      if (this.#isClosed) throw away(this.name, 'it was closed')
      this.#writing = writing
      this.#reading = reading
      this.#lastError = undefined
      this.#tries = 0
    } catch (error) {
      for (const client of made) void end(client)
      throw error
    }
  }

  #dropped(client: PostgresClient, error: unknown): void {
    if (client !== this.#writing && client !== this.#reading) return
    this.#lastError = error ?? this.#lastError ?? away(this.name, 'it closed the connection')
    const clients = [this.#writing, this.#reading]
    this.#writing = this.#reading = undefined
    for (const each of clients) each?.connection?.stream?.destroy() // what was sent is rejected by it
    this.#connectLater()
  }

  #connectLater(): void {
    if (this.#isClosed) return
    const pause = Math.min(LONGEST_PAUSE, 50 * 2 ** Math.min(this.#tries, 6)) * (0.5 + Math.random() / 2)
    this.#tries += 1
    this.#retry = setTimeout(() => {
      this.#connect().then(
        () => this.#hands.isBack(),
        (error: unknown) => {
          this.#lastError = error
          this.#connectLater()
        },
      )
    }, pause)
  }
}

/** A replica, or a server set to read only, would take no job. */
async function checkWrites(client: PostgresClient, name: string): Promise<void> {
  const { rows } = await ask(client, `SELECT current_setting('transaction_read_only')`)
  if (rows[0]?.[0] !== 'on') return
  const text = `${name} takes no writes: it is a replica, or set to read only. Give the address of the primary.`
  throw new BrokerError('read-only', text)
}

/** Ends a connection whose other end may not answer any more. */
async function end(client: PostgresClient): Promise<void> {
  const timer = setTimeout(() => client.connection?.stream?.destroy(), 1_000)
  await client.end().catch(() => {})
  clearTimeout(timer)
}

function optionsOf(target: PostgresTarget, what: string): object {
  const own = { application_name: `rootcatch ${what}`, connectionTimeoutMillis: CONNECTS_WITHIN, keepAlive: true }
  return typeof target === 'string' ? { ...own, connectionString: target } : { ...own, ...target }
}

/** Where it is, without user and password. */
export function placeOf(target: PostgresTarget): string {
  const url = typeof target === 'string' ? target : target['connectionString']
  if (typeof url === 'string') {
    const [, place = '', query = ''] = /^[a-z]+:\/\/(?:[^@/?]*@)?([^?]*)(.*)$/i.exec(url) ?? []
    const socket = /[?&]host=([^&]+)/.exec(query)?.[1]
    return redact(socket === undefined ? place : `${decodeURIComponent(socket)}${place}`)
  }
  const { host = process.env['PGHOST'] ?? 'localhost', port, database } = target as Readonly<Record<string, unknown>>
  const name = database ?? process.env['PGDATABASE']
  const where = String(host).startsWith('/') ? String(host) : `${String(host)}:${String(port ?? 5432)}`
  return redact(name === undefined ? where : `${where}/${String(name)}`)
}
