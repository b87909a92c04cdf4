/** One stay in a state, for what it rests on. */
export interface Stay<Event> {
  /** Tells the chart what came of it; once the state is left, that reaches nobody. */
  send(event: Event): void
}

/** What has to be ended when the state is left. */
export interface Ending {
  /** It came to its end by itself, so that nothing has to be ended. */
  readonly isOver?: boolean
  end(): void
}

/** What a state rests on: begins when it is entered, tells the chart what came of it, and is ended when it is left. */
export type Effect<Context, Event> = (context: Context, stay: Stay<Event>) => Ending | undefined
