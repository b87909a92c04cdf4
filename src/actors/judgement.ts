import type { JobContext, JobEvent } from '../../machines/job.ts'
import type { Failure, FailureData, FailureKind } from '../failure.ts'
import { copyPayload, type Json } from '../payload.ts'
import { retryAfterOf, wishOf } from '../thrown.ts'
import type { Answers } from './ask-plugins.ts'
import type { JobPolicy } from './job-policy.ts'
import { plain } from './plain.ts'
import type { Tree } from './tree.ts'

/** What is known of the job whose attempt is judged. */
export interface Judged {
  readonly tree: Tree
  readonly path: string
  /** What it is a job of, as messages call it. */
  readonly subject: string
  readonly task: JobPolicy
  failed(error: unknown, kind: FailureKind, more?: Pick<FailureData, 'plugins' | 'isPassing'>): Failure
}

/** An error that did not come from the body itself: `isFinal` if no further attempt can help. */
export interface OwnError {
  readonly error: unknown
  readonly kind: 'timeout' | 'input' | 'result' | 'thrown' | 'handler'
  readonly isFinal: boolean
  /** In ms, where the error says it in a way of its own. */
  readonly retryAfter?: number
  /** Decides instead of `retry.when`. */
  readonly again?: boolean
  /** With `isFinal`: a fallback cannot help either. */
  readonly isHopeless?: boolean
}

/** A value that no broker can keep. */
export class Misfit {
  readonly failure: Failure

  constructor(failure: Failure) {
    this.failure = failure
  }
}

/** A value as a broker can keep it, or the failure of kind `result`. */
export function fit(job: Judged, value: unknown): Json | Misfit {
  if (value === undefined) return undefined as unknown as Json
  try {
    return copyPayload('result of ', value, job.task.maxPayload, job)
  } catch (error) {
    return new Misfit(job.failed(error, 'result'))
  }
}

/** What the value of an attempt means to the chart. */
export function judgeValue(job: Judged, value: unknown): JobEvent {
  const fitting = fit(job, value)
  if (fitting instanceof Misfit) return new AttemptError(fitting.failure, 'permanent', null)
  return new AttemptValue(fitting)
}

/** What its error means. `own` is set where that is not the body's. */
export function judgeError(job: Judged, context: JobContext, thrown: unknown, own: OwnError | undefined): JobEvent {
  const wish = wishOf(thrown)
  if (own === undefined && wish === 'plugins')
    return new AttemptError(job.failed(thrown, 'plugin', PASSING), 'asks', null)
  const kind = own?.kind ?? 'thrown'
  if (own?.isHopeless === true) return new AttemptError(job.failed(thrown, kind), 'hopeless', null)
  const { hasFallback } = context
  if (own?.isFinal === true || wish === 'no retry' || wish === 'the end')
    return new AttemptError(job.failed(thrown, kind, hasFallback ? PASSING : NOTHING_MORE), 'permanent', null)
  const retryAfter = own?.retryAfter ?? retryAfterOf(thrown) ?? null
  const again = retryAfter !== null || (own?.again ?? wantsAgain(job, context, thrown))
  const isPassing = hasFallback || (again && context.charged + 1 < context.attempts)
  const failure = job.failed(thrown, kind, isPassing ? PASSING : NOTHING_MORE)
  return new AttemptError(failure, again ? 'again' : 'spent', retryAfter)
}

const PASSING = { isPassing: true } as const
const NOTHING_MORE = {}

/** What the plugins' answers mean to the chart. */
export function judgeAnswers(job: Judged, context: JobContext, { answer, errors }: Answers): JobEvent {
  if (answer !== undefined) {
    const { value, plugin } = answer
    const fitting = fit(job, value)
    if (fitting instanceof Misfit) return { type: 'plugins.silence', failure: fitting.failure, again: false }
    return { type: 'plugins.answer', value: fitting, plugin }
  }
  const { error: thrown } = context.failure as Failure
  const failure = job.failed(thrown, 'plugin', errors.length === 0 ? {} : { plugins: errors })
  return { type: 'plugins.silence', failure, again: wantsAgain(job, context, thrown) }
}

/** `retry.when` is only asked where its answer matters; one that throws does not cost the job an attempt. */
function wantsAgain({ task, tree, path }: Judged, context: JobContext, thrown: unknown): boolean {
  const { when } = task.retry
  if (context.charged + 1 >= context.attempts) return false
  if (when === undefined) return true
  try {
    return when(thrown) !== false
  } catch (problem) {
    tree.callbackFailed(path, 'retry.when', problem)
    return true
  }
}

type EventOf<Type extends JobEvent['type']> = Extract<JobEvent, { readonly type: Type }>

/** Plain: an event may still be named by what follows it when the collector comes. */
const AttemptValue: new (value: unknown) => EventOf<'attempt.value'> = plain(function (value) {
  this.type = 'attempt.value'
  this.value = value
})

/** What may follow an attempt that failed: plugins, another attempt, only a fallback (`spent`, `permanent`), or not even that. */
type Hope = 'asks' | 'again' | 'spent' | 'permanent' | 'hopeless'

const AttemptError: new (failure: Failure, hope: Hope, retryAfter: number | null) => EventOf<'attempt.error'> = plain(
  function (failure, hope, retryAfter) {
    this.type = 'attempt.error'
    this.failure = failure
    this.asks = hope === 'asks'
    this.permanent = hope === 'permanent' || hope === 'hopeless'
    this.retryAfter = retryAfter
    this.again = hope === 'again'
    this.hopeless = hope === 'hopeless'
  },
)
