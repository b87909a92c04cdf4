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

/** Whether another connection holds the lock, still after the busy timeout. */
export function isBusy(error: unknown): boolean {
  const number = peek(error, 'errcode') // of node:sqlite; the lowest byte is the primary code
  if (typeof number === 'number') return (number & 0xff) === 5
  return String(peek(error, 'code')).startsWith('SQLITE_BUSY')
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
