import { assign, setup, type AnyEventObject, type StateMachine } from 'xstate'

export interface SupervisorInput {
  readonly path: string
  readonly strategy: string
}

export interface SupervisorContext extends SupervisorInput {
  /** Rounds of restarts begun in this incarnation. */
  readonly rounds: number
  /** Boxed, because what failed may be any value; null while nothing did. */
  readonly failure: { readonly of: unknown } | null
}

export type SupervisorEvent =
  | { readonly type: 'children.ready' }
  | { readonly type: 'round.began' }
  | { readonly type: 'rounds.over' }
  | { readonly type: 'gave up'; readonly failure: unknown }
  | { readonly type: 'shutdown' }
  | { readonly type: 'children.down' }

export type SupervisorOutput = { readonly status: 'stopped' } | { readonly status: 'failed'; readonly failure: unknown }

export type SupervisorState = 'starting' | 'running' | 'restarting' | 'stopping' | 'stopped' | 'failed'

export type SupervisorMachine = StateMachine<
  SupervisorContext,
  SupervisorEvent,
  Record<string, undefined>,
  never,
  { type: 'keepFailure'; params: undefined } | { type: 'countRound'; params: undefined },
  { type: 'hasFailed'; params: undefined },
  never,
  SupervisorState,
  string,
  SupervisorInput,
  SupervisorOutput,
  AnyEventObject,
  object,
  object
>

const machine = setup({
  types: {
    context: {} as SupervisorContext,
    events: {} as SupervisorEvent,
    input: {} as SupervisorInput,
    output: {} as SupervisorOutput,
  },
  guards: {
    hasFailed: ({ context }) => context.failure !== null,
  },
  actions: {
    keepFailure: assign(({ context, event }) =>
      event.type === 'gave up' ? { failure: { of: event.failure } } : context,
    ),
    countRound: assign({ rounds: ({ context }) => context.rounds + 1 }),
  },
}).createMachine({
  id: 'supervisor',
  description: 'Owns children, decides about their failures, or hands them up by failing itself.',
  context: ({ input }) => ({ ...input, rounds: 0, failure: null }),
  initial: 'starting',
  states: {
    starting: {
      description: 'Children start in order, each after the one before it is ready.',
      on: {
        'children.ready': { target: 'running', description: 'The last one is ready.' },
        'gave up': {
          target: 'stopping',
          actions: 'keepFailure',
          description: 'A child did not start; what had started is stopped again.',
        },
        shutdown: { target: 'stopping', description: 'Asked to stop before all were ready.' },
      },
    },
    running: {
      description: 'All children are up, or down on purpose.',
      on: {
        'round.began': { target: 'restarting', actions: 'countRound', description: 'A restart was decided.' },
        'gave up': {
          target: 'stopping',
          actions: 'keepFailure',
          description: 'A failure was escalated, or the restart limit is spent.',
        },
        shutdown: { target: 'stopping', description: 'Asked to stop, or stopped by its own auto-shutdown.' },
      },
    },
    restarting: {
      description: 'From the decision until all of the round is ready. Children outside the round work on.',
      on: {
        'round.began': { actions: 'countRound', description: 'Another round, beside or instead of the one before.' },
        'rounds.over': { target: 'running', description: 'Every child of every round is ready.' },
        'gave up': {
          target: 'stopping',
          actions: 'keepFailure',
          description: 'A failure was escalated, or the restart limit is spent.',
        },
        shutdown: { target: 'stopping', description: 'Asked to stop; the round ends, nothing starts later.' },
      },
    },
    stopping: {
      description: 'Children stop in reverse order, each completely before the next. Nothing is restarted.',
      on: {
        'children.down': [
          { guard: 'hasFailed', target: 'failed', description: 'All are down, and a failure led here.' },
          { target: 'stopped', description: 'All are down, as asked.' },
        ],
      },
    },
    stopped: {
      type: 'final',
      description: 'Ended without a failure.',
      output: (): SupervisorOutput => ({ status: 'stopped' }),
    },
    failed: {
      type: 'final',
      description: 'The parent is shown the failure and decides about this supervisor.',
      output: ({ context }): SupervisorOutput => ({ status: 'failed', failure: context.failure?.of }),
    },
  },
  output: ({ event }) => event.output as SupervisorOutput,
})

/** The chart of every supervisor. It mirrors what the pure core in `src/actors/supervision.ts` decides. */
export const supervisorMachine: SupervisorMachine = machine as unknown as SupervisorMachine
