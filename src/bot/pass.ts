import type { Context, MiddlewareFn } from 'grammy'
import { originNow, type Origin } from '../actors/floating.ts'
import { RestartLimitError } from '../errors.ts'
import type { Failure, TrailEntry } from '../failure.ts'
import type { TaskContext } from '../task-context.ts'
import { rootCause } from './bot-error.ts'
import type { Boundary, BoundaryHandler } from './scope.ts'

/** How often one boundary, or `bot.catch`, may restart one update. */
export const RESTARTS = 3

/** The update as its way through the middleware knows it. */
export interface PassHost {
  /** Path of the bot. */
  readonly path: string
  readonly restarts: Readonly<Record<string, number>>
  failureOf(journey: Journey): Failure
  /** A boundary has dealt with it. */
  handled(failure: Failure): void
}

/** An error on its way out, from one boundary to the next. */
export interface Journey {
  /** What was thrown, unwrapped; what a handler threw instead, from there on. */
  error: unknown
  /** Path of the boundary it began in. */
  readonly at: string
  readonly trail: TrailEntry[]
  /** The failure before it, if a handler threw something else than it was given. */
  cause: Failure | undefined
}

/** A part that runs inside a boundary, as whatever it begins remembers it. */
export interface Frame extends Origin {
  readonly pass: Pass
  readonly boundary: Boundary
  readonly handler: BoundaryHandler<never>
  readonly outer: Origin
}

/** What a boundary decided about the update; thrown, so that middleware around `next()` can clean up. */
export class Decided {
  readonly decision: 'stop' | 'restart'
  readonly journey: Journey
  /** Path of the boundary. */
  readonly by: string
  readonly count: number

  constructor(decision: 'stop' | 'restart', journey: Journey, by: string, count = 0) {
    this.decision = decision
    this.journey = journey
    this.by = by
    this.count = count
  }
}

/** What stands behind the last middleware. */
const leaf = (): Promise<void> => Promise.resolve()

export const isDecided = (error: unknown): error is Decided => rootCause(error) instanceof Decided

/** One attempt's way through the middleware. */
export class Pass {
  readonly host: PassHost
  readonly job: TaskContext
  /** What middleware was given; undefined until it was. */
  ctx: Context | undefined
  /** What left all middleware, boxed. */
  thrown: { readonly error: unknown } | undefined
  #journeys: Journey[] | undefined

  constructor(host: PassHost, job: TaskContext) {
    this.host = host
    this.job = job
  }

  /** Runs all middleware. Rejects with what was thrown in the first place, and keeps it as it left. */
  async run<C extends Context>(middleware: MiddlewareFn<C>, ctx: C): Promise<void> {
    this.ctx = ctx
    try {
      await middleware(ctx, leaf)
    } catch (error) {
      this.thrown = { error }
      throw this.cause
    }
  }

  /** What a boundary decided, if that is what left all middleware. */
  get decided(): Decided | undefined {
    const cause = this.thrown && rootCause(this.thrown.error)
    return cause instanceof Decided ? cause : undefined
  }

  /** The error that left all middleware, unwrapped. */
  get cause(): unknown {
    return this.decided === undefined ? rootCause(this.thrown?.error) : this.decided.journey.error
  }

  /** Of an error that has met a boundary. */
  journey(error: unknown): Journey | undefined {
    return this.#journeys?.find((journey) => Object.is(journey.error, error))
  }

  journeyOf(error: unknown, frame: Frame): Journey {
    const cause = rootCause(error)
    const known = this.journey(cause)
    if (known !== undefined) return known
    const journey = { error: cause, at: pathOfFrame(frame), trail: [], cause: undefined }
    this.#journeys ??= []
    this.#journeys.push(journey)
    return journey
  }

  /** It leaves a boundary, as it came or as what the handler threw instead. */
  wentOn(journey: Journey, frame: Frame, thrown: unknown): void {
    const cause = rootCause(thrown)
    if (Object.is(cause, journey.error)) return note(journey, frame, { decision: 'escalate', by: 'catch' })
    note(journey, frame, { decision: 'escalate', by: 'catch', because: cause })
    journey.cause = this.host.failureOf(journey)
    journey.error = cause
  }

  wasHandled(journey: Journey, frame: Frame): void {
    this.wasDealtWith(journey, frame)
    this.#journeys = this.#journeys?.filter((each) => each !== journey)
    this.host.handled(this.host.failureOf(journey))
  }

  wasDealtWith(journey: Journey, frame: Frame): void {
    note(journey, frame, { decision: 'resume', by: 'catch' })
  }

  stopped(journey: Journey, frame: Frame): Decided {
    note(journey, frame, { decision: 'stop', by: 'catch' })
    return new Decided('stop', journey, pathOfFrame(frame))
  }

  /** Undefined once this boundary has restarted the update as often as it may: the error goes on instead. */
  restarted(journey: Journey, frame: Frame): Decided | undefined {
    const path = pathOfFrame(frame)
    const count = this.host.restarts[path] ?? 0
    if (count >= RESTARTS) {
      const because = RestartLimitError.ofJob(path, RESTARTS)
      note(journey, frame, { decision: 'escalate', by: 'limit', asked: 'restart', because })
      return undefined
    }
    note(journey, frame, { decision: 'restart', by: 'catch' })
    return new Decided('restart', journey, path, count + 1)
  }
}

function note(journey: Journey, frame: Frame, entry: Omit<TrailEntry, 'path'>): void {
  journey.trail.push({ path: pathOfFrame(frame), ...entry })
  frame.boundary.decided[entry.decision] += 1
}

/** Begins the part of a boundary; undefined where no update of a bot of ours runs. */
export function enter(boundary: Boundary, handler: BoundaryHandler<never>): Frame | undefined {
  const outer = originNow() as (Origin & { readonly pass?: Pass }) | undefined
  if (outer?.pass === undefined) return undefined
  const { path, id, attempt, floated, pass } = outer
  return { path, id, attempt, floated, pass, boundary, handler, outer }
}

export const isFrame = (origin: Origin): origin is Frame => 'boundary' in origin

/** The names of the boundaries it is inside of, the outermost first, behind that of the bot. */
export function pathOfFrame({ boundary, outer, pass }: Frame): string {
  return `${isFrame(outer) ? pathOfFrame(outer) : pass.host.path}/${boundary.name}`
}
