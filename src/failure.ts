import { brandClass, isInstance } from './brand.ts'
import { chainOf, printChain, reviveThrown, thrownJson, type ThrownJson } from './causes.ts'
import type { DecisionName } from './decision.ts'
import { formatDuration } from './duration.ts'
import { oneLine } from './evidence.ts'
import { redact, redactData } from './secrets.ts'
import { limitStacks } from './stack.ts'
import { describeThrown } from './thrown.ts'

/** What went wrong: which part threw, or what was not over, did not fit or did not come back. */
export type FailureKind = (typeof FAILURE_KINDS)[number]

export const FAILURE_KINDS = [
  'thrown',
  'timeout',
  'plugin',
  'fallback',
  'input',
  'result',
  'lost',
  'floating',
  'start',
  'stop',
  'restarts',
  'handler',
] as const

/** What made a decision: the user's `catch`, or the rule that stood in for it or against it. */
export type DecidedBy = 'catch' | 'restart type' | 'default' | 'limit' | 'round' | 'stopping' | 'caller'

/** What one level decided. */
export interface TrailEntry {
  /** The supervisor's; '' for the root catch. */
  readonly path: string
  readonly decision: DecisionName
  readonly by: DecidedBy
  /** What `catch` wanted, when something else was done. */
  readonly asked?: DecisionName
  /** Why: what `catch` threw, or the error that stood against it. */
  readonly because?: unknown
}

/** The job that failed. */
export interface FailedJob {
  readonly id: string
  readonly task: string
  /** Allowed in total. */
  readonly attempts: number
  /** The lanes it was in, of an update. */
  readonly lane?: readonly string[]
  /** What was to be fetched, of a page. */
  readonly url?: string
}

/** What a failure is made of. */
export interface FailureData {
  readonly error: unknown
  readonly path: string
  readonly kind: FailureKind
  readonly at: number
  readonly attempt?: number | undefined
  /** In ms, from the start of the attempt or job that failed. */
  readonly elapsed?: number | undefined
  readonly job?: FailedJob | undefined
  /** The failure that led to this one. @default error */
  readonly cause?: unknown
  readonly generation?: number | undefined
  /** Errors of plugins that threw while they were asked. */
  readonly plugins?: readonly unknown[] | undefined
  /** What the failed update was handled with. */
  readonly ctx?: unknown
  /** It goes to a plugin, the next attempt or a fallback, and no further. @default false */
  readonly isPassing?: boolean | undefined
}

/** A trail entry as JSON keeps it. */
export interface TrailEntryJson extends Omit<TrailEntry, 'because'> {
  readonly because?: ThrownJson
}

/** A failure as JSON keeps it, whatever was thrown. */
export interface FailureJson {
  readonly name: 'Failure'
  readonly path: string
  readonly kind: FailureKind
  readonly message: string
  readonly attempt?: number
  readonly generation?: number
  readonly job?: FailedJob
  readonly at: number
  readonly elapsed?: number
  readonly error: ThrownJson
  /** Each error once, in the order of `report()`. */
  readonly causes: readonly ThrownJson[]
  readonly trail: readonly TrailEntryJson[]
  readonly plugins?: readonly ThrownJson[]
}

/**
 * What failures are made on: an error of V8, or an object below `Error.prototype`. V8 takes longer for an error than all the
 * rest of a failure does, even for one without frames; one that passes is never the end of a process, or of a promise of ours.
 */
const ErrorOrAlike = function (this: object, isPassing: boolean): object {
  if (isPassing) return this
  // A stack costs ten times the rest, and would only show the machinery.
  const limit = Error.stackTraceLimit
  if (limit !== 0) limitStacks(0)
  const made = new.target as unknown as { readonly prototype: object }
  const error = made.prototype === makeError.prototype ? makeError() : Reflect.construct(Error, [], made as never)
  if (limit !== 0) limitStacks(limit)
  return error as Error
} as unknown as new (isPassing: boolean) => Error
Object.defineProperty(ErrorOrAlike, 'prototype', { value: Error.prototype })

/**
 * An error of V8 below `Failure.prototype`. Made for a class that is not based on `Error`, each would have a hidden class of its
 * own; and V8 looks through the whole stack for the function that it is made for, unless that is the one that asks.
 */
function makeError(): Error {
  return Reflect.construct(Error, [], makeError) as Error
}

let write: (failure: Failure, entry: TrailEntry) => void
let note: (failure: Failure, text: string) => void

/**
 * The record of an error that crossed an actor's border. It has no stack of its own, for it says nothing about where
 * it was made; `report()` shows where the error was thrown.
 */
export class Failure extends ErrorOrAlike {
  /** What was thrown, unchanged; anything may be. */
  readonly error: unknown
  /** Where it began. */
  readonly path: string
  readonly kind: FailureKind
  readonly at: number
  readonly attempt: number | undefined
  readonly elapsed: number | undefined
  readonly job: FailedJob | undefined
  readonly generation: number | undefined
  readonly plugins: readonly unknown[]
  #trail: TrailEntry[] | undefined
  #notes: readonly string[] = noEntries
  #message: string | undefined
  readonly #ctx: unknown
  readonly #cause: unknown

  static {
    makeError.prototype = this.prototype
    brandClass(this, Symbol.for('rootcatch.failure'))
    Object.defineProperty(this.prototype, 'name', { value: 'Failure', writable: true, configurable: true })
    Object.defineProperty(this.prototype, Symbol.for('nodejs.util.inspect.custom'), { value: inspectFailure })
    Object.defineProperty(this.prototype, Symbol.toStringTag, { value: 'Error' })
    Object.defineProperty(this.prototype, 'stack', { get: stackOf, set: setStack, configurable: true })
    write = (failure, entry) => {
      // Frozen when it is read, which is seldom: freezing costs more than all else there is to write down.
      const trail = failure.#trail
      if (trail === undefined) failure.#trail = [entry]
      else if (Object.isFrozen(trail)) failure.#trail = [...trail, entry]
      else trail.push(entry)
    }
    note = (failure, text) => {
      failure.#notes = [...failure.#notes, text]
    }
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return isInstance(this, value)
  }

  constructor(data: FailureData) {
    super(data.isPassing === true)
    this.error = data.error
    this.path = data.path
    this.kind = data.kind
    this.at = data.at
    this.attempt = data.attempt
    this.elapsed = data.elapsed
    this.job = data.job
    this.generation = data.generation
    this.plugins = data.plugins ?? noEntries
    this.#ctx = data.ctx
    this.#cause = data.cause
  }

  /** The failure that led to this one; else the error. As an option of `Error` it would cost as much as all the rest. */
  override get cause(): unknown {
    return this.#cause === undefined ? this.error : this.#cause
  }

  /** The context of the update that failed, as its middleware had it. In no report and no JSON. */
  get ctx(): unknown {
    return this.#ctx
  }

  /** What happened in one line. Made when it is first asked for: most failures are dealt with unread. */
  override get message(): string {
    this.#message ??= oneLine(`${this.path} failed${sayTries(this)}: ${describeThrown(this.error)}`, 1000)
    return this.#message
  }

  /** Every level that saw it and its decision, the nearest first. */
  get trail(): readonly TrailEntry[] {
    const trail = this.#trail
    if (trail === undefined) return noEntries
    if (Object.isFrozen(trail)) return trail
    for (const entry of trail) Object.freeze(entry)
    return Object.freeze(trail)
  }

  /**
   * All there is to know, for eyes at night: path, error and frames, each cause once, who decided what. What looks like a
   * secret is left out.
   */
  report(): string {
    const lines = [
      oneLine(`${this.path} failed (${this.kind})${sayPlace(this)}`),
      ...printChain(chainOf(this.error, this.cause)),
      ...printTrail(this.trail, this.#notes),
    ]
    return redact(lines.join('\n'))
  }

  /** The same as data. Valid JSON whatever was thrown, each error once, without what looks like a secret. */
  toJSON(): FailureJson {
    const [error, ...causes] = chainOf(this.error, this.cause).links.map((link) => thrownJson(link.value))
    return redactData({
      name: 'Failure',
      path: this.path,
      kind: this.kind,
      message: this.message,
      ...optional('attempt', this.attempt),
      ...optional('generation', this.generation),
      ...optional('job', this.job),
      at: this.at,
      ...optional('elapsed', this.elapsed),
      error: error ?? thrownJson(this.error),
      causes,
      trail: this.trail.map(trailEntryJson),
      ...optional('plugins', this.plugins.length === 0 ? undefined : this.plugins.map(thrownJson)),
    }) as FailureJson
  }
}

/** The failure of another process, as it was kept: with its path, its trail, and an error like the one that was thrown. */
export function reviveFailure(json: FailureJson): Failure {
  const { path, kind, at, attempt, elapsed, job, generation, trail = noEntries } = json
  const error = reviveThrown(json.error, json.causes)
  const plugins = json.plugins?.map((thrown) => reviveThrown(thrown))
  const failure = new Failure({ error, path, kind, at, attempt, elapsed, job, generation, plugins })
  for (const { because, ...entry } of trail) {
    addToTrail(failure, { ...entry, ...(because !== undefined && { because: reviveThrown(because) }) })
  }
  return failure
}

/** Writes down what a level decided, as it is given. Only supervisors and the root catch do. */
export function addToTrail(failure: Failure, entry: TrailEntry): void {
  write(failure, entry)
}

/** Adds what only the one who decided last can know, such as where the dead letter lies, to that line of the report. */
export function noteOnFailure(failure: Failure, text: string): void {
  note(failure, text)
}

/** Of one that is no error of V8; as such, it has the same of its own. */
function stackOf(this: Failure): string {
  return `${this.name}: ${this.message}`
}

function setStack(this: Failure, value: unknown): void {
  Object.defineProperty(this, 'stack', { value, writable: true, configurable: true })
}

/** What `console.log` shows. Left to itself, Node would read parts of the thrown value that may throw. */
function inspectFailure(this: Failure): string {
  return this.report()
}

const noEntries: readonly never[] = Object.freeze([])

/** `after 5 attempts in 12.4s`, for the message. */
function sayTries({ job, attempt, elapsed }: Failure): string {
  const count =
    job === undefined || attempt === undefined ? '' : ` after ${attempt} ${attempt === 1 ? 'attempt' : 'attempts'}`
  return count + (elapsed === undefined ? '' : ` in ${formatDuration(elapsed)}`)
}

/** `, attempt 5 of 5, 12.4s`, for the report. */
function sayPlace({ job, attempt, elapsed, generation = 1 }: Failure): string {
  return [
    job === undefined || attempt === undefined ? '' : `, attempt ${attempt} of ${job.attempts}`,
    generation === 1 ? '' : `, generation ${generation}`,
    elapsed === undefined ? '' : `, ${formatDuration(elapsed)}`,
  ].join('')
}

function printTrail(trail: readonly TrailEntry[], notes: readonly string[]): readonly string[] {
  const rows = trail.map((entry) => [
    entry.path === '' ? 'root catch' : oneLine(entry.path),
    entry.decision,
    sayWhy(entry),
  ])
  const remark = notes.map((text) => oneLine(text)).join('; ')
  if (remark !== '') {
    const last = rows.at(-1)
    if (last === undefined) return [`  ${remark}`]
    last[2] += `, ${remark}`
  }
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map(([place = '', decision = '', why = '']) => {
    return `  ${place.padEnd(widths[0] ?? 0)}   ${decision.padEnd(widths[1] ?? 0)}   ${why}`
  })
}

function sayWhy({ by, asked, because }: TrailEntry): string {
  const wanted = asked === undefined ? '' : `, asked ${asked}`
  return because === undefined ? by + wanted : `${by}${wanted}, because ${describeThrown(because)}`
}

function trailEntryJson({ because, ...entry }: TrailEntry): TrailEntryJson {
  return because === undefined ? entry : { ...entry, because: thrownJson(because) }
}

function optional<Key extends string, Value>(key: Key, value: Value | undefined): { readonly [K in Key]?: Value } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [K in Key]: Value })
}
