import { assign, fromCallback, setup, type AnyEventObject, type CallbackActorLogic, type StateMachine } from 'xstate'

/** What a job is started with; counts come from its record, so that any process can go on with it. */
export interface JobInput {
  /** Place in the worker's table, by which the implementations find the rest of the job. */
  readonly slot: number
  readonly id: string
  readonly path: string
  /** Number of the attempt to begin with, from 1. */
  readonly attempt: number
  /** Attempts already charged to the policy. */
  readonly charged: number
  /** Times in a row that a failure put the job off without a charge. */
  readonly putOffs: number
  /** Attempts allowed in total. */
  readonly attempts: number
  readonly hasFallback: boolean
}

export interface JobContext extends JobInput {
  /** The failure of the last attempt, null until there is one. */
  readonly failure: unknown
  /** Least wait in ms that this failure asked for, null if it asked for none. */
  readonly retryAfter: number | null
}

export type JobEvent =
  | { readonly type: 'attempt.value'; readonly value: unknown }
  | {
      readonly type: 'attempt.error'
      readonly failure: unknown
      /** The job asked its plugins. */
      readonly asks: boolean
      /** No further attempt can help. */
      readonly permanent: boolean
      readonly retryAfter: number | null
      /** The policy allows this error another attempt. */
      readonly again: boolean
      /** Not even a fallback is asked. @default false */
      readonly hopeless?: boolean
    }
  | { readonly type: 'plugins.answer'; readonly value: unknown; readonly plugin: string }
  | { readonly type: 'plugins.silence'; readonly failure: unknown; readonly again: boolean }
  | { readonly type: 'wait.over' }
  | { readonly type: 'fallback.value'; readonly value: unknown }
  | { readonly type: 'fallback.error'; readonly failure: unknown }
  | { readonly type: 'cancel'; readonly reason: unknown }

/** The outcome; its status is the final state that was reached. */
export type JobOutput =
  | { readonly status: 'done'; readonly value: unknown; readonly attempts: number; readonly answeredBy?: string }
  | { readonly status: 'fallback'; readonly value: unknown; readonly failure: unknown; readonly attempts: number }
  | { readonly status: 'failed'; readonly failure: unknown; readonly attempts: number }
  | { readonly status: 'cancelled'; readonly reason: unknown; readonly attempts: number }

export type JobState =
  | 'running'
  | 'pluginError'
  | 'retrying'
  | 'fallback'
  | 'done'
  | 'fellBack'
  | 'failed'
  | 'cancelled'

/** What a state of the job rests on is told the context it was entered with. */
export type JobEffect = CallbackActorLogic<AnyEventObject, JobContext>

type Source = 'attempt' | 'plugins' | 'wait' | 'fallback'
type Guard = 'asksPlugins' | 'putsOff' | 'canRetry' | 'hasFallback'
type Action = 'keepFailure' | 'charge' | 'putOff' | 'beginNextAttempt'

export type JobMachine = StateMachine<
  JobContext,
  JobEvent,
  Record<string, undefined>,
  { [S in Source]: { src: S; logic: JobEffect; id: S } }[Source],
  { [A in Action]: { type: A; params: undefined } }[Action],
  { [G in Guard]: { type: G; params: undefined } }[Guard],
  never,
  JobState,
  string,
  JobInput,
  JobOutput,
  AnyEventObject,
  object,
  object
>

/** Of this many put-offs in a row the last one is charged, so that nothing waits for ever. */
const PUT_OFFS_PER_CHARGE = 20

const unprovided = (name: Source): JobEffect =>
  fromCallback(() => {
    throw new Error(`The job chart has no "${name}". Give it one with machine.provide({ actors: { ${name} } }).`)
  })

type OutputOf<Status extends JobOutput['status']> = Extract<JobOutput, { readonly status: Status }>
type Written<Of> = { -readonly [Key in keyof Of]: Of[Key] }

/** Makes what nobody can tell from a literal: V8 would make those in its old space, for whoever holds a run holds one. */
function plain<Made, Args extends readonly unknown[]>(
  make: (this: Written<Made>, ...args: Args) => void,
): new (...args: Args) => Made {
  return Object.assign(make, { prototype: Object.prototype }) as never
}

const Done: new (value: unknown, attempts: number) => OutputOf<'done'> = plain(function (value, attempts) {
  this.status = 'done'
  this.value = value
  this.attempts = attempts
})

const Answered: new (value: unknown, attempts: number, answeredBy: string) => OutputOf<'done'> = plain(
  function (value, attempts, answeredBy) {
    this.status = 'done'
    this.value = value
    this.attempts = attempts
    this.answeredBy = answeredBy
  },
)

const FellBack: new (value: unknown, failure: unknown, attempts: number) => OutputOf<'fallback'> = plain(
  function (value, failure, attempts) {
    this.status = 'fallback'
    this.value = value
    this.failure = failure
    this.attempts = attempts
  },
)

const Failed: new (failure: unknown, attempts: number) => OutputOf<'failed'> = plain(function (failure, attempts) {
  this.status = 'failed'
  this.failure = failure
  this.attempts = attempts
})

const Cancelled: new (reason: unknown, attempts: number) => OutputOf<'cancelled'> = plain(function (reason, attempts) {
  this.status = 'cancelled'
  this.reason = reason
  this.attempts = attempts
})

type Step = (args: { readonly context: JobContext; readonly event: JobEvent }) => JobContext

/** Says that a step gives the whole context: whoever runs it compiled need not put it together with the one before. */
function whole(step: Step): Step {
  return Object.assign(step, { isWhole: true })
}

const machine = setup({
  types: {
    context: {} as JobContext,
    events: {} as JobEvent,
    input: {} as JobInput,
    output: {} as JobOutput,
  },
  actors: {
    attempt: unprovided('attempt'),
    plugins: unprovided('plugins'),
    wait: unprovided('wait'),
    fallback: unprovided('fallback'),
  },
  guards: {
    asksPlugins: ({ event }) => event.type === 'attempt.error' && event.asks,
    putsOff: ({ context, event }) =>
      event.type === 'attempt.error' &&
      !event.permanent &&
      event.retryAfter !== null &&
      context.attempts > 1 &&
      context.putOffs + 1 < PUT_OFFS_PER_CHARGE,
    canRetry: ({ context, event }) => {
      if (event.type === 'plugins.silence') return event.again && context.charged + 1 < context.attempts
      if (event.type !== 'attempt.error' || event.permanent || context.charged + 1 >= context.attempts) return false
      return event.again || (event.retryAfter !== null && context.attempts > 1)
    },
    hasFallback: ({ context, event }) =>
      context.hasFallback && !(event.type === 'attempt.error' && event.hopeless === true),
  },
  actions: {
    keepFailure: assign(
      whole(({ context, event }) => ({
        ...context,
        failure: 'failure' in event ? event.failure : context.failure,
        retryAfter: 'retryAfter' in event ? event.retryAfter : null,
      })),
    ),
    charge: assign(whole(({ context }) => ({ ...context, charged: context.charged + 1, putOffs: 0 }))),
    putOff: assign(whole(({ context }) => ({ ...context, putOffs: context.putOffs + 1 }))),
    beginNextAttempt: assign(whole(({ context }) => ({ ...context, attempt: context.attempt + 1 }))),
  },
}).createMachine({
  id: 'job',
  description: 'One unit of work, from its first attempt to its outcome. The final state is the outcome.',
  context: ({ input: { slot, id, path, attempt, charged, putOffs, attempts, hasFallback } }) => ({
    slot,
    id,
    path,
    attempt,
    charged,
    putOffs,
    attempts,
    hasFallback,
    failure: null,
    retryAfter: null,
  }),
  initial: 'running',
  states: {
    running: {
      description: 'One attempt of the body, under its timeout. Holds a slot and its lane.',
      invoke: { src: 'attempt', id: 'attempt', input: ({ context }) => context },
      on: {
        'attempt.value': { target: 'done', description: 'The body gave a value that fits.' },
        'attempt.error': [
          {
            guard: 'asksPlugins',
            target: 'pluginError',
            actions: 'keepFailure',
            description: 'The body asked its plugins for a result.',
          },
          {
            guard: 'putsOff',
            target: 'retrying',
            actions: ['keepFailure', 'putOff'],
            description: 'The error named the time to come again; no attempt is charged.',
          },
          {
            guard: 'canRetry',
            target: 'retrying',
            actions: ['keepFailure', 'charge'],
            description: 'The body threw or ran out of time, and the policy has attempts left.',
          },
          {
            guard: 'hasFallback',
            target: 'fallback',
            actions: 'keepFailure',
            description: 'Attempts spent, or an error no further attempt can help.',
          },
          { target: 'failed', actions: 'keepFailure', description: 'The same, without a fallback.' },
        ],
        cancel: { target: 'cancelled', description: 'The body is told by its signal; its end comes too late.' },
      },
    },
    pluginError: {
      description: 'Plugins are asked for a result, one at a time. The attempt is over, its slot is kept.',
      invoke: { src: 'plugins', id: 'plugins', input: ({ context }) => context },
      on: {
        'plugins.answer': { target: 'done', description: 'The last answer is the result.' },
        'plugins.silence': [
          {
            guard: 'canRetry',
            target: 'retrying',
            actions: ['keepFailure', 'charge'],
            description: 'Nobody answered; like any error.',
          },
          {
            guard: 'hasFallback',
            target: 'fallback',
            actions: 'keepFailure',
            description: 'Nobody answered, or the answer does not fit; attempts spent.',
          },
          { target: 'failed', actions: 'keepFailure', description: 'The same, without a fallback.' },
        ],
        cancel: { target: 'cancelled', description: 'The answer under way is ignored.' },
      },
    },
    retrying: {
      description: 'The wait for the next attempt. Holds its lane but no slot.',
      invoke: { src: 'wait', id: 'wait', input: ({ context }) => context },
      on: {
        'wait.over': { target: 'running', actions: 'beginNextAttempt', description: 'The next attempt begins.' },
        cancel: { target: 'cancelled', description: 'The wait is taken out of the broker.' },
      },
    },
    fallback: {
      description: 'The fallback is called once, under a timeout of its own.',
      invoke: { src: 'fallback', id: 'fallback', input: ({ context }) => context },
      on: {
        'fallback.value': { target: 'fellBack', description: 'Any value that fits.' },
        'fallback.error': {
          target: 'failed',
          actions: 'keepFailure',
          description: 'It threw, ran out of time, or gave a value that does not fit.',
        },
        cancel: { target: 'cancelled', description: 'Its value is ignored.' },
      },
    },
    done: {
      type: 'final',
      description: 'A value, from the body or from a plugin.',
      output: ({ context, event }): JobOutput => {
        if (event.type === 'plugins.answer') {
          return new Answered(event.value, context.attempt, event.plugin)
        }
        return new Done('value' in event ? event.value : undefined, context.attempt)
      },
    },
    fellBack: {
      type: 'final',
      description: 'The value of the fallback, beside the failure that led to it.',
      output: ({ context, event }): JobOutput =>
        new FellBack('value' in event ? event.value : undefined, context.failure, context.attempt),
    },
    failed: {
      type: 'final',
      description: 'The failure goes to the supervisors above; what they decide begins a new incarnation or nothing.',
      output: ({ context }): JobOutput => new Failed(context.failure, context.attempt),
    },
    cancelled: {
      type: 'final',
      description: 'Given up on request. Not a failure: nobody above is asked.',
      output: ({ context, event }): JobOutput =>
        new Cancelled(event.type === 'cancel' ? event.reason : undefined, context.attempt),
    },
  },
  output: ({ event }) => event.output as JobOutput,
})

/** The chart of every job: a task's run, a bot's update, a spider's request. */
export const jobMachine: JobMachine = machine as unknown as JobMachine
