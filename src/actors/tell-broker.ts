import type { LeasedJob, Outcome, Settled } from '../brokers/broker.ts'
import { whenever } from './answer.ts'
import type { Tree } from './tree.ts'

/** An outcome without the lease it is for. */
export type Kept = Outcome extends infer Each ? (Each extends Outcome ? Omit<Each, 'id' | 'token'> : never) : never

const FIRST_WAIT = 250
const LONGEST_WAIT = 10_000

/** Tells the broker what a job came to. One that is away is asked again until it has taken the outcome. */
export function tellBroker(
  tree: Tree,
  path: string,
  { id, token }: LeasedJob,
  outcome: Kept,
  then: (answer: Settled) => void,
): void {
  const outcomes = [{ ...outcome, id, token } as Outcome]
  const tell = (wait: number): void =>
    whenever(
      () => tree.broker.settle(outcomes),
      ([answer]) => then(answer as Settled),
      (error) => {
        if (wait === FIRST_WAIT) tree.callbackFailed(path, 'broker.settle', error)
        tree.sleep(wait, () => tell(Math.min(2 * wait, LONGEST_WAIT)))
      },
    )
  tell(FIRST_WAIT)
}
