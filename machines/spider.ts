import { setup, type AnyEventObject, type StateMachine } from 'xstate'

export interface SpiderInput {
  readonly path: string
  /** Pages that are fetched and handled at once. */
  readonly concurrency: number
}

export type SpiderContext = SpiderInput

export type SpiderEvent =
  | { readonly type: 'seeded' }
  | { readonly type: 'pause' }
  | { readonly type: 'unpause' }
  | { readonly type: 'drain' }
  | { readonly type: 'drained'; readonly reason: string }
  | { readonly type: 'failed'; readonly failure: unknown }

/** How the crawl ended; `reason` says why it did. */
export type SpiderOutput =
  | { readonly status: 'done'; readonly reason: string }
  | { readonly status: 'failed'; readonly failure: unknown }

export type SpiderState = 'seeding' | 'crawling' | 'paused' | 'draining' | 'done' | 'failed'

export type SpiderMachine = StateMachine<
  SpiderContext,
  SpiderEvent,
  Record<string, undefined>,
  never,
  never,
  never,
  never,
  SpiderState,
  string,
  SpiderInput,
  SpiderOutput,
  AnyEventObject,
  object,
  object
>

const machine = setup({
  types: {
    context: {} as SpiderContext,
    events: {} as SpiderEvent,
    input: {} as SpiderInput,
    output: {} as SpiderOutput,
  },
}).createMachine({
  id: 'spider',
  description: 'One crawl of a spider, from its first request to its last page. It begins with a run.',
  context: ({ input }) => ({ ...input }),
  initial: 'seeding',
  states: {
    seeding: {
      description: 'What an earlier run left is looked up, and the first requests of `start` are read.',
      on: {
        seeded: { target: 'crawling', description: 'There is a request to begin with, or none at all.' },
        drain: { target: 'draining', description: 'Asked to end before it began.' },
      },
    },
    crawling: {
      description: 'Requests are taken from the queue as slots and hosts are free; `start` is read as it empties.',
      on: {
        pause: { target: 'paused', description: 'More items wait for their reader than are kept.' },
        drain: { target: 'draining', description: 'The queue is empty, a limit is reached, or somebody ends it.' },
      },
    },
    paused: {
      description: 'Takes no request. Pages that were running end as they would.',
      on: {
        unpause: { target: 'crawling', description: 'The reader has caught up.' },
        drain: { target: 'draining', description: 'Somebody ends it.' },
      },
    },
    draining: {
      description: 'Takes nothing more; running pages have the time of `shutdown`, then they are cut off.',
      on: {
        drained: { target: 'done', description: 'No page is running.' },
        failed: { target: 'failed', description: 'No page is running, and a `FatalError` or `start` ended it.' },
      },
    },
    done: {
      type: 'final',
      description: 'The crawl is over; the spider waits for its next run.',
      output: ({ event }): SpiderOutput => ({ status: 'done', reason: event.type === 'drained' ? event.reason : '' }),
    },
    failed: {
      type: 'final',
      description: 'The failure goes to the supervisor above. The queue is kept for the next run.',
      output: ({ event }): SpiderOutput => ({
        status: 'failed',
        failure: event.type === 'failed' ? event.failure : undefined,
      }),
    },
  },
  output: ({ event }) => event.output as SpiderOutput,
})

/** The chart of every crawl. */
export const spiderMachine: SpiderMachine = machine as unknown as SpiderMachine
