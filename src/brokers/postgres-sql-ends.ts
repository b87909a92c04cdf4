import { finish, giveUp, isIn, JOB_COLUMNS, move, putBack, stand, tell } from './postgres-sql-moves.ts'
import { GIVEN_BACK, ORPHANED, State } from './postgres-tables.ts'
import { KEPT_HISTORY } from './stored.ts'

const EXPIRED_AT_ONCE = 256

/**
 * Gives again what nobody extended. A job that ends its process each time must not come for ever: it waits to be buried
 * by who knows its task.
 */
export const EXPIRE: string = `
  IF p->'gone' IS NOT NULL THEN
    UPDATE jobs SET until = LEAST(until, _now) WHERE state = ${State.leased} AND until <> ${ORPHANED}
      AND owner IN (SELECT g::integer FROM json_array_elements_text(p->'gone') AS g);
  END IF;
  IF p->'mine' IS NOT NULL THEN
    UPDATE jobs SET until = ${GIVEN_BACK} WHERE state = ${State.leased} AND until <> ${ORPHANED} AND owner = _owner
      AND id NOT IN (SELECT m FROM json_array_elements_text(p->'mine') AS m);
  END IF;
  _history := NULL;
  FOR _job IN SELECT ${JOB_COLUMNS}, until FROM jobs WHERE state = ${State.leased} AND until <= _now
    ORDER BY until LIMIT ${EXPIRED_AT_ONCE}
  LOOP
    IF _job.until <> ${GIVEN_BACK} THEN
      UPDATE jobs SET lost = lost + 1 WHERE id = _job.id;
    END IF;
    IF _job.unwanted IS NOT NULL THEN
      ${giveUp('_job.attempts', '_job.token')}
    ELSIF _job.until = ${GIVEN_BACK} OR _job.lost + 1 < _lost_limit THEN
      ${putBack('heard')}
    ELSE
      UPDATE jobs SET until = ${ORPHANED}, owner = NULL, token = token + 1 WHERE id = _job.id;
      _orphaned := _orphaned || _job.queue;
    END IF;
  END LOOP;
`

/** What deliveries came to, and jobs that nobody wants any more. */
export const SETTLE: string = `
  FOR _r IN SELECT * FROM json_to_recordset(_lists[(_c->>'s')::integer]) AS x(id text, token bigint, kind text, attempts integer, value text,
    failure text, reason text, entry text, fkind text, delay float8, charged integer, putoffs integer,
    generation integer, restarts text, input text, again boolean)
  LOOP
    _state := NULL;
    _attempts := _r.attempts;
    _value := _r.value; _failure := _r.failure; _reason := _r.reason; _kind := _r.fkind; _history := NULL;
    IF _r.kind = 'cancel' THEN
      SELECT ${JOB_COLUMNS} INTO _job FROM jobs WHERE id = _r.id;
      IF NOT FOUND THEN
        _answers := _answers || 'unknown'::text;
        CONTINUE;
      ELSIF _job.state >= ${State.done} THEN
        _answers := _answers || 'finished'::text;
        CONTINUE;
      ELSIF _job.state = ${State.leased} AND _job.owner IS NOT NULL THEN
        UPDATE jobs SET unwanted = coalesce(_r.reason, '') WHERE id = _job.id;
        ${tell('_job.owner', `json_build_array('c', _job.id, _owner, CASE WHEN length(_r.reason) < 500 THEN _r.reason END)`)}
        _answers := _answers || 'leased'::text;
        CONTINUE;
      END IF;
      _state := ${State.cancelled};
      _attempts := _job.attempts;
    ELSE
      SELECT ${JOB_COLUMNS}, heard INTO _job FROM jobs WHERE id = _r.id;
      _is := FOUND;
      IF NOT _is OR _job.token <> _r.token OR _job.state <> ${State.leased} THEN
        -- Of one that is told again it counts whether it was heard; a record that is gone was.
        _is := _r.again AND (NOT _is OR _job.heard = _r.token);
        _answers := _answers || CASE WHEN _is THEN 'heard' ELSE 'lost' END::text;
        CONTINUE;
      END IF;
    END IF;
    IF _r.entry IS NOT NULL THEN
      _entry := '{"generation":' || _job.generation || ',' || substr(_r.entry, 2);
      _history := CASE
        WHEN _job.history IS NULL THEN '[' || _entry || ']'
        WHEN json_array_length(_job.history::json) < ${KEPT_HISTORY} THEN left(_job.history, -1) || ',' || _entry || ']'
        ELSE (
          SELECT '[' || string_agg(v::text, ',' ORDER BY o) || ',' || _entry || ']'
          FROM json_array_elements(_job.history::json) WITH ORDINALITY AS x(v, o)
          WHERE o > json_array_length(_job.history::json) - ${KEPT_HISTORY - 1}
        )
      END;
    END IF;
    CASE _r.kind
      WHEN 'done' THEN _state := ${State.done};
      WHEN 'fallback' THEN _state := ${State.fallback};
      WHEN 'failed' THEN _state := ${State.failed};
      WHEN 'cancelled' THEN _state := ${State.cancelled};
      ELSE NULL;
    END CASE;
    IF _state IS NULL AND _job.unwanted IS NOT NULL THEN
      ${giveUp(`CASE _r.kind WHEN 'retry' THEN _r.attempts WHEN 'restart' THEN 0 ELSE _job.attempts END`, '_job.token')}
    ELSIF _r.kind = 'release' THEN
      ${putBack('token')}
    ELSIF _r.kind = 'retry' THEN
      UPDATE jobs SET attempts = _r.attempts, charged = _r.charged, put_offs = _r.putoffs, history = _history,
        input = coalesce(_r.input, input) WHERE id = _job.id;
      _delay := _r.delay;
      ${stand('token')}
    ELSIF _r.kind = 'restart' THEN
      UPDATE jobs SET attempts = 0, charged = 0, put_offs = 0, lost = 0, generation = _r.generation,
        restarts = _r.restarts, history = _history, input = coalesce(_r.input, input) WHERE id = _job.id;
      _delay := _r.delay;
      ${stand('token')}
    ELSE
      ${finish('_job.token')}
    END IF;
    _answers := _answers || CASE WHEN _r.kind = 'cancel' THEN 'cancelled' ELSE 'settled' END::text;
  END LOOP;
`

/** A dead job is a new one under its id and key; its history stays. */
export const REPLAY: string = `
  SELECT ${JOB_COLUMNS}, dedupe_for INTO _job FROM jobs WHERE id = _c->>'id' AND ${isIn(State.failed)};
  IF FOUND THEN
    UPDATE jobs SET input = CASE WHEN (_c->>'isGiven')::boolean THEN _c->>'input' ELSE input END, finish = NULL,
      finished_at = NULL, failure = NULL, kind = NULL, attempts = 0, charged = 0, put_offs = 0, lost = 0,
      generation = generation + 1, restarts = _c->>'restarts' WHERE id = _job.id;
    IF _job.dedupe_key IS NOT NULL THEN
      INSERT INTO keys AS k (queue, key, id, until)
        VALUES (_job.queue, _job.dedupe_key, _job.id, ceil(_now + _job.dedupe_for)::bigint)
        ON CONFLICT (queue, key) DO UPDATE SET id = excluded.id, until = excluded.until WHERE k.until <= _now;
    END IF;
    _delay := 0;
    ${stand('heard')}
    _answers := _answers || _job.queue::text;
  ELSE
    _answers := _answers || NULL::text;
  END IF;
`

/** Keeps a job that died before it was queued; a dead letter of that id gives way to it. */
export const BURY: string = `
  DELETE FROM jobs WHERE id = _c->>'id' AND ${isIn(State.failed)} RETURNING queue INTO _queue;
  IF FOUND THEN
    ${move('_queue', State.failed, undefined)}
  END IF;
  PERFORM 1 FROM jobs WHERE id = _c->>'id';
  IF NOT FOUND THEN
    _finish := _finish + 1;
    INSERT INTO jobs (id, queue, state, priority, due, added_at, grp, idempotency_key, input, attempts, owner, asker,
      finish, finished_at, failure, kind, history)
    SELECT id, queue, ${State.failed}, priority, _now, _now, grp, ikey, input, attempts, _owner, _owner,
      _finish, _now, failure, fkind, '[{"generation":1,' || substr(entry, 2) || ']'
    FROM json_to_record(_c) AS x(id text, queue integer, priority integer, grp text, ikey text, input text,
      attempts integer, failure text, fkind text, entry text)
    RETURNING queue INTO _queue;
    ${move('_queue', undefined, State.failed)}
  END IF;
  _answers := _answers || 'buried'::text;
`
