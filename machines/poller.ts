import { assign, fromCallback, setup, type AnyEventObject, type CallbackActorLogic, type StateMachine } from 'xstate'

export interface PollerInput {
  readonly path: string
  /** Whether this is the first connection of a start: `onStart` and `drop_pending_updates` are for that one only. */
  readonly isFirst: boolean
}

export interface PollerContext extends PollerInput {
  /** Polls that were answered. */
  readonly polls: number
  /** Updates that came by them, those that came again included. */
  readonly updates: number
  /** The lowest id that Telegram has not been told to forget; null until there is one. */
  readonly offset: number | null
  /** Calls in a row that came to nothing. */
  readonly failures: number
  /** The wait before the next call, in ms. */
  readonly delay: number
  /** Boxed, because what failed may be any value; null while nothing did. */
  readonly failure: { readonly of: unknown } | null
  /** The time in ms for running updates to end; null: what the options say. */
  readonly drain: number | null
}

export type PollerEvent =
  | { readonly type: 'connected' }
  | { readonly type: 'polled'; readonly offset: number; readonly updates: number }
  /** `delay` is what to wait for in ms; `isFailure` is false where Telegram itself said when to come again. */
  | { readonly type: 'call.failed'; readonly delay: number; readonly isFailure: boolean }
  | { readonly type: 'stalled out' }
  | { readonly type: 'wait.over' }
  | { readonly type: 'gave up'; readonly failure: unknown }
  | { readonly type: 'shutdown'; readonly drain?: number | undefined }
  | { readonly type: 'drained' }

export type PollerOutput = { readonly status: 'stopped' } | { readonly status: 'failed'; readonly failure: unknown }

export type PollerState = 'connecting' | 'polling' | 'backingOff' | 'draining' | 'stopped' | 'failed'

/** What a state of the poller rests on is told the context it was entered with. */
export type PollerEffect = CallbackActorLogic<AnyEventObject, PollerContext>

type Source = 'connect' | 'poll' | 'wait' | 'drain'
type Action = 'keepFailure' | 'keepDrain' | 'keepDelay' | 'countPoll' | 'beginPolling' | 'forgetFailures'

export type PollerMachine = StateMachine<
  PollerContext,
  PollerEvent,
  Record<string, undefined>,
  { [S in Source]: { src: S; logic: PollerEffect; id: S } }[Source],
  { [A in Action]: { type: A; params: undefined } }[Action],
  { type: 'hasFailed'; params: undefined },
  never,
  PollerState,
  string,
  PollerInput,
  PollerOutput,
  AnyEventObject,
  object,
  object
>

const unprovided = (name: Source): PollerEffect =>
  fromCallback(() => {
    throw new Error(`The poller chart has no "${name}". Give it one with machine.provide({ actors: { ${name} } }).`)
  })

const machine = setup({
  types: {
    context: {} as PollerContext,
    events: {} as PollerEvent,
    input: {} as PollerInput,
    output: {} as PollerOutput,
  },
  actors: {
    connect: unprovided('connect'),
    poll: unprovided('poll'),
    wait: unprovided('wait'),
    drain: unprovided('drain'),
  },
  guards: {
    hasFailed: ({ context }) => context.failure !== null,
  },
  actions: {
    keepFailure: assign(({ context, event }) =>
      event.type === 'gave up' ? { failure: { of: event.failure } } : context,
    ),
    keepDrain: assign(({ context, event }) =>
      event.type === 'shutdown' && typeof event.drain === 'number' ? { drain: event.drain } : context,
    ),
    keepDelay: assign(({ context, event }) =>
      event.type === 'call.failed'
        ? { delay: event.delay, failures: context.failures + (event.isFailure ? 1 : 0) }
        : context,
    ),
    countPoll: assign(({ context, event }) =>
      event.type === 'polled'
        ? { polls: context.polls + 1, updates: context.updates + event.updates, offset: event.offset, failures: 0 }
        : context,
    ),
    beginPolling: assign({ isFirst: false, failures: 0 }),
    forgetFailures: assign({ failures: 0 }),
  },
}).createMachine({
  id: 'poller',
  description: 'Asks Telegram for updates, and confirms those that are finished or kept.',
  context: ({ input }) => ({
    ...input,
    polls: 0,
    updates: 0,
    offset: null,
    failures: 0,
    delay: 0,
    failure: null,
    drain: null,
  }),
  initial: 'connecting',
  states: {
    connecting: {
      description: 'Asks who the bot is and takes its webhook away; then `onStart`. Waits between failures by itself.',
      invoke: { src: 'connect', id: 'connect', input: ({ context }) => context },
      on: {
        connected: { target: 'polling', actions: 'beginPolling', description: 'All is set up; the bot has started.' },
        'call.failed': { actions: 'keepDelay', description: 'A call came to nothing; the same again after a wait.' },
        'gave up': {
          target: 'failed',
          actions: 'keepFailure',
          description: 'The token is wrong, or `onStart` threw: no wait would help.',
        },
        shutdown: { target: 'draining', actions: 'keepDrain', description: 'Asked to stop before it had begun.' },
      },
    },
    polling: {
      description: 'One call of getUpdates at a time; what it brings goes to the inbox.',
      invoke: { src: 'poll', id: 'poll', input: ({ context }) => context },
      on: {
        polled: { actions: 'countPoll', description: 'The updates are with the inbox; the next call follows.' },
        'call.failed': {
          target: 'backingOff',
          actions: 'keepDelay',
          description: 'A call came to nothing, or Telegram said when to come again.',
        },
        'stalled out': {
          target: 'connecting',
          actions: 'forgetFailures',
          description: 'The third call in a row that never ended: all is set up anew.',
        },
        'gave up': {
          target: 'draining',
          actions: 'keepFailure',
          description: 'Somebody else polls, the token is wrong, or the call is refused for the third time.',
        },
        shutdown: { target: 'draining', actions: 'keepDrain', description: 'Asked to stop; the call is aborted.' },
      },
    },
    backingOff: {
      description: 'Waits before the next call. Updates that run, run on.',
      invoke: { src: 'wait', id: 'wait', input: ({ context }) => context },
      on: {
        'wait.over': { target: 'polling', description: 'The next call.' },
        shutdown: { target: 'draining', actions: 'keepDrain', description: 'Asked to stop; the wait ends at once.' },
      },
    },
    draining: {
      description: 'Nothing new starts. Running updates have their time, then what is finished is confirmed.',
      invoke: { src: 'drain', id: 'drain', input: ({ context }) => context },
      on: {
        drained: [
          { guard: 'hasFailed', target: 'failed', description: 'No update runs, and a failure led here.' },
          { target: 'stopped', description: 'No update runs, as asked.' },
        ],
      },
    },
    stopped: {
      type: 'final',
      description: 'Ended without a failure.',
      output: (): PollerOutput => ({ status: 'stopped' }),
    },
    failed: {
      type: 'final',
      description: 'The bot is shown the failure, and whoever is above it decides.',
      output: ({ context }): PollerOutput => ({ status: 'failed', failure: context.failure?.of }),
    },
  },
  output: ({ event }) => event.output as PollerOutput,
})

/** The chart of the poller of a bot. */
export const pollerMachine: PollerMachine = machine as unknown as PollerMachine
