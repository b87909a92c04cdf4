import type { BotError, Context } from 'grammy'
import { climb, type JobDecision, type Level } from '../actors/climb.ts'
import { runAs, type Origin } from '../actors/floating.ts'
import type { Tree } from '../actors/tree.ts'
import { readDecision } from '../decision.ts'
import { RestartLimitError } from '../errors.ts'
import { addToTrail, Failure } from '../failure.ts'
import { rootCause } from './bot-error.ts'
import { RESTARTS } from './pass.ts'

export type BotCatch = (error: BotError<never>) => unknown

/** The bot as its last boundary. */
export interface LastBoundary {
  readonly tree: Tree
  readonly path: string
  /** The supervisor above. */
  readonly level: Level
  /** What `bot.catch` was given last; undefined: the default. */
  readonly handler: BotCatch | undefined
  /** Nobody supervises it. */
  readonly isAlone: boolean
  /** What leaves it, as it was thrown: `start()` of a bot that is alone rejects with it. */
  leaves(thrown: unknown): void
  stopSoon(): void
}

/** What was decided, and about what: a handler may have thrown something else than it was given. */
export interface Judgement {
  readonly decision: JobDecision
  readonly failure: Failure
}

/** It is as it is, and the bot goes on. */
export const STAYS: JobDecision = Object.freeze({ decision: 'stay', stopsSystem: false, name: 'resume' })

/** Asks `bot.catch`, and those above if it does not decide. */
export async function askLast(
  bot: LastBoundary,
  failure: Failure,
  given: BotError<Context>,
  restarts: Readonly<Record<string, number>>,
  origin: Origin | undefined,
  note: string,
): Promise<Judgement> {
  const { path, handler, level } = bot
  const up = (next: Failure, thrown: unknown): Judgement => {
    bot.leaves(thrown)
    return { decision: climb(next, { restarts }, level, note), failure: next }
  }
  if (handler === undefined) {
    addToTrail(failure, { path, decision: 'escalate', by: 'default' })
    if (bot.isAlone) process.stderr.write(`${failure.report()}\n`)
    return up(failure, given)
  }
  let answer: unknown
  try {
    const ask = (): unknown => handler(given as BotError<never>)
    answer = await (origin === undefined ? ask() : runAs(origin, ask, undefined))
  } catch (thrown) {
    return up(wentOn(failure, path, thrown), thrown)
  }
  const decision = readDecision(answer)
  switch (decision?.decision) {
    case 'escalate':
      addToTrail(failure, { path, decision: 'escalate', by: 'catch' })
      return up(failure, given)
    case 'restart': {
      const count = restarts[path] ?? 0
      if (count < RESTARTS) {
        addToTrail(failure, { path, decision: 'restart', by: 'catch' })
        return { decision: { decision: 'restart', delay: 0, by: path, count: count + 1 }, failure }
      }
      const because = RestartLimitError.ofJob(path, RESTARTS)
      addToTrail(failure, { path, decision: 'escalate', by: 'limit', asked: 'restart', because })
      return up(failure, given)
    }
    case 'stop':
      addToTrail(failure, { path, decision: 'stop', by: 'catch' })
      if (bot.isAlone) bot.stopSoon()
      return { decision: { decision: 'stay', stopsSystem: false, name: 'stop' }, failure }
    default:
      addToTrail(failure, { path, decision: 'resume', by: 'catch' })
      return { decision: decision?.hasValue === true ? { decision: 'value', value: decision.value } : STAYS, failure }
  }
}

/** What a handler threw goes on: the same failure, or another one with that as its cause. */
function wentOn(failure: Failure, path: string, thrown: unknown): Failure {
  const error = rootCause(thrown)
  if (Object.is(error, failure.error)) {
    addToTrail(failure, { path, decision: 'escalate', by: 'catch' })
    return failure
  }
  const { path: at, kind, attempt, elapsed, job, generation, ctx, trail } = failure
  const next = new Failure({
    error,
    path: at,
    kind,
    at: failure.at,
    attempt,
    elapsed,
    job,
    generation,
    ctx,
    cause: failure,
  })
  for (const entry of trail) addToTrail(next, entry)
  addToTrail(next, { path, decision: 'escalate', by: 'catch', because: error })
  return next
}
