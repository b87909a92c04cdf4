import { forOne, type LeasedJob, type Outcome, type Settled, type SettleOne } from '../brokers/broker.ts'
import type { Failure } from '../failure.ts'
import type { Json } from '../payload.ts'
import type { Tree } from './tree.ts'

/** An outcome without the lease it is for. */
export type Kept = Outcome extends infer Each ? (Each extends Outcome ? Omit<Each, 'id' | 'token'> : never) : never

const FIRST_WAIT = 250
const LONGEST_WAIT = 10_000

/** What the broker said, where it did not say it at once. */
export type Later = { readonly answers: PromiseLike<readonly Settled[]> } | { readonly error: unknown }

/** Tells the broker what a job came to. One that is away is asked again until it has taken the outcome. */
export function tellBroker(tree: Tree, path: string, outcome: Outcome, then: (answer: Settled) => void): void {
  const answer = tellNow(tree, outcome)
  if (typeof answer === 'string') then(answer)
  else tellLater(tree, path, outcome, answer, then)
}

/** The first half of that, for who tells many to a broker that answers at once. */
export function tellNow({ broker }: Tree, outcome: Outcome): Settled | Later {
  try {
    const one = (broker.settle as SettleOne)[forOne]
    if (one !== undefined) return one.any.call(broker, outcome)
    const answers = broker.settle([outcome])
    return 'then' in answers ? { answers } : (answers[0] as Settled)
  } catch (error) {
    return { error }
  }
}

/** The same of a job that has a value, and of the `failure` if it fell back; undefined where an outcome has to be made. */
export function tellValue(
  { broker }: Tree,
  { id, token }: LeasedJob,
  value: Json,
  attempts: number,
  failure: Failure | undefined,
): Settled | undefined {
  const one = (broker.settle as SettleOne)[forOne]
  if (one === undefined) return undefined
  try {
    return one.value.call(broker, id, token, value, attempts, failure)
  } catch {
    return undefined // asked as of any other outcome, it throws again, and that is told
  }
}

/** The second half, where the answer was not there at once. */
export function tellLater(
  tree: Tree,
  path: string,
  outcome: Outcome,
  later: Later,
  then: (answer: Settled) => void,
): void {
  let wait = FIRST_WAIT
  const again = (error: unknown): void => {
    if (wait === FIRST_WAIT) tree.callbackFailed(path, 'broker.settle', error)
    tree.sleep(wait, () => {
      const answer = tellNow(tree, outcome)
      if (typeof answer === 'string') then(answer)
      else follow(answer)
    })
    wait = Math.min(2 * wait, LONGEST_WAIT)
  }
  const follow = (said: Later): void => {
    if ('error' in said) again(said.error)
    else said.answers.then(([answer]) => then(answer as Settled), again)
  }
  follow(later)
}
