import { describe, expect, test } from 'vitest'
import { createActor, fromCallback, fromTransition, setup, type AnyActorLogic } from 'xstate'
import { Host, toChartLogic, type AnyActorScope, type ChartActor } from '../../src/actors/chart.ts'
import type { Stay } from '../../src/actors/effect.ts'
import type { ChartOwner } from '../../src/actors/light-actor.ts'
import { owner, relayToOwners, type OwnedInput } from '../../src/actors/owner-relay.ts'
import { tellsSteps } from '../../src/actors/tells-steps.ts'

interface Given {
  readonly n: number
}

const machine = setup({
  types: { context: {} as Given, input: {} as Given, events: {} as { type: 'value'; value: number } },
  actors: { work: fromCallback(() => {}) },
}).createMachine({
  id: 'work',
  context: ({ input: { n } }) => ({ n }),
  initial: 'working',
  states: {
    working: { invoke: { src: 'work', input: ({ context }) => context }, on: { value: 'done' } },
    done: { type: 'final', output: ({ context, event }) => [context.n, event.type === 'value' ? event.value : 0] },
  },
  output: ({ event }) => event.output,
})

/** The job of a slot, and where what it came to is written down. */
function ownerOf(n: number, slot: number, outputs: unknown[]): ChartOwner {
  const own: ChartOwner & { writeInput(input: Given & OwnedInput): void } = {
    name: `work:${slot}`,
    slot,
    input: { n },
    firstContext: { n },
    get ownedInput() {
      return { n, [owner]: own }
    },
    writeInput: (input) => void Object.assign(input, { n, [owner]: own }),
    over: (output) => outputs.push(output),
  }
  return own
}

/** A node of a system whose actors are all XState's, and what it begins and hears. */
function node() {
  const root = createActor(fromTransition((state: object) => state, {}))
  relayToOwners(root.system)
  root.start()
  const stopped: unknown[] = []
  const host = Host.of({ self: root, stopChild: (ref: unknown) => stopped.push(ref) } as unknown as AnyActorScope)
  const begun: [number, Stay<{ type: string }>][] = []
  const work = ({ n }: Given, stay: Stay<{ type: string }>): undefined => void begun.push([n, stay])
  const logic: AnyActorLogic = toChartLogic(machine, { work } as never, false)
  const outputs: unknown[] = []
  const start = (n: number, slot: number): ChartActor<{ type: string }> =>
    host.startChart(logic, ownerOf(n, slot, outputs))
  const finish = (n: number, value: number): void => {
    const [, stay] = begun.findLast(([of]) => of === n) ?? []
    stay?.send({ type: 'value', value } as { type: string })
  }
  return { root, host, start, finish, begun, outputs, stopped }
}

describe('an actor of XState', () => {
  test('has the next job of its slot, and each owner hears of its own', () => {
    const { start, finish, begun, outputs } = node()
    const first = start(1, 0)
    const beside = start(2, 1)
    finish(1, 10)
    const second = start(3, 0)
    expect(second.ref.getSnapshot()).toMatchObject({ status: 'active', value: 'working', context: { n: 3 } })
    finish(3, 30)
    finish(2, 20)
    expect([second.ref === first.ref, beside.ref === first.ref]).toEqual([true, false])
    expect(begun.map(([n]) => n)).toEqual([1, 2, 3])
    expect(outputs).toEqual([
      [1, 10],
      [3, 30],
      [2, 20],
    ])
  })

  test('takes nothing any more from the job it had before', () => {
    const { start, finish, outputs, stopped } = node()
    const first = start(1, 0)
    finish(1, 10)
    finish(1, 11)
    const second = start(2, 0)
    first.stop()
    first.send({ type: 'value' })
    finish(1, 12)
    expect([outputs, stopped]).toEqual([[[1, 10]], []])
    second.stop()
    expect(stopped).toEqual([second.ref])
    expect(start(3, 0).ref).not.toBe(second.ref)
  })

  test('ends with its job once somebody was given it, who sees no other', () => {
    const { start, finish, outputs } = node()
    start(1, 0)
    finish(1, 10)
    const known = start(2, 0)
    const before = known.ref.getSnapshot()
    expect((known.ref as { readonly options?: { readonly input: Given } }).options?.input.n).toBe(2)
    const seen: string[] = []
    known.ref.subscribe({ complete: () => seen.push('complete') })
    finish(2, 20)
    expect([known.ref.getSnapshot(), seen]).toMatchObject([{ status: 'done', output: [2, 20] }, ['complete']])
    const next = start(3, 0)
    finish(3, 30)
    expect(next.ref).not.toBe(known.ref)
    expect(before).toMatchObject({ status: 'active', value: 'working', context: { n: 2 } })
    const late = start(4, 0)
    expect(late.ref).not.toBe(next.ref) // given while it rested
    expect(outputs).toEqual([
      [1, 10],
      [2, 20],
      [3, 30],
    ])
  })

  test('ends with its job where somebody looks on', () => {
    const { root, start, finish, outputs } = node()
    const rests = start(1, 0)
    finish(1, 10)
    ;(root.system as { [tellsSteps]?: boolean })[tellsSteps] = true
    const own = start(2, 0)
    finish(2, 20)
    expect(own.ref.getSnapshot()).toMatchObject({ status: 'done', output: [2, 20] })
    ;(root.system as { [tellsSteps]?: boolean })[tellsSteps] = false
    const again = start(3, 0)
    const isSame = again.ref === rests.ref
    expect([isSame, own.ref === rests.ref]).toEqual([true, false])
    expect(outputs).toEqual([
      [1, 10],
      [2, 20],
    ])
  })

  test('has no other job where it was stopped by what the end of one brought about', () => {
    const { host } = node()
    const outputs: unknown[] = []
    let stay: Stay<{ type: string; value: number }> | undefined
    let stop: (() => void) | undefined
    const work = (_: Given, given: typeof stay): { end(): void } => {
      stay = given
      return { end: () => stop?.() }
    }
    const logic = toChartLogic(machine, { work } as never, false)
    const finish = (): void => stay?.send({ type: 'value', value: 1 })
    const charts = [false, true, false].map((isStopped) => {
      const chart = host.startChart(logic, ownerOf(1, 0, outputs))
      stop = isStopped ? () => chart.stop() : undefined
      finish()
      return chart
    })
    const [first, second, third] = charts.map(({ ref }) => ref)
    expect([outputs.length, first === second, second === third]).toEqual([2, true, false])
  })

  test('tells its owner also of a value that is there at once', () => {
    const { host } = node()
    const outputs: unknown[] = []
    const work = (_: Given, stay: Stay<{ type: string; value: number }>): undefined =>
      void stay.send({ type: 'value', value: 1 })
    const logic = toChartLogic(machine, { work } as never, false)
    for (let jobs = 0; jobs < 3; jobs += 1) host.startChart(logic, ownerOf(1, 0, outputs))
    expect(outputs).toEqual([
      [1, 1],
      [1, 1],
      [1, 1],
    ])
  })
})
