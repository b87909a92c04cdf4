import type { Failure } from '../failure.ts'
import { describeThrown } from '../thrown.ts'
import type { NewJob, Outcome } from './broker.ts'
import { engineId, engineQueue } from './bullmq-names.ts'
import { entryOf, PRIORITY } from './bullmq-row.ts'
import { writeJson, writeReason } from './stored.ts'

/** A job that is held here. */
export interface Held {
  readonly id: string
  /** As the engine calls it. */
  readonly queue: string
  readonly eid: string
  readonly token: number
  readonly lock: string
  readonly generation: number
  readonly attempts: number
  /** The process that asked for it. */
  readonly by: string
  readonly lane: string | undefined
  /** Whether others may wait for it too. */
  readonly isKeyed: boolean
  /** How often the engine counted that it came to something. */
  readonly tries: string
  /** When it was taken, and from when it has a slot on, when it was given that; by the machine's clock. */
  since: number
  /** Whether it was taken before there was a slot for it. */
  readonly isAhead: boolean
}

/** Longer than anybody lives: held without an end. */
const FOREVER = 1e12

/** Where in the words of an outcome the number of its fields stands, if it has all words. */
export const FIELDS = 13

/** A job as the scripts read it: with a few words, if there is nothing special about it. */
export function wordsOfJob(job: NewJob, now: number, by: string): string[] {
  const { id, queue, input, idempotencyKey, priority, lane, dedupe } = job
  const data = writeJson(input)
  const isNew = isOurs(id, by)
  const name = queue.slice(queue.lastIndexOf('/') + 1)
  const isPlain = isNew && job.delay === 0 && lane === undefined && dedupe === undefined && data !== null
  if (isPlain && isKeyPath(job)) return ['p', engineQueue(queue), id, name, data, String(priority + PRIORITY)]
  const fields = ['~by', by]
  if (data === null) fields.push('~ni', '1')
  if (!isKeyPath(job)) fields.push('~ik', idempotencyKey)
  return [
    'o',
    engineQueue(queue),
    id,
    engineId(id),
    isNew ? '1' : '',
    name,
    data ?? 'null',
    String(priority + PRIORITY),
    String(untilDue(now, job.delay)),
    lane === undefined ? '' : `L${lane}`,
    dedupe === undefined ? '' : `D${dedupe.key}`,
    dedupe?.for === undefined ? '' : dedupe.for >= FOREVER ? 'inf' : String(dedupe.for),
    String(fields.length),
    ...fields,
  ]
}

/** One that this process has given, so nobody else has it. */
function isOurs(id: string, by: string): boolean {
  return id.startsWith(`${by}-`) && /^\d+$/.test(id.slice(by.length + 1))
}

function isKeyPath({ id, queue, idempotencyKey, keyIsPath }: NewJob): boolean {
  return keyIsPath === true || idempotencyKey === `${queue}/job:${id}`
}

/** What a delivery came to, as the scripts read it. `isAgain`: the same was told before, and nobody knows if it was heard. */
export function wordsOfOutcome(outcome: Outcome, held: Held, isAgain: boolean, now: number): string[] {
  const { id, queue, eid, lock, generation, by, lane, isKeyed } = held
  const known = [
    'o',
    queue,
    eid,
    lock,
    isAgain ? '1' : '',
    by,
    lane === undefined ? '' : `L${lane}`,
    isKeyed ? '1' : '',
  ]
  const words = (kind: string, text: string, fields: readonly string[], more: Partial<Again> = {}): string[] => {
    const { delay = 0, entry = '', isCharged = false, gone = [] } = more
    const counted = [String(fields.length), ...fields, String(gone.length), ...gone]
    return [...known, kind, text, String(delay), entry, isCharged ? '1' : '', ...counted]
  }
  switch (outcome.kind) {
    case 'done': {
      const text = writeJson(outcome.value)
      const nothing = text === null ? ['~nv', '1'] : []
      const isFirst = outcome.attempts === 1 && held.attempts === 0
      const fields = isFirst ? nothing : ['~at', String(outcome.attempts), ...nothing]
      const isPlain = !isAgain && lane === undefined && !isKeyed && eid === `j-${id}`
      if (!isPlain) return words('done', text ?? 'null', fields)
      return ['d', queue, id, String(held.token), text ?? 'null', held.tries, by, String(fields.length), ...fields]
    }
    case 'fallback': {
      const { value, failure, attempts } = outcome
      const text = JSON.stringify({ status: 'fallback', value, failure })
      return words('done', text, ['~st', 'fallback', '~at', String(attempts)])
    }
    case 'cancelled': {
      const reason = writeReason(outcome.reason)
      const text = `{"status":"cancelled","reason":${reason ?? 'null'}}`
      return words('done', text, ['~st', 'cancelled', '~at', String(outcome.attempts), '~re', reason ?? ''])
    }
    case 'failed': {
      const { failure, attempts } = outcome
      return words('failed', describeThrown(failure.error), fieldsOfDeath(failure, attempts), {
        entry: entryOfFailure(failure, generation),
      })
    }
    case 'retry': {
      const { failure, attempts, charged, putOffs } = outcome
      const counts = ['~at', String(attempts), '~ch', String(charged), '~po', String(putOffs)]
      return words('again', '', [...counts, ...fieldsOfInput(outcome)], {
        delay: untilDue(now, outcome.delay),
        entry: entryOfFailure(failure, generation),
        isCharged: putOffs === 0,
        gone: goneOfInput(outcome),
      })
    }
    case 'restart': {
      const { failure, restarts } = outcome
      const anew = ['~ge', String(outcome.generation), '~at', '0', '~ch', '0', '~po', '0']
      const fields = [...anew, '~rs', JSON.stringify(restarts), ...fieldsOfInput(outcome)]
      return words('again', '', fields, {
        delay: untilDue(now, outcome.delay),
        entry: entryOfFailure(failure, generation),
        gone: ['stc', 'defa', ...goneOfInput(outcome)],
      })
    }
    case 'release':
      return words('release', '', [])
  }
}

export function fieldsOfDeath(failure: Failure, attempts: number): string[] {
  const shown = JSON.stringify([failure.report()]) // where dashboards look for it
  const death = ['~st', 'failed', '~at', String(attempts), '~ki', failure.kind]
  return [...death, '~fl', JSON.stringify(failure), 'stacktrace', shown]
}

export function entryOfFailure({ kind, at, attempt = 0, error }: Failure, generation: number): string {
  return entryOf(generation, kind, at, attempt, describeThrown(error))
}

interface Again {
  readonly delay: number
  readonly entry: string
  readonly isCharged: boolean
  readonly gone: readonly string[]
}

/** Never early: a part of a millisecond counts as one. */
function untilDue(now: number, delay: number): number {
  return Math.min(Number.MAX_SAFE_INTEGER, Math.ceil(now + delay)) - now
}

function fieldsOfInput(outcome: Outcome): readonly string[] {
  if (!('input' in outcome)) return []
  const data = writeJson(outcome.input)
  return data === null ? ['data', 'null', '~ni', '1'] : ['data', data]
}

const goneOfInput = (outcome: Outcome): readonly string[] =>
  'input' in outcome && outcome.input !== undefined ? ['~ni'] : []
