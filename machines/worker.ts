import { setup, type AnyEventObject, type StateMachine } from 'xstate'

export interface WorkerInput {
  readonly path: string
  /** Slots: attempts that may run at once. */
  readonly concurrency: number
}

export type WorkerContext = WorkerInput

export type WorkerEvent =
  | { readonly type: 'took' }
  | { readonly type: 'ran dry' }
  | { readonly type: 'pause' }
  | { readonly type: 'unpause' }
  | { readonly type: 'shutdown' }
  | { readonly type: 'drained' }

export interface WorkerOutput {
  readonly status: 'stopped'
}

export type WorkerState = 'idle' | 'working' | 'paused' | 'draining' | 'stopped'

export type WorkerMachine = StateMachine<
  WorkerContext,
  WorkerEvent,
  Record<string, undefined>,
  never,
  never,
  never,
  never,
  WorkerState,
  string,
  WorkerInput,
  WorkerOutput,
  AnyEventObject,
  object,
  object
>

const machine = setup({
  types: {
    context: {} as WorkerContext,
    events: {} as WorkerEvent,
    input: {} as WorkerInput,
    output: {} as WorkerOutput,
  },
}).createMachine({
  id: 'worker',
  description: 'Takes the jobs of one task from the broker, as many at once as it has slots.',
  context: ({ input }) => ({ ...input }),
  initial: 'idle',
  states: {
    idle: {
      description: 'Nothing is due; the broker wakes it.',
      on: {
        took: { target: 'working', description: 'A job was leased.' },
        pause: { target: 'paused', description: 'Told to take nothing for now.' },
        shutdown: { target: 'draining', description: 'Asked to stop.' },
      },
    },
    working: {
      description: 'At least one attempt is running.',
      on: {
        'ran dry': { target: 'idle', description: 'No attempt is running and nothing is due.' },
        pause: { target: 'paused', description: 'Told to take nothing for now; what runs, runs on.' },
        shutdown: { target: 'draining', description: 'Asked to stop.' },
      },
    },
    paused: {
      description: 'Takes nothing. Attempts that were running end as they would.',
      on: {
        unpause: { target: 'idle', description: 'Takes jobs again.' },
        shutdown: { target: 'draining', description: 'Asked to stop.' },
      },
    },
    draining: {
      description: 'Takes nothing more; running attempts have the time of `shutdown`, then they are cut off.',
      on: {
        drained: { target: 'stopped', description: 'No attempt is left; unfinished jobs went back to the broker.' },
      },
    },
    stopped: {
      type: 'final',
      description: 'Holds no job.',
      output: (): WorkerOutput => ({ status: 'stopped' }),
    },
  },
  output: ({ event }) => event.output as WorkerOutput,
})

/** The chart of every worker. */
export const workerMachine: WorkerMachine = machine as unknown as WorkerMachine
