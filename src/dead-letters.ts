import type { TaskNode, Tree } from './actors/tree.ts'
import type { DeadLetter, DeadLetterFilter } from './brokers/broker.ts'
import { SystemStoppedError, UnknownJobError } from './errors.ts'
import { checkKeys } from './options.ts'
import type { AnyRun } from './run.ts'

/** The jobs that failed for good, kept to be looked at and replayed. */
export class DeadLetters {
  readonly #tree: Tree

  constructor(tree: Tree) {
    this.#tree = tree
  }

  /** Newest first. */
  async list(filter: DeadLetterFilter = {}): Promise<readonly DeadLetter[]> {
    checkKeys('dead.list()', filter, ['task', 'kind', 'since', 'limit'])
    return this.#tree.broker.deadLetters(filter)
  }

  async show(id: string): Promise<DeadLetter | undefined> {
    return this.#tree.broker.deadLetter(id)
  }

  /**
   * Queues the same job again, from attempt 1, with its id, idempotency key and history. Rejects with an
   * `UnknownJobError` if it is not there, or somebody else replays it; with what `run` would reject with, if the new
   * input does not fit.
   */
  async replay(id: string, options: { readonly input?: unknown } = {}): Promise<{ readonly run: AnyRun }> {
    checkKeys('dead.replay()', options, ['input'])
    const letter = await this.#tree.broker.deadLetter(id)
    const queue = letter && this.#queueAt(letter.task)
    if (this.#tree.isStopped) throw new SystemStoppedError(this.#tree.name, { method: 'dead.replay' })
    if (queue === undefined) throw new UnknownJobError(id)
    return queue.replay(id, 'input' in options ? { input: options.input } : undefined)
  }

  /** Whether it was there. */
  async discard(id: string): Promise<boolean> {
    return this.#tree.broker.discard(id)
  }

  #queueAt(path: string): TaskNode | undefined {
    for (const queue of this.#tree.tasks.values()) if (queue.path === path) return queue
    return undefined
  }
}
