import { MissingPackageError } from '../errors.ts'
import { peek } from '../evidence.ts'

/** Options of pg's Client, as they are. */
export type PostgresTarget = string | Readonly<Record<string, unknown>>

interface Answer {
  /** Every value as the text Postgres sent, or null. */
  readonly rows: readonly (readonly (string | null)[])[]
}

/** What is used of a client of pg, an optional peer. */
export interface PostgresClient {
  connect(): Promise<unknown>
  query(query: Query): Promise<Answer>
  end(): Promise<unknown>
  on(event: 'error', listener: (error: Error) => void): this
  on(event: 'end', listener: () => void): this
  on(event: 'notification', listener: (message: { readonly channel: string; readonly payload?: string }) => void): this
  readonly connection?: { readonly stream?: { destroy(): void } }
  /** Of pg, when it is connected. */
  readonly host?: string
  readonly port?: number
  readonly database?: string
}

interface Query {
  readonly text: string
  readonly values?: readonly unknown[]
  readonly rowMode: 'array'
  /** Set for all of a process by `pg.types`, parsers may give anything: none of them is asked. */
  readonly types: { getTypeParser(): (text: string) => string }
}

interface PostgresPackage {
  readonly Client: new (options: object) => PostgresClient
}

const types = { getTypeParser: () => (text: string) => text }

/** Runs one statement, or several without values. */
export function ask(client: PostgresClient, text: string, values?: readonly unknown[]): Promise<Answer> {
  return client.query({ text, rowMode: 'array', types, ...(values !== undefined && { values }) })
}

/** Loads what users install beside rootcatch; a missing one is told with the command to run. */
export async function importPg(): Promise<PostgresPackage> {
  const name = 'pg' // an optional peer: neither compiler nor bundler may look for it
  try {
    const found = (await import(name)) as PostgresPackage & { readonly default?: PostgresPackage }
    return found.default ?? found
  } catch (error) {
    const code = peek(error, 'code')
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw error
    throw new MissingPackageError('rootcatch/postgres', name, [name], { cause: error })
  }
}
