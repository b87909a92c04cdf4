import { BrokerError } from '../errors.ts'
import type { Database } from './sqlite-driver.ts'

/** Says that a file is ours: 'rctc'. */
export const APPLICATION_ID = 0x72637463

/** Where a job is; in the file as a number. `behind`: due, but not the head of its lane. */
export const State = {
  ready: 0,
  delayed: 1,
  behind: 2,
  leased: 3,
  done: 4,
  fallback: 5,
  cancelled: 6,
  failed: 7,
} as const

export type StateNumber = (typeof State)[keyof typeof State]

/** When the lease of a job ends that was lost too often: never, so that nobody is given it. */
export const ORPHANED: number = Number.MAX_SAFE_INTEGER

/** Forward only; `user_version` counts those that are done. What was released is never changed, only added to. */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE store (
    next_id INTEGER NOT NULL,
    finish INTEGER NOT NULL,    -- number of the latest job that finished
    forgotten INTEGER NOT NULL, -- highest such number that is no longer kept
    results INTEGER NOT NULL    -- finished jobs kept, dead letters not among them
  ) STRICT;
  INSERT INTO store VALUES (1, 0, 0, 0);

  CREATE TABLE owners (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    place TEXT NOT NULL,
    pid INTEGER NOT NULL,
    born TEXT NOT NULL
  ) STRICT;

  CREATE TABLE queues (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    waiting INTEGER NOT NULL DEFAULT 0,
    delayed INTEGER NOT NULL DEFAULT 0,
    leased INTEGER NOT NULL DEFAULT 0,
    dead INTEGER NOT NULL DEFAULT 0
  ) STRICT;

  CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    queue INTEGER NOT NULL,
    state INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    due INTEGER NOT NULL,
    added_at INTEGER NOT NULL,
    lane TEXT,
    dedupe_key TEXT,
    dedupe_for INTEGER,
    idempotency_key TEXT NOT NULL,
    input TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    charged INTEGER NOT NULL DEFAULT 0,
    put_offs INTEGER NOT NULL DEFAULT 0,
    generation INTEGER NOT NULL DEFAULT 1,
    restarts TEXT,
    lost INTEGER NOT NULL DEFAULT 0,
    token INTEGER NOT NULL DEFAULT 0,
    owner INTEGER,              -- who holds it, or finished it
    until INTEGER,
    unwanted TEXT,              -- somebody cancelled it while it was held
    finish INTEGER,
    finished_at INTEGER,
    value TEXT,
    failure TEXT,
    kind TEXT,
    reason TEXT,
    history TEXT
  ) STRICT;
  CREATE INDEX ready ON jobs (queue, priority, due) WHERE state = ${State.ready};
  CREATE INDEX delayed ON jobs (queue, due) WHERE state = ${State.delayed};
  CREATE INDEX leased ON jobs (until) WHERE state = ${State.leased};
  CREATE INDEX unwanted ON jobs (owner) WHERE unwanted IS NOT NULL;
  CREATE INDEX in_lane ON jobs (queue, lane, state, due) WHERE lane IS NOT NULL;
  CREATE INDEX results ON jobs (finish) WHERE state IN (${State.done}, ${State.fallback}, ${State.cancelled});
  CREATE INDEX dead ON jobs (finish) WHERE state = ${State.failed};

  CREATE TABLE lanes (
    queue INTEGER NOT NULL,
    lane TEXT NOT NULL,
    head INTEGER NOT NULL,
    PRIMARY KEY (queue, lane)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE keys (
    queue INTEGER NOT NULL,
    key TEXT NOT NULL,
    id TEXT NOT NULL,
    until INTEGER,
    PRIMARY KEY (queue, key)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX keys_until ON keys (until) WHERE until IS NOT NULL;
  `,
  `
  CREATE TABLE schedules (
    queue INTEGER PRIMARY KEY,
    spec TEXT NOT NULL,
    next INTEGER NOT NULL, -- the tick that is not made yet
    last TEXT              -- id of the latest job a tick made
  ) STRICT;
  `,
  `
  CREATE TABLE notes (
    queue INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (queue, name)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  ALTER TABLE jobs ADD COLUMN grp TEXT;
  CREATE INDEX ready_groups ON jobs (queue, grp, priority, due) WHERE state = ${State.ready} AND grp IS NOT NULL;
  `,
]

/** How many migrations this version knows. */
export const SCHEMA: number = MIGRATIONS.length

/** Brings a file up to this version, one transaction for each step. A file that is not ours is refused untouched. */
export function migrate(db: Database, name: string): void {
  const pragma = (key: string): number => {
    const row = db.prepare(`PRAGMA ${key}`).get() as Record<string, number>
    return row[key] as number
  }
  for (;;) {
    // Under the lock: of two processes that open a new file one migrates, the other waits here and finds it done.
    db.exec('BEGIN IMMEDIATE')
    try {
      const version = pragma('user_version')
      if (version > SCHEMA) throw newerStore(name, version)
      if (pragma('application_id') !== APPLICATION_ID && !isEmpty(db, version)) throw foreignStore(name)
      const step = MIGRATIONS[version]
      if (step !== undefined)
        db.exec(`${step} PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${version + 1}`)
      db.exec('COMMIT')
      if (step === undefined) return
    } catch (error) {
      db.exec('ROLLBACK')
      throw error
    }
  }
}

export function foreignStore(name: string): BrokerError {
  return new BrokerError(
    'store-foreign',
    `${name} is a database of something else; nothing was changed. Give the path of a new file.`,
  )
}

export function newerStore(name: string, version: number): BrokerError {
  const versions = `schema ${version}, this one knows ${SCHEMA}`
  return new BrokerError(
    'store-newer',
    `${name} was written by a newer rootcatch (${versions}). Update rootcatch, or use another file.`,
  )
}

function isEmpty(db: Database, version: number): boolean {
  const { tables } = db.prepare('SELECT count(*) AS tables FROM sqlite_master').get() as { readonly tables: number }
  return version === 0 && tables === 0
}
