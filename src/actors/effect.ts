/** What a state rests on: begins when it is entered, tells the chart what came of it, and is ended when it is left. */
export type Effect<Context, Event> = (context: Context, send: (event: Event) => void) => (() => void) | undefined
