import type { Duration } from './duration.ts'
import type { Run } from './run.ts'
import type { InnerRunOptions, RunArguments, Runnable } from './run-options.ts'

/** Writes lines about one job. They are `job.log` events, and go to the `log` given to `start()`. */
export interface JobLog {
  debug(message: string, data?: object): void
  info(message: string, data?: object): void
  warn(message: string, data?: object): void
  error(message: string, data?: object): void
}

/** What the body of a job is given beside its input. New for each attempt. */
export interface TaskContext {
  readonly id: string
  readonly path: string
  /** Counts from 1. */
  readonly attempt: number
  /** The same for every attempt, delivery and replay of this job. */
  readonly idempotencyKey: string
  /** Aborts on timeout, cancel, a stop that ran out of time, or a lost lease; never after the attempt gave its value. */
  readonly signal: AbortSignal
  readonly log: JobLog
  /** Tells watchers how far the job is. Dropped once the attempt is over. */
  progress(value: unknown): void
  /** Waits on the system's clock; rejects with the signal's reason. */
  sleep(duration: Duration): Promise<void>
  /**
   * Asks for a job of a task of this system, as `system.run` does. While this job waits for it, its slot is free for
   * another. When this attempt is given up or throws, so is what it asked for and is not over, unless `detached`; a stop
   * of the system or a lost lease leaves it alone.
   */
  run<Input, Output, Progress>(
    task: Runnable<Input, Output, Progress>,
    ...given: RunArguments<Input, InnerRunOptions>
  ): Run<Output, Progress>
  /** Gives the job up, at once; then throws to unwind the body. */
  cancel(reason?: unknown): never
  /** Asks the plugins for a result instead; throws, and takes effect when that error leaves the body. */
  pluginError(details?: string | object, options?: { readonly cause?: unknown }): never
}
