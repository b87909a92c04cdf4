import { actor, type Actor, type ActorOptions, type ChildInfo, type Failure, type System } from 'rootcatch'
import { assign, fromCallback, setup, type AnyActorLogic } from 'xstate'

export type LifeEvent =
  | { readonly type: 'fail'; readonly error: unknown }
  | { readonly type: 'count' }
  | { readonly type: 'open' }
  | { readonly type: 'end'; readonly output?: unknown }

type LifeOptions = Omit<ActorOptions<AnyActorLogic>, 'input'> & {
  /** Called with the number of the start, from 1, before anything else; its throw is a start that fails. */
  readonly onStart?: (start: number) => void
  /** Called while it is disposed of. */
  readonly onStop?: () => void
}

/** Writes down what happens to the actors it makes: `+a` for a start, `-a` for an end, in the order they come. */
export interface Lives {
  readonly lines: string[]
  /** What was written since the last time. */
  take(): string[]
  /**
   * An actor that does as its events say: `fail` throws, `end` ends it, `count` changes its context, `open` makes it
   * ready if `ready` waits for `isOpen`.
   */
  life(name: string, options?: LifeOptions): Actor
}

export function lives(): Lives {
  const lines: string[] = []
  return {
    lines,
    take: () => lines.splice(0),
    life: (name, { onStart, onStop, ...options } = {}) => {
      let starts = 0
      const life = fromCallback(() => {
        lines.push(`+${name}`)
        return () => {
          lines.push(`-${name}`)
          onStop?.()
        }
      })
      const machine = setup({
        types: { context: {} as { count: number; isOpen: boolean }, events: {} as LifeEvent },
        actors: { life },
      }).createMachine({
        context: () => {
          starts += 1
          onStart?.(starts)
          return { count: 0, isOpen: false }
        },
        invoke: { src: 'life' },
        initial: 'up',
        states: { up: {}, over: { type: 'final', output: ({ event }) => (event as { output?: unknown }).output } },
        output: ({ event }) => (event as { output?: unknown }).output,
        on: {
          fail: { actions: ({ event }) => raise(event.error) },
          count: { actions: assign({ count: ({ context }) => context.count + 1 }) },
          open: { actions: assign({ isOpen: true }) },
          end: { target: '.over' },
        },
      })
      return actor(name, machine as AnyActorLogic, options)
    },
  }
}

/** For `ready`: up from the event `open` on. */
export const isOpen = (snapshot: unknown): boolean => (snapshot as { context: { isOpen: boolean } }).context.isOpen

/** Throws where only an expression may stand. */
export function raise(error: unknown): never {
  throw error
}

/** Failures as they become known: one line each, such as `app/a restart by catch`. */
export function decisionsOf(system: System): string[] {
  const lines: string[] = []
  system.on('failure.decided', ({ failure, decision }) => {
    lines.push(`${failure.path} ${decision} by ${failure.trail.at(-1)?.by}`)
  })
  return lines
}

/** The failures of a system as they become known. */
export function failuresOf(system: System): Failure[] {
  const failures: Failure[] = []
  system.on('failure.decided', ({ failure }) => failures.push(failure))
  return failures
}

/** A child by its path, as its supervisor lists it. */
export function childAt(system: System, path: string): ChildInfo {
  const at = path.lastIndexOf('/')
  const children = system.supervisor(path.slice(0, at)).children()
  return children.find(({ name }) => name === path.slice(at + 1)) ?? raise(new Error(`no child at ${path}`))
}

/** Sends an event to the child at a path. */
export function tell(system: System, path: string, event: LifeEvent): void {
  childAt(system, path).ref.send(event)
}

/** Makes the child at a path fail with an error. */
export function fail(system: System, path: string, error: unknown = new Error(path)): void {
  tell(system, path, { type: 'fail', error })
}

/** `a running 1, b stopped 2`: name, status and generation of all children, in order. */
export function listOf(system: System, path: string): string {
  const children = system.supervisor(path).children()
  return children.map(({ name, status, generation }) => `${name} ${status} ${generation}`).join(', ')
}
