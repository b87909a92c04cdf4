import type { Broker } from '../brokers/broker.ts'
import { whenever } from './answer.ts'
import type { Runs } from './runs.ts'

/** How long a broker that did not answer is left alone. */
const BROKER_AWAY = 1_000

/** What it needs of its tree. */
interface Asking {
  readonly broker: Broker
  readonly runs: Runs
  sleep(ms: number, callback: () => void): () => void
  callbackFailed(path: string, callback: string, error: unknown): void
}

/** Asks again what became of the jobs that runs wait for, where the broker did not say: nobody tells it twice. */
export class LookAgain {
  readonly #tree: Asking
  #isDue = false

  constructor(tree: Asking) {
    this.#tree = tree
  }

  /** The broker did not answer for this job, and perhaps for many others: one of them is told, and asked for until it does. */
  later(path: string, id: string, error: unknown): void {
    if (this.#isDue) return
    this.#isDue = true
    this.#tree.callbackFailed(path, 'broker.job', error)
    this.#wait(id)
  }

  #wait(id: string): void {
    const { broker, runs } = this.#tree
    const answered = (): void => {
      this.#isDue = false
      runs.lookAgain(undefined)
    }
    this.#tree.sleep(BROKER_AWAY, () =>
      whenever(
        () => broker.job(id),
        answered,
        () => this.#wait(id),
      ),
    )
  }
}
