import { assign, createActor, fromPromise, fromTransition, setup, type AnyActorRef } from 'xstate'
import type { Contender, Way } from './drive.ts'
import { double, doubleLater, fail } from './work.ts'

interface Input {
  readonly id: string
  readonly path: string
  readonly n: number
  readonly attempts: number
  readonly hasFallback: boolean
}

interface Context extends Input {
  readonly attempt: number
  readonly charged: number
  readonly failure: unknown
}

const HELP = new Error('help')

/**
 * A chart of the same states as one writes it for XState, and as the numbers we started from were taken: bodies, plugins
 * and fallbacks are promises that are invoked, and the wait is `after`. Each job is an actor of it below a root that only
 * takes what comes out.
 */
export function stock(way: Way): Contender {
  const machine = machineFor(way)
  const waiting = new Map<string, (value: unknown) => void>()
  const logic = fromTransition((state: object, event: { readonly type: string }) => {
    const { actorId, output } = event as { readonly actorId?: string; readonly output?: { readonly value: unknown } }
    const settled = actorId === undefined ? undefined : waiting.get(actorId)
    if (actorId !== undefined) waiting.delete(actorId)
    settled?.(output?.value)
    return state
  }, {})
  const root = createActor(logic)
  root.start()
  const more = { attempts: way === 'retry' ? 2 : 1, hasFallback: way === 'fallback' }
  let jobs = 0
  return {
    begin: (n, settled) => {
      jobs += 1
      const input: Input = { id: String(jobs), path: `app/work/job:${jobs}`, n, ...more }
      const job = createActor(machine, { parent: root, input } as never) as AnyActorRef & { start(): void }
      waiting.set(job.id, settled)
      job.start()
    },
    close: async () => void root.stop(),
  }
}

function machineFor(way: Way) {
  const body = ({ n, attempt }: Context): Promise<number> => {
    if (way === 'answer') return Promise.reject(HELP)
    return way === 'ok' ? double({ n }) : way === 'retry' ? doubleLater({ n }, attempt) : fail()
  }
  const sources = setup({
    types: {
      context: {} as Context,
      input: {} as Input,
      events: {} as { readonly type: 'cancel' } | { readonly type: 'error'; readonly error: unknown },
    },
    actors: {
      attempt: fromPromise<unknown, Context>(({ input }) => body(input)),
      plugins: fromPromise<unknown, Context>(async () => 'answered'),
      fallback: fromPromise<unknown, Context>(async ({ input }) => input.n * 3),
    },
    delays: { backoff: 0 },
    guards: {
      asksPlugins: ({ event }) => 'error' in event && event.error === HELP,
      canRetry: ({ context }) => context.charged + 1 < context.attempts,
      hasFallback: ({ context }) => context.hasFallback,
    },
    actions: {
      keepFailure: assign({ failure: ({ event }) => ('error' in event ? event.error : undefined) }),
      charge: assign({ charged: ({ context }) => context.charged + 1 }),
      beginNextAttempt: assign({ attempt: ({ context }) => context.attempt + 1 }),
    },
  })
  const input = ({ context }: { readonly context: Context }): Context => context
  const outcome = (status: string) =>
    (({ context, event }: { readonly context: Context; readonly event: object }) => ({
      status,
      value: 'output' in event ? event.output : undefined,
      failure: context.failure,
      attempts: context.attempt,
    })) as never
  const failing = [
    { guard: 'canRetry', target: 'retrying', actions: ['keepFailure', 'charge'] },
    { guard: 'hasFallback', target: 'fallback', actions: 'keepFailure' },
    { target: 'failed', actions: 'keepFailure' },
  ] as const
  const asking = { guard: 'asksPlugins', target: 'pluginError', actions: 'keepFailure' } as const
  const on = { cancel: 'cancelled' } as const
  return sources.createMachine({
    id: 'job',
    context: ({ input: given }) => ({ ...given, attempt: 1, charged: 0, failure: null }),
    initial: 'running',
    states: {
      running: { invoke: { src: 'attempt', input, onDone: 'done', onError: [asking, ...failing] }, on },
      pluginError: { invoke: { src: 'plugins', input, onDone: 'done', onError: failing }, on },
      retrying: { after: { backoff: { target: 'running', actions: 'beginNextAttempt' } }, on },
      fallback: {
        invoke: { src: 'fallback', input, onDone: 'fellBack', onError: { target: 'failed', actions: 'keepFailure' } },
        on,
      },
      done: { type: 'final', output: outcome('done') },
      fellBack: { type: 'final', output: outcome('fallback') },
      failed: { type: 'final', output: outcome('failed') },
      cancelled: { type: 'final', output: outcome('cancelled') },
    },
    output: ({ event }) => event.output as never,
  })
}
