import type { Composer, Context, MiddlewareFn } from 'grammy'
import { readDecision, type Decision } from '../decision.ts'
import { runAs } from '../actors/floating.ts'
import { wrapError } from './bot-error.ts'
import { enter, isDecided, type Frame } from './pass.ts'
import type { Boundary, BoundaryHandler } from './scope.ts'

/**
 * The middleware that a boundary is. Its part runs inside; what comes after it runs outside, once the part is over, and
 * its errors are none of this boundary's.
 */
export function guard<C extends Context>(
  boundary: Boundary,
  handler: BoundaryHandler<C>,
  part: Composer<C>,
): MiddlewareFn<C> {
  return async (ctx, next) => {
    let goesOn = false
    const note = (): Promise<void> => {
      goesOn = true
      return Promise.resolve()
    }
    const frame = enter(boundary, handler as BoundaryHandler<never>)
    try {
      const run = (): unknown => part.middleware()(ctx, note)
      await (frame === undefined ? run() : runAs(frame, run, undefined))
    } catch (error) {
      goesOn = false // it failed after all, so its wish to go on is void
      if (isDecided(error)) throw error // a decision is on its way out
      if (frame === undefined) await askAlone(error, ctx, handler, note)
      else await ask(error, ctx, handler, note, frame)
    }
    if (goesOn) await next()
  }
}

/** In the tree of a bot: what is decided is written down. */
async function ask<C extends Context>(
  error: unknown,
  ctx: C,
  handler: BoundaryHandler<C>,
  next: () => Promise<void>,
  frame: Frame,
): Promise<void> {
  const { pass } = frame
  const wrapped = wrapError(error, ctx)
  const journey = pass.journeyOf(error, frame)
  let decision: Decision | undefined
  try {
    decision = readDecision(await handler(wrapped, next))
  } catch (thrown) {
    pass.wentOn(journey, frame, thrown)
    throw thrown
  }
  switch (decision?.decision) {
    case 'escalate':
      pass.wentOn(journey, frame, wrapped)
      throw wrapped
    case 'stop':
      throw pass.stopped(journey, frame)
    case 'restart':
      throw pass.restarted(journey, frame) ?? wrapped
    default:
      pass.wasHandled(journey, frame)
  }
}

/** Where no update of ours runs there is nothing to restart, and nobody who could be left out. */
async function askAlone<C extends Context>(
  error: unknown,
  ctx: C,
  handler: BoundaryHandler<C>,
  next: () => Promise<void>,
): Promise<void> {
  const wrapped = wrapError(error, ctx)
  const decision = readDecision(await handler(wrapped, next))
  if (decision !== undefined && decision.decision !== 'resume') throw wrapped
}
