import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll } from 'vitest'

/** Gives paths of new files in a folder that goes when the tests of a file are over. */
export function newFiles(): () => string {
  const folder = mkdtempSync(join(tmpdir(), 'rootcatch-'))
  let count = 0
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return () => {
    count += 1
    return join(folder, `${count}.db`)
  }
}

/** One row, read by a connection of its own. */
export function readRow(path: string, sql: string): Record<string, unknown> {
  const db = new DatabaseSync(path)
  try {
    return { ...db.prepare(sql).get() }
  } finally {
    db.close()
  }
}
