import { reviveFailure, type Failure, type FailureJson } from '../failure.ts'
import type { LeasedJob, NewJob, Outcome } from './broker.ts'

/** What the fleet's root catch can do about a failure, wherever it happened. */
export interface Fleet {
  /** No process takes jobs of that task until `unpause`; what runs, runs on. Kept in Redis, over restarts too. */
  pause(task: string): Promise<void>
  unpause(task: string): Promise<void>
  /** Paths of the tasks that are paused everywhere. */
  paused(): Promise<readonly string[]>
  /** Queues a dead job again; whether it was there. */
  replay(id: string): Promise<boolean>
}

/**
 * Hears of every failure that no `catch` decided, of any process, once the job is a dead letter. One process of those
 * that have it is told, at least once; one that throws is told again later.
 */
export type FleetCatch = (failure: Failure, fleet: Fleet) => unknown

interface Escalation {
  readonly job: string
  readonly task: string
  readonly failure: FailureJson
}

/** The job that tells the fleet of a failure which nobody decided, down to this process's own root catch. */
export function escalationOf(outcome: Outcome, task: string, newId: () => string): NewJob | undefined {
  if (outcome.kind !== 'failed' || isEscalation(task)) return undefined
  const { failure, id: job } = outcome
  // Who was lost is told in any case: what ends processes concerns all of them, and nobody was asked yet.
  if (failure.kind !== 'lost' && !isUndecided(failure)) return undefined
  const queue = `${task.split('/')[0] ?? task}-escalations`
  const id = newId()
  const input = JSON.parse(JSON.stringify({ job, task, failure })) as NewJob['input']
  const idempotencyKey = `${queue}/job:${id}`
  return { id, queue, input, idempotencyKey, priority: 0, delay: 0, lane: undefined, dedupe: undefined }
}

export function isEscalation(queue: string): boolean {
  return queue.endsWith('-escalations')
}

function isUndecided({ trail }: Failure): boolean {
  const last = trail.at(-1)
  return last?.path === '' && last.by === 'default'
}

/** What the one who hears escalations needs of a store. */
interface Store {
  lease(queue: string, limit: number): Promise<readonly LeasedJob[]>
  extend(leases: readonly LeasedJob[]): Promise<unknown>
  settle(outcomes: readonly Outcome[]): Promise<unknown>
}

const ATTEMPTS = 10
const LONGEST_WAIT = 60_000

/** Asks the fleet's root catch about what waits in a queue of escalations, one after the other. */
export async function hearEscalations(
  store: Store,
  queue: string,
  leaseTime: number,
  ask: (failure: Failure) => unknown,
): Promise<void> {
  for (;;) {
    const [lease] = await store.lease(queue, 1)
    if (lease === undefined) return
    const holding = setInterval(() => void store.extend([lease]).catch(() => {}), leaseTime / 3)
    const answer = await hear(lease, ask)
    clearInterval(holding)
    await store.settle([answer])
  }
}

async function hear(lease: LeasedJob, ask: (failure: Failure) => unknown): Promise<Outcome> {
  const { id, token } = lease
  const attempts = lease.attempts + 1
  const failure = reviveFailure((lease.input as unknown as Escalation).failure)
  try {
    await ask(failure)
    return { id, token, kind: 'done', attempts, value: null }
  } catch (error) {
    if (attempts >= ATTEMPTS) return { id, token, kind: 'failed', attempts, failure }
    const delay = Math.min(LONGEST_WAIT, 1_000 * 2 ** attempts)
    Object.assign(failure, { error }) // of the one who was asked
    return { id, token, kind: 'retry', delay, failure, attempts, charged: attempts, putOffs: 0 }
  }
}
