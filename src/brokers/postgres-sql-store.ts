import { isIn, move } from './postgres-sql-moves.ts'
import { RESULTS, State } from './postgres-tables.ts'

const CLEARED_AT_ONCE = 2_000
const TRIMMED_PER_RESULT = 2

/** Notes of a step, and how many jobs it may add: in `_count` and `_limit`. */
export const NOTE: string = `
  _queue := (_c->>'q')::integer;
  FOR _r IN SELECT * FROM json_to_recordset(_lists[(_c->>'m')::integer]) AS x(name text, value text) LOOP
    IF _r.value IS NULL THEN
      DELETE FROM notes WHERE queue = _queue AND name = _r.name;
    ELSE
      INSERT INTO notes (queue, name, value) VALUES (_queue, _r.name, _r.value)
        ON CONFLICT (queue, name) DO UPDATE SET value = excluded.value;
    END IF;
  END LOOP;
  _limit := (_c->>'limit')::bigint;
  IF _limit IS NOT NULL THEN
    _count := GREATEST(0, coalesce((SELECT value::bigint FROM words WHERE queue = _queue AND name = _c->>'room'), 0)
      - (_c->>'back')::bigint);
  END IF;
`

export const KEEP_COUNT: string = `
  IF _limit IS NOT NULL THEN
    INSERT INTO words (queue, name, value) VALUES (_queue, _c->>'room', _count::text)
      ON CONFLICT (queue, name) DO UPDATE SET value = excluded.value;
  END IF;
`

/** Whether a tick may make its job: `_is`. What it came to otherwise is its answer. */
export const TICK: string = `
  _is := false;
  _queue := (_c->>'q')::integer;
  SELECT spec, next, last INTO _r FROM schedules WHERE queue = _queue;
  IF NOT FOUND OR _r.spec <> _c->>'spec' THEN
    _answers := _answers || 'stale'::text;
  ELSIF _r.next <> (_c->>'at')::bigint THEN
    _answers := _answers || ('stale' || _r.next);
  ELSE
    UPDATE schedules SET next = (_c->>'next')::bigint WHERE queue = _queue;
    IF _c->'j' IS NULL THEN
      _answers := _answers || 'skipped'::text;
    ELSIF EXISTS (SELECT FROM jobs WHERE id = _c->>'id') THEN
      _answers := _answers || ('stale' || (_c->>'next')); -- the clock was set back: it was made before
    ELSIF NOT (_c->>'overlap')::boolean AND EXISTS (SELECT FROM jobs WHERE id = _r.last AND state < ${State.done}) THEN
      _answers := _answers || ('skipped' || _r.last);
    ELSE
      _is := true;
    END IF;
  END IF;
`

/** What the job of a tick became. */
export const TICKED: string = `
  IF starts_with(_answers[1], '=') THEN
    _answers := ARRAY['skipped' || substr(_answers[1], 2)];
  ELSE
    UPDATE schedules SET last = _id WHERE queue = _queue;
    _answers := ARRAY['added'::text];
  END IF;
`

/** Calls that are rare, by their names. */
export const RARE: Readonly<Record<string, string>> = {
  extend: `
    FOR _r IN SELECT * FROM json_to_recordset(_lists[(_c->>'e')::integer]) AS x(id text, token bigint) LOOP
      UPDATE jobs SET until = _now + _lease
        WHERE id = _r.id AND token = _r.token AND ${isIn(State.leased)};
      _answers := _answers || CASE WHEN FOUND THEN 'settled' ELSE 'lost' END::text;
    END LOOP;`,
  discard: `
    DELETE FROM jobs WHERE id = _c->>'id' AND ${isIn(State.failed)} RETURNING queue INTO _queue;
    IF FOUND THEN
      ${move('_queue', State.failed, undefined)}
      _answers := _answers || 'discarded'::text;
    END IF;`,
  swap: `
    _queue := (_c->>'q')::integer;
    _found := (SELECT value FROM words WHERE queue = _queue AND name = _c->>'name');
    IF _found IS DISTINCT FROM _c->>'to' AND _found IS NOT DISTINCT FROM _c->>'from' THEN
      _found := _c->>'to';
      IF _found IS NULL THEN
        DELETE FROM words WHERE queue = _queue AND name = _c->>'name';
      ELSE
        INSERT INTO words (queue, name, value) VALUES (_queue, _c->>'name', _found)
          ON CONFLICT (queue, name) DO UPDATE SET value = excluded.value;
      END IF;
    END IF;
    _answers := _answers || _found;`,
  clear: `
    _queue := (_c->>'q')::integer;
    FOR _r IN
      WITH gone AS (
        DELETE FROM jobs WHERE id IN (SELECT id FROM (
          (SELECT id FROM jobs WHERE queue = _queue AND state = ${State.ready} LIMIT ${CLEARED_AT_ONCE})
          UNION ALL (SELECT id FROM jobs WHERE queue = _queue AND state = ${State.delayed} LIMIT ${CLEARED_AT_ONCE})
          UNION ALL (SELECT id FROM jobs WHERE queue = _queue AND lane IS NOT NULL
            AND state IN (${State.delayed}, ${State.behind}) LIMIT ${CLEARED_AT_ONCE})
          UNION ALL (SELECT id FROM jobs WHERE queue = _queue AND state = ${State.leased} LIMIT ${CLEARED_AT_ONCE})
        ) AS open LIMIT ${CLEARED_AT_ONCE}) RETURNING state
      ) SELECT state, count(*)::integer AS jobs FROM gone GROUP BY state
    LOOP
      ${move('_queue', '_r.state', undefined, '_r.jobs')}
      _answers := ARRAY['more'::text];
    END LOOP;
    IF cardinality(_answers) = 0 THEN
      DELETE FROM lanes WHERE queue = _queue;
      DELETE FROM keys WHERE queue = _queue AND key IN (SELECT key FROM keys WHERE queue = _queue LIMIT ${CLEARED_AT_ONCE});
      IF FOUND THEN
        _answers := ARRAY['more'::text];
      ELSE -- last, so that who is killed meanwhile finds that it was not over
        DELETE FROM notes WHERE queue = _queue;
        DELETE FROM words WHERE queue = _queue;
      END IF;
    END IF;`,
  plan: `
    _queue := (_c->>'q')::integer;
    DELETE FROM schedules WHERE next < _now - (_c->>'forgotten')::bigint AND queue <> _queue;
    INSERT INTO schedules AS s (queue, spec, next) VALUES (_queue, _c->>'spec', (_c->>'next')::bigint)
      ON CONFLICT (queue) DO UPDATE SET spec = excluded.spec, next = excluded.next WHERE s.spec <> excluded.spec;
    _answers := _answers || (SELECT next::text FROM schedules WHERE queue = _queue);`,
  unplan: `
    DELETE FROM schedules WHERE queue = (_c->>'q')::integer;
    IF FOUND THEN _answers := _answers || 'removed'::text; END IF;`,
  expire: 'NULL; -- that is done at the beginning of a turn',
  unwait: `
    UPDATE queues SET idle = array_remove(idle, _owner) WHERE _owner = ANY (idle)
      AND (_c->>'q' IS NULL OR id = (_c->>'q')::integer);`,
}

/** Lets the oldest results go, if they are too many or too old: a few more than came, so that no turn is long. */
const TRIM = `
  _k := ${TRIMMED_PER_RESULT} * _added;
  IF _results - _last > 0 THEN
    _at := (SELECT finish FROM jobs WHERE state IN ${RESULTS} ORDER BY finish
      OFFSET LEAST(_k, _results - _last) - 1 LIMIT 1);
  ELSE
    _at := (SELECT max(finish) FROM (
      SELECT finish, finished_at FROM jobs WHERE state IN ${RESULTS} ORDER BY finish LIMIT _k
    ) AS oldest WHERE finished_at < _since);
  END IF;
  IF _at IS NOT NULL THEN
    DELETE FROM jobs WHERE state IN ${RESULTS} AND finish <= _at;
    GET DIAGNOSTICS _k = ROW_COUNT;
    _results := _results - _k;
  END IF;
`

/** What is written once for a whole turn, and who is told of it. */
export const END: string = `
  IF _added > 0 THEN ${TRIM} END IF;
  UPDATE store SET finish = _finish, results = _results WHERE finish <> _finish OR results <> _results;
  IF NOT _lasts THEN
    PERFORM set_config('synchronous_commit', 'off', true);
  END IF;
  FOR _i IN 1 .. cardinality(_moved) LOOP
    _b := 8 * _i - 7;
    UPDATE queues SET used = true, waiting = waiting + _moves[_b + ${State.ready}] + _moves[_b + ${State.behind}],
      delayed = delayed + _moves[_b + ${State.delayed}], leased = leased + _moves[_b + ${State.leased}],
      dead = dead + _moves[_b + ${State.failed}] WHERE id = _moved[_i];
  END LOOP;
  _awake := '{}';
  FOR _i IN 1 .. cardinality(_woken) LOOP
    CONTINUE WHEN _wakes[_i] = 0;
    _awake := _awake || _woken[_i];
    SELECT idle INTO _idle FROM queues WHERE id = _woken[_i];
    CONTINUE WHEN _idle IS NULL OR cardinality(_idle) = 0;
    IF _owner = ANY (_idle) THEN
      _idle := array_remove(_idle, _owner);
      _wakes[_i] := _wakes[_i] - 1;
    END IF;
    FOREACH _follower IN ARRAY _idle[1:_wakes[_i]] LOOP
      _told := _told || _follower;
      _said := _said || json_build_array('w', _woken[_i])::text;
    END LOOP;
    UPDATE queues SET idle = coalesce(_idle[_wakes[_i] + 1:], '{}') WHERE id = _woken[_i];
  END LOOP;
  FOR _r IN SELECT t AS owner, '[' || string_agg(w, ',') || ']' AS text FROM unnest(_told, _said) AS x(t, w) GROUP BY t LOOP
    PERFORM pg_notify(_channel || '_' || _r.owner, CASE WHEN octet_length(_r.text) < 7900 THEN _r.text ELSE '*' END);
  END LOOP;
`
