import type { TaskNode, Tree } from './actors/tree.ts'
import type { DeadLetter, DeadLetterFilter } from './brokers/broker.ts'
import { UnknownJobError } from './errors.ts'
import { copyPayload, type Json } from './payload.ts'
import type { AnyRun } from './run.ts'

/** The jobs that failed for good, kept to be looked at and replayed. */
export class DeadLetters {
  readonly #tree: Tree

  constructor(tree: Tree) {
    this.#tree = tree
  }

  /** Newest first. */
  async list(filter: DeadLetterFilter = {}): Promise<readonly DeadLetter[]> {
    return this.#tree.broker.deadLetters(filter)
  }

  async show(id: string): Promise<DeadLetter | undefined> {
    return this.#tree.broker.deadLetter(id)
  }

  /**
   * Queues the same job again, from attempt 1, with its id, idempotency key and history. Rejects with an
   * `UnknownJobError` if it is not there, or somebody else replays it.
   */
  async replay(id: string, options: { readonly input?: unknown } = {}): Promise<{ readonly run: AnyRun }> {
    const input: Json | undefined =
      'input' in options ? copyPayload(`input of dead letter ${id}`, options.input, Infinity) : undefined
    const letter = await this.#tree.broker.deadLetter(id)
    const queue = letter && this.#queueAt(letter.task)
    if (queue === undefined) throw new UnknownJobError(id)
    const run = queue.follow(id)
    const answer = await this.#tree.broker.replay(id, input)
    if (answer !== undefined) return { run }
    this.#tree.runs.delete(id)
    throw new UnknownJobError(id)
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
