import { PluginTriggerError } from '../errors.ts'
import type { AnyRun } from '../run.ts'
import type { InnerRunOptions } from '../run-options.ts'
import type { AnyTask } from '../task.ts'
import type { TaskContext } from '../task-context.ts'
import type { Tree } from './tree.ts'

/** The attempt as its context knows it. */
export interface Underway {
  readonly attempt: number
  readonly signal: AbortSignal
  progress(value: unknown): void
  sleep: TaskContext['sleep']
  run(task: AnyTask, input: unknown, options: InnerRunOptions | undefined): AnyRun
  cancel(reason: unknown): never
}

interface Whose {
  readonly tree: Tree
  readonly id: string
  readonly path: string
  readonly idempotencyKey: string
}

/** Getters give functions that need no `this`, so that a body may take the context apart. */
export class AttemptContext implements TaskContext {
  readonly #attempt: Underway
  readonly #job: Whose

  constructor(attempt: Underway, job: Whose) {
    this.#attempt = attempt
    this.#job = job
  }

  get id(): string {
    return this.#job.id
  }

  get path(): string {
    return this.#job.path
  }

  get attempt(): number {
    return this.#attempt.attempt
  }

  get idempotencyKey(): string {
    return this.#job.idempotencyKey
  }

  get signal(): AbortSignal {
    return this.#attempt.signal
  }

  get log(): TaskContext['log'] {
    const { tree, id, path } = this.#job
    return logOf({ tree, id, path, attempt: this.attempt })
  }

  get progress(): TaskContext['progress'] {
    return (value) => this.#attempt.progress(value)
  }

  get sleep(): TaskContext['sleep'] {
    return (duration) => this.#attempt.sleep(duration)
  }

  get run(): TaskContext['run'] {
    return (task, ...[input, options]) => this.#attempt.run(task as never, input, options) as never
  }

  get cancel(): TaskContext['cancel'] {
    return (reason) => this.#attempt.cancel(reason)
  }

  get pluginError(): TaskContext['pluginError'] {
    return (details, options) => {
      throw new PluginTriggerError(details, options)
    }
  }
}

/** Where a job writes its lines. */
export function logOf({
  tree,
  id,
  path,
  attempt,
}: Pick<Whose, 'tree' | 'id' | 'path'> & { readonly attempt: number }): TaskContext['log'] {
  const write = (level: keyof TaskContext['log']) => (message: string, data?: object) => {
    tree.events.emit('job.log', { path, id, attempt, level, message, ...(data && { data }) })
    tree.write(level, { path, id, attempt, ...data }, message)
  }
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
}
