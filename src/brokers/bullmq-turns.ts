import { BrokerError } from '../errors.ts'
import { Batch, NO_CALLS, type Calls, type Part } from './bullmq-batch.ts'
import type { Taken } from './bullmq-held.ts'
import type { Link, Patience } from './bullmq-link.ts'
import type { Taking } from './bullmq-taking.ts'
import type { Held } from './bullmq-words.ts'

interface Store {
  readonly link: Link
  call(operation: string, words: readonly string[], patience: Patience): Promise<unknown>
  wake(queues: unknown): void
}

type TurnAnswer = readonly [
  added: readonly unknown[],
  settled: readonly unknown[],
  taken: readonly Taken[],
  woken: unknown,
]

/** Sends what is asked for often as one step for each turn of the event loop, which takes jobs along. */
export class Turns {
  readonly #store: Store
  readonly #taking: Taking
  readonly #batch: Batch

  constructor(store: Store, taking: Taking) {
    this.#store = store
    this.#taking = taking
    this.#batch = new Batch((calls) => this.#send(calls))
  }

  enqueue(words: readonly string[], queues: readonly string[]): Promise<unknown> {
    return this.#batch.run('enqueue', words, queues)
  }

  /** One that is given back is not taken again at once. */
  settle(held: Held, words: readonly string[], isGivenBack: boolean): Promise<unknown> {
    if (isGivenBack) {
      this.#taking.letGo(held)
      return this.#batch.run('settle', words, [])
    }
    this.#taking.plan(held)
    return this.#batch.run('settle', words, [held.queue])
  }

  /** Resolves when nothing waits any more. */
  drained(): Promise<void> {
    return this.#batch.drained()
  }

  /** Calls of one turn as one step. Where not all of them bear the same, they are sent apart. */
  async #send({ enqueue, settle }: Readonly<Record<Part, Calls>>): Promise<void> {
    if (settle === NO_CALLS) return this.#sendPart(enqueue, settle, 'fails')
    if (enqueue === NO_CALLS) return this.#sendPart(enqueue, settle, 'waits')
    if (!this.#store.link.isReady) {
      const parts = [this.#sendPart(enqueue, NO_CALLS, 'fails'), this.#sendPart(NO_CALLS, settle, 'waits')]
      return void (await Promise.all(parts))
    }
    const isFull = (error: unknown): boolean => error instanceof BrokerError && error.code === 'full'
    let refused: unknown
    const first = { ...settle, reject: (error: unknown) => (isFull(error) ? (refused = error) : settle.reject(error)) }
    await this.#sendPart(enqueue, first, 'fails')
    // A Redis that is full takes nothing new and nothing together with it, but still what ends jobs.
    if (refused !== undefined) await this.#sendPart(NO_CALLS, settle, 'waits')
  }

  async #sendPart(enqueue: Calls, settle: Calls, patience: Patience): Promise<void> {
    const wants = this.#taking.wants(enqueue.queues, settle.queues)
    const along = wants.flatMap(({ queue, limit, ahead, token }) => [
      queue,
      String(limit),
      String(ahead),
      String(token),
    ])
    const begun = this.#taking.begun().flatMap(({ queue, eid }) => [queue, eid])
    try {
      const told = [String(wants.length), ...along, String(begun.length / 2), ...begun]
      const words = [...enqueue.words, ...settle.words, ...told]
      const answer = (await this.#store.call('turn', words, patience)) as TurnAnswer
      this.#taking.answered(wants)
      const [added, settled, taken, woken] = answer
      this.#store.wake(woken)
      for (const [index, part] of taken.entries()) this.#taking.tookAlong(part, wants[index]?.limit ?? 0)
      enqueue.resolve(added)
      settle.resolve(settled)
    } catch (error) {
      this.#taking.lost(wants)
      enqueue.reject(error)
      settle.reject(error)
    }
  }
}
