import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { jobMachine, supervisorMachine, workerMachine } from 'rootcatch/machines'
import {
  assign,
  createActor,
  createMachine,
  fromTransition,
  not,
  sendTo,
  type AnyActorLogic,
  type AnyActorRef,
} from 'xstate'
import { toChartLogic } from '../../src/actors/chart.ts'
import { compileChart } from '../../src/actors/compiled-chart.ts'
import type { Effect } from '../../src/actors/effect.ts'

interface Sent {
  readonly type: string
  readonly [key: string]: unknown
}

/** What an actor of the chart shows to whoever watches it, and what it begins and ends, while it is sent these events. */
function watch(
  machine: unknown,
  sources: readonly string[],
  input: unknown,
  events: readonly Sent[],
  isWatched: boolean,
) {
  const seen: unknown[] = []
  let ping: (() => void) | undefined
  let partings = 0 // two steps that part with each other would go on for ever
  const effects = Object.fromEntries(
    sources.map((source): [string, Effect<unknown, Sent>] => [
      source,
      (context, stay) => {
        seen.push(['begins', source, context])
        const late = (): void => stay.send({ type: 'e0', late: true })
        ping = late
        return {
          end: () => {
            seen.push(['ends', source])
            partings += 1
            if (partings < 3) late()
          },
        }
      },
    ]),
  )
  const logic = toChartLogic(machine, effects, isWatched)
  const parent = createActor(
    fromTransition((state: object) => state, {}),
    {
      inspect: (event) => {
        if (event.type !== '@xstate.snapshot' || (event.actorRef as AnyActorRef).id !== 'chart') return
        seen.push(['inspected', event.event.type, shape(event.snapshot)])
      },
    },
  )
  parent.subscribe({ error: () => {} })
  parent.start()
  const actor = createActor(logic as AnyActorLogic, { parent, id: 'chart', input } as never) as AnyActorRef & {
    start(): void
  }
  actor.subscribe({
    next: (snapshot: unknown) => seen.push(['next', shape(snapshot)]),
    complete: () => seen.push('complete'),
    error: (error: unknown) => seen.push(['error', String(error)]),
  })
  seen.push(['before the start', shape(actor.getSnapshot())])
  actor.start()
  for (const event of events) {
    if (event.type === 'ping') ping?.() // of the latest stay, be it over or not
    else actor.send(event)
    seen.push(['now', shape(actor.getSnapshot())])
  }
  ;(actor as unknown as { _stop(): void })._stop()
  seen.push(['in the end', shape(actor.getSnapshot())])
  return seen
}

type Whole = ReturnType<ReturnType<typeof createMachine>['resolveState']>

function shape(given: unknown): object {
  const snapshot = given as Whole
  const { status, value, context, output, error, tags } = snapshot
  const probes = ['e0', 'e1', 'cancel', 'wait.over', 'shutdown']
  return {
    status,
    value,
    context,
    output,
    error,
    tags: [...tags],
    matches: ['s0', 's1', 'running', 'done'].map((state) => snapshot.matches(state as never)),
    can: status === 'active' && probes.map((type) => snapshot.can({ type } as never)),
    meta: snapshot.getMeta(),
    json: { ...(snapshot.toJSON() as object), children: undefined }, // what a state rests on is no actor of its own
  }
}

const SOURCES = ['attempt', 'plugins', 'wait', 'fallback']

const guards = { even: ({ context }: { context: { n: number } }) => context.n % 2 === 0, never: () => false }
const actions = {
  count: assign({ n: ({ context }: { context: { n: number } }) => context.n + 1 }),
  remember: assign(({ event }) => ({ last: (event as Sent)['value'], n: 7 })),
  fixed: assign({ last: 'fixed' }),
}

const names = ['s0', 's1', 's2', 's3', 's4']
const anyTransition = fc.record(
  {
    target: fc.constantFrom(...names),
    guard: fc.constantFrom('even', 'never'),
    actions: fc.oneof(
      fc.constantFrom('count', 'remember', 'fixed'),
      fc.array(fc.constantFrom('count', 'remember', 'fixed'), { maxLength: 3 }),
    ),
  },
  { requiredKeys: [] },
)
const anyState = fc.record({
  rests: fc.constantFrom(undefined, 'a', 'b'),
  isFinal: fc.boolean(),
  tags: fc.constantFrom(undefined, ['busy']),
  on: fc.dictionary(
    fc.constantFrom('e0', 'e1', 'e2'),
    fc.oneof(anyTransition, fc.array(anyTransition, { maxLength: 3 })),
  ),
})

const anyChart = fc.record({ states: fc.array(anyState, { minLength: 2, maxLength: 5 }), hasOutput: fc.boolean() })

type Chart = typeof anyChart extends fc.Arbitrary<infer Each> ? Each : never

/** A flat machine in which no step leads back to the same state, for such a one is the interpreter's. */
function machineOf({ states, hasOutput }: Chart): unknown {
  const known = names.slice(0, states.length)
  const step = (from: string) => (given: { target?: string }) => {
    const { target, ...rest } = given
    return target !== undefined && target !== from && known.includes(target) ? given : rest
  }
  const configs = states.map(({ rests, isFinal, on, tags }, index) => {
    const name = names[index] as string
    const tagged = tags && { tags }
    if (isFinal && index > 0) return [name, { type: 'final', output: ({ context }: never) => context, ...tagged }]
    const steps = Object.entries(on).map(([type, given]) => [
      type,
      Array.isArray(given) ? given.map(step(name)) : step(name)(given),
    ])
    const invoke = { src: rests, input: ({ context, event }: never) => [context, event] }
    return [name, { on: Object.fromEntries(steps), ...(rests && { invoke }), ...tagged }]
  })
  const config = {
    id: 'any',
    context: ({ input }: { input: { n: number } }) => ({ ...input, last: null as unknown }),
    initial: 's0',
    states: Object.fromEntries(configs),
    ...(hasOutput && { output: ({ event }: { event: { output?: unknown } }) => event.output }),
  }
  return createMachine(config as never, { guards, actions } as never)
}

const anyEvents = fc.array(
  fc.record({ type: fc.constantFrom('e0', 'e1', 'e2', 'nobody', 'ping'), value: fc.integer() }),
  { maxLength: 20 },
)

const jobEvent = (type: string, more: object = {}): Sent => ({ type, ...more })
const anyJobEvents = fc.array(
  fc.oneof(
    fc.constant(jobEvent('wait.over')),
    fc
      .record({
        failure: fc.string(),
        asks: fc.boolean(),
        permanent: fc.boolean(),
        retryAfter: fc.constantFrom(null, 5),
        again: fc.boolean(),
      })
      .map((error) => jobEvent('attempt.error', error)),
    fc.record({ failure: fc.string(), again: fc.boolean() }).map((said) => jobEvent('plugins.silence', said)),
    fc.constant(jobEvent('attempt.value', { value: 0 })),
    fc.constant(jobEvent('plugins.answer', { value: '', plugin: 'p' })),
    fc.constant(jobEvent('fallback.value', { value: false })),
    fc.constant(jobEvent('fallback.error', { failure: 'f' })),
    fc.constant(jobEvent('cancel', { reason: 'r' })),
    fc.constant(jobEvent('ping')),
  ),
  { maxLength: 30 },
)
const anyJob = fc.record({
  slot: fc.constant(0),
  id: fc.constant('1'),
  path: fc.constant('app/job/job:1'),
  attempt: fc.integer({ min: 1, max: 3 }),
  charged: fc.nat(2),
  putOffs: fc.integer({ min: 16, max: 19 }),
  attempts: fc.integer({ min: 1, max: 5 }),
  hasFallback: fc.boolean(),
})

describe('a chart in its compiled form', () => {
  test('J18 shows the same as the interpreter, for every order of events of a job', () => {
    fc.assert(
      fc.property(anyJob, anyJobEvents, (input, events) => {
        expect(watch(jobMachine, SOURCES, input, events, false)).toEqual(
          watch(jobMachine, SOURCES, input, events, true),
        )
      }),
      { numRuns: 400 },
    )
  })

  test('shows the same as the interpreter, for any flat machine', () => {
    fc.assert(
      fc.property(anyChart, fc.nat(3), anyEvents, (chart, n, events) => {
        const machine = machineOf(chart)
        expect(compileChart(machine as never, { a: () => undefined, b: () => undefined })).toBeDefined()
        const sources = ['a', 'b']
        expect(watch(machine, sources, { n }, events, false)).toEqual(watch(machine, sources, { n }, events, true))
      }),
      { numRuns: 1_000 },
    )
  })

  test('is persisted and drawn as the machine it was made from', () => {
    const compiled = toChartLogic(
      jobMachine,
      Object.fromEntries(SOURCES.map((source) => [source, () => undefined])),
      false,
    )
    const actor = createActor(compiled, { input: fc.sample(anyJob, 1)[0] as never })
    const { children, ...persisted } = actor.getPersistedSnapshot() as unknown as { children: object; value: string }
    expect(persisted).toMatchObject({ status: 'active', value: 'running', context: { id: '1' } })
    expect(children).toEqual({})
    expect((compiled as unknown as { config: unknown }).config).toBe(jobMachine.config)
  })

  test.each([
    ['of the job', jobMachine, SOURCES, true],
    ['of the worker', workerMachine, [], true],
    ['of the supervisor', supervisorMachine, [], true],
    [
      'with nested states',
      createMachine({ initial: 'a', states: { a: { initial: 'b', states: { b: {} } } } }),
      [],
      false,
    ],
    ['with a delay', createMachine({ initial: 'a', states: { a: { after: { 5: 'b' } }, b: {} } }), [], true],
    ['with a wildcard', createMachine({ initial: 'a', states: { a: { on: { '*': 'b' } }, b: {} } }), [], true],
    [
      'with an action of its own',
      createMachine({ initial: 'a', states: { a: { on: { e: { actions: () => {} } } } } }),
      [],
      true,
    ],
    ['with a step to itself', createMachine({ initial: 'a', states: { a: { on: { e: 'a' } } } }), [], true],
    [
      'with parallel states',
      createMachine({ initial: 'a', states: { a: { type: 'parallel', states: { b: {} } } } }),
      [],
      false,
    ],
    ['with events of the whole', createMachine({ initial: 'a', on: { e: '.a' }, states: { a: {} } }), [], false],
    [
      'that sends to others',
      createMachine({ initial: 'a', states: { a: { entry: sendTo('b', { type: 'e' }) } } }),
      [],
      false,
    ],
    [
      'with a guard made of guards',
      createMachine({ initial: 'a', states: { a: { on: { e: { guard: not('g'), target: 'b' } } }, b: {} } }),
      [],
      false,
    ],
    [
      'that waits for an actor to be done',
      createMachine({ initial: 'a', states: { a: { invoke: { src: 'x', onDone: 'b' } }, b: {} } }),
      ['x'],
      false,
    ],
    [
      'that rests on something unknown',
      createMachine({ initial: 'a', states: { a: { invoke: { src: 'x' } } } }),
      [],
      false,
    ],
  ] as const)('a chart %s is compiled or left to the interpreter', (_name, machine, sources, isCompiled) => {
    const effects = Object.fromEntries(sources.map((source) => [source, () => undefined]))
    expect(compileChart(machine as never, effects) !== undefined).toBe(isCompiled)
  })
})
