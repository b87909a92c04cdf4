import type { Duration } from './duration.ts'

/** A key, or one that is held for a time although its job is finished. */
export type Dedupe = string | { readonly key: string; readonly for: Duration }

/** How one job is queued; overrides the task's own options. */
export interface RunOptions {
  /** Smaller first. */
  readonly priority?: number
  readonly delay?: Duration
  /** Jobs of one lane run one at a time, in the order they came. */
  readonly lane?: string
  /** While a job of this key is unfinished, another one is not queued but follows it. */
  readonly dedupe?: Dedupe
  /** Cancels the job when it aborts. */
  readonly signal?: AbortSignal
}

/** How a job is queued that another job asks for. */
export interface InnerRunOptions extends RunOptions {
  /** It goes on whatever becomes of the job that asked for it. @default false */
  readonly detached?: boolean
}

/** A task, as far as asking for a job of it needs to know. */
export interface Runnable<Input, Output, Progress> {
  readonly kind: 'task'
  readonly name: string
  readonly body: (input: Input, ctx: never) => unknown
  readonly '~types'?: { readonly output: Output; readonly progress: Progress }
}

/** The input of a task as `run` takes it: left out where the body has none. */
export type RunArguments<Input, Options = RunOptions> = unknown extends Input
  ? [input?: unknown, options?: Options]
  : undefined extends Input
    ? [input?: Input, options?: Options]
    : [input: Input, options?: Options]
