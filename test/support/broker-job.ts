import type { Broker, Elsewhere, LeasedJob, NewJob, Outcome } from '../../src/brokers/broker.ts'
import { Failure } from '../../src/failure.ts'

export const queue = 'app/resize'

/** A job as `system.run` hands it to a broker. */
export function newJob(broker: Broker, more: Partial<NewJob> = {}): NewJob {
  const id = more.id ?? broker.newId()
  return {
    id,
    queue,
    input: { id },
    idempotencyKey: `${more.queue ?? queue}/job:${id}`,
    priority: 0,
    delay: 0,
    lane: undefined,
    dedupe: undefined,
    ...more,
  }
}

export function failureOf({ id, attempts }: LeasedJob, error: unknown = new Error('boom')): Failure {
  const job = { id, task: queue, attempts: 3 }
  return new Failure({ error, path: `${queue}/job:${id}`, kind: 'thrown', at: 1, attempt: attempts + 1, job })
}

/** Outcomes of a delivery, each as a worker gives it. */
export const outcomes = {
  done: (lease: LeasedJob, value: unknown = 'ok'): Outcome => ({
    ...ofLease(lease),
    kind: 'done',
    attempts: lease.attempts + 1,
    value: value as never,
  }),
  fallback: (lease: LeasedJob): Outcome => ({
    ...ofLease(lease),
    kind: 'fallback',
    attempts: lease.attempts + 1,
    value: 'instead',
    failure: failureOf(lease),
  }),
  failed: (lease: LeasedJob, failure: Failure = failureOf(lease)): Outcome => ({
    ...ofLease(lease),
    kind: 'failed',
    attempts: lease.attempts + 1,
    failure,
  }),
  cancelled: (lease: LeasedJob, reason: unknown = 'user left'): Outcome => ({
    ...ofLease(lease),
    kind: 'cancelled',
    attempts: lease.attempts + 1,
    reason,
  }),
  retry: (lease: LeasedJob, delay = 0): Outcome => ({
    ...ofLease(lease),
    kind: 'retry',
    delay,
    failure: failureOf(lease),
    attempts: lease.attempts + 1,
    charged: lease.charged + 1,
    putOffs: 0,
  }),
  restart: (lease: LeasedJob, delay = 0): Outcome => ({
    ...ofLease(lease),
    kind: 'restart',
    delay,
    failure: failureOf(lease),
    generation: lease.generation + 1,
    restarts: { ...lease.restarts, app: 1 },
  }),
  release: (lease: LeasedJob): Outcome => ({ ...ofLease(lease), kind: 'release' }),
} as const

/** Who listens to a store: what is not given is heard and forgotten. */
export const elsewhere = (more: Partial<Elsewhere> = {}): Elsewhere => ({
  buried: () => {},
  settled: () => {},
  cancelled: () => {},
  ...more,
})

const ofLease = ({ id, token }: LeasedJob): { readonly id: string; readonly token: number } => ({ id, token })
