import type { JobRecord } from '../brokers/broker.ts'
import { Failure, reviveFailure } from '../failure.ts'
import type { RunOutcome } from '../run.ts'
import type { Tree } from './tree.ts'

/** Counts an outcome and tells it, before anybody who awaits the run goes on. `isKept`: what failed is a dead letter. */
export function announce(tree: Tree, path: string, id: string, outcome: RunOutcome, isKept = true): void {
  const { counters, events } = tree
  const attempt = outcome.attempts
  switch (outcome.status) {
    case 'done': {
      counters.jobs.done += 1
      const { value, answeredBy: plugin } = outcome
      if (plugin !== undefined && events.hears('job.answered'))
        events.emit('job.answered', { path, id, attempt, plugin })
      if (events.hears('job.done')) events.emit('job.done', { path, id, attempt, value })
      return
    }
    case 'fallback': {
      counters.jobs.fellBack += 1
      if (!events.hears('job.fellBack')) return
      const { value, failure } = outcome
      return events.emit('job.fellBack', { path, id, attempt, value, failure })
    }
    case 'failed':
      counters.jobs.failed += 1
      events.emit('job.failed', { path, id, attempt, failure: outcome.failure })
      if (!isKept) return
      return events.emit('dead.added', { path, id, attempt, failure: outcome.failure })
    case 'cancelled':
      counters.jobs.cancelled += 1
      return events.emit('job.cancelled', { path, id, attempt, reason: outcome.reason })
  }
}

/** What a record of a finished job says to somebody who asks late; undefined while it is not finished. */
export function outcomeOf(record: JobRecord): RunOutcome | undefined {
  const { attempts, value, reason, failure: kept, path } = record
  if (record.finishedAt === undefined) return undefined
  if (record.status === 'done') return { status: 'done', value, attempts }
  if (record.status === 'cancelled') return { status: 'cancelled', reason, attempts }
  const at = record.finishedAt
  const failure = kept
    ? reviveFailure(kept)
    : new Failure({ error: undefined, path, kind: 'thrown', at, attempt: attempts })
  return record.status === 'fallback'
    ? { status: 'fallback', value, failure, attempts }
    : { status: 'failed', failure, attempts }
}
