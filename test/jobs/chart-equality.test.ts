import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as charts from 'rootcatch/machines'
import {
  assign,
  cancel,
  createActor,
  createMachine,
  emit,
  fromTransition,
  raise,
  SimulatedClock,
  type AnyActorLogic,
  type AnyActorRef,
  type AnyStateMachine,
  type InspectionEvent,
} from 'xstate'
import { toChartLogic } from '../../src/actors/chart.ts'
import { chartOf } from '../../src/actors/compiled-chart.ts'
import type { Effect } from '../../src/actors/effect.ts'
import { LightActor } from '../../src/actors/light-actor.ts'
import { tellsSteps } from '../../src/actors/tells-steps.ts'

interface Sent {
  readonly type: string
  readonly [key: string]: unknown
}

type By = 'interpreter' | 'compiled' | 'light'

/** What a snapshot says, cheap enough for a quarter of a million of them. */
function say(given: unknown): unknown[] {
  const { status, value, context, output, error } = given as Record<string, unknown>
  return [status, value, context, output, String(error)]
}

/** Everything that can be seen and heard of a chart while it is sent these events under a clock of its own. */
function watch(machine: unknown, sources: readonly string[], input: unknown, events: readonly Sent[], by: By) {
  const seen: unknown[] = []
  let send: ((event: Sent) => void) | undefined
  const effects = Object.fromEntries(
    sources.map((source): [string, Effect<unknown, Sent>] => [
      source,
      (context, stay) => {
        seen.push(['begins', source, context])
        send = (event) => stay.send(event)
        return { end: () => seen.push(['ends', source]) }
      },
    ]),
  )
  const logic = toChartLogic(machine, effects, by === 'interpreter') as AnyActorLogic
  const clock = new SimulatedClock()
  const inspect = (event: InspectionEvent): void => {
    if ((event.actorRef as AnyActorRef).id !== 'chart') return
    if (event.type === '@xstate.snapshot') seen.push(['snapshot', event.event.type, say(event.snapshot)])
    if (event.type === '@xstate.event')
      seen.push(['event', event.event, (event.sourceRef as AnyActorRef | undefined) === parent])
    if (event.type === '@xstate.microstep') {
      seen.push(['step', event.event.type, event._transitions.map(({ target }) => target?.map(({ key }) => key))])
    }
    if (event.type === '@xstate.action' && !IN_PASSING.has(event.action.type)) seen.push(['action', event.action.type])
  }
  const parent = createActor(
    fromTransition((state: object, event) => {
      seen.push(['parent', event])
      return state
    }, {}),
    { inspect, clock, id: 'parent' },
  )
  ;(parent.system as { [tellsSteps]?: boolean })[tellsSteps] = true
  parent.subscribe({ error: () => {} })
  parent.start()
  const chart = chartOf(logic)
  const owner = { name: 'chart', input, over: () => {} }
  const actor =
    by === 'light' && chart !== undefined
      ? new LightActor(chart, parent, owner).ref
      : (createActor(logic, { parent, id: 'chart', input } as never) as AnyActorRef)
  if (by !== 'light') {
    const heard = by === 'interpreter' ? 'compiled' : by // only what differs may differ
    actor.subscribe({
      next: (snapshot: unknown) => seen.push([heard, 'next', say(snapshot)]),
      complete: () => seen.push([heard, 'complete']),
      error: (error: unknown) => seen.push([heard, 'error', String(error)]),
    })
    actor.on('*', (event: unknown) => seen.push([heard, 'emitted', event]))
  }
  ;(actor as unknown as { start(input?: unknown): void }).start(input)
  for (const event of events) {
    if (event.type === 'time') clock.increment(event['ms'] as number)
    else if (event.type === 'from inside') send?.({ type: 'e0', n: 1 }) // of the latest stay, be it over or not
    else actor.send(event)
    seen.push(['now', say(actor.getSnapshot())])
  }
  if (by === 'light') (actor as unknown as LightActor).stop()
  else (actor as unknown as { _stop(): void })._stop()
  clock.increment(1_000)
  seen.push(['in the end', say(actor.getSnapshot())])
  return { seen, isCompiled: chart !== undefined, isPlain: chart?.isPlain === true }
}

/** What the interpreter does with children, which a compiled chart has none of. */
const IN_PASSING = new Set(['xstate.spawnChild', 'xstate.stopChild'])

/** Without what only observers and emitters hear: a light actor has none. */
const unheard = (seen: readonly unknown[]): unknown[] => seen.filter((line) => (line as unknown[])[0] !== 'compiled')

const names = ['s0', 's1', 's2', 's3', 's4']
const anyGuard = fc.constantFrom(undefined, undefined, 'even', 'never', 'small', { type: 'over', params: { least: 3 } })
const anyActs = fc.array(
  fc.constantFrom('count', 'remember', 'fixed', 'note', 'again', 'shout', 'later', 'forget', {
    type: 'note',
    params: { more: 1 },
  }),
  { maxLength: 3 },
)
const anyTransition = fc.record({
  target: fc.constantFrom(undefined, ...names),
  guard: anyGuard,
  actions: anyActs,
  reenter: fc.constantFrom(undefined, undefined, true),
})
const anyState = fc.record({
  rests: fc.constantFrom(undefined, 'a', 'b'),
  isFinal: fc.constantFrom(false, false, false, true),
  entry: anyActs,
  exit: anyActs,
  always: fc.array(anyTransition, { maxLength: 1 }),
  after: fc.constantFrom(undefined, undefined, 5, 10),
  on: fc.dictionary(
    fc.constantFrom('e0', 'e1', 'e2', 'e.x', 'e.*', '*', 'again', 'late'),
    fc.oneof(anyTransition, fc.array(anyTransition, { maxLength: 3 })),
  ),
})
const anyChart = fc.record({
  states: fc.array(anyState, { minLength: 2, maxLength: 5 }),
  hasOutput: fc.boolean(),
  isPlain: fc.boolean(),
})
type Chart = typeof anyChart extends fc.Arbitrary<infer Each> ? Each : never
type Given = typeof anyTransition extends fc.Arbitrary<infer Each> ? Each : never

const PLAIN = new Set<unknown>(['count', 'remember', 'fixed'])

function machineOf({ states, hasOutput, isPlain }: Chart, notes: unknown[]): AnyStateMachine {
  const known = names.slice(0, states.length)
  const acts = (given: readonly unknown[]): readonly unknown[] =>
    isPlain ? given.filter((act) => PLAIN.has(act)) : given
  const quiet = (given: readonly unknown[]): readonly unknown[] => given.filter((act) => act !== 'again')
  const step = ({ target, ...rest }: Given, from: number, isAlways = false): object => {
    // Without an event it only goes on, or stays with a guard that ends: else it would never come to rest.
    const isThere = target !== undefined && known.includes(target) && (!isAlways || known.indexOf(target) > from)
    if (isAlways && !isThere) {
      // What changes nothing is done once; what does is bounded.
      return rest.actions.includes('note') ? { actions: ['note'] } : { ...rest, guard: 'small', actions: ['count'] }
    }
    const there = isThere && { target }
    // What raises counts, and stops at some time.
    if (!isPlain && rest.actions.includes('again'))
      return { ...rest, ...there, guard: 'small', actions: ['count', ...rest.actions] }
    return { ...rest, ...there, actions: acts(rest.actions) }
  }
  const configs = states.map((state, index) => {
    const { rests, isFinal, entry, exit, always, after, on } = state
    const moves = isPlain ? {} : { entry: quiet(entry), exit: quiet(exit) }
    if (isFinal && index > 0) {
      return [names[index], { type: 'final', output: ({ context }: never) => context, ...moves }]
    }
    const types = Object.entries(on).filter(([type]) => !isPlain || !type.includes('*'))
    const steps = types.map(([type, given]) => [type, [given].flat().map((each) => step(each, index))])
    const timed = after !== undefined && {
      after: { [after]: { target: known.at(index - 1), actions: acts(['count']) } },
    }
    return [
      names[index],
      {
        on: Object.fromEntries(steps),
        ...moves,
        ...(rests && { invoke: { src: rests, input: ({ context, event }: never) => [context, event] } }),
        ...(!isPlain && { always: always.map((each) => step(each, index, true)), ...timed }),
      },
    ]
  })
  const config = {
    id: 'any',
    context: ({ input }: { input: object }) => ({ ...input, last: null }),
    initial: 's0',
    states: Object.fromEntries(configs),
    ...(hasOutput && { output: ({ event }: { event: { output?: unknown } }) => event.output }),
  }
  const implementations = {
    guards: {
      even: ({ context }: Args) => context.n % 2 === 0,
      never: () => false,
      small: ({ context }: Args) => context.n < 4,
      over: ({ context }: Args, { least }: { least: number }) => context.n > least,
    },
    actions: {
      count: assign({ n: ({ context }: Args) => context.n + 1 }),
      remember: assign(({ event }: Args) => ({ last: event['n'], n: 7 })),
      fixed: assign({ last: 'fixed' }),
      note: ({ context, event }: Args, params: unknown) => notes.push(['note', context, event, params]),
      again: raise(({ context }: Args) => ({ type: 'again', n: context.n })),
      shout: emit(({ context }: Args) => ({ type: 'shouted', n: context.n })),
      later: raise({ type: 'late' }, { delay: 7, id: 'later' }),
      forget: cancel('later'),
    },
  }
  return createMachine(config as never, implementations as never) as never
}

interface Args {
  readonly context: { readonly n: number }
  readonly event: Sent
}

const anyEvent = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ type: fc.constantFrom('e0', 'e1', 'e2', 'e.x', 'e.y', 'nobody'), n: fc.nat(9) }),
  },
  { weight: 1, arbitrary: fc.constant({ type: 'from inside' }) },
  { weight: 1, arbitrary: fc.constantFrom(3, 5, 12).map((ms) => ({ type: 'time', ms })) },
)
const anySequences = fc.array(fc.tuple(fc.nat(3), fc.array(anyEvent, { maxLength: 12 })), {
  minLength: 12,
  maxLength: 12,
})

/** Quicker than `toEqual`: undefined where there is no difference. */
function difference(one: unknown, other: unknown): object | undefined {
  if (isDeepStrictEqual(one, other)) return undefined
  const [left, right] = [one, other] as [unknown[], unknown[]]
  const at = left.findIndex((line, index) => !isDeepStrictEqual(line, right[index]))
  return { at, left: left.slice(at, at + 3), right: right.slice(at, at + 3) }
}

describe('a compiled chart', () => {
  test('J18 shows the same as the interpreter under the same clock, in 20 000 sequences of random charts', () => {
    const count = { sequences: 0, compiled: 0, light: 0 }
    fc.assert(
      fc.property(anyChart, anySequences, (chart, sequences) => {
        const notes: unknown[] = []
        const machine = machineOf(chart, notes)
        for (const [n, events] of sequences) {
          const by = (who: By) => {
            notes.length = 0
            return { ...watch(machine, ['a', 'b'], { n }, events, who), notes: [...notes] }
          }
          const [interpreted, compiled] = [by('interpreter'), by('compiled')]
          count.sequences += 1
          expect(difference(compiled.seen, interpreted.seen)).toBeUndefined()
          expect(difference(compiled.notes, interpreted.notes)).toBeUndefined()
          if (compiled.isCompiled) count.compiled += 1
          if (!compiled.isPlain) continue
          count.light += 1
          expect(difference(by('light').seen, unheard(compiled.seen))).toBeUndefined()
        }
      }),
      { numRuns: 1_700 },
    )
    expect(count.sequences).toBeGreaterThan(20_000)
    expect(count.compiled).toBe(count.sequences)
    expect(count.light).toBeGreaterThan(0.3 * count.sequences)
  }, 240_000)

  const ours = Object.values(charts) as unknown as readonly AnyStateMachine[]

  test.each(ours.map((machine) => [machine.id, machine] as const))(
    'of machines/, "%s", does the same, be it compiled or not',
    (_id, machine) => {
      const sources = Object.keys(machine.implementations.actors)
      const types = machine.events.filter((type) => !type.includes('*'))
      const more = { failure: 'f', value: 1, again: true, asks: false, permanent: false, retryAfter: null, reason: 'r' }
      const event = fc.constantFrom(...types).map((type) => ({ type, ...more }))
      const input = {
        slot: 0,
        path: 'p',
        attempt: 1,
        charged: 0,
        putOffs: 0,
        attempts: 3,
        hasFallback: true,
        isFirst: true,
      }
      fc.assert(
        fc.property(fc.array(event, { maxLength: 15 }), (events) => {
          const [compiled, interpreted] = [
            watch(machine, sources, input, events, 'compiled'),
            watch(machine, sources, input, events, 'interpreter'),
          ]
          expect(difference(compiled.seen, interpreted.seen)).toBeUndefined()
          const quiet = unheard(compiled.seen)
          const light = compiled.isPlain ? watch(machine, sources, input, events, 'light').seen : quiet
          expect(difference(light, quiet)).toBeUndefined()
        }),
        { numRuns: 200 },
      )
    },
  )
})
