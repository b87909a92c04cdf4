import { quoted, sha256 } from './postgres-text.ts'
import { BURY, EXPIRE, REPLAY, SETTLE } from './postgres-sql-ends.ts'
import { ADD, TAKE } from './postgres-sql-jobs.ts'
import { END, KEEP_COUNT, NOTE, RARE, TICK, TICKED } from './postgres-sql-store.ts'
import { ORPHANED, State } from './postgres-tables.ts'

/** The first half of the key of the lock under which a store is written: 'rctc'. */
export const LOCK = 0x72637463

// A table may have been empty when its statements were planned: without these they would read all of it ever after.
const PLANS =
  'SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET plan_cache_mode = force_generic_plan SET jit = off'

/**
 * All that processes ask a store for in one turn of the event loop, as one statement. It is done alone: of many processes
 * one after the other, each of which sees what the one before has written.
 */
const TURN = `
DECLARE
  _now bigint := (p->>'now')::bigint;
  _owner integer := (p->>'owner')::integer;
  _lease bigint := (p->>'lease')::bigint; _lost_limit integer := (p->>'lostLimit')::integer; -- read once: JSON is a text
  _last bigint := (p->>'last')::bigint; _since bigint := _now - (p->>'for')::bigint; _channel text := p->>'channel';
  _c json; _r record; _job record; _next record;
  _out text[] := '{}'; _answers text[];
  _moved integer[] := '{}'; _moves integer[] := '{}';
  _woken integer[] := '{}'; _wakes integer[] := '{}'; _awake integer[]; _idle integer[];
  _told integer[] := '{}'; _said text[] := '{}'; _follower integer;
  _ended text[] := '{}'; _orphaned integer[] := '{}';
  _due bigint; _until bigint; _finish bigint; _results bigint; _added integer := 0;
  _state integer; _attempts integer; _value text; _failure text; _reason text; _kind text; _history text; _entry text;
  _id text; _queue integer; _limit bigint; _count bigint; _delay float8; _at bigint;
  _lasts boolean := (p->>'lasts')::boolean; _is boolean; _heard boolean; _found text; _without text[]; _groups text[];
  _b integer; _i integer; _k integer;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'rootcatch needs the isolation level read committed';
  END IF;
  PERFORM pg_advisory_xact_lock(${LOCK}, (p->>'lock')::integer);
  SELECT finish, results INTO _finish, _results FROM store;
  IF (p->>'expires')::boolean THEN ${EXPIRE} END IF;
  FOR _c IN SELECT * FROM json_array_elements(p->'calls') LOOP
    _answers := '{}';
    _heard := false;
    _limit := NULL;
    CASE _c->>'o'
      WHEN 'do' THEN
        ${SETTLE}
        IF (_c->>'isStep')::boolean THEN
          _heard := coalesce(_answers[1] = 'heard', false);
          IF _answers[1] = 'lost' THEN
            _out := _out || to_json(_answers)::text;
            CONTINUE;
          END IF;
          IF _heard THEN
            _queue := (_c->>'q')::integer;
            _limit := (_c->>'limit')::bigint;
          ELSE ${NOTE}
          END IF;
        END IF;
        IF _c->'j' IS NOT NULL THEN ${ADD} END IF;
        IF NOT _heard THEN ${KEEP_COUNT} END IF;
      WHEN 'tick' THEN
        ${TICK}
        IF _is THEN
          _limit := NULL;
          TICK_ADDS
          ${TICKED}
        END IF;
      WHEN 'take' THEN
        ${TAKE}
        CONTINUE;
      WHEN 'replay' THEN ${REPLAY}
      WHEN 'bury' THEN ${BURY}
      ${Object.entries(RARE)
        .map(([name, text]) => `WHEN '${name}' THEN ${text}`)
        .join('\n      ')}
    END CASE;
    _out := _out || to_json(_answers)::text;
  END LOOP;
  ${END}
  RETURN '{"out":[' || array_to_string(_out, ',') || '],"woken":' || to_json(_awake) || ',"ended":' || to_json(_ended)
    || ',"orphaned":' || to_json(_orphaned) || ',"due":' || coalesce(_due::text, 'null')
    || ',"until":' || coalesce(_until::text, 'null') || '}';
END
`.replace('TICK_ADDS', ADD)

/** What becomes due in some queues, and which jobs of a process nobody wants any more. Nothing is written. */
const LOOK = `
  SELECT json_build_object(
    'queues', (SELECT json_agg(json_build_array(q,
      EXISTS (SELECT FROM jobs WHERE queue = q AND state = ${State.ready})
        OR EXISTS (SELECT FROM jobs WHERE queue = q AND state = ${State.delayed} AND due <= now_ms),
      (SELECT due FROM jobs WHERE queue = q AND state = ${State.delayed} AND due > now_ms ORDER BY due LIMIT 1),
      EXISTS (SELECT FROM jobs WHERE queue = q AND state = ${State.leased} AND until = ${ORPHANED})
    )) FROM unnest(queue_ids) AS q),
    'until', (SELECT until FROM jobs WHERE state = ${State.leased} AND until < ${ORPHANED} ORDER BY until LIMIT 1),
    'unwanted', (SELECT json_agg(json_build_array(id, unwanted)) FROM jobs WHERE unwanted IS NOT NULL AND owner = owner_id)
  )::text
`

/** The counts of all queues. The oldest of each priority is the first of its stretch of the index: nothing else is read. */
const STATS = `
  SELECT json_agg(json_build_array(q.name, q.waiting + d.jobs, q.delayed - d.jobs, q.leased, q.dead, LEAST(d.due, (
    WITH RECURSIVE stretch (priority) AS (
      (SELECT priority FROM jobs WHERE queue = q.id AND state = ${State.ready} ORDER BY priority LIMIT 1)
      UNION ALL
      SELECT (SELECT j.priority FROM jobs j WHERE j.queue = q.id AND j.state = ${State.ready}
        AND j.priority > stretch.priority ORDER BY j.priority LIMIT 1)
      FROM stretch WHERE stretch.priority IS NOT NULL
    )
    SELECT min((SELECT j.due FROM jobs j WHERE j.queue = q.id AND j.state = ${State.ready}
      AND j.priority = stretch.priority ORDER BY j.due LIMIT 1)) FROM stretch
  ))) ORDER BY q.id)::text
  FROM queues q, LATERAL (
    SELECT count(*) AS jobs, min(due) AS due FROM jobs WHERE queue = q.id AND state = ${State.delayed} AND due <= now_ms
  ) AS d WHERE q.used
`

const BODIES = `${TURN}\0${LOOK}\0${STATS}\0${PLANS}`

export interface Functions {
  readonly turn: string
  readonly look: string
  readonly stats: string
  /** Makes all of them. */
  readonly install: string
}

/**
 * Functions have the hash of their text in their names: processes of several versions share a store, each with its own.
 */
export function functionsOf(schema: string): Functions {
  const hash = sha256(BODIES).toString('hex').slice(0, 12)
  const nameOf = (name: string): string => `${quoted(schema)}.${name}_${hash}`
  const [turn, look, stats] = [nameOf('turn'), nameOf('look'), nameOf('stats')]
  const settings = `SET search_path = ${quoted(schema)}, pg_temp ${PLANS}`
  return {
    turn,
    look,
    stats,
    install: `
      CREATE OR REPLACE FUNCTION ${turn}(p json, _lists json[]) RETURNS text LANGUAGE plpgsql ${settings} AS $rootcatch$ ${TURN} $rootcatch$;
      CREATE OR REPLACE FUNCTION ${look}(owner_id integer, now_ms bigint, queue_ids integer[]) RETURNS text
        LANGUAGE sql STABLE ${settings} AS $rootcatch$ ${LOOK} $rootcatch$;
      CREATE OR REPLACE FUNCTION ${stats}(now_ms bigint) RETURNS text
        LANGUAGE sql STABLE ${settings} AS $rootcatch$ ${STATS} $rootcatch$;`,
  }
}
