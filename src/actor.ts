import type { AnyActorLogic, InputFrom, SnapshotFrom } from 'xstate'
import { CHILD_OPTIONS, readChildPolicy, type ChildOptions, type ChildPolicy } from './child.ts'
import { definitionBrand } from './definition.ts'
import { InvalidOptionError } from './errors.ts'
import { checkKeys, readName } from './options.ts'

/** A long-lived child made of any XState logic. */
export interface Actor<Logic extends AnyActorLogic = AnyActorLogic, Name extends string = string> {
  readonly [definitionBrand]: 'actor'
  readonly kind: 'actor'
  readonly name: Name
  readonly logic: Logic
  readonly input: unknown
  readonly child: ChildPolicy
}

export type AnyActor = Actor

/** Options of an actor: those of every child, and the input of its logic if that takes one. */
export type ActorOptions<Logic extends AnyActorLogic> = ChildOptions<SnapshotFrom<Logic>> &
  (undefined extends InputFrom<Logic> ? { readonly input?: InputFrom<Logic> } : { readonly input: InputFrom<Logic> })

const DEFAULT_SHUTDOWN = 5_000
const DEFAULT_START_TIMEOUT = 30_000

/**
 * Defines a child from XState logic: a machine, a promise, a callback, an observable, a transition function.
 * Nothing runs before `start`; each start gives it the same input.
 *
 * @example
 * const inventory = actor('inventory', inventoryMachine, { restart: 'transient', shutdown: '5s' })
 */
export function actor<const Name extends string, Logic extends AnyActorLogic>(
  name: Name,
  logic: Logic,
  ...[options]: undefined extends InputFrom<Logic> ? [options?: ActorOptions<Logic>] : [options: ActorOptions<Logic>]
): Actor<Logic, Name> {
  readName('actor', name)
  const subject = `actor "${name}"`
  const given: ChildOptions<never> & { readonly input?: unknown } = options ?? {}
  checkKeys(subject, given, ['input', ...CHILD_OPTIONS])
  if (!isActorLogic(logic)) {
    throw new InvalidOptionError(subject, 'logic', logic, 'Pass an XState machine, or fromPromise(…), fromCallback(…).')
  }
  return Object.freeze({
    [definitionBrand]: 'actor' as const,
    kind: 'actor' as const,
    name,
    logic,
    input: given.input,
    child: readChildPolicy(subject, given, { startTimeout: DEFAULT_START_TIMEOUT, shutdown: DEFAULT_SHUTDOWN }),
  })
}

function isActorLogic(value: unknown): value is AnyActorLogic {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as AnyActorLogic).transition === 'function' &&
    typeof (value as AnyActorLogic).getInitialSnapshot === 'function'
  )
}
