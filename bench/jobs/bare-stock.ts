import { jobMachine, type JobContext, type JobEvent, type JobInput, type JobOutput } from 'rootcatch/machines'
import { createActor, fromCallback, fromTransition, type AnyActorLogic, type AnyActorRef } from 'xstate'
import type { Contender, Way } from './drive.ts'
import { double, doubleLater, fail } from './work.ts'

/**
 * Our own chart, run by XState itself: each job is an actor of `machines/job.ts` below a root that does nothing, with
 * what its states rest on written as plainly as it can be, and nothing else of ours around it.
 */
export function bareStock(way: Way): Contender {
  const root = createActor(fromTransition((state: object) => state, {}))
  root.start()
  const inputs = new Map<number, number>() // a job's input by its slot, as ours finds it
  const machine = jobMachine.provide({
    actors: {
      attempt: fromCallback<JobEvent, JobContext>(({ input: { slot, attempt }, sendBack }) => {
        const n = inputs.get(slot) as number
        if (way === 'answer') return sendBack({ ...plainError, asks: true })
        const body = way === 'ok' ? double({ n }) : way === 'retry' ? doubleLater({ n }, attempt) : fail()
        body.then(
          (value) => sendBack({ type: 'attempt.value', value }),
          (error: unknown) => sendBack({ ...plainError, failure: { error, attempt } }),
        )
      }),
      plugins: fromCallback<JobEvent>(({ sendBack }) =>
        queueMicrotask(() => sendBack({ type: 'plugins.answer', value: 'answered', plugin: 'answers' })),
      ),
      wait: fromCallback<JobEvent>(({ sendBack }) => queueMicrotask(() => sendBack({ type: 'wait.over' }))),
      fallback: fromCallback<JobEvent, JobContext>(({ input: { slot }, sendBack }) => {
        const value = (inputs.get(slot) as number) * 3
        queueMicrotask(() => sendBack({ type: 'fallback.value', value }))
      }),
    } as never,
  }) as unknown as AnyActorLogic
  const more = {
    attempt: 1,
    charged: 0,
    putOffs: 0,
    attempts: way === 'retry' ? 2 : 1,
    hasFallback: way === 'fallback',
  }
  let slots = 0
  return {
    begin: (n, settled) => {
      slots += 1
      const slot = slots
      inputs.set(slot, n)
      const input: JobInput = { slot, id: String(slot), path: `app/work/job:${slot}`, ...more }
      const actor = createActor(machine, { parent: root, input } as never) as AnyActorRef & { start(): void }
      actor.subscribe({
        complete: () => {
          inputs.delete(slot)
          const output = (actor.getSnapshot() as { output: JobOutput }).output
          settled('value' in output ? output.value : output)
        },
        error: (error: unknown) => settled(error),
      })
      actor.start()
    },
    close: async () => void root.stop(),
  }
}

const plainError = {
  type: 'attempt.error',
  failure: undefined,
  asks: false,
  permanent: false,
  retryAfter: null,
  again: true,
} as const
