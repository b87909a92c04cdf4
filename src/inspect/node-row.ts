import { guarded, peek } from '../evidence.ts'
import type { Charts } from './charts.ts'
import { isJob, type Entry } from './entry.ts'
import type { Showing } from './showing.ts'

/** A node as the page gets it. */
export interface Row {
  readonly id: string
  readonly parent: string | undefined
  readonly name: string
  readonly path: string
  readonly kind: string
  readonly phase: string | undefined
  readonly status: string
  readonly state: readonly string[]
  readonly chart: string | undefined
  readonly generation: number
  readonly restarts: number
  readonly failures: number
  readonly waiting: number | undefined
  readonly jobs: Entry['jobs']
  readonly attempt: number | undefined
  readonly events: number
  readonly dropped: number
  /** How many stand below it, jobs apart: not all of them may have been told. */
  readonly below: number
  readonly ended: number
  readonly since: number
}

export function nodeRow(entry: Entry, charts: Charts, showing: Showing): Row {
  const snapshot = guarded(() => entry.actor?.snapshot(), undefined)
  const chart = entry.actor && guarded(() => entry.actor?.chart, undefined)
  const attempt = isJob(entry) ? peek(peek(snapshot, 'context'), 'attempt') : undefined
  const status = peek(snapshot, 'status')
  return {
    id: entry.id,
    parent: entry.parent?.id,
    name: showing.text(entry.name),
    path: showing.text(entry.path),
    kind: entry.kind,
    phase: entry.phase,
    status: typeof status === 'string' ? status : isUp(entry) ? 'active' : 'stopped',
    state: stateNames(peek(snapshot, 'value') ?? entry.state),
    chart: chart && charts.hashOf(chart),
    generation: entry.generation,
    restarts: entry.generation - 1,
    failures: entry.failures,
    waiting: entry.waiting,
    jobs: entry.jobs,
    attempt: typeof attempt === 'number' ? attempt : undefined,
    events: entry.events,
    dropped: entry.dropped,
    below: entry.below,
    ended: entry.ended,
    since: entry.since,
  }
}

/** Of what has no actor: a spider that waits for a crawl, what stands below a bot. */
function isUp({ phase, state }: Entry): boolean {
  return state !== undefined || (phase !== undefined && phase !== 'stopped' && phase !== 'failed')
}

/** The states a machine is in, each with its ancestors, by dots. */
export function stateNames(value: unknown, above = ''): readonly string[] {
  if (typeof value === 'string') return [above + value]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, below]) => {
    const names = stateNames(below, `${above}${key}.`)
    return names.length === 0 ? [above + key] : names
  })
}
