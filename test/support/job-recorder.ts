import type { InspectionEvent } from 'xstate'
import type { AnyEvent, EventName, EventOf, StartOptions, System } from 'rootcatch'

/** What was seen of the jobs of a system: their states, by inspection, and the events. */
export interface JobRecorder {
  /** To be given to `start`. */
  readonly inspect: NonNullable<StartOptions['inspect']>
  /** Hears everything from now on. */
  listen(system: System): void
  /** The states of one job in order, each as often as it was entered or seen again. */
  states(path: string): readonly string[]
  /** The names of the events of one path, in order. */
  events(path: string): readonly EventName[]
  /** All events of one name. */
  all<Name extends EventName>(name: Name): readonly EventOf<Name>[]
  clear(): void
}

export function jobRecorder(): JobRecorder {
  const states: { readonly path: string; readonly state: string }[] = []
  const events: AnyEvent[] = []
  return {
    inspect: (event: InspectionEvent) => {
      if (event.type !== '@xstate.snapshot') return
      const { value, context } = event.snapshot as { value?: unknown; context?: { path?: string } }
      const path = context?.path
      if (path?.includes('/job:') === true) states.push({ path, state: String(value) })
    },
    listen: (system) => void system.on('*', (event) => events.push(event)),
    states: (path) => states.filter((seen) => seen.path === path).map(({ state }) => state),
    events: (path) => events.filter((event) => pathOf(event) === path).map(({ type }) => type),
    all: (name) => events.filter((event) => event.type === name) as never,
    clear: () => {
      states.length = events.length = 0
    },
  }
}

const pathOf = (event: AnyEvent): string => (event.type === 'failure.decided' ? event.failure.path : event.path)
