import { escalate, readDecision, type Decision } from '../decision.ts'
import { InvalidDecisionError, RestartLimitError } from '../errors.ts'
import { addToTrail, type Failure } from '../failure.ts'
import type { Plugin } from '../plugin.ts'
import type { Verdict } from './verdict.ts'

/** What climbs: a job that failed, with how often it was restarted by whom. */
export interface Climber {
  readonly restarts: Readonly<Record<string, number>>
}

/** A node that a job's failure meets on its way up. */
export interface Level {
  readonly path: string
  readonly parent: Level | RootLevel
  readonly plugins: readonly Plugin[]
  /** Undefined without a `catch`: the failure climbs on. */
  readonly catch: ((failure: Failure) => Decision) | undefined
  readonly restarts: { readonly limit: number; readonly within: number }
  /** The wait before the n-th restart of one job. */
  restartDelay(n: number): number
}

/** Above the root supervisor: what comes here is decided. */
export interface RootLevel {
  readonly isRoot: true
  readonly plugins: readonly Plugin[]
  judgeJob(failure: Failure, climber: Climber, note: string): JobDecision
}

/** What becomes of a failed job. `by` is the path of the level that decided. */
export type JobDecision =
  | { readonly decision: 'stay'; readonly stopsSystem: boolean; readonly name: 'resume' | 'stop' }
  | { readonly decision: 'value'; readonly value: unknown }
  | { readonly decision: 'restart'; readonly delay: number; readonly by: string; readonly count: number }

/** Asks one level after the other, the nearest first, until one decides. A loop, for trees may be deep. */
export function climb(failure: Failure, climber: Climber, from: Level, note: string): JobDecision {
  let level: Level | RootLevel = from
  while (!('isRoot' in level)) {
    const decided = askLevel(level, failure, climber)
    if (decided !== undefined) return decided
    level = level.parent
  }
  return level.judgeJob(failure, climber, note)
}

/** The levels from the nearest supervisor to the system. */
export function* levelsAbove(from: Level): Generator<{ readonly plugins: readonly Plugin[] }, undefined> {
  let level: Level | RootLevel = from
  for (; !('isRoot' in level); level = level.parent) yield level
  yield level
  return undefined
}

/** Asks a `catch`. Whatever it does instead of answering counts as `escalate`; why is kept. */
export function askCatch(
  ask: (failure: Failure) => unknown,
  failure: Failure,
  path: string,
  above: string | undefined,
): Verdict {
  let answer: unknown
  try {
    answer = ask(failure)
  } catch (error) {
    return { decision: escalate, by: 'catch', because: error }
  }
  const decision = readDecision(answer)
  if (decision !== undefined) return { decision, by: 'catch' }
  absorb(answer)
  return { decision: escalate, by: 'catch', because: new InvalidDecisionError(path, answer, above) }
}

function askLevel(level: Level, failure: Failure, climber: Climber): JobDecision | undefined {
  const { path } = level
  if (level.catch === undefined) {
    if (path !== '') addToTrail(failure, { path, decision: 'escalate', by: 'default' })
    return undefined
  }
  const above = 'isRoot' in level.parent ? '' : level.parent.path
  const verdict = askCatch(level.catch, failure, path, above)
  const { decision, by } = verdict
  switch (decision.decision) {
    case 'escalate':
      addToTrail(failure, { path, decision: 'escalate', by, ...('because' in verdict && { because: verdict.because }) })
      return undefined
    case 'restart':
      return restartJob(level, failure, climber)
    case 'resume':
      addToTrail(failure, { path, decision: 'resume', by })
      if ('hasValue' in decision && decision.hasValue) return { decision: 'value', value: decision.value }
      return { decision: 'stay', stopsSystem: false, name: 'resume' }
    case 'stop':
      addToTrail(failure, { path, decision: 'stop', by })
      return { decision: 'stay', stopsSystem: false, name: 'stop' }
  }
}

function restartJob(level: Level, failure: Failure, climber: Climber): JobDecision | undefined {
  const { path, restarts } = level
  const count = climber.restarts[path] ?? 0
  if (count >= restarts.limit) {
    const because = RestartLimitError.ofJob(path, restarts.limit)
    addToTrail(failure, { path, decision: 'escalate', by: 'limit', asked: 'restart', because })
    return undefined
  }
  addToTrail(failure, { path, decision: 'restart', by: 'catch' })
  return { decision: 'restart', delay: level.restartDelay(count + 1), by: path, count: count + 1 }
}

/** A promise where a decision was expected must not become an unhandled rejection. */
function absorb(answer: unknown): void {
  try {
    if (answer instanceof Promise) answer.catch(() => {})
  } catch {
    // a proxy that throws on everything
  }
}
