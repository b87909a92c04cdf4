import { State } from './postgres-tables.ts'

// Pieces of PL/pgSQL that stand where they are needed: a function of its own could not write the variables of `turn`.

/** The columns of a job that every change of it looks at: few, for each one costs. */
export const JOB_COLUMNS =
  'id, queue, state, due, lane, dedupe_key, attempts, generation, lost, token, unwanted, asker, followers, owner, history'

/** Of a job that is found by its id: written so that no index of that state is read through instead. */
export const isIn = (state: number): string => `state + 0 = ${state}`

/** Counts jobs of a queue that go from one state to another. */
export function move(
  queue: string,
  from: string | number | undefined,
  to: string | number | undefined,
  count = '1',
): string {
  return `
  _b := array_position(_moved, ${queue});
  IF _b IS NULL THEN
    _moved := _moved || ${queue};
    _moves := _moves || array_fill(0, ARRAY[8]);
    _b := cardinality(_moved);
  END IF;
  _b := 8 * _b - 7;
  ${from === undefined ? '' : `_moves[_b + ${from}] := _moves[_b + ${from}] - ${count};`}
  ${to === undefined ? '' : `_moves[_b + ${to}] := _moves[_b + ${to}] + ${count};`}`
}

/** So many more jobs of a queue may be taken. */
export function wake(queue: string, count = '1'): string {
  return `
  _b := array_position(_woken, ${queue});
  IF _b IS NULL THEN
    _woken := _woken || ${queue};
    _wakes := _wakes || ${count}::integer;
  ELSE
    _wakes[_b] := _wakes[_b] + ${count}::integer;
  END IF;`
}

/** Says something to another process, or to this one, once it is committed. */
export function tell(owner: string, what: string): string {
  return `_told := _told || ${owner}; _said := _said || ${what}::text;`
}

/** The next of a lane becomes its head. A delayed job may have become due without anybody looking. */
function openLane(job: string): string {
  return `
  SELECT id, state INTO _next FROM jobs
    WHERE queue = ${job}.queue AND lane = ${job}.lane AND state IN (${State.delayed}, ${State.behind}) AND due <= _now
    ORDER BY due, seq LIMIT 1;
  IF FOUND THEN
    INSERT INTO lanes (queue, lane, head) VALUES (${job}.queue, ${job}.lane, _next.id)
      ON CONFLICT (queue, lane) DO UPDATE SET head = excluded.head;
    UPDATE jobs SET state = ${State.ready} WHERE id = _next.id;
    ${move(`${job}.queue`, '_next.state', State.ready)}
    ${wake(`${job}.queue`)}
  ELSE
    DELETE FROM lanes WHERE queue = ${job}.queue AND lane = ${job}.lane;
  END IF;`
}

/** A job stands behind; where the lane had no head, it gets one. */
export function enterLane(job: string): string {
  return `
  PERFORM 1 FROM lanes WHERE queue = ${job}.queue AND lane = ${job}.lane;
  IF NOT FOUND THEN ${openLane(job)} END IF;`
}

/** `_job` waits again, for `_delay` ms: never less, a part of one counts as one. */
export function stand(heard: string): string {
  return `
  _state := ${State.ready};
  IF _delay > 0 THEN
    _state := ${State.delayed};
  ELSIF _job.lane IS NOT NULL THEN
    SELECT head = _job.id INTO _is FROM lanes WHERE queue = _job.queue AND lane = _job.lane;
    IF _is IS NOT TRUE THEN _state := ${State.behind}; END IF;
  END IF;
  _at := LEAST(9007199254740991, ceil(_now + _delay))::bigint;
  UPDATE jobs SET state = _state, due = _at, owner = NULL, until = NULL, heard = ${heard} WHERE id = _job.id;
  ${move('_job.queue', '_job.state', '_state')}
  IF _state = ${State.ready} THEN ${wake('_job.queue')}
  ELSIF _state = ${State.delayed} THEN _due := LEAST(_due, _at);
  ELSE ${enterLane('_job')}
  END IF;`
}

/** A job that was held stands where it had stood. */
export function putBack(heard: string): string {
  return `
  UPDATE jobs SET state = ${State.ready}, owner = NULL, until = NULL, heard = ${heard} WHERE id = _job.id;
  ${move('_job.queue', '_job.state', State.ready)}
  ${wake('_job.queue')}`
}

/** `_job` is over, as `_end` says: what it held is free, and who asked for it is told. */
export function finish(heard: string): string {
  return `
  _finish := _finish + 1;
  IF _state <> ${State.failed} THEN
    _results := _results + 1;
    _added := _added + 1;
  END IF;
  UPDATE jobs SET state = _state, finish = _finish, finished_at = _now, owner = _owner, until = NULL, unwanted = NULL,
    heard = ${heard}, attempts = _attempts, value = _value, failure = _failure, reason = _reason, kind = _kind,
    history = coalesce(_history, history) WHERE id = _job.id;
  ${move('_job.queue', '_job.state', '_state')}
  IF _job.dedupe_key IS NOT NULL THEN
    DELETE FROM keys WHERE queue = _job.queue AND key = _job.dedupe_key AND id = _job.id
      AND (until IS NULL OR until <= _now);
  END IF;
  IF _job.lane IS NOT NULL THEN
    PERFORM 1 FROM lanes WHERE queue = _job.queue AND lane = _job.lane AND head = _job.id;
    IF FOUND THEN ${openLane('_job')} END IF;
  END IF;
  IF _job.asker <> _owner THEN ${tell('_job.asker', `json_build_array('s', _job.id)`)} END IF;
  IF _job.followers IS NOT NULL THEN
    FOREACH _follower IN ARRAY _job.followers LOOP
      IF _follower <> _owner THEN ${tell('_follower', `json_build_array('s', _job.id)`)} END IF;
    END LOOP;
  END IF;`
}

/** `_job` was given up while it was held: instead of coming again it is over. */
export function giveUp(attempts: string, heard: string): string {
  return `
  _state := ${State.cancelled};
  _attempts := ${attempts};
  _value := NULL; _failure := NULL; _kind := NULL;
  _reason := NULLIF(_job.unwanted, '');
  ${finish(heard)}
  _ended := _ended || _job.id::text;`
}
