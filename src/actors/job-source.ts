import type { LeasedJob } from '../brokers/broker.ts'
import type { Failure, FailureData } from '../failure.ts'
import type { Origin } from './floating.ts'
import type { HookOwner } from './job-hooks.ts'
import type { OwnError } from './judgement.ts'
import type { StoredInput } from './schema.ts'

/** A job, as far as what makes it needs to know. */
export interface SourcedJob {
  readonly id: string
  readonly path: string
  readonly slot: number
  readonly lease: LeasedJob
}

/** What makes jobs, as one of its jobs knows it: a task, or what a bot or a spider has in its place. */
export interface JobSource extends HookOwner {
  /** How messages call it: `task "resize"`. */
  readonly subject: string
  /** What the actors of its jobs are called, beside a number. */
  readonly noun: 'job' | 'update' | 'request'
  /** Takes a rejection that nobody handled. */
  readonly floated: (error: unknown, origin: Origin) => void
  jobPath(id: string): string
  /** What the body is given; its own copy, where it is one that outlives the attempt. */
  readInput(job: SourcedJob): StoredInput | Promise<StoredInput>
  /** The failure of one of its jobs. */
  failure(data: FailureData, job: SourcedJob): Failure
  /** What an error that left the body means to this kind of job; undefined: what it means to every job. */
  judge?(thrown: unknown, job: SourcedJob): OwnError | undefined
}
