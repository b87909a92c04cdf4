import type { SourceNode, Tree } from './actors/tree.ts'
import type { DeadLetter, DeadLetterFilter } from './brokers/broker.ts'
import { InvalidOptionError, SystemStoppedError, UnknownJobError } from './errors.ts'
import { FAILURE_KINDS } from './failure.ts'
import { checkKeys, readOneOf, readWholeNumber } from './options.ts'
import type { AnyRun } from './run.ts'

const SUBJECT = 'dead.list()'

/** The jobs that failed for good, kept to be looked at and replayed. */
export class DeadLetters {
  readonly #tree: Tree

  constructor(tree: Tree) {
    this.#tree = tree
  }

  /**
   * Newest first. The cursor of the last letter leads on to the next page: nothing is left out or listed twice, however
   * many die, are replayed or discarded meanwhile.
   *
   * @example
   * const first = await system.dead.list({ limit: 20 })
   * const next = await system.dead.list({ limit: 20 }, first.at(-1)?.cursor)
   */
  async list(filter: DeadLetterFilter = {}, cursor?: string): Promise<readonly DeadLetter[]> {
    checkFilter(filter)
    if (cursor !== undefined && typeof cursor !== 'string') {
      throw new InvalidOptionError(SUBJECT, 'cursor', cursor, 'Pass the cursor of a letter that list() gave.')
    }
    return this.#tree.broker.deadLetters(filter, cursor)
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

  #queueAt(path: string): SourceNode | undefined {
    for (const queue of this.#tree.sources()) if (queue.path === path) return queue
    return undefined
  }
}

function checkFilter(filter: DeadLetterFilter): void {
  checkKeys(SUBJECT, filter, ['task', 'kind', 'since', 'limit'])
  const { task, kind, since, limit } = filter
  if (task !== undefined && typeof task !== 'string') {
    throw new InvalidOptionError(SUBJECT, 'task', task, `Give the path of a task: 'app/media/resize'.`)
  }
  readOneOf(SUBJECT, 'kind', kind, FAILURE_KINDS)
  if (since !== undefined && !Number.isFinite(since)) {
    throw new InvalidOptionError(SUBJECT, 'since', since, 'Give milliseconds since 1970: date.getTime().')
  }
  readWholeNumber(SUBJECT, 'limit', limit, { min: 1 })
}
