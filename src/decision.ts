const brand: unique symbol = Symbol.for('rootcatch.decision')

/** What a supervisor answers to a failure. */
export type DecisionName = 'resume' | 'restart' | 'stop' | 'escalate'

interface Decided<Name extends DecisionName> {
  readonly decision: Name
  readonly [brand]: true
}

/** Go on: an actor as if the event had never come, a job failed. With a value, that value stands in for the result. */
export interface Resume extends Decided<'resume'> {
  readonly hasValue: boolean
  readonly value: unknown
}

/** Begin a new incarnation from the definition. */
export type Restart = Decided<'restart'>

/** Leave it down; siblings go on. */
export type Stop = Decided<'stop'>

/** Let the next level decide; for an actor's failure, fail too. */
export type Escalate = Decided<'escalate'>

/** What `catch` of a supervisor returns. */
export type Decision = Resume | Restart | Stop | Escalate

/** What the root catch returns: there is no level above it to escalate to. */
export type RootDecision = Exclude<Decision, Escalate>

/** Goes on without the failed step. `resume(value)` also hands in a result: the job falls back to it, the actor ends with it. */
export const resume: Resume & ((value: unknown) => Resume) = Object.freeze(
  Object.assign(
    // With nothing given at all it is `resume` itself, so that a stray `()` does not make undefined a result.
    (...given: readonly [value?: unknown]) => (given.length === 0 ? resume : resumeWith(given[0])),
    { ...decided('resume'), hasValue: false, value: undefined },
  ),
)

/** Begins a new incarnation; charged to the limit, after the backoff. */
export const restart: Restart = Object.freeze(decided('restart'))

/** Leaves the child down; at the root it stops the system. */
export const stop: Stop = Object.freeze(decided('stop'))

/** Hands the failure to the next level. */
export const escalate: Escalate = Object.freeze(decided('escalate'))

const constants: Readonly<Record<Exclude<DecisionName, 'resume'>, Decision>> = { restart, stop, escalate }

/**
 * The decision that a `catch` returned, or undefined when it is none. Never throws, and answers with this copy's own
 * constants, so that a decision of a second copy of the package is the same decision.
 */
export function readDecision(value: unknown): Decision | undefined {
  try {
    return isDecided(value) ? readOwn(value) : undefined
  } catch {
    return undefined
  }
}

function decided<Name extends DecisionName>(decision: Name): Decided<Name> {
  return { decision, [brand]: true }
}

function resumeWith(value: unknown): Resume {
  return Object.freeze({ ...decided('resume'), hasValue: true, value })
}

function isDecided(value: unknown): value is Partial<Resume> | Decision {
  const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function'
  return isObject && (value as Partial<Decision>)[brand] === true
}

function readOwn(value: Partial<Resume> | Decision): Decision | undefined {
  const name = value.decision
  if (name === 'resume') return value.hasValue === true ? resumeWith(value.value) : resume
  return name !== undefined && Object.hasOwn(constants, name) ? constants[name] : undefined
}
