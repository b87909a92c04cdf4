import { escalate, resume, stop, type RootDecision } from '../decision.ts'
import { InvalidDecisionError, RestartLimitError } from '../errors.ts'
import { addToTrail, noteOnFailure, type Failure } from '../failure.ts'
import { allows, charge, createSlidingWindow } from '../sliding-window.ts'
import { askCatch, type Climber, type JobDecision } from './climb.ts'
import type { Tree } from './tree.ts'
import type { Verdict } from './verdict.ts'

/** How often the root catch may restart the root, and one job. */
const LIMIT = 3
const WITHIN = 5_000

export type RootCatch = (failure: Failure) => RootDecision

/** What the root catch decides, and what is done where there is none or where it may not. */
export class RootVerdicts {
  readonly #tree: Tree
  readonly #catch: RootCatch | undefined
  readonly #window = createSlidingWindow(LIMIT, WITHIN)

  constructor(tree: Tree, rootCatch: RootCatch | undefined) {
    this.#tree = tree
    this.#catch = rootCatch
  }

  judgeJob(failure: Failure, climber: Climber, note: string): JobDecision {
    const verdict = this.#ask(failure)
    const decision = this.#jobDecision(failure, climber, verdict)
    if (verdict.by === 'default') {
      noteOnFailure(failure, note)
      print(failure)
    }
    return decision
  }

  #jobDecision(failure: Failure, climber: Climber, verdict: Verdict): JobDecision {
    const { decision } = verdict
    if (decision.decision === 'resume') {
      this.#enter(failure, verdict, 'resume')
      if ('hasValue' in decision && decision.hasValue) return { decision: 'value', value: decision.value }
      return { decision: 'stay', stopsSystem: false, name: 'resume' }
    }
    if (decision.decision === 'restart') {
      const count = climber.restarts[''] ?? 0
      if (count < LIMIT) {
        this.#enter(failure, verdict, 'restart')
        return { decision: 'restart', delay: 0, by: '', count: count + 1 }
      }
      const because = RestartLimitError.ofJob('the root catch', LIMIT)
      addToTrail(failure, { path: '', decision: 'resume', by: 'limit', asked: 'restart', because })
      return { decision: 'stay', stopsSystem: false, name: 'resume' }
    }
    this.#enter(failure, verdict, 'stop')
    return { decision: 'stay', stopsSystem: true, name: 'stop' }
  }

  /** Of a root supervisor that failed. */
  judgeRoot(failure: Failure): 'restart' | 'stop' {
    const verdict = this.#ask(failure)
    const decision = this.#rootDecision(failure, verdict)
    if (decision === 'stop' && verdict.by === 'default') print(failure)
    this.#tree.report(failure, decision)
    return decision
  }

  #rootDecision(failure: Failure, verdict: Verdict): 'restart' | 'stop' {
    const now = this.#tree.clock.now()
    if (verdict.decision.decision !== 'restart') {
      this.#enter(failure, verdict, 'stop')
      return 'stop'
    }
    if (allows(this.#window, now)) {
      charge(this.#window, now)
      this.#enter(failure, verdict, 'restart')
      return 'restart'
    }
    const because = new RestartLimitError('the root catch', LIMIT, WITHIN)
    addToTrail(failure, { path: '', decision: 'stop', by: 'limit', asked: 'restart', because })
    return 'stop'
  }

  /** Without a root catch a job stays failed, and an actor stops the system. Nonsense stops it too. */
  #ask(failure: Failure): Verdict {
    if (this.#catch === undefined) return { decision: failure.job === undefined ? stop : resume, by: 'default' }
    const verdict = askCatch(this.#catch, failure, '', undefined)
    if (verdict.decision.decision !== 'escalate') return verdict
    const because = 'because' in verdict ? verdict.because : new InvalidDecisionError('', escalate)
    return { decision: stop, by: 'catch', because }
  }

  #enter(failure: Failure, verdict: Verdict, decision: 'resume' | 'restart' | 'stop'): void {
    const asked = verdict.decision.decision
    addToTrail(failure, {
      path: '',
      decision,
      by: verdict.by,
      ...(asked !== decision && { asked }),
      ...('because' in verdict && { because: verdict.because }),
    })
  }
}

/** Where nobody else listens: the library prints this, and nothing else. */
function print(failure: Failure): void {
  // oxlint-disable-next-line no-console -- a failure that nobody below has decided must not pass in silence
  console.error(failure.report())
}
