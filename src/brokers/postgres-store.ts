import { BrokerError } from '../errors.ts'
import type { Link } from './postgres-link.ts'
import { LOCK, type Functions } from './postgres-sql.ts'
import { MIGRATIONS, SCHEMA } from './postgres-tables.ts'
import { quoted, sha256 } from './postgres-text.ts'

/** Older ones get no corrections any more, and were never tried. */
const OLDEST = 13

/** Makes sure that the schema holds a store of ours, of this version, with the functions this process calls. */
export async function openStore(link: Link, schema: string, functions: Functions): Promise<void> {
  await checkServer(link)
  if (await isThere(link, schema, functions)) return // then its user needs no right to make anything
  // Under the lock: of two processes that open a new store one makes it, the other waits here and finds it done.
  await link.write('BEGIN ISOLATION LEVEL READ COMMITTED')
  try {
    await link.write('SELECT pg_advisory_xact_lock($1, $2)', [LOCK, lockOf(schema)])
    await migrate(link, schema)
    await link.write(functions.install)
    await link.write('COMMIT')
  } catch (error) {
    await link.write('ROLLBACK').catch(() => {})
    throw error
  }
}

/** The second half of the key of the lock under which a store is written. Two of the same one only wait for each other. */
export function lockOf(schema: string): number {
  return sha256(schema).readInt32BE()
}

async function checkServer(link: Link): Promise<void> {
  const [row] = await link.read(
    `SELECT current_setting('server_version_num')::integer / 10000, current_setting('server_version'), current_setting('server_encoding')`,
  )
  const [major, version, encoding] = row ?? []
  if (Number(major) < OLDEST) {
    throw new BrokerError('unsupported', `${link.name} is version ${version}, at least ${OLDEST} is needed. Update it.`)
  }
  if (encoding !== 'UTF8') {
    const what = `${link.name} has a database with the encoding ${encoding}, which does not keep every text`
    throw new BrokerError('unsupported', `${what}. Give one that was created with encoding UTF8.`)
  }
}

async function isThere(link: Link, schema: string, { turn }: Functions): Promise<boolean> {
  const store = `${quoted(schema)}.store`
  const [row] = await link.read('SELECT to_regproc($1) IS NOT NULL AND to_regclass($2) IS NOT NULL', [turn, store])
  return row?.[0] === 't' && (await versionOf(link, schema)) === SCHEMA
}

async function migrate(link: Link, schema: string): Promise<void> {
  const place = quoted(schema)
  const [found] = await link.write(
    `SELECT to_regnamespace($1) IS NOT NULL, to_regclass($2) IS NOT NULL,
      (SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace($1))`,
    [place, `${place}.store`],
  )
  const [exists, isOurs, relations] = found ?? []
  if (exists !== 't') await link.write(`CREATE SCHEMA ${place}`)
  let version = 0
  if (isOurs === 't') version = await versionOf(link, schema)
  else if (Number(relations) > 0) throw foreignStore(link, schema)
  if (version > SCHEMA) {
    const versions = `schema ${version}, this one knows ${SCHEMA}`
    const what = `"${schema}" of ${link.name} was written by a newer rootcatch (${versions})`
    throw new BrokerError('store-newer', `${what}. Update rootcatch, or use another schema.`)
  }
  if (version === SCHEMA) return
  await link.write(`SET LOCAL search_path = ${place}`)
  for (const step of MIGRATIONS.slice(version)) await link.write(step)
  await link.write('UPDATE store SET version = $1', [SCHEMA])
}

async function versionOf(link: Link, schema: string): Promise<number> {
  const [columns] = await link.read(
    `SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass($1) AND attname IN ('version', 'finish', 'results')`,
    [`${quoted(schema)}.store`],
  )
  if (columns?.[0] !== '3') throw foreignStore(link, schema)
  const [row] = await link.read(`SELECT version FROM ${quoted(schema)}.store`)
  return Number(row?.[0])
}

function foreignStore(link: Link, schema: string): BrokerError {
  const what = `schema "${schema}" of ${link.name} holds tables of something else; nothing was changed`
  return new BrokerError('store-foreign', `${what}. Give another schema.`)
}
