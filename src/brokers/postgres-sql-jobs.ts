import { enterLane, isIn, move, wake } from './postgres-sql-moves.ts'
import { ORPHANED, State } from './postgres-tables.ts'

const SWEPT_AT_ONCE = 2
const PROMOTED_AT_ONCE = 512
/** More groups than these are not looked at one by one: in their common order something of them is near the front. */
const FEW_GROUPS = 64

/** Jobs that are added. Those of a plain call have neither keys nor lanes and are written at once. */
export const ADD: string = `
  IF (_c->>'isPlain')::boolean THEN
    FOR _r IN
      WITH added AS (
        INSERT INTO jobs (id, queue, state, priority, due, added_at, grp, idempotency_key, input, asker)
        SELECT id, queue, CASE WHEN delay > 0 THEN ${State.delayed} ELSE ${State.ready} END, priority,
          LEAST(9007199254740991, ceil(_now + delay))::bigint, _now, grp, ikey, input, _owner
        FROM json_to_recordset(_lists[(_c->>'j')::integer]) AS x(id text, queue integer, priority integer, delay float8, grp text, ikey text,
          input text)
        RETURNING queue, state, due
      )
      SELECT queue, state, count(*)::integer AS jobs, min(due) AS due FROM added GROUP BY 1, 2
    LOOP
      ${move('_r.queue', undefined, '_r.state', '_r.jobs')}
      IF _r.state = ${State.ready} THEN ${wake('_r.queue', '_r.jobs')}
      ELSE _due := LEAST(_due, _r.due);
      END IF;
    END LOOP;
  ELSE
    FOR _r IN SELECT * FROM json_to_recordset(_lists[(_c->>'j')::integer]) AS x(id text, queue integer, priority integer, delay float8,
      lane text, lname text, grp text, dkey text, dfor float8, ikey text, input text)
    LOOP
      _id := NULL;
      IF _r.dkey IS NOT NULL THEN
        SELECT id INTO _id FROM keys WHERE queue = _r.queue AND key = _r.dkey AND (until IS NULL OR until > _now);
      END IF;
      IF _heard THEN
        -- Told again: what became of it stands there already.
        _is := _id = _r.id OR EXISTS (SELECT FROM jobs WHERE id = _r.id);
        _answers := _answers || CASE WHEN _is THEN '' WHEN _id IS NOT NULL THEN '=' || _id
          WHEN _limit IS NULL OR _r.queue <> _queue THEN '' ELSE '!' END::text;
        CONTINUE;
      END IF;
      IF _id IS NOT NULL THEN
        UPDATE jobs SET followers = array_append(followers, _owner) WHERE id = _id AND state < ${State.done}
          AND asker <> _owner AND _owner <> ALL (coalesce(followers, '{}'));
        _answers := _answers || ('=' || _id);
        CONTINUE;
      END IF;
      IF _r.queue = _queue AND _limit IS NOT NULL THEN
        IF _count >= _limit THEN
          _answers := _answers || '!'::text;
          CONTINUE;
        END IF;
        _count := _count + 1;
      END IF;
      _id := _r.id;
      IF _r.dfor IS NOT NULL THEN -- its key may outlive it, and then its record has the id
        _k := 2;
        WHILE EXISTS (SELECT FROM jobs WHERE id = _id) LOOP
          _id := _r.id || '#' || _k;
          _k := _k + 1;
        END LOOP;
      END IF;
      _state := CASE WHEN _r.delay > 0 THEN ${State.delayed} WHEN _r.lane IS NULL THEN ${State.ready} ELSE ${State.behind} END;
      _at := LEAST(9007199254740991, ceil(_now + _r.delay))::bigint;
      INSERT INTO jobs (id, queue, state, priority, due, added_at, lane, lane_name, grp, dedupe_key, dedupe_for,
        idempotency_key, input, asker)
      VALUES (_id, _r.queue, _state, _r.priority, _at, _now, _r.lane, _r.lname, _r.grp, _r.dkey, _r.dfor, _r.ikey,
        _r.input, _owner);
      ${move('_r.queue', undefined, '_state')}
      IF _r.dkey IS NOT NULL THEN
        INSERT INTO keys (queue, key, id, until)
          VALUES (_r.queue, _r.dkey, _id, ceil(_now + _r.dfor)::bigint)
          ON CONFLICT (queue, key) DO UPDATE SET id = excluded.id, until = excluded.until;
        IF _r.dfor IS NOT NULL THEN -- one comes, up to two that are over go: they never pile up
          DELETE FROM keys WHERE (queue, key) IN (
            SELECT queue, key FROM keys WHERE until IS NOT NULL AND until <= _now ORDER BY until LIMIT ${SWEPT_AT_ONCE});
        END IF;
      END IF;
      IF _state = ${State.ready} THEN ${wake('_r.queue')}
      ELSIF _state = ${State.delayed} THEN _due := LEAST(_due, _at);
      ELSE ${enterLane('_r')}
      END IF;
      _answers := _answers || CASE WHEN _id = _r.id THEN '' ELSE '#' || _id END::text;
    END LOOP;
  END IF;
`

/** Lets jobs that became due compete by their own priority, and gives the first. */
export const TAKE: string = `
  _queue := (_c->>'q')::integer;
  _limit := (_c->>'limit')::integer;
  UPDATE jobs SET state = ${State.ready} WHERE id IN (
    SELECT id FROM jobs WHERE queue = _queue AND state = ${State.delayed} AND due <= _now AND lane IS NULL
    ORDER BY due LIMIT ${PROMOTED_AT_ONCE});
  GET DIAGNOSTICS _k = ROW_COUNT;
  IF _k > 0 THEN ${move('_queue', State.delayed, State.ready, '_k')} END IF;
  _is := _k = ${PROMOTED_AT_ONCE};
  _k := 0;
  FOR _job IN SELECT id, queue, lane FROM jobs
    WHERE queue = _queue AND state = ${State.delayed} AND due <= _now AND lane IS NOT NULL ORDER BY due LIMIT ${PROMOTED_AT_ONCE}
  LOOP
    _k := _k + 1;
    SELECT head INTO _id FROM lanes WHERE queue = _queue AND lane = _job.lane;
    _state := CASE WHEN _id = _job.id THEN ${State.ready} ELSE ${State.behind} END;
    UPDATE jobs SET state = _state WHERE id = _job.id AND ${isIn(State.delayed)}; -- it may have become a head just now
    IF FOUND THEN
      ${move('_queue', State.delayed, '_state')}
      IF _state = ${State.behind} THEN ${enterLane('_job')} END IF;
    END IF;
  END LOOP;
  _is := _is OR _k = ${PROMOTED_AT_ONCE};
  _k := 0;
  _found := NULL;
  IF NOT _is THEN
    IF _c->'without' IS NULL THEN
      WITH first AS (
        SELECT id FROM jobs WHERE queue = _queue AND state = ${State.ready} ORDER BY priority, due, seq LIMIT _limit
      ), TAKEN;
    ELSE
      _without := ARRAY(SELECT json_array_elements_text(_c->'without'));
      WITH RECURSIVE names (grp) AS (
        (SELECT grp FROM jobs WHERE queue = _queue AND state = ${State.ready} AND grp IS NOT NULL ORDER BY grp LIMIT 1)
        UNION ALL
        SELECT (SELECT j.grp FROM jobs j WHERE j.queue = _queue AND j.state = ${State.ready} AND j.grp > names.grp
          ORDER BY j.grp LIMIT 1) FROM names WHERE names.grp IS NOT NULL
      ) SELECT array_agg(grp) INTO _groups FROM names WHERE grp IS NOT NULL AND grp <> ALL (_without);
      IF cardinality(_groups) > ${FEW_GROUPS} THEN
        WITH first AS (
          SELECT id FROM jobs WHERE queue = _queue AND state = ${State.ready} AND grp <> ALL (_without)
          ORDER BY priority, due, seq LIMIT _limit
        ), TAKEN;
      ELSE
        WITH first AS (
          SELECT f.id FROM unnest(_groups) AS g, LATERAL (
            SELECT id, priority, due, seq FROM jobs WHERE queue = _queue AND state = ${State.ready} AND grp = g COLLATE "C"
            ORDER BY priority, due, seq LIMIT _limit
          ) AS f ORDER BY f.priority, f.due, f.seq LIMIT _limit
        ), TAKEN;
      END IF;
    END IF;
    IF _k > 0 THEN
      ${move('_queue', State.ready, State.leased, '_k')}
      _until := _now + _lease;
      _lasts := true; -- else a server that is killed has them begun twice
    END IF;
    IF _k < _limit THEN
      IF _c->'without' IS NULL THEN
        _b := array_position(_woken, _queue); -- nothing is left to take
        IF _b IS NOT NULL THEN _wakes[_b] := 0; END IF;
      END IF;
      IF (_c->>'waits')::boolean THEN
        UPDATE queues SET idle = array_append(idle, _owner) WHERE id = _queue AND _owner <> ALL (idle);
      END IF;
    ELSIF _k = _limit AND _limit > 0 THEN
      UPDATE queues SET idle = array_remove(idle, _owner) WHERE id = _queue AND _owner = ANY (idle);
    END IF;
  END IF;
  SELECT json_agg(json_build_array(id, token, attempts, generation, restarts, lost))::text INTO _entry
    FROM (SELECT * FROM jobs WHERE queue = _queue AND state = ${State.leased} AND until = ${ORPHANED} LIMIT 64) AS o;
  _out := _out || ('{"jobs":' || coalesce(_found, '[]') || ',"isMore":' || _is || ',"orphans":' || coalesce(_entry, '[]') || '}');
`.replaceAll(
  'TAKEN',
  `taken AS (
        UPDATE jobs AS j SET state = ${State.leased}, token = j.token + 1, owner = _owner,
          until = _now + _lease FROM first WHERE j.id = first.id
        RETURNING j.id, coalesce(j.lane_name, j.lane) AS lane, j.idempotency_key AS ikey, j.input, j.token, j.attempts,
          j.charged, j.put_offs, j.generation, j.restarts, j.priority, j.due, j.seq
      ) SELECT json_agg(json_build_array(id, lane, ikey, input, token, attempts, charged, put_offs, generation, restarts)
        ORDER BY priority, due, seq)::text, count(*) INTO _found, _k FROM taken`,
)
