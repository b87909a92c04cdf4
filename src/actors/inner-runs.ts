import { InvalidOptionError, UnknownTaskError } from '../errors.ts'
import { Run, type AnyRun } from '../run.ts'
import type { InnerRunOptions } from '../run-options.ts'
import type { AnyTask } from '../task.ts'
import { runAsNobody } from './floating.ts'
import type { Asker, Tree } from './tree.ts'

/** The jobs that one attempt asked for and that are not over. */
export class InnerRuns {
  readonly #tree: Tree
  readonly #by: Asker
  readonly #waits: (isWaiting: boolean) => void
  readonly #open = new Set<AnyRun>()
  #awaited = 0

  /** `waits` is told when the attempt begins to wait for at least one of them, and when it waits for none any more. */
  constructor(tree: Tree, by: Asker, waits: (isWaiting: boolean) => void) {
    this.#tree = tree
    this.#by = by
    this.#waits = waits
  }

  run(task: AnyTask, input: unknown, { detached = false, ...options }: InnerRunOptions = {}): AnyRun {
    const queue = this.#tree.tasks.get(task)
    if (queue === undefined) throw this.#unknown(task)
    const run = runAsNobody(() => queue.run(input, options, { ...this.#by, waits: !detached }))
    if (!detached) {
      this.#open.add(run)
      void run.settled().then(() => this.#open.delete(run))
    }
    Run.tell.watch(run, () => this.#await(run)) // last: only the waiting of others counts
    return run
  }

  cancel(reason: unknown): void {
    for (const run of this.#open) runAsNobody(() => run.cancel(reason))
    this.#open.clear()
  }

  #await(run: AnyRun): void {
    this.#awaited += 1
    if (this.#awaited === 1) this.#waits(true)
    void run.settled().then(() => {
      this.#awaited -= 1
      if (this.#awaited === 0) this.#waits(false)
    })
  }

  #unknown(task: AnyTask): Error {
    if (task?.kind !== 'task') return new InvalidOptionError('ctx.run()', 'task', task, 'Pass what task() gave.')
    const known = [...this.#tree.tasks.keys()].map(({ name }) => name)
    return new UnknownTaskError(task.name, known)
  }
}
