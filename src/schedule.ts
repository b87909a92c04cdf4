import type { Duration } from './duration.ts'
import { InvalidOptionError } from './errors.ts'
import { readBoolean, readDuration } from './options.ts'
import { describeThrown } from './thrown.ts'

export interface ScheduleOptions {
  /**
   * How long from job to job. Counted from the epoch, so that all processes agree: `'1h'` is on the hour, `'1d'` at
   * midnight UTC. At most 100 years.
   */
  readonly every?: Duration | undefined
  /** When to make a job: a line of five fields, or six with seconds in front. `'0 3 * * *'` is three at night. */
  readonly cron?: string | undefined
  /** Name of the time zone that the cron line is in. @default 'UTC' */
  readonly timezone?: string
  /** Whether a tick makes its job although the one before is not finished. @default false */
  readonly overlap?: boolean
}

interface Times {
  /** Says all that decides the times: of two schedules with one spec each tick is the same. */
  readonly spec: string
}

interface Regular extends Times {
  readonly every: number
}

interface Cron extends Times {
  readonly cron: string
  readonly timezone: string
}

/** When a task makes jobs by itself. */
export type Schedule = (Regular | Cron) & { readonly overlap: boolean }

export const SCHEDULE_OPTIONS: readonly string[] = ['every', 'cron', 'timezone', 'overlap']

const LONGEST = 36_500 * 86_400_000
/** The last time a `Date` can have: a cron line that has no time left is due then. */
const NEVER = 8.64e15

/** Reads the four options that make a schedule; none of them, no schedule. */
export function readSchedule(subject: string, options: ScheduleOptions): Schedule | undefined {
  const { cron, timezone } = options
  const every = readDuration(subject, 'every', options.every, { positive: true })
  const overlap = readBoolean(subject, 'overlap', options.overlap)
  if (every !== undefined && cron !== undefined) {
    throw new InvalidOptionError(subject, 'cron', cron, 'It has every as well; give one of them.')
  }
  if (every === undefined && cron === undefined && overlap !== undefined) {
    throw new InvalidOptionError(subject, 'overlap', overlap, 'It goes with every or cron; give one of them.')
  }
  if (cron !== undefined) return { ...readCron(subject, cron, timezone ?? 'UTC'), overlap: overlap ?? false }
  if (timezone !== undefined) {
    throw new InvalidOptionError(
      subject,
      'timezone',
      timezone,
      'It goes with cron; leave it out, or write a cron line.',
    )
  }
  if (every === undefined) return undefined
  if (every > LONGEST) throw new InvalidOptionError(subject, 'every', options.every, `Use at most '36500d'.`)
  return { spec: `every ${every}`, every, overlap: overlap ?? false }
}

/** The first tick after `now`. */
export function nextTick(schedule: Schedule, now: number): number {
  if ('every' in schedule) return (Math.floor(now / schedule.every) + 1) * schedule.every
  return nextOf(schedule.cron, schedule.timezone, now) ?? NEVER
}

function readCron(subject: string, line: unknown, zone: unknown): Cron {
  const timezone = readZone(subject, zone)
  const refuse = (problem: string): never => {
    const advice = `${problem}; write five fields like '0 3 * * *', or six with seconds in front.`
    throw new InvalidOptionError(subject, 'cron', line, advice)
  }
  if (typeof line !== 'string') return refuse('It is no text')
  const fields = line.trim().split(/\s+/)
  if (fields.length !== 5 && fields.length !== 6) return refuse(`It has ${fields.length} of five or six fields`)
  const cron = fields.join(' ')
  let first: number | undefined
  try {
    first = nextOf(cron, timezone, 0)
  } catch (error) {
    return refuse(describeThrown(error).replace(/^.*CronPattern: /, ''))
  }
  if (first === undefined) return refuse('It has no time')
  return { spec: `cron ${cron} ${timezone}`, cron, timezone }
}

function readZone(subject: string, zone: unknown): string {
  const advice = `Use the name of a time zone, like 'Europe/Berlin'.`
  // An offset is no zone: it knows no summer.
  if (typeof zone !== 'string' || !/^[A-Za-z]/.test(zone)) {
    throw new InvalidOptionError(subject, 'timezone', zone, advice)
  }
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone })
  } catch {
    throw new InvalidOptionError(subject, 'timezone', zone, advice)
  }
  return zone
}

interface Croner {
  readonly Cron: new (line: string, options: { readonly timezone: string }) => { nextRun(after: Date): Date | null }
}

let croner: Croner | undefined

function nextOf(line: string, timezone: string, now: number): number | undefined {
  croner ??= loadCroner()
  return new croner.Cron(line, { timezone }).nextRun(new Date(now))?.getTime()
}

/** At first use and at once: a wrong line is refused where it is written, and who has no cron pays nothing. */
function loadCroner(): Croner {
  const require = process.getBuiltinModule('node:module').createRequire(import.meta.url)
  return require('croner') as Croner
}
