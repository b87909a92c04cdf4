/** Where a job is; in the table as a number. `behind`: due, but not the head of its lane. */
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

/** What has its lease until then is given back, and does not count as lost. */
export const GIVEN_BACK = -1

/** States whose records retention takes away. */
export const RESULTS: string = `(${State.done}, ${State.fallback}, ${State.cancelled})`

/**
 * Forward only; `store.version` counts those that are done. What was released is never changed, only added to. Rows of
 * `jobs` change often and leave soon: what they leave behind is to be swept before it is a tenth of the table.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE store (
    version integer NOT NULL,
    finish bigint NOT NULL,  -- number of the latest job that finished
    results bigint NOT NULL  -- finished jobs kept, dead letters not among them
  ) WITH (fillfactor = 20);
  INSERT INTO store VALUES (0, 0, 0);

  CREATE TABLE owners (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    place text NOT NULL,
    pid bigint NOT NULL,
    born text NOT NULL,
    opened timestamptz NOT NULL DEFAULT now()
  );

  CREATE TABLE queues (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key text COLLATE "C" NOT NULL UNIQUE,
    name text NOT NULL,
    waiting bigint NOT NULL DEFAULT 0,
    delayed bigint NOT NULL DEFAULT 0,
    leased bigint NOT NULL DEFAULT 0,
    dead bigint NOT NULL DEFAULT 0,
    used boolean NOT NULL DEFAULT false, -- it has had jobs
    idle integer[] NOT NULL DEFAULT '{}' -- processes that wait for its jobs
  ) WITH (fillfactor = 50);

  CREATE TABLE jobs (
    id text COLLATE "C" PRIMARY KEY,
    seq bigint GENERATED ALWAYS AS IDENTITY (CACHE 1),
    queue integer NOT NULL,
    state smallint NOT NULL,
    priority integer NOT NULL,
    due bigint NOT NULL,
    added_at bigint NOT NULL,
    lane text COLLATE "C",
    lane_name text,             -- of a lane whose key is not its name
    grp text COLLATE "C",
    dedupe_key text COLLATE "C",
    dedupe_for double precision,
    idempotency_key text,       -- null: its path
    input text,
    attempts integer NOT NULL DEFAULT 0,
    charged integer NOT NULL DEFAULT 0,
    put_offs integer NOT NULL DEFAULT 0,
    generation integer NOT NULL DEFAULT 1,
    restarts text,
    lost integer NOT NULL DEFAULT 0,
    token bigint NOT NULL DEFAULT 0,
    heard bigint,               -- token of the latest lease whose outcome is written
    asker integer,              -- process that added it
    followers integer[],        -- processes that would have added it
    owner integer,              -- who holds it, or finished it
    until bigint,
    unwanted text,              -- somebody cancelled it while it was held; '': for no reason
    finish bigint,
    finished_at bigint,
    value text,
    failure text,
    kind text,
    reason text,
    history text
  ) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0.1, autovacuum_vacuum_cost_delay = 0);
  CREATE INDEX ready ON jobs (queue, priority, due, seq) WHERE state = ${State.ready};
  CREATE INDEX ready_groups ON jobs (queue, grp, priority, due, seq) WHERE state = ${State.ready} AND grp IS NOT NULL;
  CREATE INDEX delayed ON jobs (queue, due) WHERE state = ${State.delayed};
  CREATE INDEX leased ON jobs (until) WHERE state = ${State.leased};
  CREATE INDEX orphaned ON jobs (queue) WHERE state = ${State.leased} AND until = ${ORPHANED};
  CREATE INDEX unwanted ON jobs (owner) WHERE unwanted IS NOT NULL;
  CREATE INDEX in_lane ON jobs (queue, lane, due, seq)
    WHERE lane IS NOT NULL AND state IN (${State.delayed}, ${State.behind});
  CREATE INDEX results ON jobs (finish) WHERE state IN ${RESULTS};
  CREATE INDEX dead ON jobs (finish) WHERE state = ${State.failed};

  CREATE TABLE lanes (
    queue integer NOT NULL,
    lane text COLLATE "C" NOT NULL,
    head text COLLATE "C" NOT NULL,
    PRIMARY KEY (queue, lane)
  );

  CREATE TABLE keys (
    queue integer NOT NULL,
    key text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    until bigint,
    PRIMARY KEY (queue, key)
  );
  CREATE INDEX keys_until ON keys (until) WHERE until IS NOT NULL;

  CREATE TABLE schedules (
    queue integer PRIMARY KEY,
    spec text NOT NULL,
    next bigint NOT NULL, -- the tick that is not made yet
    last text             -- id of the latest job a tick made
  );

  CREATE TABLE notes (
    queue integer NOT NULL,
    name text COLLATE "C" NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (queue, name)
  );

  CREATE TABLE words (
    queue integer NOT NULL,
    name text COLLATE "C" NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (queue, name)
  );
  `,
]

/** How many migrations this version knows. */
export const SCHEMA: number = MIGRATIONS.length
