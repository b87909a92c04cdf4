import type { Broker } from '../brokers/broker.ts'
import { whenever } from './answer.ts'
import type { Runs } from './runs.ts'

/** How long a broker that did not answer is left alone: at first, and at most. */
const [FIRST_WAIT, LONGEST_WAIT] = [1_000, 5_000]

/** What it needs of its tree. */
interface Asking {
  readonly broker: Pick<Broker, 'job'>
  readonly runs: Pick<Runs, 'lookAgain'>
  sleep(ms: number, callback: () => void): () => void
  callbackFailed(path: string, callback: string, error: unknown): void
}

/** Asks again what became of the jobs that runs wait for, where the broker did not say: nobody tells it twice. */
export class LookAgain {
  readonly #tree: Asking
  /** Those it did not answer for, the one to ask for next first. */
  readonly #unknown = new Set<string>()
  #isDue = false

  constructor(tree: Asking) {
    this.#tree = tree
  }

  /** The broker did not answer for this job, and perhaps for many others: one of them is told, and one at a time asked for. */
  later(path: string, id: string, error: unknown): void {
    this.#unknown.add(id)
    if (this.#isDue) return
    this.#isDue = true
    this.#tree.callbackFailed(path, 'broker.job', error)
    this.#wait(FIRST_WAIT)
  }

  #wait(ms: number): void {
    const { broker } = this.#tree
    this.#tree.sleep(ms, () => {
      const [id = ''] = this.#unknown
      whenever(
        () => broker.job(id),
        () => this.#answered(),
        () => {
          // What it cannot say of one job it may say of the next one.
          this.#unknown.delete(id)
          this.#unknown.add(id)
          this.#wait(Math.min(2 * ms, LONGEST_WAIT))
        },
      )
    })
  }

  #answered(): void {
    this.#isDue = false
    const ids = [...this.#unknown]
    this.#unknown.clear()
    for (const id of ids) this.#tree.runs.lookAgain(id)
  }
}
