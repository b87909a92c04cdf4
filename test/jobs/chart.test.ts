import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { jobMachine, type JobEvent, type JobInput, type JobOutput } from 'rootcatch/machines'
import { createActor, fromCallback, initialTransition, transition } from 'xstate'

/** The table of jobs.md §2, written down once more: a state is a name, counts, and in the end an output. */
interface Model {
  readonly state: string
  readonly attempt: number
  readonly charged: number
  readonly putOffs: number
  readonly failure: unknown
  readonly output?: JobOutput
}

function next(model: Model, event: JobEvent, { attempts, hasFallback }: JobInput): Model {
  const { state, attempt, charged } = model
  const giveUp = (failure: unknown): Model =>
    hasFallback
      ? { ...model, state: 'fallback', failure }
      : { ...model, state: 'failed', failure, output: { status: 'failed', failure, attempts: attempt } }
  const retry = (failure: unknown): Model => ({
    ...model,
    state: 'retrying',
    charged: charged + 1,
    putOffs: 0,
    failure,
  })
  const hasMore = charged + 1 < attempts

  if (model.output !== undefined) return model
  if (event.type === 'cancel') {
    return { ...model, state: 'cancelled', output: { status: 'cancelled', reason: event.reason, attempts: attempt } }
  }
  switch (`${state} ${event.type}`) {
    case 'running attempt.value': {
      const { value } = event as Extract<JobEvent, { type: 'attempt.value' }>
      return { ...model, state: 'done', output: { status: 'done', value, attempts: attempt } }
    }
    case 'running attempt.error': {
      const { asks, permanent, retryAfter, again, failure } = event as Extract<JobEvent, { type: 'attempt.error' }>
      if (asks) return { ...model, state: 'pluginError', failure }
      if (permanent) return giveUp(failure)
      const putsOff = retryAfter !== null && attempts > 1
      if (putsOff && model.putOffs < 19) return { ...model, state: 'retrying', putOffs: model.putOffs + 1, failure }
      return hasMore && (again || putsOff) ? retry(failure) : giveUp(failure)
    }
    case 'pluginError plugins.answer': {
      const { value, plugin } = event as Extract<JobEvent, { type: 'plugins.answer' }>
      return { ...model, state: 'done', output: { status: 'done', value, attempts: attempt, answeredBy: plugin } }
    }
    case 'pluginError plugins.silence': {
      const { failure, again } = event as Extract<JobEvent, { type: 'plugins.silence' }>
      return hasMore && again ? retry(failure) : giveUp(failure)
    }
    case 'retrying wait.over':
      return { ...model, state: 'running', attempt: attempt + 1 }
    case 'fallback fallback.value': {
      const { value } = event as Extract<JobEvent, { type: 'fallback.value' }>
      return {
        ...model,
        state: 'fellBack',
        output: { status: 'fallback', value, failure: model.failure, attempts: attempt },
      }
    }
    case 'fallback fallback.error': {
      const { failure } = event as Extract<JobEvent, { type: 'fallback.error' }>
      return { ...model, state: 'failed', failure, output: { status: 'failed', failure, attempts: attempt } }
    }
    default:
      return model // late, or never sent in this state
  }
}

const anything = fc.oneof(fc.constant(undefined), fc.constant(0), fc.constant(''), fc.anything())

const attemptError = fc.record({
  type: fc.constant('attempt.error' as const),
  failure: anything,
  asks: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.constant(true)),
  permanent: fc.oneof({ weight: 6, arbitrary: fc.constant(false) }, fc.constant(true)),
  retryAfter: fc.oneof(fc.constant(null), fc.nat()),
  again: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, fc.constant(false)),
})

const anyEvent: fc.Arbitrary<JobEvent> = fc.oneof(
  { weight: 6, arbitrary: attemptError },
  { weight: 6, arbitrary: fc.constant({ type: 'wait.over' as const }) },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('plugins.silence' as const), failure: anything, again: fc.boolean() }),
  },
  fc.record({ type: fc.constant('attempt.value' as const), value: anything }),
  fc.record({ type: fc.constant('plugins.answer' as const), value: anything, plugin: fc.string() }),
  fc.record({ type: fc.constant('fallback.value' as const), value: anything }),
  fc.record({ type: fc.constant('fallback.error' as const), failure: anything }),
  { weight: 1, arbitrary: fc.record({ type: fc.constant('cancel' as const), reason: anything }) },
)

/** What can come in a state, so that long ways through the chart are walked too. */
const putOff = {
  type: 'attempt.error',
  failure: 'later',
  asks: false,
  permanent: false,
  retryAfter: 5,
  again: true,
} as const
const waitOver = { type: 'wait.over' } as const
const anyEvents = fc.oneof(
  fc.array(anyEvent, { maxLength: 40 }),
  fc
    .tuple(fc.nat(70), fc.array(anyEvent, { maxLength: 10 }))
    .map(([times, more]) => [...Array.from({ length: times }, (_, n) => (n % 2 === 0 ? putOff : waitOver)), ...more]),
)

const anyInput: fc.Arbitrary<JobInput> = fc.record({
  slot: fc.constant(0),
  id: fc.constant('1'),
  path: fc.constant('app/job/job:1'),
  attempt: fc.integer({ min: 1, max: 3 }),
  charged: fc.nat(2),
  putOffs: fc.nat(19),
  attempts: fc.integer({ min: 1, max: 5 }),
  hasFallback: fc.boolean(),
})

const idle = fromCallback(() => {})
const machine = jobMachine.provide({ actors: { attempt: idle, plugins: idle, wait: idle, fallback: idle } as never })

type Seen = { value: unknown; context: Omit<Model, 'state' | 'output'>; output?: unknown; status: string }

const seenOf = ({ value, context, output, status }: Seen): object => {
  const { attempt, charged, putOffs, failure } = context
  return { state: value, attempt, charged, putOffs, failure, ...(status === 'done' && { output }) }
}

describe('J18 random orders of events', () => {
  test('J18 the pure transitions of the chart and the table go through the same states and outputs', () => {
    fc.assert(
      fc.property(anyInput, anyEvents, (input, events) => {
        let [snapshot] = initialTransition(machine, input)
        const { attempt, charged, putOffs } = input
        let model: Model = { state: 'running', attempt, charged, putOffs, failure: null }
        expect(seenOf(snapshot as never)).toEqual(model)
        for (const event of events) {
          ;[snapshot] = transition(machine, snapshot, event)
          model = next(model, event, input)
          expect(seenOf(snapshot as never)).toEqual(model)
        }
      }),
      { numRuns: 1_000 },
    )
  })

  test('J18 an actor of the chart goes through the same, and an observer sees every state', () => {
    fc.assert(
      fc.property(anyInput, anyEvents, (input, events) => {
        const actor = createActor(machine, { input })
        const seen: unknown[] = []
        actor.subscribe({ next: ({ value }) => seen.push(value), error: () => {} })
        actor.start()
        const { attempt, charged, putOffs } = input
        let model: Model = { state: 'running', attempt, charged, putOffs, failure: null }
        const states = [model.state]
        for (const event of events) {
          if (model.output !== undefined) break
          actor.send(event)
          model = next(model, event, input)
          if (model.state !== states.at(-1)) states.push(model.state)
          expect(seenOf(actor.getSnapshot() as never)).toEqual(model)
        }
        expect(seen.filter((state, index) => index === 0 || state !== seen[index - 1])).toEqual(states)
        actor.stop()
      }),
      { numRuns: 300 },
    )
  })

  test('every state rests on something invoked, and only final states carry an output', () => {
    for (const [name, state] of Object.entries(jobMachine.config.states ?? {})) {
      const { invoke, type, output, always } = state as {
        invoke?: unknown
        type?: string
        output?: unknown
        always?: unknown
      }
      expect([name, always]).toEqual([name, undefined])
      expect([name, type === 'final' ? output !== undefined : invoke !== undefined]).toEqual([name, true])
    }
  })
})
