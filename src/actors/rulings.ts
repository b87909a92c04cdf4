import type { Decision, DecisionName } from '../decision.ts'
import { RestartLimitError } from '../errors.ts'
import { addToTrail, Failure } from '../failure.ts'
import { allows, charge, createSlidingWindow, type SlidingWindow } from '../sliding-window.ts'
import type { Supervisor } from '../supervisor.ts'
import type { Child } from './child.ts'
import type { Hands } from './hands.ts'
import type { Verdict } from './verdict.ts'

/** What happens to a child that is down: for good, as if it had ended by itself, a restart, or its supervisor fails. */
export type Ruling = 'over' | 'ended' | 'restart' | 'give up'

/**
 * What decisions come to, once it is known what can be carried out: a restart type allows less than was decided, a limit
 * is spent. All that is written into trails is written here.
 */
export class Rulings {
  readonly #path: string
  readonly #definition: Supervisor
  readonly #hands: Pick<Hands, 'now' | 'report'>
  readonly #window: SlidingWindow

  constructor(path: string, definition: Supervisor, hands: Pick<Hands, 'now' | 'report'>) {
    this.#path = path
    this.#definition = definition
    this.#hands = hands
    this.#window = createSlidingWindow(definition.restarts.limit, definition.restarts.within)
  }

  /** Of an actor that threw and waits: whether it goes on as it was. If not, nothing is written yet. */
  isResumed(failure: Failure, verdict: Verdict): boolean {
    if (!isPlainResume(verdict.decision)) return false
    this.#decided(failure, verdict, 'resume')
    return true
  }

  /** Of a child that has failed. */
  onFailure(child: Child, failure: Failure, verdict: Verdict): Ruling {
    const { decision } = verdict
    switch (decision.decision) {
      case 'resume':
        if (!isPlainResume(decision)) return this.#decided(failure, verdict, 'resume', 'ended')
        return this.#decided(failure, verdict, 'stop') // it is over, there is nothing to go on with
      case 'stop':
        return this.#decided(failure, verdict, 'stop')
      case 'restart':
        return this.#onRestart(child, failure, verdict)
      case 'escalate':
        addToTrail(failure, entryOf(this.#path, verdict, 'escalate'))
        return 'give up'
    }
  }

  /** Of a child that ended by itself, normally: its type says what that means. A failure is what the supervisor fails with. */
  onEnd(child: Child): 'over' | 'restart' | Failure {
    if (child.policy.restart !== 'permanent') return 'over'
    const now = this.#hands.now()
    if (this.#isCharged(now)) return 'restart'
    const error = this.#limitError()
    const failure = new Failure({ error, path: child.path, kind: 'restarts', at: now })
    this.#overLimit(failure, error)
    return failure
  }

  /** Of a child that failed before the round it is in had stopped it: whether it comes back with the others. */
  inRound(child: Child, failure: Failure): boolean {
    const decision = child.policy.restart === 'temporary' ? 'stop' : 'restart'
    addToTrail(failure, { path: this.#path, decision, by: 'round' })
    this.#hands.report(failure, decision)
    return decision === 'restart'
  }

  /** Of a child that failed while it, or all, were being stopped. Nobody is asked. */
  whileStopping(failure: Failure): void {
    addToTrail(failure, { path: this.#path, decision: 'stop', by: 'stopping' })
    this.#hands.report(failure, 'stop')
  }

  #onRestart(child: Child, failure: Failure, verdict: Verdict): Ruling {
    if (child.policy.restart === 'temporary') return this.#decided(failure, verdict, 'stop')
    if (this.#isCharged(this.#hands.now())) return this.#decided(failure, verdict, 'restart', 'restart')
    this.#overLimit(failure, this.#limitError())
    return 'give up'
  }

  #decided(failure: Failure, verdict: Verdict, decision: DecisionName, ruling: Ruling = 'over'): Ruling {
    addToTrail(failure, entryOf(this.#path, verdict, decision))
    this.#hands.report(failure, decision)
    return ruling
  }

  #isCharged(now: number): boolean {
    if (!allows(this.#window, now)) return false
    charge(this.#window, now)
    return true
  }

  #overLimit(failure: Failure, because: RestartLimitError): void {
    addToTrail(failure, { path: this.#path, decision: 'escalate', by: 'limit', asked: 'restart', because })
  }

  #limitError(): RestartLimitError {
    const { limit, within } = this.#definition.restarts
    return new RestartLimitError(this.#path || 'the root', limit, within)
  }
}

const isPlainResume = (decision: Decision): boolean => decision.decision === 'resume' && !decision.hasValue

function entryOf(path: string, verdict: Verdict, decision: DecisionName): Parameters<typeof addToTrail>[1] {
  const { by } = verdict
  const asked = verdict.decision.decision
  if (asked === decision && !('because' in verdict)) return { path, decision, by }
  return {
    path,
    decision,
    by,
    ...(asked !== decision && { asked }),
    ...('because' in verdict && { because: verdict.because }),
  }
}
