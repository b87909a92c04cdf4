import type { Stats } from 'node:fs'
import { BrokerError } from '../errors.ts'
import { describeThrown } from '../thrown.ts'
import { findDriver, hindranceOf, type Database, type Hindrance } from './sqlite-driver.ts'
import { APPLICATION_ID, foreignStore, migrate, newerStore, SCHEMA } from './sqlite-schema.ts'

const { closeSync, openSync, readSync, statSync } = process.getBuiltinModule('node:fs')

/** Keeps everything in memory, for tests. */
export const IN_MEMORY = ':memory:'

const BUSY_TIMEOUT = 5_000

/** A connection to a store that is ours and of this version. */
export async function openFile(path: string): Promise<Database> {
  const open = await findDriver()
  if (path !== IN_MEMORY) refuseOthers(path)
  let db: Database | undefined
  try {
    db = open(path)
    db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT}`)
    warnOfOldSqlite(db)
    enterWal(db)
    db.exec('PRAGMA synchronous = FULL')
    migrate(db, path)
    return db
  } catch (error) {
    db?.close()
    throw error instanceof BrokerError ? error : unusable(path, error)
  }
}

/** Tells whether the file at the path is still the one that was opened. */
export function fileWatch(path: string): () => boolean {
  if (path === IN_MEMORY) return () => true
  const opened = statSync(path)
  return () => {
    const found = statSync(path, { throwIfNoEntry: false })
    return found !== undefined && found.ino === opened.ino && found.dev === opened.dev
  }
}

/** Looks before anything is opened: even reading through SQLite would leave files beside a foreign one. */
function refuseOthers(path: string): void {
  const found = create(path)
  if (found.isDirectory()) {
    throw new BrokerError('store-foreign', `${path} is a directory; nothing was changed. Give the path of a file.`)
  }
  if (found.size === 0) return
  const header = readHeader(path)
  if (header.subarray(0, 16).toString('latin1') !== 'SQLite format 3\0') throw foreignStore(path)
  const [schemaCookie, version, application] = [40, 60, 68].map((offset) => header.readUInt32BE(offset))
  if (application === APPLICATION_ID) {
    if ((version as number) > SCHEMA) throw newerStore(path, version as number)
    return
  }
  // All three are 0 while what was written to a new file is still in its WAL; `migrate` looks again.
  if (application !== 0 || version !== 0 || schemaCookie !== 0) throw foreignStore(path)
}

/** What is at the path; a new file if there was nothing, which only its owner can read. */
function create(path: string): Stats {
  try {
    const found = statSync(path, { throwIfNoEntry: false })
    if (found !== undefined) return found
    closeSync(openSync(path, 'a', 0o600))
    return statSync(path)
  } catch (error) {
    throw unusable(path, error)
  }
}

function readHeader(path: string): Buffer {
  const header = Buffer.alloc(100)
  try {
    const file = openSync(path, 'r')
    readSync(file, header)
    closeSync(file)
  } catch (error) {
    throw unusable(path, error)
  }
  return header
}

/** Says what keeps us from a file, and what to do about it. */
export function unusable(path: string, cause: unknown): BrokerError {
  const remedy = REMEDIES[hindranceOf(cause) ?? 'unwritable']
  return new BrokerError('away', `${path} cannot be used: ${describeThrown(cause)}. ${remedy}`, { cause })
}

const REMEDIES: Readonly<Record<Hindrance, string>> = {
  locked: 'Another process has been writing to it all the time; end that one.',
  unwritable: 'Check that file and folder can be written.',
  damaged: 'Restore it from a copy, or give the path of a new file.',
  full: 'Free some space.',
}

/** SQLite does not wait by itself here when two connections enter WAL at once. */
function enterWal(db: Database): void {
  const until = Date.now() + BUSY_TIMEOUT
  for (;;) {
    try {
      db.exec('PRAGMA journal_mode = WAL')
      return
    } catch (error) {
      if (hindranceOf(error) !== 'locked' || Date.now() > until) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
    }
  }
}

let hasWarned = false

/** Before 3.51.3 a rare race between checkpoints of two processes can corrupt a WAL (facts/dependencies.md §6). */
function warnOfOldSqlite(db: Database): void {
  const { version } = db.prepare('SELECT sqlite_version() AS version').get() as { readonly version: string }
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number)
  const isOld = major < 3 || (major === 3 && (minor < 51 || (minor === 51 && patch < 3)))
  if (!isOld || hasWarned) return
  hasWarned = true
  process.emitWarning(
    `SQLite ${version} has a bug that can corrupt a file shared by processes; 3.51.3 mends it. Use a newer Node.js.`,
    'RootcatchWarning',
  )
}
