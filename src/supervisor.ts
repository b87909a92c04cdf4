import { CHILD_OPTIONS, readChildPolicy, type ChildOptions, type ChildPolicy } from './child.ts'
import type { Decision } from './decision.ts'
import type { AnyActor } from './actor.ts'
import { definitionBrand, isDefinition } from './definition.ts'
import type { Duration } from './duration.ts'
import { DuplicateNameError, InvalidOptionError } from './errors.ts'
import type { Failure } from './failure.ts'
import type { Hosted } from './hosted.ts'
import { checkKeys, readDuration, readFunction, readName, readOneOf, readWholeNumber } from './options.ts'
import { readPlugins, type Plugin } from './plugin.ts'
import { readBackoff, type Backoff } from './retry.ts'
import type { AnyTask } from './task.ts'

/** Data that `start` or a supervisor makes live; starting it again gives a new incarnation of the same. */
export type Definition = AnyTask | AnySupervisor | AnyActor | Hosted

/** Whom a restart takes along: the failed child alone, all, or it and those started after it. */
export type Strategy = 'one-for-one' | 'one-for-all' | 'rest-for-one'

/** When the end of significant children stops their supervisor. */
export type AutoShutdown = 'never' | 'any' | 'all'

export interface SupervisorOptions extends Omit<ChildOptions, 'ready'> {
  /** @default 'one-for-one' */
  readonly strategy?: Strategy
  /** How many restarts are survived within a sliding window. @default { limit: 3, within: '5s' } */
  readonly restarts?: { readonly limit?: number; readonly within?: Duration }
  /** The wait before a restart. @default none */
  readonly backoff?: Backoff
  /** Decides about a failure, at once. Without it the restart type decides for actors, and jobs' failures climb on. */
  readonly catch?: (failure: Failure) => Decision
  /** @default 'never' */
  readonly autoShutdown?: AutoShutdown
  /** Asked for every job below. */
  readonly plugins?: readonly Plugin[]
  readonly description?: string
}

/** A node that owns children and decides about their failures. */
export interface Supervisor<Name extends string = string> {
  readonly [definitionBrand]: 'supervisor'
  readonly kind: 'supervisor'
  readonly name: Name
  readonly children: readonly Definition[]
  readonly strategy: Strategy
  readonly restarts: { readonly limit: number; readonly within: number }
  readonly backoff: Backoff | undefined
  readonly catch: ((failure: Failure) => Decision) | undefined
  readonly autoShutdown: AutoShutdown
  readonly plugins: readonly Plugin[]
  readonly description: string | undefined
  readonly child: ChildPolicy
}

export type AnySupervisor = Supervisor

const OPTIONS = [
  'strategy',
  'restarts',
  'backoff',
  'catch',
  'autoShutdown',
  'plugins',
  'description',
  ...CHILD_OPTIONS.filter((key) => key !== 'ready'),
]

/**
 * Defines a supervisor: its children, in start order, and what their failures mean.
 *
 * @example
 * const media = supervisor('media', { catch: () => resume }, [resize, books])
 */
export function supervisor<const Name extends string>(name: Name, children: readonly Definition[]): Supervisor<Name>
export function supervisor<const Name extends string>(
  name: Name,
  options: SupervisorOptions,
  children: readonly Definition[],
): Supervisor<Name>
export function supervisor<const Name extends string>(
  name: Name,
  ...rest: [children: readonly Definition[]] | [options: SupervisorOptions, children: readonly Definition[]]
): Supervisor<Name> {
  const [options, children] = rest.length === 1 ? [{}, rest[0]] : rest
  readName('supervisor', name)
  const subject = `supervisor "${name}"`
  checkKeys(subject, options, OPTIONS)
  const autoShutdown = readOneOf(subject, 'autoShutdown', options.autoShutdown, ['never', 'any', 'all']) ?? 'never'
  return Object.freeze({
    [definitionBrand]: 'supervisor' as const,
    kind: 'supervisor' as const,
    name,
    children: readChildren(subject, children, autoShutdown),
    strategy:
      readOneOf(subject, 'strategy', options.strategy, ['one-for-one', 'one-for-all', 'rest-for-one']) ?? 'one-for-one',
    restarts: readRestarts(subject, options.restarts),
    backoff: readBackoff(subject, 'backoff', options.backoff),
    catch: readFunction(subject, 'catch', options.catch),
    autoShutdown,
    plugins: readPlugins(subject, options.plugins),
    description: options.description,
    child: readChildPolicy(subject, options, { startTimeout: Infinity, shutdown: Infinity }),
  })
}

/** Refuses a child that cannot stand under a supervisor with this `autoShutdown`. */
export function checkSignificant(subject: string, child: Definition, autoShutdown: AutoShutdown): void {
  if (!child.child.significant || autoShutdown !== 'never') return
  throw new InvalidOptionError(
    `${child.kind} "${child.name}"`,
    'significant',
    true,
    `Its ${subject} never looks at it; give that autoShutdown: 'any' or 'all'.`,
  )
}

/** Reads how many restarts are survived. */
export function readRestarts(subject: string, value: SupervisorOptions['restarts']): Supervisor['restarts'] {
  if (value === undefined) return Object.freeze({ limit: 3, within: 5_000 })
  checkKeys(`restarts of ${subject}`, value, ['limit', 'within'])
  return Object.freeze({
    limit: readWholeNumber(subject, 'restarts.limit', value.limit, { min: 0 }) ?? 3,
    within: readDuration(subject, 'restarts.within', value.within, { positive: true }) ?? 5_000,
  })
}

function readChildren(subject: string, value: unknown, autoShutdown: AutoShutdown): readonly Definition[] {
  if (!Array.isArray(value)) throw new InvalidOptionError(subject, 'children', value, 'Pass a list of definitions.')
  const positions = new Map<string, number>()
  value.forEach((child: unknown, index) => {
    if (!isDefinition(child)) {
      throw new InvalidOptionError(
        subject,
        `children[${index}]`,
        child,
        'Pass what task(), actor() or supervisor() gave.',
      )
    }
    const { name } = child as Definition
    const earlier = positions.get(name)
    if (earlier !== undefined) throw DuplicateNameError.ofSiblings(subject, name, earlier + 1, index + 1)
    positions.set(name, index)
    checkSignificant(subject, child as Definition, autoShutdown)
  })
  return Object.freeze([...value]) as readonly Definition[]
}
