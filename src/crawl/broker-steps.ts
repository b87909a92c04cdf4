import { whenever } from '../actors/answer.ts'
import type { Tree } from '../actors/tree.ts'
import type { NewJob, Outcome, StepAnswer } from '../brokers/broker.ts'
import type { Json } from '../payload.ts'
import type { Frontier, Offer } from './frontier.ts'

export const FIRST_WAIT = 250
export const LONGEST_WAIT = 10_000

/** What steps need of their crawl. */
export interface Stepping {
  readonly tree: Tree
  /** Of the spider; names its queue. */
  readonly path: string
  readonly frontier: Frontier
  /** What is to be kept beside the queue now. */
  notes(): Readonly<Record<string, Json>>
  /** The notes were not kept. */
  notesLost(): void
  /** So many more requests are not over, or fewer. */
  changed(open: number): void
}

/** Steps on their way to the broker: an outcome, requests and notes, written together or not at all. */
export class BrokerSteps {
  readonly #crawl: Stepping
  #pending = 0

  constructor(crawl: Stepping) {
    this.#crawl = crawl
  }

  get isIdle(): boolean {
    return this.#pending === 0
  }

  tell(
    outcome: Outcome | undefined,
    offer: Offer,
    then: (answer: StepAnswer) => void,
    relayed: NewJob | undefined,
  ): void {
    this.#pending += 1
    const jobs = relayed === undefined ? offer.jobs : [...offer.jobs, relayed]
    this.#tellAgain(outcome, jobs, offer.jobs.length > 0 || outcome?.kind === 'cancelled', then, FIRST_WAIT)
  }

  /** A broker that is away is asked again until it has taken the step. */
  #tellAgain(
    outcome: Outcome | undefined,
    jobs: readonly NewJob[],
    isCounted: boolean,
    then: (answer: StepAnswer) => void,
    wait: number,
  ): void {
    const { tree, path, frontier } = this.#crawl
    const room = isCounted ? frontier.takeRoom() : undefined
    whenever(
      () => tree.broker.step({ queue: path, outcome, jobs, notes: this.#crawl.notes(), ...(room && { room }) }),
      (answer) => {
        this.#pending -= 1
        then(answer)
        this.#crawl.changed(0)
      },
      (error) => {
        this.#crawl.notesLost()
        frontier.giveRoomBack(room)
        if (wait === FIRST_WAIT) tree.callbackFailed(path, 'broker.step', error)
        tree.sleep(wait, () => this.#tellAgain(outcome, jobs, isCounted, then, Math.min(2 * wait, LONGEST_WAIT)))
      },
    )
  }
}
