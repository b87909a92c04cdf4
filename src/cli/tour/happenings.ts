import type { AnyEvent, Failure, System } from 'rootcatch'
import { textOf } from '../../evidence.ts'

/** One thing that happened, in words. */
export interface Happening {
  /** Path below the tour. */
  readonly who: string
  readonly what:
    | 'done'
    | 'answered'
    | 'retrying'
    | 'fallback'
    | 'failed'
    | 'cancelled'
    | 'restarted'
    | 'ended'
    | 'caught'
  readonly text: string
  /** Who saw the failure and what each decided, in the order it climbed. */
  readonly trail?: string
}

/** Tells what a person wants to hear of a system, and leaves the rest out. */
export function tellHappenings(system: System, tell: (happening: Happening) => void): void {
  system.on('*', (event) => {
    const happening = happeningOf(event)
    if (happening !== undefined) tell(happening)
  })
}

function happeningOf(event: AnyEvent): Happening | undefined {
  const who = 'path' in event ? below(event.path) : ''
  switch (event.type) {
    case 'job.retrying':
      return { who, what: 'retrying', text: `${say(event.error)}; again in ${Math.round(event.delay)} ms` }
    case 'job.answered':
      return { who, what: 'answered', text: `by the plugin "${event.plugin}"` }
    case 'job.done':
      // A page and an update have no value: they are counted, and only what went wrong with them is told.
      return event.value === undefined ? undefined : { who, what: 'done', text: textOf(event.value, 100) }
    case 'job.fellBack':
      return { who, what: 'fallback', text: textOf(event.value, 100), ...trailOf(event.failure) }
    case 'job.failed':
      return { who, what: 'failed', text: say(event.failure.error), ...trailOf(event.failure) }
    case 'job.cancelled':
      return { who, what: 'cancelled', text: say(event.reason) }
    case 'failure.decided':
      return decidedHappening(event.failure)
    case 'actor.started':
      return event.generation > 1 ? { who, what: 'restarted', text: `generation ${event.generation}` } : undefined
    case 'actor.ended':
      return { who, what: 'ended', text: event.output === undefined ? '' : textOf(event.output, 100) }
    default:
      return undefined
  }
}

/** Of an actor, or what a boundary of the bot caught: what became of any other job is told when it ends. */
function decidedHappening(failure: Failure): Happening | undefined {
  if (failure.job !== undefined && !failure.path.includes('/update:')) return undefined
  const what = failure.job === undefined ? 'failed' : 'caught'
  return { who: below(failure.path), what, text: say(failure.error), ...trailOf(failure) }
}

function trailOf({ trail }: Failure): { readonly trail?: string } {
  if (trail.length === 0) return {}
  const seen = trail.map(({ path, decision }) => `${path === '' ? 'root catch' : below(path)} ${decision}`)
  return { trail: seen.join(', ') }
}

/** Without the root, and without the host of a page: there is only one. */
function below(path: string): string {
  return path.replace(/^tour\//, '').replace(/^books\/[^/]+\//, 'books/')
}

/** The first sentence: advice is for who writes the code. */
function say(thrown: unknown): string {
  const [sentence = ''] = textOf(thrown, 200).split(/\.(?: |$)/)
  return sentence
}
