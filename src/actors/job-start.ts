import type { JobContext, JobInput } from '../../machines/job.ts'
import type { LeasedJob } from '../brokers/broker.ts'
import type { ChartOwner } from './light-actor.ts'
import type { JobPolicy } from './job-policy.ts'
import { owner, type OwnedInput } from './owner-relay.ts'
import { plain, type Written } from './plain.ts'

/** The job as its chart is told of it. */
export interface StartingJob extends ChartOwner<never> {
  readonly slot: number
  readonly id: string
  readonly path: string
  readonly lease: LeasedJob
  readonly task: JobPolicy
}

/** What its chart begins with, for whoever looks at it. */
export function inputOf(job: StartingJob): JobInput {
  return Object.fromEntries(Object.entries(new StartInput(job))) as unknown as JobInput // without its owner
}

/**
 * The same for an actor of XState; and what the chart makes of it. As plain as literals, which nobody can tell them from, but
 * made with `new`, for V8 makes literals of which many live long in its old space (decision 039).
 */
export const StartInput: new (job: StartingJob) => JobInput & OwnedInput = plain(writeInput)

/** Also over the input of an actor that had another job before. */
export function writeInput(this: Written<JobInput & OwnedInput>, job: StartingJob): void {
  const { lease, task } = job
  this[owner] = job
  this.slot = job.slot
  this.id = job.id
  this.path = job.path
  this.attempt = lease.attempts + 1
  this.charged = lease.charged
  this.putOffs = lease.putOffs
  this.attempts = task.retry.attempts
  this.hasFallback = task.fallback !== undefined
}

export const StartContext: new (job: StartingJob) => JobContext = plain(function (job) {
  const { lease, task } = job
  this.slot = job.slot
  this.id = job.id
  this.path = job.path
  this.attempt = lease.attempts + 1
  this.charged = lease.charged
  this.putOffs = lease.putOffs
  this.attempts = task.retry.attempts
  this.hasFallback = task.fallback !== undefined
  this.failure = null
  this.retryAfter = null
})
