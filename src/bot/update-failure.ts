import { addToTrail, Failure, type FailureData } from '../failure.ts'
import { wrapError } from './bot-error.ts'
import type { Journey } from './pass.ts'
import type { UpdateRun } from './update-run.ts'

/** The failure of an update: its path also names the boundaries it was inside of, and its trail begins with them. */
export function updateFailure(run: UpdateRun, journey: Journey | undefined, data: FailureData): Failure {
  const { lanes, pass } = run
  const { job, path } = data
  const failure = new Failure({
    ...data,
    path: journey === undefined ? path : journey.at + path.slice(run.path.length),
    ...(job && { job: lanes.length === 0 ? job : { ...job, lane: lanes } }),
    ...(journey?.cause && { cause: journey.cause }),
    ctx: pass?.ctx,
  })
  for (const entry of journey?.trail ?? []) addToTrail(failure, entry)
  return failure
}

/** What left it, as whoever is last gets it; the bare error where there is no context. */
export function whatLeft({ pass }: UpdateRun, failure: Failure): unknown {
  if (pass?.ctx === undefined) return failure.error
  const isSame = pass.thrown !== undefined && Object.is(pass.cause, failure.error)
  const left = isSame && pass.decided === undefined ? pass.thrown?.error : failure.error
  return wrapError(left, pass.ctx)
}
