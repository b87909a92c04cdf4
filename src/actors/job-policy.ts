import type { AnyTask } from '../task.ts'

/** What decides how a job is tried. */
export type JobPolicy = Pick<
  AnyTask,
  | 'name'
  | 'body'
  | 'schema'
  | 'retry'
  | 'timeout'
  | 'hookTimeout'
  | 'fallback'
  | 'maxPayload'
  | 'plugins'
  | 'description'
  | 'tags'
>
