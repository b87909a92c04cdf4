import type { Duration } from './duration.ts'
import { InvalidOptionError } from './errors.ts'
import { readBoolean, readDuration, readFunction, readOneOf } from './options.ts'

/** When a child that ended or failed is started again: always, only after a failure, never. */
export type RestartType = 'permanent' | 'transient' | 'temporary'

/** Options every child takes, whatever it is. */
export interface ChildOptions<Snapshot = unknown> {
  /** @default 'permanent' */
  readonly restart?: RestartType
  /** Counts for the supervisor's `autoShutdown`. @default false */
  readonly significant?: boolean
  /** Says when the child counts as started; until then the next one is not created. @default started without an error */
  readonly ready?: (snapshot: Snapshot) => boolean
  /** How long `ready` may take. @default '30s' with `ready`, Infinity for supervisors */
  readonly startTimeout?: Duration
  /** How long it may take to stop when asked; 'kill' asks nobody. @default '5s', Infinity for supervisors */
  readonly shutdown?: Duration | 'kill'
}

/** Child options as they were read: defaults in, durations in ms. */
export interface ChildPolicy {
  readonly restart: RestartType
  readonly significant: boolean
  readonly ready: ((snapshot: unknown) => boolean) | undefined
  readonly startTimeout: number
  readonly shutdown: number | 'kill'
}

export const CHILD_OPTIONS: readonly string[] = ['restart', 'significant', 'ready', 'startTimeout', 'shutdown']

/** Reads the child options of a definition. Throws an `InvalidOptionError` that names the wrong one. */
export function readChildPolicy(
  subject: string,
  options: ChildOptions<never>,
  defaults: { readonly startTimeout: number; readonly shutdown: number },
): ChildPolicy {
  const restart = readOneOf(subject, 'restart', options.restart, ['permanent', 'transient', 'temporary']) ?? 'permanent'
  const significant = readBoolean(subject, 'significant', options.significant) ?? false
  if (significant && restart === 'permanent') {
    throw new InvalidOptionError(
      subject,
      'significant',
      true,
      `A permanent child never ends for good; use restart: 'transient' or 'temporary'.`,
    )
  }
  const startTimeout = readDuration(subject, 'startTimeout', options.startTimeout, { infinite: true })
  const shutdown =
    options.shutdown === 'kill' ? 'kill' : readDuration(subject, 'shutdown', options.shutdown, { infinite: true })
  return Object.freeze({
    restart,
    significant,
    ready: readFunction(subject, 'ready', options.ready) as ChildPolicy['ready'],
    startTimeout: startTimeout ?? defaults.startTimeout,
    shutdown: shutdown ?? defaults.shutdown,
  })
}
