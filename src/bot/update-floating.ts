import type { Context } from 'grammy'
import type { JobDecision } from '../actors/climb.ts'
import type { Origin } from '../actors/floating.ts'
import { readDecision } from '../decision.ts'
import { addToTrail, Failure } from '../failure.ts'
import { rootCause, wrapError } from './bot-error.ts'
import { askLast, STAYS, type LastBoundary } from './last-boundary.ts'
import { isFrame, pathOfFrame, type Journey, type Pass } from './pass.ts'

const NO_RESTARTS: Readonly<Record<string, number>> = Object.freeze({})

/** Decides about a promise of an update that nobody awaited: the update went on without it. */
export async function floated(bot: LastBoundary, thrown: unknown, origin: Origin, attempts: number): Promise<void> {
  const { pass } = origin as { readonly pass?: Pass }
  const ctx = pass?.ctx
  const at = isFrame(origin) ? pathOfFrame(origin) : bot.path
  const journey: Journey = { error: rootCause(thrown), at, trail: [], cause: undefined }
  const failureOf = (): Failure => floatingFailure(bot, journey, origin, attempts)
  if (pass === undefined || ctx === undefined) {
    const failure = failureOf() // no middleware ever ran: that is nothing to ask `bot.catch` about
    addToTrail(failure, { path: bot.path, decision: 'resume', by: 'default' })
    return report(bot, failure, STAYS)
  }
  const left = await askFrames(thrown, origin, pass, journey)
  if (left === undefined) return report(bot, failureOf(), STAYS)
  const wrapped = wrapError(left.thrown, ctx)
  const last = await askLast(bot, failureOf(), wrapped, NO_RESTARTS, undefined, 'it was floating')
  report(bot, last.failure, last.decision)
}

function floatingFailure(bot: LastBoundary, journey: Journey, origin: Origin, attempts: number): Failure {
  const { id, attempt, path } = origin
  const { pass } = origin as { readonly pass?: Pass }
  const failure = new Failure({
    error: journey.error,
    path: journey.at + path.slice(bot.path.length),
    kind: 'floating',
    at: bot.tree.clock.now(),
    attempt,
    job: { id, task: bot.path, attempts },
    ...(journey.cause && { cause: journey.cause }),
    ctx: pass?.ctx,
  })
  for (const entry of journey.trail) addToTrail(failure, entry)
  return failure
}

/** Asks the boundaries the promise was made in, the innermost first; gives what left them all. */
async function askFrames(
  error: unknown,
  origin: Origin,
  pass: Pass,
  journey: Journey,
): Promise<{ readonly thrown: unknown } | undefined> {
  let thrown = error
  for (let at = origin; isFrame(at); at = at.outer) {
    const wrapped = wrapError(thrown, pass.ctx as Context)
    try {
      const decision = readDecision(await at.handler(wrapped as never, () => Promise.resolve()))
      if (decision?.decision === 'escalate') throw wrapped
    } catch (next) {
      pass.wentOn(journey, at, next)
      thrown = next
      continue
    }
    pass.wasDealtWith(journey, at)
    return undefined
  }
  return { thrown }
}

function report({ tree }: LastBoundary, failure: Failure, decision: JobDecision): void {
  const isStay = decision.decision === 'stay'
  tree.report(failure, isStay ? decision.name : decision.decision === 'value' ? 'resume' : 'restart')
  if (isStay && decision.stopsSystem) tree.stopBecause(failure)
}
