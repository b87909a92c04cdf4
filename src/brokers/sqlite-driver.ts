import { MissingPackageError } from '../errors.ts'
import { peek } from '../evidence.ts'

export type SqlValue = string | number | null

/** A prepared statement, as both drivers have it. */
export interface Statement {
  run(...values: readonly SqlValue[]): { readonly changes: number | bigint; readonly lastInsertRowid: number | bigint }
  get(...values: readonly SqlValue[]): unknown
  all(...values: readonly SqlValue[]): unknown[]
}

/** A connection, as both drivers have it. */
export interface Database {
  exec(sql: string): unknown
  prepare(sql: string): Statement
  close(): unknown
}

export type OpenDatabase = (path: string) => Database

/**
 * Node's own SQLite. Before 24.15 it prints a warning when it is loaded; there `better-sqlite3` goes first, if it is
 * installed.
 */
export async function findDriver(node: string = process.versions.node): Promise<OpenDatabase> {
  const isSilent = hasSilentSqlite(node)
  if (!isSilent) {
    const other = await importBetterSqlite().catch(() => undefined)
    if (other !== undefined) return other
  }
  // Not imported: a module is linked before the version guard can speak (facts/dependencies.md §1).
  const native: { readonly DatabaseSync: new (path: string) => Database } | undefined =
    process.getBuiltinModule('node:sqlite')
  if (native !== undefined) return (path) => new native.DatabaseSync(path)
  throw new MissingPackageError('rootcatch/sqlite', 'better-sqlite3')
}

/** What keeps SQLite from its file, in contrast to what is wrong with one statement. */
export type Hindrance = 'locked' | 'unwritable' | 'damaged' | 'full'

/** Primary result codes: node:sqlite gives the number, better-sqlite3 the name. */
const HINDRANCES: readonly (readonly [number, string, Hindrance])[] = [
  [5, 'SQLITE_BUSY', 'locked'], // still after the busy timeout
  [8, 'SQLITE_READONLY', 'unwritable'],
  [10, 'SQLITE_IOERR', 'unwritable'],
  [11, 'SQLITE_CORRUPT', 'damaged'],
  [13, 'SQLITE_FULL', 'full'],
  [14, 'SQLITE_CANTOPEN', 'unwritable'],
  [26, 'SQLITE_NOTADB', 'damaged'],
]

export function hindranceOf(error: unknown): Hindrance | undefined {
  const [number, code] = [peek(error, 'errcode'), String(peek(error, 'code'))]
  const is = ([primary, name]: (typeof HINDRANCES)[number]): boolean =>
    typeof number === 'number' ? (number & 0xff) === primary : code.startsWith(name)
  return HINDRANCES.find(is)?.[2]
}

function hasSilentSqlite(node: string): boolean {
  const [major = 0, minor = 0] = node.split('.').map(Number)
  return major > 24 || (major === 24 && minor >= 15)
}

async function importBetterSqlite(): Promise<OpenDatabase> {
  const name = 'better-sqlite3' // an optional peer: neither compiler nor bundler may look for it
  const { default: Connection } = (await import(name)) as { readonly default: new (path: string) => Database }
  return (path) => new Connection(path)
}
